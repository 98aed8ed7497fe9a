"""``mlops-kit approve``."""

from __future__ import annotations

import click

from mlops_kit.cli import options
from mlops_kit.cli.deciding import decide
from mlops_kit.cli.session import Session


@click.command()
@click.argument("version", metavar="MODEL@VERSION")
@click.option("--to", "to", required=True, help="The environment that it is to be released in.")
@click.option("--reason", required=True, help="Why, in a line: it is recorded.")
@options.as_json
@options.cloud
def command(session: Session, version: str, to: str, reason: str, as_json: bool) -> None:
    """Agree that MODEL@VERSION, as numbered in the stage before, is released in the environment --to.

    It is the version's artifact that is approved, by its SHA-256, and for this environment only. An approval expires;
    approving again begins its time anew.
    """
    decide(session, "approve", version, to, reason, as_json)
