"""Digests of local files, and the memory of them that makes a commit of nothing new cheap.

A file is hashed again when its size, its times or its inode differ from what they were; that is what git's index does.
So is a file that was younger than two seconds when it was hashed: it may have been changed since, within the same tick
of the file system's clock, and would look the same. Such digests are used, but not remembered. See
https://git-scm.com/docs/racy-git; two seconds is the coarsest clock in use, that of FAT.

The memory is a database in the user's cache directory. It is never needed: what is wrong with it is told once, and the
files are hashed. And it is never believed: S3 checks the digest of everything that is sent.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

from mlops_kit.datasets.local_files import LocalFile, LocalFiles, Problems, of_open_file
from mlops_kit.datasets.records import FileEntry
from mlops_kit.datasets.user_cache import user_cache
from mlops_kit.objects import Limits, each
from mlops_kit.objects.digests import BUFFER, composite_sha256, hash_in_parts
from mlops_kit.progress import SILENT, Progress

RACY = 2 * 10**9
"""Nanoseconds that a file must have been left alone for, when it is hashed, for its digest to be remembered."""

HASHING_AT_ONCE = min(8, os.cpu_count() or 1)

_GROUP_FILES, _GROUP_BYTES = 64, 8 << 20  # what one thread hashes at a stretch
_GROUPS_BETWEEN_SAVES = 256
_TIMEOUT = 10.0  # seconds to wait for another process that is writing
_TABLE = """
CREATE TABLE IF NOT EXISTS digests (
    location BLOB PRIMARY KEY, size INTEGER, mtime INTEGER, ctime INTEGER, inode INTEGER,
    sha256 BLOB, part INTEGER, composite TEXT
) WITHOUT ROWID
"""


T = TypeVar("T")
_Row = tuple[bytes, int, int, int, int, bytes, int, str | None]


class _Hashed(NamedTuple):
    """What a file was when it was hashed; ``part`` is the size of its parts, 0 of a file that needs none."""

    file: LocalFile
    sha256: str
    part: int
    composite: str | None
    settled: bool


class DigestCache:
    """Remembers digests in ``path`` (None: nowhere); ``now`` is in nanoseconds since the epoch."""

    def __init__(
        self,
        path: Path | None,
        *,
        tell: Callable[[str], None] = lambda line: None,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self._path = path
        self._tell = tell
        self._now = now

    def entries(self, found: LocalFiles, limits: Limits, progress: Progress = SILENT) -> list[FileEntry]:
        """The entries of ``found``, in its order.

        Raises:
            UsageError: files cannot be read, or change while they are.
        """
        known = self._lookup(found)
        entries: dict[str, FileEntry | None] = {}
        unknown: list[str] = []
        for path, file in found.files.items():
            row = known.get(os.fsencode(file.location))
            if row is not None and row[1:5] == file[1:] and row[6] == part_size(file.size, limits):
                entries[path] = FileEntry(path, file.size, row[5].hex(), row[7])
            else:
                entries[path] = None
                unknown.append(path)
        if unknown:
            progress.start("hash", len(unknown), sum(found.files[path].size for path in unknown))
            entries.update(self._hash_all(unknown, found, limits, progress))
            progress.done()
        self._forget(known.keys() - {os.fsencode(file.location) for file in found.files.values()})
        return [entry for entry in entries.values() if entry is not None]

    def forget(self, locations: Iterable[str]) -> None:
        """Drop what is remembered of these files."""
        self._forget([os.fsencode(location) for location in locations])

    def _hash_all(
        self, paths: list[str], found: LocalFiles, limits: Limits, progress: Progress
    ) -> Iterator[tuple[str, FileEntry]]:
        problems = Problems()
        groups = _groups(paths, found.files)

        def hash_group(group: list[str]) -> list[_Hashed | str]:
            buffer = memoryview(bytearray(BUFFER))
            return [_hash(found.files[path].location, limits, buffer, self._now, progress) for path in group]

        while some := list(islice(groups, _GROUPS_BETWEEN_SAVES)):
            hashed: list[_Hashed] = []
            for group, results in zip(some, each(hash_group, some, at_once=HASHING_AT_ONCE), strict=True):
                for path, result in zip(group, results, strict=True):
                    if isinstance(result, str):
                        problems.add(f"{path!r} {result}")
                        continue
                    hashed.append(result)
                    yield path, FileEntry(path, result.file.size, result.sha256, result.composite)
            self._remember(hashed)
        problems.refuse(f"Not all of {found.root} can be read", "Nothing was sent. Run it again when they can be.")

    def _lookup(self, found: LocalFiles) -> dict[bytes, _Row]:
        root = os.fsencode(found.root)

        def read(database: sqlite3.Connection) -> dict[bytes, _Row]:
            # "0" is the byte after "/"
            within = "SELECT * FROM digests WHERE location = ? OR (location > ? AND location < ?)"
            return {row[0]: row for row in database.execute(within, (root, root + b"/", root + b"0"))}

        return self._use(read) or {}

    def _remember(self, hashed: list[_Hashed]) -> None:
        rows: list[_Row] = [
            (os.fsencode(item.file.location), *item.file[1:], bytes.fromhex(item.sha256), item.part, item.composite)
            for item in hashed
            if item.settled
        ]
        if rows:
            insert = "INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            self._use(lambda database: database.executemany(insert, rows))

    def _forget(self, locations: Iterable[bytes]) -> None:
        rows = [(location,) for location in locations]
        if rows:
            self._use(lambda database: database.executemany("DELETE FROM digests WHERE location = ?", rows))

    def _use(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do ``work`` on the database, in a transaction; None if there is none to be had."""
        if self._path is None:
            return None
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._path, timeout=_TIMEOUT)) as database, database:
                database.execute(_TABLE)
                return work(database)
        except (sqlite3.Error, OSError) as exc:
            self._give_up(self._path, exc)
            return None

    def _give_up(self, path: Path, exc: Exception) -> None:
        self._path = None
        self._tell(f"the memory of digests, {path}, cannot be used ({exc}): files are hashed again")
        if type(exc) is sqlite3.DatabaseError:  # it is damaged, or no database at all
            with suppress(OSError):
                path.unlink()  # the next run begins a new one


def default_path() -> Path | None:
    """Where the memory is, unless somebody says otherwise; None for a user without a home directory."""
    try:
        return user_cache() / "digests.sqlite"
    except RuntimeError:
        return None


def part_size(size: int, limits: Limits) -> int:
    """Bytes of a part of a file of this size; 0 if it needs none."""
    return limits.part(size) if size > limits.single else 0


def _groups(paths: list[str], files: dict[str, LocalFile]) -> Iterator[list[str]]:
    """``paths`` in pieces that are worth a thread's while."""
    group: list[str] = []
    size = 0
    for path in paths:
        group.append(path)
        size += files[path].size
        if len(group) == _GROUP_FILES or size >= _GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _hash(
    location: str, limits: Limits, buffer: memoryview, now: Callable[[], int], progress: Progress
) -> _Hashed | str:
    """The file's digest, or why there is none."""
    started = now()
    try:
        # It was no link when the directory was read, and must not have become one.
        with os.fdopen(os.open(location, os.O_RDONLY | os.O_NOFOLLOW), "rb", buffering=0) as stream:
            before = of_open_file(location, stream.fileno())
            part = part_size(before.size, limits)
            sha256, parts, read = hash_in_parts(
                lambda size: buffer[: stream.readinto(buffer[:size]) or 0], part, lambda n: progress.add(bytes_=n)
            )
            after = of_open_file(location, stream.fileno())
    except OSError as exc:
        return f"cannot be read: {exc.strerror}"
    if before != after or read != before.size:
        return "changed while it was being read"
    progress.add(objects=1)
    composite = composite_sha256(parts) if parts else None
    return _Hashed(before, sha256, part, composite, max(before.mtime, before.ctime) + RACY <= started)
