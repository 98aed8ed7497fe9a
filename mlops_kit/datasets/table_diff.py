"""Rows and schema of the tables that changed between two commits: bring both sides here, and compare them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops_kit.datasets.diff import Diff
from mlops_kit.datasets.fetch import fetch
from mlops_kit.datasets.row_diff import RowDiff, row_diff
from mlops_kit.errors import UsageError
from mlops_kit.objects import Store
from mlops_kit.progress import SILENT, Progress
from mlops_kit.tabular.formats import format_of


@dataclass(frozen=True, slots=True)
class TableDiff:
    """One changed file. ``rows`` is None, and ``problem`` says why, where it cannot be read as a table."""

    path: str
    rows: RowDiff | None
    problem: str | None = None


def table_diffs(
    lake: Store, dataset: str, found: Diff, *, key: Sequence[str] | None = None, progress: Progress = SILENT
) -> Iterator[TableDiff]:
    """The changed files of ``found`` that are tables by their names, one after the other; ``key`` as in ``row_diff``.

    Both sides of one file are on the disk at a time.

    Raises:
        IntegrityError: a file cannot be read bit for bit any more.
    """
    for change in found.changed:
        if format_of(change.new.path) is None:
            continue
        with tempfile.TemporaryDirectory(prefix="mlops-kit-diff-") as directory:
            name = Path(change.new.path).name
            old, new = Path(directory, "old", name), Path(directory, "new", name)
            items = []
            for entry, path in ((change.old, old), (change.new, new)):
                path.parent.mkdir()
                items.append((entry, str(path)))
            progress.start("fetch", len(items), change.old.size + change.new.size)
            fetch(lake, dataset, items, cache=None, at_once=len(items), progress=progress)
            progress.done()
            try:
                yield TableDiff(change.new.path, row_diff(old, new, key=key))
            except UsageError as exc:
                yield TableDiff(change.new.path, None, exc.message)
