"""``mlops-kit dataset uri``."""

from __future__ import annotations

import click

from mlops_kit.cli import options
from mlops_kit.cli.session import Session
from mlops_kit.datasets import refs
from mlops_kit.naming import DatasetKeys


@click.command()
@click.argument("dataset", metavar="NAME[@REV]")
@options.first_stage
@options.cloud
def command(session: Session, dataset: str, environment: str | None) -> None:
    """Print where SageMaker reads a commit: its ManifestFile."""
    name, revision = refs.parse(dataset)
    lake = session.cloud(session.environment(environment)).store("lake")
    click.echo(lake.uri(DatasetKeys(name).manifest(refs.resolve(lake, name, revision))))
