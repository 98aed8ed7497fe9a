"""``mlops-kit history``: the ledger, as a table."""

from __future__ import annotations

import click

from mlops_kit.cli import options, render
from mlops_kit.cli.session import Session
from mlops_kit.promotion import history
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
    entries = list(reversed(history.entries(events)))
    if as_json:
        render.as_json([entry.to_json() for entry in entries])
        return
    render.table(
        [
            "#",
            "TIME",
            "ACTION",
            "OUTCOME",
            "RELEASE",
            "VERSION",
            "SOURCE",
            "DATA",
            "BY",
            "APPROVED BY",
            "TOOK",
            "NOTES",
        ],
        [
            (
                entry.event.seq,
                entry.event.time,
                entry.event.action,
                entry.event.outcome,
                _release(entry),
                entry.event.release.version,
                entry.event.source,
                f"{entry.event.release.dataset}@{entry.event.release.dataset_commit[:12]}",
                entry.by,
                ", ".join(entry.approved_by),
                history.duration(entry.event.duration_seconds),
                history.notes(entry),
            )
            for entry in entries
        ],
    )


def _release(entry: history.Entry) -> str:
    after = f" after {entry.replaced}" if entry.replaced and entry.event.outcome == "succeeded" else ""
    return f"{entry.event.release.id}{after}{' (runs)' if entry.runs else ''}"
