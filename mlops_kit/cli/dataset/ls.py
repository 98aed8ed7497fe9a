"""``mlops-kit dataset ls``."""

from __future__ import annotations

import click

from mlops_kit.cli import options, render
from mlops_kit.cli.session import Session
from mlops_kit.datasets import listing, refs


@click.command()
@click.argument("dataset", metavar="NAME[@REV]")
@click.argument("path", default="")
@click.option("--recursive", "-r", is_flag=True, help="All files below, not directories with their totals.")
@options.first_stage
@options.as_json
@options.cloud
def command(session: Session, dataset: str, path: str, recursive: bool, environment: str | None, as_json: bool) -> None:
    """List the files of a commit.

    PATH is a file, a directory, or a pattern.
    """
    name, revision = refs.parse(dataset)
    lake = session.cloud(session.environment(environment)).store("lake")
    found = listing.ls(lake, name, refs.resolve(lake, name, revision), path, recursive=recursive)
    if as_json:
        render.as_json({"directories": found.directories, "files": list(found.files)})
        return
    rows = [(render.size(one.size), f"{one.files} files", one.path) for one in found.directories]
    rows += [(render.size(entry.size), entry.sha256[:12], entry.path) for entry in found.files]
    render.table(["SIZE", "CONTENT", "PATH"], rows)
