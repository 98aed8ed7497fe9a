"""Hold the files of a data set against its constraints.

A file that cannot be read, or a value that is none, is a result like any other: the check goes on, so that whoever has
to mend the data sees all that is wrong at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlops_kit.config.dataset import Dataset
from mlops_kit.quality.files import check_files, matching
from mlops_kit.quality.parent import check_rows
from mlops_kit.quality.results import Report, Result
from mlops_kit.quality.tables import check_table
from mlops_kit.tabular.reader import reading


def check(
    files: Mapping[str, Path],
    constraints: Dataset,
    *,
    sizes: Mapping[str, int] | None = None,
    parent_rows: Mapping[str, int] | None = None,
) -> Report:
    """The report on a data set.

    ``files``: path inside the data set -> where the file is; only those of tables are read. ``sizes``: bytes of every
    file of the data set, also of those that are not here; None takes them from ``files``. ``parent_rows``: rows of the
    parent commit's tables (glob -> rows), see :mod:`~mlops_kit.quality.parent`; None, or a table that is not in it,
    compares with nothing.

    Raises:
        UsageError: DuckDB is not installed, or a pattern is none.
        MlopsKitError: DuckDB gave up, for example because the disk is full.
    """
    results: list[Result] = []
    rows: dict[str, int] = {}
    if constraints.tables:
        needed = sorted({path for table in constraints.tables for path in matching(table.files, files)})
        with reading({path: files[path] for path in needed}) as reader:
            for table in constraints.tables:
                found, counted = check_table(reader, table, matching(table.files, needed))
                results += found
                if counted is not None:
                    rows[table.files] = counted
                    results += check_rows(table, counted, (parent_rows or {}).get(table.files))
    if constraints.files or constraints.other_files == "refuse":
        if sizes is None:
            sizes = {path: file.stat().st_size for path, file in files.items()}
        results += check_files(constraints, sizes)
    return Report(tuple(results), rows)
