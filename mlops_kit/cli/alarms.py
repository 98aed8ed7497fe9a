"""``mlops-kit alarms``: what CloudWatch thinks of an environment."""

from __future__ import annotations

import click

from mlops_kit import alarms
from mlops_kit.cli import options, render
from mlops_kit.cli.session import Session


@click.command()
@options.in_environment
@options.as_json
@options.cloud
def command(session: Session, environment: str, as_json: bool) -> None:
    """Show an environment's alarms, those that went off first."""
    stage = session.environment(environment)
    found = alarms.read(session.cloud(stage).cloudwatch, stage.names)
    if as_json:
        render.as_json(found)
        return
    render.table(
        ["ALARM", "STATE", "SINCE", "REASON"],
        [(a.name, a.state, a.since.isoformat(timespec="seconds"), a.reason) for a in found],
    )
