"""``mlops-kit drift``: does production still look like the training data?"""

from __future__ import annotations

import click

from mlops_kit import registry
from mlops_kit.cli import options, render
from mlops_kit.cli.session import Session, now, tell
from mlops_kit.cli.versions import numbered
from mlops_kit.drift import stored
from mlops_kit.drift.report import DriftReport
from mlops_kit.drift.run import DriftRequest, measure_captured, run_drift
from mlops_kit.errors import UsageError
from mlops_kit.promotion import ledger
from mlops_kit.promotion.ledger import Ledger

SHOWN_FEATURES = 5


@click.group()
def command() -> None:
    """Record a baseline; compare captured traffic with it."""


@command.command()
@click.argument("version", metavar="MODEL@VERSION")
@options.first_stage
@options.cloud
def baseline(session: Session, version: str, environment: str | None) -> None:
    """Record the distributions of the data that MODEL@VERSION was trained on. Promotion takes them along."""
    name, number = numbered(version)
    stage = session.environment(environment)
    config = session.project.model(name, stage)
    cloud = session.cloud(stage)
    names = stage.names.model(name)
    found = registry.read_version(cloud.sagemaker, names, number)
    statistics = stored.record(cloud.store("lake"), cloud.store("artifacts"), names, found, config.label)
    tell(f"baseline of {found.name}: {statistics.dataset.item_count} rows, {len(statistics.features)} columns")


@command.command()
@click.argument("model")
@options.in_environment
@click.option(
    "--hours", type=click.IntRange(min=1, max=24 * 14), default=24, show_default=True, help="How far to look back."
)
@options.dry_run
@options.as_json
@options.cloud
def run(session: Session, model: str, environment: str, hours: int, dry_run: bool, as_json: bool) -> None:
    """Compare MODEL's captured traffic with the running version's baseline and publish the metrics to CloudWatch."""
    stage = session.environment(environment)
    config = session.project.model(model, stage)
    cloud = session.cloud(stage)
    names = stage.names.model(model)
    running = ledger.current(Ledger(cloud.store("ledger"), names).events())
    if running is None:
        raise UsageError(f"No version of {model} was released in {environment} yet.")
    statistics = stored.read(cloud.store("artifacts"), names, running.artifact_sha256)
    request = DriftRequest.latest(stage, config, hours=hours, now=now())
    capture = cloud.store("capture")
    if dry_run:
        report = measure_captured(request, statistics, capture, names.capture_prefix)
    else:
        report = run_drift(request, statistics, capture, names.capture_prefix, cloud.cloudwatch, now=now())
    if as_json:
        render.as_json(report.as_record())
    else:
        _show(report)


def _show(report: DriftReport) -> None:
    windows = "1 window" if len(report.windows) == 1 else f"{len(report.windows)} windows"
    minutes = int(report.window.total_seconds()) // 60
    tell(f"{report.rows} rows in {windows} of {minutes} minutes; {report.malformed} malformed")
    render.table(
        ["WINDOW", "ROWS", "VERDICT", "WORST FEATURES (PSI)"],
        [
            (
                window.start.isoformat(timespec="minutes"),
                window.rows,
                "drifted" if window.breached else "stable" if window.features else f"under {report.minimum_rows} rows",
                ", ".join(f"{drift.feature} {drift.psi:.3f}" for drift in window.features[:SHOWN_FEATURES]) or "-",
            )
            for window in report.windows
        ],
    )
