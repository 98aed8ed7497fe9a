"""``mlops-kit demo``: the whole story."""

from __future__ import annotations

import click

from mlops_kit.cli import options
from mlops_kit.cli.session import Session
from mlops_kit.local.demo import Demo


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the local cloud.")
@click.option("--keep", is_flag=True, help="Leave the local cloud running at the end, to look around in.")
@options.enforce_iam
@click.pass_context
def command(ctx: click.Context, port: int | None, keep: bool, enforce_iam: bool) -> None:
    """Tell the whole story on a fresh local cloud, checking every step. One that runs already is taken down first."""
    Demo(Session(ctx.find_root().obj).project, port, click.echo, enforce_iam=enforce_iam).run(keep)
