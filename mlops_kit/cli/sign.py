"""``mlops-kit sign``: sign a version's artifact, or check its signature."""

from __future__ import annotations

import click

from mlops_kit import registry, signing
from mlops_kit.cli import options, render
from mlops_kit.cli.session import Session
from mlops_kit.cli.versions import numbered
from mlops_kit.errors import IntegrityError
from mlops_kit.signing import SignatureCheck


@click.command()
@click.argument("version", metavar="MODEL@VERSION")
@options.first_stage
@click.option("--check", is_flag=True, help="Only check the signature that is there; sign nothing.")
@options.as_json
@options.cloud
def command(session: Session, version: str, environment: str | None, check: bool, as_json: bool) -> None:
    """Sign a registered version's artifact with the environment's key (OpenSSF Model Signing).

    Signing a signed version changes nothing. The signature lies beside the artifact and is promoted with it. With
    --check, a signature that is missing or not valid ends with exit code 7.
    """
    model, number = numbered(version)
    stage = session.environment(environment)
    session.project.model(model, stage)
    cloud = session.cloud(stage)
    names = stage.names.model(model)
    sha256 = registry.read_version(cloud.sagemaker, names, number).lineage.artifact_sha256
    artifacts = cloud.store("artifacts")
    if check:
        found = signing.verify_signature(artifacts, names, sha256, signing.trusted(cloud, session.project, stage))
        _show(found, version, as_json)
        return
    signed = signing.sign(artifacts, names, sha256, signing.key_of(cloud, stage))
    if as_json:
        render.as_json(signed)
    else:
        click.echo(f"{version} {'signed' if signed.new else 'was signed already'} by {signed.signer}")


def _show(found: SignatureCheck, version: str, as_json: bool) -> None:
    if as_json:
        render.as_json(found)
    if not found.valid:
        raise IntegrityError(f"{version} has no valid signature: {found.reason}.")
    if not as_json:
        click.echo(f"{version} is {found.reason}")
