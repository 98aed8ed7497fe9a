"""Which buckets a column's values are counted in, and how many are in each.

Numbers: at most :data:`BUCKETS` intervals between deciles; a value that fills more than a decile has one of its own. A
column with at most :data:`BUCKETS` distinct numbers has one bucket a number instead: 0/1 flags, grades and small counts
are compared value by value, and a number that was never seen shows. Texts: the most frequent values, one bucket each.
"""

# ruff: noqa: S608  # queries are made of our own names and numbers; values are parameters, or quoted by engine.py

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from mlops_kit.drift.cells import INTERVAL
from mlops_kit.drift.statistics import CategoryBucket, NumericBucket
from mlops_kit.drift.tables import DATA, Column, aggregate
from mlops_kit.tabular.engine import one_row

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BUCKETS = 10
"""Deciles: what PSI's usual thresholds (0.1, 0.25) were read against, and what SageMaker's monitoring materializes."""
CATEGORIES = 20
"""Most frequent values of a text column that are listed; the rest is counted as one."""
SAMPLE = 100_000
"""Larger tables take the edges of their intervals from every n-th row, so that memory stays bounded."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Of the values that a numeric column has; ``distinct`` is an estimate (HyperLogLog, a few percent)."""

    present: int
    total: float
    deviation: float
    smallest: float
    largest: float
    distinct: int


def category_buckets(connection: DuckDBPyConnection, column: Column) -> tuple[CategoryBucket, ...]:
    """The most frequent texts, most frequent first."""
    found = _values(connection, column, CATEGORIES, order=f"rows DESC, {column.id}")
    return tuple(CategoryBucket(value=value, count=rows) for value, rows in found)


def number_buckets(
    connection: DuckDBPyConnection, columns: list[Column], moments: dict[str, Moments], rows: int
) -> dict[str, tuple[NumericBucket, ...]]:
    """Column id -> its buckets in ascending order, points or intervals (see :mod:`mlops_kit.drift.statistics`)."""
    found: dict[str, tuple[NumericBucket, ...]] = {}
    for column in columns:
        if moments[column.id].distinct <= 2 * BUCKETS:  # an estimate: good enough to tell whether to look
            values = _values(connection, column, BUCKETS + 1, order=column.id)
            if len(values) <= BUCKETS:
                found[column.id] = tuple(NumericBucket(lower_bound=v, upper_bound=v, count=n) for v, n in values)
    spread = [column for column in columns if column.id not in found]
    edges = _edges(connection, spread, moments, rows)
    counts = _interval_counts(connection, spread, edges)
    for column in spread:
        bounds = [moments[column.id].smallest, *edges[column.id], moments[column.id].largest]
        found[column.id] = tuple(
            NumericBucket(lower_bound=lower, upper_bound=upper, count=count)
            for (lower, upper), count in zip(pairwise(bounds), counts[column.id], strict=True)
        )
    return found


def _interval_counts(
    connection: DuckDBPyConnection, columns: list[Column], edges: dict[str, list[float]]
) -> dict[str, list[int]]:
    """Column id -> rows in each of its intervals, by the same SQL as captured traffic, in one scan."""
    counts = {column.id: [0] * (len(edges[column.id]) + 1) for column in columns}
    if columns:
        query = f"""
            WITH edges AS MATERIALIZED (SELECT unnest(range({len(columns)})) AS index, unnest(?::DOUBLE[][]) AS edges),
            numbers AS NOT MATERIALIZED (
                SELECT unnest(range({len(columns)})) AS index, unnest([{", ".join(c.id for c in columns)}]) AS number
                FROM {DATA}
            )
            SELECT index, {INTERVAL} AS interval, count(*) FROM numbers JOIN edges USING (index)
            WHERE number IS NOT NULL GROUP BY ALL
        """
        for index, interval, rows in connection.execute(query, [[edges[column.id] for column in columns]]).fetchall():
            counts[columns[index].id][interval] = rows
    return counts


def _edges(
    connection: DuckDBPyConnection, columns: list[Column], moments: dict[str, Moments], rows: int
) -> dict[str, list[float]]:
    """Inner edges: the deciles; and where one value fills more than a decile, also the next value above it.

    Without the second part, a column that is nine tenths zero would have one bucket, and nothing would ever shift.
    """
    shares = ", ".join(str(i / BUCKETS) for i in range(1, BUCKETS))
    sample = f"(FROM {DATA} WHERE rowid % {-(-rows // SAMPLE)} = 0)"
    quantiles = aggregate(connection, columns, f"quantile_disc({{x}}, [{shares}])", sample)
    found: dict[str, set[float]] = {}
    queries: list[tuple[str, str]] = []
    for column in (column.id for column in columns):
        smallest = moments[column].smallest
        deciles = [smallest, *(quantiles[column][0] or [])]
        found[column] = set(deciles) - {smallest}
        queries += [
            (column, f"min({column}) FILTER ({column} > '{value!r}'::DOUBLE)")
            for value in sorted(set(deciles))
            if deciles.count(value) > 1
        ]
    if queries:
        above = one_row(connection, f"SELECT {', '.join(query for _, query in queries)} FROM {DATA}")
        for (column, _), value in zip(queries, above, strict=True):
            if value is not None:
                found[column].add(value)
    return {column: sorted(edges) for column, edges in found.items()}


def _values(connection: DuckDBPyConnection, column: Column, limit: int, *, order: str) -> list[tuple[Any, int]]:
    """Some of a column's values and how many rows have each."""
    query = (
        f"SELECT {column.id}, count(*) AS rows FROM {DATA} WHERE {column.id} IS NOT NULL "
        f"GROUP BY {column.id} ORDER BY {order} LIMIT {limit}"
    )
    return [(value, rows) for value, rows in connection.execute(query).fetchall()]
