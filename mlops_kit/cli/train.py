"""``mlops-kit train``: from a data commit to a registered model version."""

from __future__ import annotations

import click

from mlops_kit import training
from mlops_kit.cli import options, render
from mlops_kit.cli.session import Session, now, tell


@click.command()
@click.argument("model")
@click.option("--data", "revision", metavar="REF-OR-COMMIT", help="What to train on. Default: the data set's main.")
@options.first_stage
@options.as_json
@options.cloud
def command(session: Session, model: str, revision: str | None, environment: str | None, as_json: bool) -> None:
    """Train MODEL on a data commit, wait for the job, and register the version it made."""
    stage = session.environment(environment)
    config = session.project.model(model, stage)
    cloud = session.cloud(stage)
    commit = training.resolve_data(cloud.store("lake"), config, revision)
    request = training.TrainingRequest(config, commit, session.project.source_dir(config))
    version = training.train(request, cloud, now=now(), tell=tell)
    if as_json:
        render.as_json({"version": version.version, "model": version.model, "lineage": version.lineage})
    else:
        click.echo(version.name)
