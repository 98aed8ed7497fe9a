"""``mlops-kit unlock``: past a lock whose holder is gone."""

from __future__ import annotations

import click

from mlops_kit.cli import options, render
from mlops_kit.cli.session import Session, tell
from mlops_kit.promotion.unlock import unlock


@click.command()
@click.argument("model")
@options.in_environment
@click.option("--id", "id_", required=True, help="The lock's id, as the refused command printed it.")
@options.as_json
@options.cloud
def command(session: Session, model: str, environment: str, id_: str, as_json: bool) -> None:
    """Release the lock of MODEL that somebody left behind. A holder that is still at work stops at its next step."""
    stage = session.environment(environment)
    session.project.model(model, stage)
    held = unlock(session.cloud(stage).store("artifacts"), stage.names.model(model), id_)
    tell(f"it was held by {held}")
    if as_json:
        render.as_json({"model": model, "environment": environment, "released": held})
    else:
        click.echo(f"unlocked {model} in {environment}")
