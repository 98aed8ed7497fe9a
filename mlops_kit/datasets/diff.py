"""What changed from one commit to another: added, removed, changed and renamed files.

Compared are the raw lines of the file lists, as sets first, so that a million entries take seconds, and what did not
change is never looked into. The result holds lines, too; entries are made of them when they are asked for.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mlops_kit.datasets.listing import within
from mlops_kit.datasets.read import read_commit, read_files
from mlops_kit.datasets.records import Commit, FileEntry, FileList, path_of, sha256_of, size_of
from mlops_kit.objects import Store

_EMPTY = b'"size":0}'


@dataclass(frozen=True, slots=True)
class Change:
    """A file before and after: the same path with another content, or the same content at another path."""

    old: FileEntry
    new: FileEntry


class Changes(Sequence[Change]):
    """Changes in the order of the new paths; as lean as a million of them have to be."""

    def __init__(self, old: FileList, new: FileList) -> None:
        """``old`` and ``new`` are of the same length: the one before is where the one after is."""
        self.old, self.new = old, new

    def __repr__(self) -> str:
        return f"<Changes of {len(self.new)}>"

    def __len__(self) -> int:
        return len(self.new)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Changes(self.old[index], self.new[index])
        return Change(self.old[index], self.new[index])


@dataclass(frozen=True, slots=True)
class Total:
    """How many files, and their bytes together."""

    files: int
    size: int

    @classmethod
    def of(cls, files: FileList) -> Total:
        return cls(len(files), sum(map(size_of, files.lines)))


@dataclass(frozen=True, slots=True)
class Summary:
    """A diff in numbers. Renamed files are neither added nor removed."""

    added: Total
    removed: Total
    changed_old: Total
    changed_new: Total
    renamed: Total
    unchanged: int
    """Files."""

    @property
    def growth(self) -> int:
        """Bytes that the data set has more (or, negative, less) than before."""
        return self.added.size - self.removed.size + self.changed_new.size - self.changed_old.size


@dataclass(frozen=True, slots=True)
class Diff:
    """Files, in the order of their paths."""

    added: FileList
    removed: FileList
    changed: Changes
    renamed: Changes
    summary: Summary

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.renamed)


def diff(lake: Store, dataset: str, old: str | None, new: str, path: str = "") -> Diff:
    """From commit ``old`` to commit ``new``; ``old`` None: from nothing.

    ``path`` is a file, a directory or a pattern (see :func:`listing.within`) to which the comparison is limited: what
    was renamed into it counts as added, what was renamed out of it as removed.

    Raises:
        NotFoundError: one of the commits is not in this lake.
        IntegrityError: a record was changed.
    """
    after = read_commit(lake, dataset, new)
    before = None if old is None else read_commit(lake, dataset, old)
    return between(lake, before, after, path)


def between(lake: Store, old: Commit | None, new: Commit, path: str = "") -> Diff:
    """As :func:`diff`, of headers that are known."""
    files = within(read_files(lake, new), path)
    if old is None:
        return compare(FileList([]), files)
    return compare(files if old.file_list == new.file_list else within(read_files(lake, old), path), files)


def compare(old: FileList, new: FileList) -> Diff:
    """The difference of two file lists."""
    lines = set(old.lines)
    came = [line for line in new.lines if line not in lines]
    lines.difference_update(new.lines)
    went = [line for line in old.lines if line in lines]
    del lines
    unchanged = len(new) - len(came)
    removed, added, changed = _by_path(went, came)
    # A file that was moved keeps its name more often than not; of equal files this tells which one went where.
    same_name = _by_content(removed, added, lambda line: sha256_of(line) + path_of(line).rpartition("/")[2].encode())
    other_name = _by_content(removed, added, sha256_of)
    renamed = sorted([*same_name, *other_name], key=lambda pair: path_of(pair[1]))
    return _diff(FileList(added), FileList(removed), _changes(changed), _changes(renamed), unchanged)


_Pairs = list[tuple[bytes, bytes]]


def _by_path(went: list[bytes], came: list[bytes]) -> tuple[list[bytes], list[bytes], _Pairs]:
    """(removed, added, changed) of lines that are in one list only, both in the order of their paths."""
    removed: list[bytes] = []
    added: list[bytes] = []
    changed: _Pairs = []
    at = 0
    for old in went:
        path = path_of(old)
        while at < len(came) and (its := path_of(came[at])) < path:
            added.append(came[at])
            at += 1
        if at < len(came) and its == path:
            changed.append((old, came[at]))
            at += 1
        else:
            removed.append(old)
    return removed, [*added, *came[at:]], changed


def _by_content(removed: list[bytes], added: list[bytes], key: Callable[[bytes], bytes]) -> _Pairs:
    """Take out of both lists what has the same content, one for one in their order; empty files do not count."""
    first: dict[bytes, int] = {}
    following = array("q", bytes(8 * len(removed)))  # the next one of the same key: lists would take too much memory
    for at in reversed(range(len(removed))):
        if not removed[at].endswith(_EMPTY):
            its = key(removed[at])
            following[at] = first.get(its, -1)
            first[its] = at
    pairs: _Pairs = []
    rest: list[bytes] = []
    gone = bytearray(len(removed))
    for line in added:
        at = first.get(key(line), -1) if first else -1
        if at < 0:
            rest.append(line)
            continue
        first[key(line)] = following[at]
        gone[at] = 1
        pairs.append((removed[at], line))
    if pairs:
        added[:] = rest
        removed[:] = [line for line, is_gone in zip(removed, gone, strict=True) if not is_gone]
    return pairs


def _changes(pairs: _Pairs) -> Changes:
    return Changes(FileList([old for old, _ in pairs]), FileList([new for _, new in pairs]))


def _diff(added: FileList, removed: FileList, changed: Changes, renamed: Changes, unchanged: int) -> Diff:
    summary = Summary(
        added=Total.of(added),
        removed=Total.of(removed),
        changed_old=Total.of(changed.old),
        changed_new=Total.of(changed.new),
        renamed=Total.of(renamed.new),
        unchanged=unchanged,
    )
    return Diff(added, removed, changed, renamed, summary)
