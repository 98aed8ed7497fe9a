"""Rows per window, feature and cell, in one scan of the captured lines, for any number of features.

Each row becomes one list of codes (one for the row itself, one for the cell of each feature), and one aggregation
counts all of them. Lines that are no capture record, and rows that do not fit the baseline, are counted as well.
"""

# ruff: noqa: S608  # queries are made of our own names and numbers; values are parameters, or quoted by engine.py

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_kit.drift.cells import Cells, cell, number
from mlops_kit.drift.rows import request_rows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_ROW, _MALFORMED, _UNREADABLE, _FIRST_CELL = 0, 1, 2, 3
_FETCH = 10_000


@dataclass(slots=True)
class WindowCounts:
    """One window: rows that fit the baseline, rows that do not, and per feature what :class:`Counts` describes."""

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

    Windows are aligned to the Unix epoch. A row belongs to the window of its request's ``inferenceTime``.
    """
    if not files:
        return Counts({}, 0)
    parameters: list[object] = [[glob.escape(str(file)) for file in files]]
    query = _query(cells, window_minutes * 60, int(since.timestamp()), int(until.timestamp()), parameters)
    places = [(index, code) for index, one in enumerate(cells) for code in range(one.codes)]
    windows: dict[int, WindowCounts] = {}
    unreadable = 0
    found = connection.execute(query, parameters)
    while batch := found.fetchmany(_FETCH):
        for start, code, rows in batch:
            if code == _UNREADABLE:
                unreadable += rows
                continue
            if start not in windows:
                empty = [[0] * len(one.expected) for one in cells]
                windows[start] = WindowCounts(0, 0, empty, [0] * len(cells))
            window = windows[start]
            if code == _ROW:
                window.rows = rows
            elif code == _MALFORMED:
                window.malformed = rows
            else:
                feature, place = places[code - _FIRST_CELL]
                missing = cells[feature].missing
                if place > missing:
                    window.not_numeric[feature] = rows
                window.features[feature][min(place, missing)] += rows
    return Counts({datetime.fromtimestamp(start, UTC): windows[start] for start in sorted(windows)}, unreadable)


def _query(cells: Sequence[Cells], seconds: int, since: int, until: int, parameters: list[object]) -> str:
    texts = [f"fields[{index + 1}] AS t{index}" for index in range(len(cells))]
    numbers = [f"{number(f't{index}')} AS n{index}" for index, one in enumerate(cells) if one.numeric]
    codes = [str(_ROW)]
    first = _FIRST_CELL
    for index, one in enumerate(cells):
        codes.append(f"{first} + {cell(one, f't{index}', f'n{index}', parameters)}")
        first += one.codes
    return f"""
        WITH {request_rows(seconds)},
        texts AS NOT MATERIALIZED (
            SELECT {", ".join(["start", "len(fields) AS width", *texts])} FROM request_rows
            WHERE start IS NULL OR (start >= {since} AND start < {until})
        ),
        numbers AS NOT MATERIALIZED (SELECT {", ".join(["*", *numbers])} FROM texts),
        codes AS NOT MATERIALIZED (
            SELECT start, unnest(CASE
                WHEN start IS NULL THEN [{_UNREADABLE}]
                WHEN width IS DISTINCT FROM {len(cells)} THEN [{_MALFORMED}]
                ELSE [{", ".join(codes)}] END) AS code
            FROM numbers
        )
        SELECT start, code, count(*) FROM codes GROUP BY start, code
    """
