"""``mlops-kit dataset commit``."""

from __future__ import annotations

import click

from mlops_kit.cli import options, progress, render
from mlops_kit.cli.dataset import checking
from mlops_kit.cli.session import Session, now, tell
from mlops_kit.datasets import commit as verb
from mlops_kit.datasets import refs
from mlops_kit.datasets.commit import Committed
from mlops_kit.datasets.source import Nothing, open_source
from mlops_kit.datasets.transfer import AT_ONCE
from mlops_kit.errors import UsageError
from mlops_kit.quality.commits import require_plan
from mlops_kit.quality.results import Report


@click.command()
@click.argument("name")
@click.argument("path", required=False)
@click.option(
    "--message", "-m", required=True, callback=options.utf8, help="What this commit holds, or why it was made."
)
@click.option("--ref", default=refs.DEFAULT_REF, show_default=True, help="The branch to commit on top of, and to move.")
@click.option("--no-ref", is_flag=True, help="Store the commit, and let no branch point to it.")
@click.option("--author", callback=options.utf8, help="Who made the data. Default: the caller's AWS identity.")
@click.option("--add", is_flag=True, help="Keep what the branch holds; add or replace only what is in PATH.")
@click.option("--into", default="", metavar="DIR", help="Put the files below this directory of the data set.")
@click.option("--remove", multiple=True, metavar="GLOB", help="With --add: leave out these files of the branch.")
@click.option("--source-account", help="Of an S3 prefix in a foreign bucket: the account that owns it.")
@click.option("--check", is_flag=True, help="Test the data first; refuse what fails, with exit code 3.")
@options.at_once(AT_ONCE)
@options.yes
@options.first_stage
@options.as_json
@options.cloud
def command(
    session: Session,
    name: str,
    path: str | None,
    message: str,
    ref: str,
    no_ref: bool,
    author: str | None,
    add: bool,
    into: str,
    remove: tuple[str, ...],
    source_account: str | None,
    check: bool,
    at_once: int,
    yes: bool,
    environment: str | None,
    as_json: bool,
) -> None:
    """Store a file, a directory or an S3 prefix as a new commit.

    PATH is local, or s3://bucket/prefix: then S3 copies, and no bytes come here. Only changed files travel. The branch
    moves only if nobody else moved it meanwhile. Without PATH, only what --remove names is changed.
    """
    refs.check_name(name)
    refs.check_branch(ref)
    if path is None and not remove:
        raise UsageError(
            "There is nothing to commit: no PATH, and nothing to remove.",
            hint=f"mlops-kit dataset commit {name} PATH -m …",
        )
    if path is None and (into or source_account):
        raise UsageError("--into and --source-account say something about PATH, which is missing.")
    constraints = session.project.constraints(name) if check else None
    stage = session.environment(environment)
    cloud = session.cloud(stage)
    session.confirm(stage, f"Commit to {name} in {stage.name}", yes)
    lake = cloud.store("lake")
    with progress.shown() as shown:
        request = verb.CommitRequest(
            dataset=name,
            source=Nothing() if path is None else open_source(path, lake, source_account, tell),
            message=message,
            author=author or cloud.actor,
            ref=ref,
            move_ref=not no_ref,
            add=add or path is None,
            into=into,
            remove=remove,
        )
        planned = verb.plan(lake, request, now(), progress=shown, at_once=at_once)
        report = require_plan(lake, planned, constraints, progress=shown) if constraints is not None else None
        done = verb.execute(lake, planned, progress=shown, at_once=at_once)
        if report is not None:
            checking.record_result(session, cloud, name, done.commit.id, report)
    if as_json:
        render.as_json(_json(done, report))
        return
    if report is not None:
        tell(f"checked: {render.some(len(report.results), 'constraint')}, all of them hold")
    header = done.commit
    if not done.changed:
        tell(f"nothing changed: {name}@{ref} holds exactly this already")
    else:
        tell(
            f"{render.some(header.files, 'file')}, {render.size(header.size)}; "
            f"{done.uploaded:,} stored anew, {render.size(done.uploaded_bytes)}"
        )
        if no_ref:
            tell(f"no branch leads to it: keep it with `mlops-kit dataset tag {name} TAG {header.id[:12]}`")
    click.echo(f"{name}@{header.id[:12]}")


def _json(done: Committed, report: Report | None) -> dict[str, object]:
    header = done.commit
    found: dict[str, object] = {
        "commit": header.id,
        "parent": header.parent,
        "changed": done.changed,
        "uploaded": done.uploaded,
        "uploaded_bytes": done.uploaded_bytes,
        "files": header.files,
        "size": header.size,
    }
    return found if report is None else found | {"check": checking.as_json(report)}
