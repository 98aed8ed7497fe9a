"""``mlops-kit ledger``: the record of releases itself."""

from __future__ import annotations

import click

from mlops_kit.cli import options, render
from mlops_kit.cli.session import Session
from mlops_kit.promotion import ledger_verify
from mlops_kit.promotion.ledger_verify import Finding, Verification


@click.group()
def command() -> None:
    """Check the record of releases."""


@command.command()
@click.argument("model", required=False)
@options.in_environment
@options.as_json
@options.cloud
def verify(session: Session, model: str | None, environment: str, as_json: bool) -> None:
    """Check that MODEL's ledger (default: every ledger) is what was recorded: no edit, no gap, nothing foreign."""
    stage = session.environment(environment)
    store = session.cloud(stage).store("ledger")
    strays: list[Finding] = []
    if model is None:
        found, strays = ledger_verify.verify_all(store, stage.names)
    else:
        found = [ledger_verify.verify(store, stage.names.model(model))]
        if not (found[0].events or found[0].approvals or found[0].findings):
            session.project.model(model, stage)  # a name that is misspelt must not pass for an empty ledger
    if as_json:
        render.as_json({"models": [_json(one) for one in found], "strays": strays})
    else:
        for one in found:
            _show(one)
    ledger_verify.require(found, strays, environment)


def _show(found: Verification) -> None:
    state = "intact" if found.intact else f"{len(found.findings)} found wrong"
    click.echo(f"{found.model}: {found.events} events, {found.plans} plans, {found.approvals} approvals: {state}")
    for finding in found.findings:
        click.echo(f"  {finding}")
        click.echo(f"    {finding.remedy}")


def _json(found: Verification) -> dict[str, object]:
    return {
        "model": found.model,
        "intact": found.intact,
        "events": found.events,
        "plans": found.plans,
        "unused_plans": found.unused_plans,
        "approvals": found.approvals,
        "findings": found.findings,
    }
