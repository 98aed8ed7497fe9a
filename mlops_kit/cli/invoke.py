"""``mlops-kit invoke``: real predictions from a real endpoint."""

from __future__ import annotations

from pathlib import Path

import click

from mlops_kit import invoking
from mlops_kit.cli import options
from mlops_kit.cli.session import Session, tell


@click.command()
@click.argument("model")
@options.in_environment
@click.option(
    "--data",
    "path",
    required=True,
    type=click.Path(path_type=Path),
    help="CSV file; a header and the label are dropped.",
)
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=100, show_default=True, help="Rows sent in one request."
)
@options.cloud
def command(session: Session, model: str, environment: str, path: Path, batch_size: int) -> None:
    """Send the rows of a CSV file to MODEL's endpoint and print one answer a row, in order."""
    stage = session.environment(environment)
    config = session.project.model(model, stage)
    rows = invoking.read_rows(path, config.label)
    cloud = session.cloud(stage)
    sent = 0
    for answer in invoking.invoke(cloud.runtime, stage.names.model(model), rows, batch_size):
        click.echo(answer, nl=False)
        sent += 1
    tell(f"{len(rows)} rows in {sent} requests")
