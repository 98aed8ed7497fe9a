"""``mlops-kit history``: the ledger, as a table."""

from __future__ import annotations

import click

from mlops_kit.cli import options, render
from mlops_kit.cli.session import Session
from mlops_kit.promotion import ledger
from mlops_kit.promotion.ledger import Ledger


@click.command()
@click.argument("model")
@options.in_environment
@options.as_json
@options.cloud
def command(session: Session, model: str, environment: str, as_json: bool) -> None:
    """Show every promotion and rollback of MODEL in an environment, newest first."""
    stage = session.environment(environment)
    session.project.model(model, stage)
    events = Ledger(session.cloud(stage).store("ledger"), stage.names.model(model)).events()
    if as_json:
        render.as_json(list(reversed(events)))
        return
    running = ledger.current(events)
    render.table(
        ["#", "TIME", "ACTION", "OUTCOME", "RELEASE", "VERSION", "SOURCE", "DATA", "BY"],
        [
            (
                e.seq,
                e.time,
                e.action,
                e.outcome,
                e.release.id + (" (runs)" if running and e.release.id == running.id else ""),
                e.release.version,
                e.source,
                f"{e.release.dataset}@{e.release.dataset_commit[:12]}",
                e.actor.rsplit(":", 1)[-1],
            )
            for e in reversed(events)
        ],
    )
