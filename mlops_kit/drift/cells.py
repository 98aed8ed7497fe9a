"""How the values of a feature fall into cells: the baseline's buckets, made to cover every value there can be.

- Intervals: the outer two reach to minus and plus infinity.
- Points (numeric features with few values): one cell a value, and one for every other number.
- Categories: one cell a listed value, and one for every other text.
- A feature that had no value in the baseline: one cell for any value.

Every feature has one more cell for missing values: an empty field, NULL, ``NaN`` or infinity in a numeric feature, and
text that is not a number where the baseline has numbers. The last kind is also counted for itself.

``true`` and ``false`` are the numbers 1 and 0, in whatever case, because clients write them in every way there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_kit.drift.statistics import Feature, Kll, Statistics
from mlops_kit.tabular.engine import text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NO_NUMBER = ("", "na", "n/a", "nan", "null", "none", "?")
"""Texts that mean "no value" in a numeric column, in lower case."""

CELLS = "cells"
"""The table that :func:`keep` creates, a row a feature: a query is as long for one feature as for thousands."""

INTERVAL = "len(list_filter(edges, lambda edge: edge <= number))"
"""SQL: which of the intervals between the DOUBLE[] ``edges`` the finite ``number`` is in, from 0."""


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of one feature. ``expected`` is the baseline's count in each, missing values last."""

    name: str
    numeric: bool
    edges: tuple[float, ...] | None
    """Inner edges of intervals; a value equal to an edge belongs to the cell above it."""
    values: tuple[float, ...] | tuple[str, ...]
    """Points or categories; what is none of them falls into the cell after the last."""
    expected: tuple[int, ...]

    @property
    def missing(self) -> int:
        """Index of the cell for missing values."""
        return len(self.expected) - 1


def cells_of(feature: Feature) -> Cells:
    """The cells that a baseline's feature defines."""
    common = feature.common
    name, missing = feature.name, common.num_missing
    if feature.numerical_statistics is not None:
        kll: Kll = feature.numerical_statistics.distribution.kll
        counts = tuple(bucket.count for bucket in kll.buckets)
        bounds = tuple(bucket.lower_bound for bucket in kll.buckets)
        if kll.points:
            return Cells(name, True, None, bounds, (*counts, 0, missing))
        return Cells(name, True, bounds[1:], (), (*counts, missing))
    if feature.inferred_type == "Unknown" or feature.string_statistics is None:
        return Cells(name, False, None, (), (common.num_present, missing))
    listed = feature.string_statistics.distribution.categorical.buckets
    other = common.num_present - sum(bucket.count for bucket in listed)
    counts = tuple(bucket.count for bucket in listed)
    return Cells(name, False, None, tuple(bucket.value for bucket in listed), (*counts, other, missing))


def request_cells(statistics: Statistics, label: str) -> tuple[Cells, ...]:
    """The cells of what a request carries: every feature but the label, in the baseline's order."""
    return tuple(cells_of(feature) for feature in statistics.features if feature.name != label)


def number(value: str) -> str:
    """SQL: the text ``value`` as DOUBLE, or NULL."""
    words = f"CASE lower(trim({value})) WHEN 'true' THEN 1.0 WHEN 'false' THEN 0.0 END"
    return f"coalesce(TRY_CAST({value} AS DOUBLE), {words})"


def no_number(value: str) -> str:
    """SQL: whether the text ``value`` is one of the ways to write that there is no number."""
    return f"({value} IS NULL OR lower(trim({value})) IN ({', '.join(map(text, NO_NUMBER))}))"


CELL = f"""
    CASE WHEN NOT is_numeric THEN
        CASE WHEN value IS NULL OR value = '' THEN missing
             ELSE coalesce(list_position(texts, value) - 1, len(texts)) END
    WHEN isfinite(number) THEN
        CASE WHEN edges IS NOT NULL THEN {INTERVAL} ELSE coalesce(list_position(points, number) - 1, len(points)) END
    WHEN number IS NOT NULL OR {no_number("value")} THEN missing
    ELSE missing + 1 END
"""
"""SQL: the cell of the text ``value``, which is also the DOUBLE ``number``, with a row of :data:`CELLS` joined to it.

``missing`` is the cell for missing values, and one more stands for text that is not a number.
"""


def keep(connection: DuckDBPyConnection, cells: Sequence[Cells]) -> None:
    """Create the table :data:`CELLS`; ``position`` counts from 1, as list elements do in SQL."""
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE {CELLS} AS SELECT
            unnest(range(1, {len(cells) + 1})) AS position, unnest(?::BOOLEAN[]) AS is_numeric,
            unnest(?::DOUBLE[][]) AS edges, unnest(?::DOUBLE[][]) AS points, unnest(?::VARCHAR[][]) AS texts,
            unnest(?::INTEGER[]) AS missing
        """,
        [
            [one.numeric for one in cells],
            [None if one.edges is None else list(one.edges) for one in cells],
            [list(one.values) if one.numeric else [] for one in cells],
            [[] if one.numeric else list(one.values) for one in cells],
            [one.missing for one in cells],
        ],
    )
