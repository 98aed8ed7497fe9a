"""Rows and schema of the tables that differ between two commits: bring both sides here, and compare them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from pathlib import Path
from typing import Literal

from mlops_kit.datasets.diff import Diff
from mlops_kit.datasets.fetch import fetch
from mlops_kit.datasets.records import FileEntry
from mlops_kit.datasets.row_diff import RowDiff, row_diff
from mlops_kit.errors import UsageError
from mlops_kit.objects import Store
from mlops_kit.progress import SILENT, Progress
from mlops_kit.tabular.formats import format_of


@dataclass(frozen=True, slots=True)
class TableDiff:
    """One file that was added, removed or changed. ``rows`` is None, and ``problem`` says why, where it is no table."""

    path: str
    change: Literal["added", "removed", "changed"]
    rows: RowDiff | None
    problem: str | None = None


def table_diffs(
    lake: Store, dataset: str, found: Diff, *, key: Sequence[str] | None = None, progress: Progress = SILENT
) -> Iterator[TableDiff]:
    """The files of ``found`` that are tables by their names, in the order of their paths; ``key`` as in ``row_diff``.

    Of a file that was added or removed, all rows were. Both sides of one file are on the disk at a time.

    Raises:
        IntegrityError: a file cannot be read bit for bit any more.
    """
    for path, old, new in merge(
        ((change.new.path, change.old, change.new) for change in found.changed),
        ((entry.path, entry, None) for entry in found.removed),
        ((entry.path, None, entry) for entry in found.added),
        key=lambda one: one[0],
    ):
        if format_of(path) is not None:
            yield _table_diff(lake, dataset, path, old, new, key, progress)


def _table_diff(
    lake: Store,
    dataset: str,
    path: str,
    old: FileEntry | None,
    new: FileEntry | None,
    key: Sequence[str] | None,
    progress: Progress,
) -> TableDiff:
    with tempfile.TemporaryDirectory(prefix="mlops-kit-diff-") as directory:
        sides: dict[str, list[Path]] = {"old": [], "new": []}
        items = []
        for side, entry in (("old", old), ("new", new)):
            if entry is not None:
                local = Path(directory, side, Path(path).name)
                local.parent.mkdir()
                sides[side].append(local)
                items.append((entry, str(local)))
        fetch(lake, dataset, items, cache=None, at_once=len(items), progress=progress, what="fetch")
        change: Literal["added", "removed", "changed"]
        change = "added" if old is None else "removed" if new is None else "changed"
        try:
            return TableDiff(path, change, row_diff(sides["old"], sides["new"], key=key))
        except UsageError as exc:
            return TableDiff(path, change, None, exc.message)
