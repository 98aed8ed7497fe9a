"""How many rows the parent commit has: from its own data test's result, or counted in its files."""

# ruff: noqa: S608  # queries are made of our own names and numbers; values are quoted by engine.py

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mlops_kit.config.dataset import Dataset, Table
from mlops_kit.quality.files import matching
from mlops_kit.quality.results import Result, on_table, some
from mlops_kit.tabular.engine import one_row
from mlops_kit.tabular.reader import UnreadableError, reading


def parent_files(constraints: Dataset, paths: Iterable[str]) -> tuple[str, ...]:
    """The parent's files whose rows have to be counted, because a table may not shrink or grow by more than a share."""
    known = list(paths)
    needed = {path for table in constraints.tables if table.rows.compares for path in matching(table.files, known)}
    return tuple(sorted(needed))


def count_rows(directory: Path, paths: Iterable[str], constraints: Dataset) -> dict[str, int]:
    """Rows of each table that is compared with its parent: glob -> rows.

    ``paths``, below ``directory``, are those of :func:`parent_files`. A table with no files, or one that cannot be
    read, is left out: it has nothing that could be compared.
    """
    import duckdb

    known = list(paths)
    counted: dict[str, int] = {}
    with reading({path: directory / path for path in known}) as reader:
        for table in constraints.tables:
            files = matching(table.files, known)
            if not (table.rows.compares and files):
                continue
            try:
                parts, unreadable = reader.parts(files, table.format)
                if unreadable:
                    continue
                counted[table.files] = sum(
                    one_row(reader.connection, f"SELECT count(*) FROM ({part.select([])}) WHERE NOT malformed")[0]
                    for part in parts
                )
            except duckdb.OutOfMemoryException:
                raise
            except (duckdb.Error, UnreadableError):
                continue
    return counted


def check_rows(table: Table, rows: int, parent: int | None) -> list[Result]:
    """Hold a table's number of rows against ``rows``."""
    bounds = table.rows
    results = [_result(table, "rows.min", rows >= bounds.min, rows, f"at least {bounds.min:,}")]
    if bounds.max is not None:
        results.append(_result(table, "rows.max", rows <= bounds.max, rows, f"at most {bounds.max:,}"))
    for name, share, sign in (("rows.shrink", bounds.shrink, -1), ("rows.grow", bounds.grow, 1)):
        if share is None:
            continue
        if not parent:
            results.append(_result(table, name, True, rows, "the parent has none to compare with"))
            continue
        # Floating point must not refuse 70 of 100 rows that may shrink by 0.3.
        bound = parent * (1 + sign * (share + 1e-9))
        fits = rows >= bound if sign < 0 else rows <= bound
        wanted = (
            f"the parent has {parent:,}, and at most {share:.6g} of that {'fewer' if sign < 0 else 'more'} are fine"
        )
        results.append(_result(table, name, fits, rows, wanted))
    return results


def _result(table: Table, constraint: str, passed: bool, rows: int, wanted: str) -> Result:
    return on_table(constraint, table.files, f"{some(rows, 'row')}; {wanted}", passed=passed, failed=0, examined=rows)
