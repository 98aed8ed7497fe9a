"""Stream one file of a commit, verified."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from mlops_kit.datasets.listing import cleaned, no_such_path
from mlops_kit.datasets.read import read_commit, read_files
from mlops_kit.datasets.records import FileEntry
from mlops_kit.datasets.versions import find_version
from mlops_kit.errors import IntegrityError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store, sha256_bytes

CHUNK = 1 << 20


def cat(lake: Store, dataset: str, commit: str, path: str) -> Iterator[bytes]:
    """The bytes of a file. The last chunk comes only when all of them are known to be right.

    If the object was deleted or overwritten, they come from the older version of it that has them.

    Raises:
        NotFoundError: there is no such commit, or no such file in it. Raised at once, not when the bytes are asked for.
        IntegrityError: no version of the object has the right bytes, or they went wrong on the way.
    """
    files = read_files(lake, read_commit(lake, dataset, commit))
    entry = files.find(cleaned(path))
    if entry is None:
        raise no_such_path(files, path, f"{dataset}@{commit[:12]}")
    key = DatasetKeys(dataset).file(entry.path, entry.sha256)
    return _verified(lake, key, _version(lake, key, entry), entry)


def _version(lake: Store, key: str, entry: FileEntry) -> str | None:
    """The version to read: the current one, if S3 says that it has these bytes."""
    now = lake.head(key)
    if now is not None and now.size == entry.size:
        by_parts = entry.composite is not None and now.composite == entry.composite
        if by_parts or now.sha256 == entry.sha256:
            return now.version
    found = find_version(lake, key, entry.sha256, entry.size, composite=entry.composite)
    if found is not None:
        return found.version
    if now is not None and now.size == entry.size and now.composite is not None:
        return now.version  # the same bytes may have been sent in other parts: they are verified as they come
    raise _lost(lake, key)


def _verified(lake: Store, key: str, version: str | None, entry: FileEntry) -> Iterator[bytes]:
    if entry.size <= CHUNK:
        yield from _small(lake, key, version, entry)
        return
    digest = hashlib.sha256()
    held = b""
    with lake.open(key, version) as body:
        while chunk := body.read(CHUNK):
            digest.update(chunk)
            if held:
                yield held
            held = chunk
    if digest.hexdigest() != entry.sha256:
        raise IntegrityError(
            f"The bytes of {lake.uri(key)} have SHA-256 {digest.hexdigest()}, not {entry.sha256}.",
            hint="Do not use what came of it so far. Run it again; if it stays like this, `dataset verify --repair`.",
        )
    yield held


def _small(lake: Store, key: str, version: str | None, entry: FileEntry) -> Iterator[bytes]:
    """In one piece: so nothing has been handed out yet when it turns out to be wrong, and there is a second choice."""
    try:
        body = lake.get(key, version)
    except IntegrityError:
        body = None
    if body is None or sha256_bytes(body) != entry.sha256:
        # What S3 recorded was right and what it sent was not, so now every version is read.
        found = find_version(lake, key, entry.sha256, entry.size, deep=True)
        body = None if found is None else lake.get(key, found.version)
        if body is None or sha256_bytes(body) != entry.sha256:
            raise _lost(lake, key)
    if body:
        yield body


def _lost(lake: Store, key: str) -> IntegrityError:
    return IntegrityError(
        f"{lake.uri(key)} is missing or holds other bytes than the commit says, and no older version has them.",
        hint="If another environment has this commit, promote it from there again.",
    )
