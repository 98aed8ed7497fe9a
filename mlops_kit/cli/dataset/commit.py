"""``mlops-kit dataset commit``."""

from __future__ import annotations

import click

from mlops_kit.cli import options, progress, render
from mlops_kit.cli.dataset import checking
from mlops_kit.cli.session import Session, now, tell
from mlops_kit.datasets import commit as verb
from mlops_kit.datasets import refs
from mlops_kit.datasets.source import open_source


@click.command()
@click.argument("name")
@click.argument("path")
@click.option("--message", "-m", required=True, help="What this commit holds, or why it was made.")
@click.option("--ref", default=refs.DEFAULT_REF, show_default=True, help="The branch to commit on top of, and to move.")
@click.option("--no-ref", is_flag=True, help="Store the commit, and let no branch point to it.")
@click.option("--author", help="Who made the data. Default: the caller's AWS identity.")
@click.option("--add", is_flag=True, help="Keep what the branch holds; add or replace only what is in PATH.")
@click.option("--into", default="", metavar="DIR", help="Put the files below this directory of the data set.")
@click.option("--remove", multiple=True, metavar="GLOB", help="With --add: leave out these files of the branch.")
@click.option("--source-account", help="Of an S3 prefix in a foreign bucket: the account that owns it.")
@click.option("--check", is_flag=True, help="Test the data first; refuse what fails, with exit code 3.")
@options.first_stage
@options.as_json
@options.cloud
def command(
    session: Session,
    name: str,
    path: str,
    message: str,
    ref: str,
    no_ref: bool,
    author: str | None,
    add: bool,
    into: str,
    remove: tuple[str, ...],
    source_account: str | None,
    check: bool,
    environment: str | None,
    as_json: bool,
) -> None:
    """Store a file, a directory or an S3 prefix as a new commit.

    PATH is local, or s3://bucket/prefix: then S3 copies, and no bytes come here. Only changed files travel. The branch
    moves only if nobody else moved it meanwhile.
    """
    refs.check_name(name)
    cloud = session.cloud(session.environment(environment))
    lake = cloud.store("lake")
    with progress.shown() as shown:
        request = verb.CommitRequest(
            dataset=name,
            source=open_source(path, lake, source_account),
            message=message,
            author=author or cloud.actor,
            ref=ref,
            move_ref=not no_ref,
            add=add,
            into=into,
            remove=remove,
        )
        planned = verb.plan(lake, request, now(), progress=shown)
        report = checking.of_plan(session, cloud, planned, shown) if check else None
        done = verb.execute(lake, planned, progress=shown)
        if report is not None:
            checking.record_result(session, cloud, name, done.commit.id, report)
    header = done.commit
    if as_json:
        render.as_json(
            {
                "commit": header.id,
                "changed": done.changed,
                "uploaded": done.uploaded,
                "uploaded_bytes": done.uploaded_bytes,
                "files": header.files,
                "size": header.size,
            }
        )
        return
    if not done.changed:
        tell(f"nothing changed since {name}@{header.id[:12]}")
    else:
        tell(
            f"{header.files} files, {render.size(header.size)}; "
            f"{done.uploaded} stored anew, {render.size(done.uploaded_bytes)}"
        )
    click.echo(f"{name}@{header.id[:12]}")
