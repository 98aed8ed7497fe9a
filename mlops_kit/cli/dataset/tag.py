"""``mlops-kit dataset tag``."""

from __future__ import annotations

import click

from mlops_kit.cli import options, render
from mlops_kit.cli.dataset.branch import listed, made
from mlops_kit.cli.session import Session, now, tell
from mlops_kit.datasets import pointers, refs
from mlops_kit.datasets import tag as verb
from mlops_kit.errors import UsageError


@click.command()
@click.argument("name")
@click.argument("tag", required=False)
@click.argument("revision", default=refs.DEFAULT_REF)
@click.option("--delete", is_flag=True, help="Delete the tag. Its commit stays as long as something leads to it.")
@click.option("--force", is_flag=True, help="With --delete: even if what it points to cannot be read.")
@options.yes
@options.first_stage
@options.as_json
@options.cloud
def command(
    session: Session,
    name: str,
    tag: str | None,
    revision: str,
    delete: bool,
    force: bool,
    yes: bool,
    environment: str | None,
    as_json: bool,
) -> None:
    """List, create or delete tags.

    Without TAG they are listed; with it, one is made at REVISION (default: main). A tag never moves.
    """
    pointers.check_name(name)
    if tag is None and delete:
        raise UsageError("Which tag is to be deleted?", hint=f"mlops-kit dataset tag {name} TAG --delete")
    if tag is not None and not delete:
        pointers.check_tag(tag)
    stage = session.environment(environment)
    cloud = session.cloud(stage)
    lake = cloud.store("lake")
    if tag is None:
        listed(lake, name, pointers.tags(lake, name), as_json)
    elif delete:
        session.confirm(stage, f"Delete the tag {tag} of {name} in {stage.name}", yes)
        was = verb.delete(lake, name, tag, force=force)
        if as_json:
            render.as_json({"name": tag, "commit": was})
        else:
            tell(f"deleted {tag}, which was {was[:12] if was else 'nothing readable'}")
    else:
        commit = refs.resolve(lake, name, revision)
        session.confirm(stage, f"Tag {name}@{commit[:12]} as {tag} in {stage.name}", yes)
        verb.create(lake, name, tag, commit, actor=cloud.actor, now=now())
        made(name, tag, commit, as_json)
