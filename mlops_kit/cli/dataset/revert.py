"""``mlops-kit dataset revert``."""

from __future__ import annotations

import click

from mlops_kit.cli import options, render
from mlops_kit.cli.session import Session, now, tell
from mlops_kit.datasets import pointers, refs
from mlops_kit.datasets import revert as verb


@click.command()
@click.argument("name")
@click.argument("revision")
@click.option("--message", "-m", required=True, callback=options.utf8, help="Why.")
@click.option("--ref", default=refs.DEFAULT_REF, show_default=True, help="The branch to commit on top of, and to move.")
@options.yes
@options.first_stage
@options.as_json
@options.cloud
def command(
    session: Session,
    name: str,
    revision: str,
    message: str,
    ref: str,
    yes: bool,
    environment: str | None,
    as_json: bool,
) -> None:
    """Commit again what an earlier commit held.

    No file travels, and nothing is undone: the commits since REVISION stay in the history.
    """
    pointers.check_name(name)
    pointers.check_branch(ref)
    stage = session.environment(environment)
    cloud = session.cloud(stage)
    lake = cloud.store("lake")
    to = refs.resolve(lake, name, revision)
    session.confirm(stage, f"Commit the content of {name}@{to[:12]} to {ref} in {stage.name}", yes)
    done = verb.revert(lake, name, ref, to, message=message, author=cloud.actor, now=now())
    if as_json:
        render.as_json({"commit": done.commit.id, "changed": done.changed, "content_of": to})
        return
    if done.changed:
        tell(f"{ref} holds again what {to[:12]} held: {render.some(done.commit.files, 'file')}")
    else:
        tell(f"nothing changed: {name}@{ref} holds exactly this already")
    click.echo(f"{name}@{done.commit.id[:12]}")
