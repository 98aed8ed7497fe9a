"""Make a commit from a local file or directory.

In this order, so that a commit is visible only when all of it is there: files, file list, manifest, header, ref. Each
write is create-only or compare-and-set; killed anywhere, a second run uploads only what is missing.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mlops_kit.datasets import refs
from mlops_kit.datasets.manifest import sagemaker_manifest
from mlops_kit.datasets.read import read_commit
from mlops_kit.datasets.records import Commit, FileEntry, compress, dump_files
from mlops_kit.errors import UsageError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store, sha256_bytes, sha256_file

UPLOADS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit did. ``uploaded`` counts the files that were not stored before."""

    commit: Commit
    uploaded: int
    changed: bool
    """False: the data was already what the ref points to, and no commit was made."""


def commit(
    lake: Store, dataset: str, path: Path, *, message: str, author: str, now: datetime, ref: str = refs.DEFAULT_REF
) -> Committed:
    """Store ``path`` as a new commit on top of ``ref``.

    Raises:
        UsageError: nothing there, or something that is not a regular file.
        ConflictError: somebody else moved the ref meanwhile.
    """
    keys = DatasetKeys(refs.check_name(dataset))
    seen = refs.read(lake, dataset, refs.check_name(ref, "ref"))
    found = _files(path)
    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        entries = list(pool.map(lambda item: _entry(item[0], item[1]), found.items()))
    listing = dump_files(entries)
    digest = sha256_bytes(listing)
    if seen is not None:
        parent = read_commit(lake, dataset, seen.commit)
        if parent.file_list == digest:
            return Committed(parent, 0, changed=False)

    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        uploads = pool.map(lambda e: lake.put_new_file(keys.file(e.path, e.sha256), found[e.path], e.sha256), entries)
        uploaded = sum(uploads)
    header = Commit(
        dataset=dataset,
        parent=seen.commit if seen else None,
        author=author,
        message=message,
        time=now.isoformat(timespec="seconds"),
        files=len(entries),
        size=sum(entry.size for entry in entries),
        file_list=digest,
    )
    store(lake, header, entries, listing)
    refs.move(lake, dataset, ref, header.id, seen, author, now)
    return Committed(header, uploaded, changed=True)


def store(lake: Store, header: Commit, entries: list[FileEntry] | tuple[FileEntry, ...], listing: bytes) -> None:
    """Write the records of a commit whose files are all there; the header last, because it makes the commit visible."""
    keys = DatasetKeys(header.dataset)
    lake.put_new(keys.file_list(header.id), compress(listing), "application/gzip")
    lake.put_new(keys.manifest(header.id), sagemaker_manifest(lake, header.dataset, entries), "application/json")
    lake.put_new(keys.commit(header.id), header.to_json(), "application/json")


def _files(path: Path) -> dict[str, Path]:
    """Path inside the data set -> local file."""
    if path.is_symlink() or not path.exists():
        raise UsageError(f"{path} is not a file or directory.", hint="Links are not followed; name what they point to.")
    if path.is_file():
        return {path.name: path}
    found: dict[str, Path] = {}
    for item in sorted(path.rglob("*")):
        if item.is_symlink() or not (item.is_file() or item.is_dir()):
            raise UsageError(
                f"{item} is a link or a special file; a data set holds regular files only.",
                hint="Replace it by a copy of what it points to, or leave it out.",
            )
        if item.is_file():
            found[item.relative_to(path).as_posix()] = item
    if not found:
        raise UsageError(f"There are no files in {path}.")
    return found


def _entry(name: str, path: Path) -> FileEntry:
    return FileEntry(name, path.stat().st_size, sha256_file(path))
