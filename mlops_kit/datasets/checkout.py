"""Write a commit's files to a local directory, each verified."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from mlops_kit.datasets.read import read_commit, read_files
from mlops_kit.datasets.records import FileEntry
from mlops_kit.errors import IntegrityError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store, sha256_file

DOWNLOADS_AT_ONCE = 16


def checkout(lake: Store, dataset: str, commit: str, directory: Path) -> tuple[FileEntry, ...]:
    """Download what ``directory`` lacks of the commit; other files there are left alone.

    Raises:
        IntegrityError: an object's bytes are not what the commit says, or a path would leave ``directory``.
    """
    entries = read_files(lake, read_commit(lake, dataset, commit))
    keys = DatasetKeys(dataset)

    def fetch(entry: FileEntry) -> None:
        target = _inside(directory, entry.path)
        if not (target.is_file() and target.stat().st_size == entry.size and sha256_file(target) == entry.sha256):
            lake.download(keys.file(entry.path, entry.sha256), target, entry.sha256)

    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        list(pool.map(fetch, entries))
    return entries


def _inside(directory: Path, path: str) -> Path:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise IntegrityError(f"The commit holds the path {path!r}, which leaves the directory. Nothing was written.")
    return directory.joinpath(*pure.parts)
