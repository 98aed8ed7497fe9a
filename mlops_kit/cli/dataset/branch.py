"""``mlops-kit dataset branch``."""

from __future__ import annotations

import click

from mlops_kit.cli import options, render
from mlops_kit.cli.session import Session, now, tell
from mlops_kit.datasets import branch as verb
from mlops_kit.datasets import pointers, refs
from mlops_kit.datasets.pointers import Ref
from mlops_kit.errors import UsageError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store


@click.command()
@click.argument("name")
@click.argument("branch", required=False)
@click.argument("revision", default=refs.DEFAULT_REF)
@click.option("--delete", is_flag=True, help="Delete the branch. Its commits stay as long as something leads to them.")
@click.option("--force", is_flag=True, help="With --delete: even if it is the only way to some commits.")
@options.yes
@options.first_stage
@options.as_json
@options.cloud
def command(
    session: Session,
    name: str,
    branch: str | None,
    revision: str,
    delete: bool,
    force: bool,
    yes: bool,
    environment: str | None,
    as_json: bool,
) -> None:
    """List, create or delete branches.

    Without BRANCH they are listed; with it, one is made at REVISION (default: main).
    """
    pointers.check_name(name)
    if branch is None and delete:
        raise UsageError("Which branch is to be deleted?", hint=f"mlops-kit dataset branch {name} BRANCH --delete")
    if branch is not None and not delete:
        pointers.check_branch(branch)
    stage = session.environment(environment)
    cloud = session.cloud(stage)
    lake = cloud.store("lake")
    if branch is None:
        listed(lake, name, pointers.branches(lake, name), as_json)
    elif delete:
        session.confirm(stage, f"Delete the branch {branch} of {name} in {stage.name}", yes)
        gone = verb.delete(lake, name, branch, force=force)
        if as_json:
            render.as_json({"name": branch, "commit": gone.commit, "lost": [commit.id for commit in gone.lost]})
            return
        tell(f"deleted {branch}, which was at {gone.commit[:12] if gone.commit else 'nothing readable'}")
        for lost in gone.lost:
            tell(f"  nothing leads to {lost.id[:12]} any more: {render.first_line(lost.message)}")
    else:
        commit = refs.resolve(lake, name, revision)
        session.confirm(stage, f"Make the branch {branch} of {name} in {stage.name}", yes)
        verb.create(lake, name, branch, commit, actor=cloud.actor, now=now())
        made(name, branch, commit, as_json)


def listed(lake: Store, dataset: str, found: tuple[Ref, ...], as_json: bool) -> None:
    """Raises:
    NotFoundError: there is no such data set.
    """
    if not found and next(lake.versions(DatasetKeys(dataset).root), None) is None:
        raise refs.no_such_dataset(lake, dataset)
    if as_json:
        render.as_json([{"name": ref.name, "commit": ref.commit, "by": ref.by, "time": ref.time} for ref in found])
        return
    render.table(
        ["NAME", "COMMIT", "TIME", "BY"],
        [(ref.name, ref.commit[:12], ref.time, render.who(ref.by)) for ref in found],
    )


def made(dataset: str, name: str, commit: str, as_json: bool) -> None:
    if as_json:
        render.as_json({"name": name, "commit": commit})
    else:
        tell(f"{name} is {commit[:12]}")
        click.echo(f"{dataset}@{name}")
