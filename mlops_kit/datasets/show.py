"""One commit at a glance: its header, what points to it, what it is made of, and what it changed."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import nlargest
from posixpath import splitext

from mlops_kit.datasets import pointers
from mlops_kit.datasets.diff import Summary, compare
from mlops_kit.datasets.pointers import Ref
from mlops_kit.datasets.read import find_commit, read_commit, read_files
from mlops_kit.datasets.records import Commit, FileEntry, FileList, entry_of, path_of, size_of
from mlops_kit.objects import Store

BIGGEST = 10


@dataclass(frozen=True, slots=True)
class TypeTotal:
    """The files of one extension (lower-case, with its dot; empty for files without one) and their bytes."""

    extension: str
    files: int
    size: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What there is to say about a commit."""

    commit: Commit
    refs: tuple[Ref, ...]
    """Branches and tags that point to it."""
    types: tuple[TypeTotal, ...]
    """The one with the most bytes first."""
    biggest: tuple[FileEntry, ...]
    change: Summary | None
    """Against the parent, or against nothing; None if the parent is not in this lake."""


def show(lake: Store, dataset: str, commit: str) -> Shown:
    """Raises:
    NotFoundError: there is no such commit.
    IntegrityError: a record of it, or of its parent, was changed.
    """
    header = read_commit(lake, dataset, commit)
    files = read_files(lake, header)
    return Shown(
        header,
        tuple(ref for ref in pointers.all_refs(lake, dataset) if ref.commit == commit),
        by_type(files),
        tuple(map(entry_of, nlargest(BIGGEST, files.lines, key=size_of))),
        _change(lake, header, files),
    )


def by_type(files: FileList) -> tuple[TypeTotal, ...]:
    """Totals by extension."""
    totals: dict[str, tuple[int, int]] = {}
    for line in files.lines:
        extension = splitext(path_of(line))[1].lower()
        count, size = totals.get(extension, (0, 0))
        totals[extension] = (count + 1, size + size_of(line))
    found = (TypeTotal(extension, *total) for extension, total in totals.items())
    return tuple(sorted(found, key=lambda one: (-one.size, -one.files, one.extension)))


def _change(lake: Store, header: Commit, files: FileList) -> Summary | None:
    if header.parent is None:
        return compare(FileList([]), files).summary
    parent = find_commit(lake, header.dataset, header.parent)
    return None if parent is None else compare(read_files(lake, parent), files).summary
