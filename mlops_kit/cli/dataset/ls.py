"""``mlops-kit dataset ls``."""

from __future__ import annotations

import click

from mlops_kit.cli import options, render
from mlops_kit.cli.session import Session
from mlops_kit.datasets import listing, refs
from mlops_kit.errors import UsageError


@click.command()
@click.argument("dataset", metavar="[NAME[@REV]]", required=False)
@click.argument("path", default="")
@click.option("--recursive", "-r", is_flag=True, help="All files below, not directories with their totals.")
@options.first_stage
@options.as_json
@options.cloud
def command(
    session: Session, dataset: str | None, path: str, recursive: bool, environment: str | None, as_json: bool
) -> None:
    """List the files of a commit.

    PATH is a file, a directory, or a pattern. Without NAME, the data sets are listed.
    """
    if dataset is None:
        if recursive:
            raise UsageError("Which data set?", hint="mlops-kit dataset ls NAME --recursive")
        names = list(listing.datasets(session.cloud(session.environment(environment)).store("lake")))
        if as_json:
            render.as_json(names)
        for name in () if as_json else names:
            click.echo(name)
        return
    name, revision = refs.parse(dataset)
    lake = session.cloud(session.environment(environment)).store("lake")
    found = listing.ls(lake, name, refs.resolve(lake, name, revision), path, recursive=recursive)
    if as_json:
        render.as_json({"directories": found.directories, "files": list(found.files)})
        return
    # Not as a table: there may be a million lines, and none of them may be folded.
    files = max((one.files for one in found.directories), default=0)
    width = max(12, len(render.some(files, "file")))
    click.echo(f"{'SIZE':>9}  {'CONTENT':<{width}}  PATH")
    for one in found.directories:
        click.echo(f"{render.size(one.size):>9}  {render.some(one.files, 'file'):<{width}}  {one.path}")
    for entry in found.files:
        click.echo(f"{render.size(entry.size):>9}  {entry.sha256[:12]:<{width}}  {entry.path}")
