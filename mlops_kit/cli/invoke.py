"""``mlops-kit invoke``: real predictions from a real endpoint."""

from __future__ import annotations

import time
from pathlib import Path

import click

from mlops_kit import invoking
from mlops_kit.cli import options
from mlops_kit.cli.session import Session, tell
from mlops_kit.errors import UsageError


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
    """Send the rows of a CSV file to MODEL's endpoint and print one answer a row, in order.

    An asynchronous endpoint gets them by way of S3, and may need minutes to start an instance first. A batch model has
    no endpoint.
    """
    stage = session.environment(environment)
    config = session.project.model(model, stage)
    names = config.names(stage.names)
    if not config.serving.has_endpoint:
        batch = config.serving.batch
        raise UsageError(
            f"{model} is served in batches and has no endpoint to ask.",
            hint=f"Put files into s3://{stage.names.bucket('lake')}/{batch.input_prefix or names.raw_prefix}; the next "
            f"job, at {batch.schedule} ({batch.timezone}), writes its answers below {names.predictions_prefix}.",
        )
    rows = invoking.read_rows(path, config.label)
    cloud = session.cloud(stage)
    if config.serving.kind == "async":
        capture = cloud.store("capture")
        answers = invoking.invoke_async(cloud.runtime, capture, names, rows, batch_size, sleep=time.sleep)
    else:
        answers = invoking.invoke(cloud.runtime, names, rows, batch_size)
    sent = 0
    for answer in answers:
        click.echo(answer, nl=False)
        sent += 1
    tell(f"{len(rows)} rows in {sent} requests")
