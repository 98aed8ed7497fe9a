"""Commits of a few bytes, written record by record: for tests of what reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile

from mlops_kit.datasets.records import Commit, FileEntry, FileList, compress
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Limits, Store, composite_sha256, sha256_bytes

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PETS = "pets"
JSON = "application/json"


def entries(files: Mapping[str, bytes], limits: Limits | None = None) -> FileList:
    """With ``limits``, the big ones get their composite digests."""

    def entry(path: str, body: bytes) -> FileEntry:
        parts = limits.ranges(len(body)) if limits is not None and len(body) > limits.single else []
        digests = [sha256_bytes(body[start : start + length]) for _, start, length in parts]
        return FileEntry(path, len(body), sha256_bytes(body), composite_sha256(digests) if digests else None)

    return FileList.of(entry(path, body) for path, body in files.items())


def header(
    files: FileList, parent: str | None = None, message: str = "m", minute: int = 0, dataset: str = PETS
) -> Commit:
    time = (NOW + timedelta(minutes=minute)).isoformat(timespec="seconds")
    return Commit(
        dataset=dataset,
        parent=parent,
        author="me",
        message=message,
        time=time,
        files=len(files),
        size=sum(entry.size for entry in files),
        file_list=files.digest,
    )


def write(
    lake: Store,
    files: Mapping[str, bytes],
    *,
    parent: str | None = None,
    message: str = "m",
    minute: int = 0,
    dataset: str = PETS,
) -> Commit:
    """A commit with its files, but without a branch."""
    keys, listed = DatasetKeys(dataset), entries(files, lake.limits)
    made = header(listed, parent, message, minute, dataset)
    for path, body in files.items():
        put_file(lake, keys.file(path, sha256_bytes(body)), body)
    lake.put_new(keys.file_list(made.id), compress(listed.dump()))
    lake.put_new(keys.commit(made.id), made.to_json(), JSON)
    return made


def put_file(lake: Store, key: str, body: bytes) -> None:
    if len(body) <= lake.limits.single:
        lake.put_new(key, body)
        return
    with NamedTemporaryFile() as file:
        Path(file.name).write_bytes(body)
        lake.put_new_file(key, Path(file.name), sha256_bytes(body))


def chain(lake: Store, length: int, *, parent: str | None = None, message: str = "c", minute: int = 0) -> list[Commit]:
    """Commits one after the other, each with one file of its own; oldest first."""
    made: list[Commit] = []
    for number in range(length):
        on = made[-1].id if made else parent
        name = f"{message}{number}"
        made.append(write(lake, {name: name.encode()}, parent=on, message=name, minute=minute + number))
    return made


def ids(commits: Sequence[Commit]) -> list[str]:
    return [commit.id for commit in commits]
