"""Profile a table: types, moments and buckets of every column, out of core, the same bytes every time.

Told in order by :func:`profile`: infer each column's type from all of its values; keep the columns typed; compute
moments; choose buckets and count the rows in them. Counts are exact. Sums run on one thread, because the order in which
threads add floats is not the same twice, and the same data has to give the same baseline, byte by byte.

Types: a column is numeric if every value that is there is a number, ``Integral`` if all are whole
(:data:`~mlops_kit.drift.cells.NO_NUMBER` are the ways to write that none is there). Codes written as numbers stay
numeric: a request does not tell them apart either.
"""

# ruff: noqa: S608  # queries are made of our own names and numbers; values are parameters, or quoted by engine.py

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_kit.drift.buckets import Moments, category_buckets, number_buckets
from mlops_kit.drift.cells import no_number
from mlops_kit.drift.statistics import (
    NUMERIC,
    Categorical,
    Common,
    Dataset,
    Feature,
    InferredType,
    Kll,
    NumericalStatistics,
    NumericBucket,
    NumericDistribution,
    Statistics,
    StringDistribution,
    StringStatistics,
)
from mlops_kit.drift.tables import DATA, RAW, Column, aggregate, load
from mlops_kit.errors import UsageError
from mlops_kit.tabular.engine import one_row, session

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def profile(directory: Path) -> Statistics:
    """The statistics of the table in the files of ``directory`` (CSV with header, JSON Lines, or Parquet).

    Raises:
        UsageError: there is no table that can be read, or a column's numbers are too large to be averaged.
    """
    with session() as connection:
        columns = load(connection, directory)
        types = _types(connection, columns)
        _keep_typed(connection, columns, types)
        rows = int(one_row(connection, f"SELECT count(*) FROM {DATA}")[0])
        numeric = [column for column in columns if types[column.id] in NUMERIC]
        moments = _moments(connection, numeric)
        buckets = number_buckets(connection, numeric, moments, rows)
        features = [
            Feature(
                name=column.name,
                inferred_type=types[column.id],
                numerical_statistics=_numerical(rows, moments[column.id], buckets[column.id]),
            )
            if column.id in moments
            else Feature(
                name=column.name,
                inferred_type=types[column.id],
                string_statistics=_string(connection, column, rows),
            )
            for column in columns
        ]
    return Statistics(dataset=Dataset(item_count=rows), features=tuple(features))


def _types(connection: DuckDBPyConnection, columns: list[Column]) -> dict[str, InferredType]:
    finite = "isfinite({x}_n)"
    # CASE, not AND: what is a number is not looked at as a text as well.
    other = f"CASE WHEN {{x}}_n IS NULL THEN NOT {no_number('{x}::VARCHAR')} END"
    fractional = f"{finite} AND {{x}}_n <> trunc({{x}}_n)"
    template = ", ".join(f"count(*) FILTER ({condition})" for condition in (finite, fractional, other))
    both = ", ".join(f"{column.id}, {column.as_number} AS {column.id}_n" for column in columns)
    types: dict[str, InferredType] = {}
    for column, counted in aggregate(connection, columns, template, f"(SELECT {both} FROM {RAW})").items():
        numbers, fractions, texts = counted
        if texts:
            types[column] = "String"
        elif not numbers:
            types[column] = "Unknown"
        else:
            types[column] = "Fractional" if fractions else "Integral"
    return types


def _keep_typed(connection: DuckDBPyConnection, columns: list[Column], types: dict[str, InferredType]) -> None:
    def typed(column: Column) -> str:
        kind = types[column.id]
        if kind in NUMERIC:
            return f"CASE WHEN isfinite({column.as_number}) THEN {column.as_number} END"
        return "NULL::VARCHAR" if kind == "Unknown" else f"nullif({column.as_text}, '')"

    kept = ", ".join(f"{typed(column)} AS {column.id}" for column in columns)
    connection.execute(f"CREATE TABLE {DATA} AS SELECT {kept} FROM {RAW}")
    connection.execute(f"DROP TABLE {RAW}")


def _moments(connection: DuckDBPyConnection, columns: list[Column]) -> dict[str, Moments]:
    threads = one_row(connection, "SELECT current_setting('threads')")[0]
    connection.execute("SET threads = 1")
    template = "count({x}), fsum({x}), stddev_pop({x}), min({x}), max({x}), approx_count_distinct({x})"
    found = {column: Moments(*values) for column, values in aggregate(connection, columns, template, DATA).items()}
    connection.execute(f"SET threads = {int(threads)}")
    for column in columns:
        moments = found[column.id]
        if not (isfinite(moments.total) and isfinite(moments.deviation)):
            raise UsageError(
                f"The numbers in column {column.name!r}, {moments.smallest} to {moments.largest}, are too large to be "
                "averaged.",
                hint="If one like 1.8e308 stands for a missing value, leave the field empty instead.",
            )
    return found


def _numerical(rows: int, moments: Moments, buckets: tuple[NumericBucket, ...]) -> NumericalStatistics:
    return NumericalStatistics(
        common=Common(num_present=moments.present, num_missing=rows - moments.present),
        mean=moments.total / moments.present,
        sum=moments.total,
        std_dev=moments.deviation,
        min=moments.smallest,
        max=moments.largest,
        distribution=NumericDistribution(kll=Kll(buckets=buckets)),
    )


def _string(connection: DuckDBPyConnection, column: Column, rows: int) -> StringStatistics:
    present, distinct = one_row(connection, f"SELECT count({column.id}), count(DISTINCT {column.id}) FROM {DATA}")
    return StringStatistics(
        common=Common(num_present=present, num_missing=rows - present),
        distinct_count=distinct,
        distribution=StringDistribution(categorical=Categorical(buckets=category_buckets(connection, column))),
    )
