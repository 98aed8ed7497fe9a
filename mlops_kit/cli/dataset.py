"""``mlops-kit dataset``: data versioned like source code."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import click

from mlops_kit.cli import options, render
from mlops_kit.cli.session import Session, now, tell
from mlops_kit.datasets import checkout as checkout_verb
from mlops_kit.datasets import commit as commit_verb
from mlops_kit.datasets import read, refs
from mlops_kit.datasets.records import Commit


@click.group()
def command() -> None:
    """Commit data, see its history, check it out."""


@command.command()
@click.argument("name")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--message", "-m", required=True, help="What this commit holds, or why it was made.")
@click.option("--ref", default=refs.DEFAULT_REF, show_default=True, help="The ref to commit on top of, and to move.")
@click.option("--author", help="Who made the data. Default: the caller's AWS identity.")
@options.first_stage
@options.as_json
@options.cloud
def commit(
    session: Session,
    name: str,
    path: Path,
    message: str,
    ref: str,
    author: str | None,
    environment: str | None,
    as_json: bool,
) -> None:
    """Store the file or directory PATH as a new commit of data set NAME. Only changed files travel."""
    refs.check_name(name)
    cloud = session.cloud(session.environment(environment))
    done = commit_verb.commit(
        cloud.store("lake"), name, path, message=message, author=author or cloud.actor, now=now(), ref=ref
    )
    header = done.commit
    if as_json:
        render.as_json({"commit": header.id, "changed": done.changed, "uploaded": done.uploaded, "files": header.files})
        return
    if not done.changed:
        tell(f"nothing changed since {name}@{header.id[:12]}")
    else:
        tell(f"{header.files} files, {render.size(header.size)}; {done.uploaded} uploaded")
    click.echo(f"{name}@{header.id[:12]}")


@command.command()
@click.argument("dataset", metavar="NAME[@REF]")
@click.option("-n", "--number", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many.")
@options.first_stage
@options.as_json
@options.cloud
def log(session: Session, dataset: str, number: int, environment: str | None, as_json: bool) -> None:
    """Show the commits that led to REF (default: main), newest first."""
    name, revision = refs.parse(dataset)
    lake = session.cloud(session.environment(environment)).store("lake")
    commits = list(islice(read.log(lake, name, refs.resolve(lake, name, revision)), number))
    if as_json:
        render.as_json([{"commit": c.id, "parent": c.parent, **_header(c)} for c in commits])
        return
    render.table(
        ["COMMIT", "TIME", "FILES", "SIZE", "AUTHOR", "MESSAGE"],
        [(c.id[:12], c.time, c.files, render.size(c.size), c.author.rsplit("/", 1)[-1], c.message) for c in commits],
    )


def _header(commit: Commit) -> dict[str, object]:
    return {
        "time": commit.time,
        "author": commit.author,
        "message": commit.message,
        "files": commit.files,
        "size": commit.size,
    }


@command.command()
@click.argument("dataset", metavar="NAME[@REF]")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@options.first_stage
@options.cloud
def checkout(session: Session, dataset: str, directory: Path, environment: str | None) -> None:
    """Write the files of REF (default: main) to DIRECTORY, each verified."""
    name, revision = refs.parse(dataset)
    lake = session.cloud(session.environment(environment)).store("lake")
    entries = checkout_verb.checkout(lake, name, refs.resolve(lake, name, revision), directory)
    tell(f"{len(entries)} files, {render.size(sum(entry.size for entry in entries))}, verified, in {directory}")
