"""What there is to commit on this machine: a file or directory -> paths in the data set, and the state of each file.

Everything that S3 or a checkout could not give back is refused here, before anything is sent, and all of it at once.
Names are taken byte for byte: two that differ only in case or in Unicode normalisation are two files, as in S3.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mlops_kit.datasets.local_paths import OWN_PREFIX
from mlops_kit.errors import UsageError
from mlops_kit.naming import DatasetKeys

SHOWN = 10
"""So many problems are listed; the rest are counted."""

KEY_LIMIT = 1024
"""Bytes of the longest key. Source: S3 user guide, "Naming Amazon S3 objects"."""

# What XML 1.0 cannot hold, in which S3 lists and deletes, and what ends a line or moves a cursor where keys are shown.
_UNLISTABLE = re.compile("[\x00-\x1f\x7f\ufffe\uffff]")
_NO_DIGEST = "0" * 64
_63_BITS = (1 << 63) - 1  # what a database can hold; some file systems use more


class LocalFile(NamedTuple):
    """A regular file. A changed one differs in one of the last four; times are in nanoseconds since the epoch."""

    location: str
    size: int
    mtime: int
    ctime: int
    inode: int


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """All there is to commit, by path in the data set, in the order of the paths. ``root`` is absolute."""

    root: Path
    files: dict[str, LocalFile]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files.values())


class Problems:
    """Collects what is wrong, to be told at once."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.count = 0

    def add(self, problem: str) -> None:
        self.count += 1
        if len(self.shown) < SHOWN:
            self.shown.append(problem)

    def refuse(self, what: str, hint: str) -> None:
        """Raises:
        UsageError: something was added; ``what`` is the first line of the message.
        """
        if self.count:
            more = [f"and {self.count - SHOWN} more"] if self.count > SHOWN else []
            raise UsageError("\n  ".join([f"{what}:", *self.shown, *more]), hint=hint)


def find(source: Path, dataset: str, into: str = "") -> LocalFiles:
    """The regular files of ``source``; their paths in the data set start with ``into`` (empty, or ends with a slash).

    Raises:
        UsageError: nothing there, or something that a data set cannot hold.
    """
    root = Path(os.path.abspath(source))  # noqa: PTH100 - resolve() would follow links
    try:
        status = root.lstat()
    except OSError as exc:
        raise UsageError(f"{source} cannot be read: {exc.strerror}.") from exc
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise UsageError(
            f"{source} is a {_kind(status.st_mode)}, not a file or directory.",
            hint="Links are not followed; name what they point to.",
        )
    problems = Problems()
    found = [(root.name, _local(str(root), status))] if stat.S_ISREG(status.st_mode) else _walk(str(root), problems)
    files, room = {}, room_for_paths(dataset)
    for path, file in sorted(found):
        if (problem := unfit(into + path, room)) is not None:
            problems.add(problem)
        files[into + path] = file
    problems.refuse(
        f"{source} holds what a data set cannot",
        "Regular files only: replace links by copies of what they point to, rename or leave out the rest.",
    )
    if not files:
        raise UsageError(f"There are no files in {source}.", hint="Empty directories are not stored.")
    return LocalFiles(root, files)


def room_for_paths(dataset: str) -> int:
    """Bytes of the longest path that a file of the data set can have."""
    return KEY_LIMIT - len(DatasetKeys(dataset).file("x", _NO_DIGEST)) + 1


def unfit(path: str, room: int) -> str | None:
    """Why ``path`` cannot be a path in a data set with so much ``room`` for paths, in bytes; None: it can."""
    try:
        length = len(path) if path.isascii() else len(path.encode())
    except UnicodeEncodeError:
        return f"{path!r}: the name is not UTF-8"
    if path.startswith(OWN_PREFIX):
        return f"{path!r}: such names are what a checkout keeps for itself"
    if _UNLISTABLE.search(path):
        return f"{path!r}: the name has a control character"
    if length > room:
        return f"{path[:60]}…: the path has {length} bytes; keys of this data set have room for {room}"
    return None


def _walk(root: str, problems: Problems) -> Iterator[tuple[str, LocalFile]]:
    directories = [""]
    while directories:
        below = directories.pop()
        try:
            with os.scandir(f"{root}/{below}") as entries:
                for entry in entries:
                    path = below + entry.name
                    if not below and path.startswith(OWN_PREFIX):
                        continue  # a checkout's notes to itself
                    if entry.is_dir(follow_symlinks=False):
                        directories.append(f"{path}/")
                    elif entry.is_file(follow_symlinks=False):
                        yield path, _local(entry.path, entry.stat(follow_symlinks=False))
                    else:
                        problems.add(f"{path!r} is a {_kind(entry.stat(follow_symlinks=False).st_mode)}")
        except OSError as exc:
            where = os.path.relpath(exc.filename, root) if exc.filename else below
            problems.add(f"{where!r} cannot be read: {exc.strerror}")


def _local(location: str, status: os.stat_result) -> LocalFile:
    return LocalFile(location, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino & _63_BITS)


def of_open_file(location: str, descriptor: int) -> LocalFile:
    """What the disk says now of a file that is open."""
    return _local(location, os.fstat(descriptor))


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFLNK: "link",
        stat.S_IFSOCK: "socket",
        stat.S_IFIFO: "named pipe",
        stat.S_IFBLK: "device",
        stat.S_IFCHR: "device",
    }
    return kinds.get(stat.S_IFMT(mode), "special file")
