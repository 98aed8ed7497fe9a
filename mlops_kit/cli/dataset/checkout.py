"""``mlops-kit dataset checkout``."""

from __future__ import annotations

from pathlib import Path

import click

from mlops_kit.cli import options, progress, render
from mlops_kit.cli.session import Session, tell
from mlops_kit.datasets import checkout as verb
from mlops_kit.datasets import refs


@click.command()
@click.argument("dataset", metavar="NAME[@REV]")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.argument("paths", nargs=-1)
@click.option("--link", is_flag=True, help="Make read-only hard links to a cache that checkouts share.")
@click.option("--delete", is_flag=True, help="Remove what an earlier checkout wrote and this commit lacks.")
@click.option("--force", is_flag=True, help="Overwrite files that were changed since they were checked out.")
@options.at_once(verb.DOWNLOADS_AT_ONCE)
@options.first_stage
@options.as_json
@options.cloud
def command(
    session: Session,
    dataset: str,
    directory: Path,
    paths: tuple[str, ...],
    link: bool,
    delete: bool,
    force: bool,
    at_once: int,
    environment: str | None,
    as_json: bool,
) -> None:
    """Write the files of a commit to a directory.

    Only what is missing is fetched, and each file is verified. With PATHS, only those files and directories.
    """
    name, revision = refs.parse(dataset)
    lake = session.cloud(session.environment(environment)).store("lake")
    commit = refs.resolve(lake, name, revision)
    with progress.shown() as shown:
        done = verb.checkout(
            lake,
            name,
            commit,
            directory,
            paths=paths,
            link=link,
            delete=delete,
            force=force,
            at_once=at_once,
            progress=shown,
        )
    if done.restored_from_versions:
        tell(
            f"{render.some(len(done.restored_from_versions), 'object')} in {lake.bucket} had to be read from an older "
            f"version. Mend that: mlops-kit dataset verify {name}@{commit[:12]} --repair"
        )
    if as_json:
        render.as_json(
            {
                "commit": commit,
                "files": len(done.entries),
                "downloaded": done.downloaded,
                "downloaded_bytes": done.downloaded_bytes,
                "reused": done.reused,
                "removed": done.removed,
                "restored_from_versions": done.restored_from_versions,
            }
        )
        return
    tell(
        f"{render.some(len(done.entries), 'file')} of {name}@{commit[:12]} in {directory}, verified: "
        f"{done.downloaded:,} downloaded ({render.size(done.downloaded_bytes)}), {done.reused:,} there already"
        + (f", {done.removed:,} removed" if done.removed else "")
    )
