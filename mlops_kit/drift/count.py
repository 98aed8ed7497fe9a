"""Rows per window, feature and cell, in one scan of the captured lines, for any number of features.

Each row is taken apart into its fields, each field meets the cells of its feature, and one aggregation counts. Lines
that are no capture record, and rows that do not fit the baseline, are counted as well.
"""

# ruff: noqa: S608  # queries are made of our own names and numbers; values are parameters, or quoted by engine.py

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_kit.drift.cells import CELL, CELLS, Cells, keep, number
from mlops_kit.drift.rows import request_rows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_FETCH = 10_000


@dataclass(slots=True)
class WindowCounts:
    """One window: ``rows`` that fit the baseline, ``malformed`` ones that do not, and the cells of the former."""

    rows: int
    malformed: int
    features: list[list[int]]
    """Per feature: rows in each cell, missing values last."""
    not_numeric: list[int]
    """Per feature: texts where the baseline has numbers. They are in the cell for missing values as well."""


@dataclass(frozen=True, slots=True)
class Counts:
    """``windows``: start -> counts, in order of time. ``unreadable``: lines without a request or without a time."""

    windows: dict[datetime, WindowCounts]
    unreadable: int


def count(
    connection: DuckDBPyConnection,
    files: Sequence[Path],
    cells: Sequence[Cells],
    *,
    window_minutes: int,
    since: datetime,
    until: datetime,
) -> Counts:
    """Count the captured rows whose window starts at ``since`` or later and before ``until``.

    Windows are aligned to the Unix epoch. A row belongs to the window of its request's ``inferenceTime``. ``cells`` are
    those of the fields of a row, in their order; there has to be one.
    """
    if not files:
        return Counts({}, 0)
    keep(connection, cells)
    windows: dict[int, WindowCounts] = {}
    unreadable = 0
    query = _query(len(cells), window_minutes * 60, int(since.timestamp()), int(until.timestamp()))
    found = connection.execute(query, [[glob.escape(str(file)) for file in files]])
    while batch := found.fetchmany(_FETCH):
        for start, position, cell, rows in batch:
            if start is None:
                unreadable += rows
                continue
            if start not in windows:
                empty = [[0] * len(one.expected) for one in cells]
                windows[start] = WindowCounts(0, 0, empty, [0] * len(cells))
            window = windows[start]
            if position is None:
                window.malformed = rows
                continue
            feature, missing = position - 1, cells[position - 1].missing
            if cell > missing:
                window.not_numeric[feature] = rows
            window.features[feature][min(cell, missing)] += rows
    for window in windows.values():
        window.rows = sum(window.features[0])  # every row has one cell in each feature
    return Counts({datetime.fromtimestamp(start, UTC): windows[start] for start in sorted(windows)}, unreadable)


def _query(width: int, seconds: int, since: int, until: int) -> str:
    return f"""
        WITH {request_rows(seconds)},
        fitting AS NOT MATERIALIZED (
            SELECT start, CASE WHEN len(fields) = {width} THEN fields END AS fields FROM request_rows
            WHERE start IS NULL OR (start >= {since} AND start < {until})
        ),
        fields AS NOT MATERIALIZED (
            SELECT start,
                   unnest(CASE WHEN fields IS NULL THEN [NULL] ELSE range(1, {width + 1}) END) AS position,
                   unnest(CASE WHEN fields IS NULL THEN [NULL] ELSE fields END) AS value
            FROM fitting
        ),
        numbers AS NOT MATERIALIZED (
            SELECT start, value, {CELLS}.*, CASE WHEN is_numeric THEN {number("value")} END AS number
            FROM fields LEFT JOIN {CELLS} USING (position)
        )
        SELECT start, position, {CELL} AS cell, count(*) FROM numbers GROUP BY ALL
    """
