"""``mlops-kit dataset cat``."""

from __future__ import annotations

import sys

import click

from mlops_kit.cli import options
from mlops_kit.cli.session import Session
from mlops_kit.datasets import cat as verb
from mlops_kit.datasets import refs


@click.command()
@click.argument("dataset", metavar="NAME[@REV]")
@click.argument("path")
@options.first_stage
@options.cloud
def command(session: Session, dataset: str, path: str, environment: str | None) -> None:
    """Write one file of a commit to stdout.

    The last bytes come when the digest of all of them was right; exit code 7 says that it was not.
    """
    name, revision = refs.parse(dataset)
    lake = session.cloud(session.environment(environment)).store("lake")
    for chunk in verb.cat(lake, name, refs.resolve(lake, name, revision), path):
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()
