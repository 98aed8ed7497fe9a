"""Rows and schema of a table in two commits: what was added, removed, and, if rows have a key, changed.

Rows are compared over the columns that both sides have, by name: another order of columns or rows is no difference,
and a new column alone changes no row. Without a key, rows are compared as multisets. Everything is exact, and DuckDB
does it out of core.
"""

# ruff: noqa: S608  # queries are made of our own names and numbers; values are quoted by engine.py

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlops_kit.errors import UsageError
from mlops_kit.tabular.engine import one_row
from mlops_kit.tabular.formats import format_of
from mlops_kit.tabular.reader import Part, Reader, reading

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EXAMPLES = 3
"""How many rows of each kind are shown."""
_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}

Files = Path | Sequence[Path]


@dataclass(frozen=True, slots=True)
class SchemaDiff:
    """Columns by name, in the order of their file; ``retyped``: name, old type, new type (Parquet only)."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    retyped: tuple[tuple[str, str, str], ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.retyped)


@dataclass(frozen=True, slots=True)
class RowExample:
    """One row as text, column -> value; ``before`` is there for a changed row and holds what has changed of it."""

    kind: Literal["added", "removed", "changed"]
    row: Mapping[str, str | None]
    before: Mapping[str, str | None] | None = None


@dataclass(frozen=True, slots=True)
class RowDiff:
    """``changed`` and ``changed_columns`` (column -> rows in which it differs) are None without a key."""

    schema: SchemaDiff
    rows_old: int
    rows_new: int
    added: int
    removed: int
    changed: int | None
    changed_columns: Mapping[str, int] | None
    examples: tuple[RowExample, ...]


def schema_diff(old: Files, new: Files, *, format: str | None = None) -> SchemaDiff:
    """What differs between the columns. Reads footers of Parquet and headers of CSV, but all of JSON Lines.

    Raises:
        UsageError: a file cannot be read as a table.
    """
    with _open(old, new, format) as (_, before, after):
        return _schema(before, after)


def row_diff(
    old: Files, new: Files, *, key: Sequence[str] | None = None, format: str | None = None, examples: int = EXAMPLES
) -> RowDiff:
    """Compare a table before and after: a file each, or the files that are one table together, or none at all.

    ``key``: columns that name a row. ``format``: ``csv``, ``parquet`` or ``jsonl``; None goes by the files' names.

    Raises:
        UsageError: a file cannot be read as a table, or ``key`` does not name columns whose values are there once.
    """
    import duckdb

    with _open(old, new, format) as (reader, before, after):
        columns = _shared(before, after)
        unknown = [name for name in key or () if name not in columns]
        if unknown:
            raise UsageError(
                f"The key has a column {unknown[0]!r}, which is not there before and after.",
                hint=f"Columns that are: {', '.join(columns) or 'none'}.",
            )
        types = {name: before.types(name) | after.types(name) for name in columns}
        compare = Comparison(reader.connection, columns, examples)
        try:
            rows_old = compare.load("old", before, types)
            rows_new = compare.load("new", after, types)
            found = compare.by_key([columns.index(name) for name in key]) if key else compare.as_multisets()
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as exc:
            raise UsageError(f"The tables cannot be compared: {reader.reason(exc)}") from exc
    return RowDiff(_schema(before, after), rows_old, rows_new, *found)


@dataclass(frozen=True, slots=True)
class _Side:
    """One side's files in parts, and its columns: name -> type, " or " between those that files do not agree on."""

    parts: tuple[Part, ...]
    columns: Mapping[str, str]

    def types(self, name: str) -> set[str]:
        return {sql_type for part in self.parts if (sql_type := part.type_of(name))}

    @classmethod
    def of(cls, reader: Reader, files: Sequence[str], format: str | None) -> _Side:
        parts, unreadable = reader.parts(files, format)
        if unreadable:
            raise unreadable[0]
        types: dict[str, list[str]] = {}
        for part in parts:
            for name in reader.keys(part):
                found = types.setdefault(name, [])
                if (sql_type := part.type_of(name) or "VARCHAR") not in found:
                    found.append(sql_type)
        return cls(tuple(parts), {name: " or ".join(found) for name, found in types.items()})


@contextmanager
def _open(old: Files, new: Files, format: str | None) -> Iterator[tuple[Reader, _Side, _Side]]:
    files = {
        side: {f"{path} ({side})": path for path in ([paths] if isinstance(paths, Path) else paths)}
        for side, paths in (("old", old), ("new", new))
    }
    formats = {name: format or format_of(str(path)) for side in files.values() for name, path in side.items()}
    with reading(files["old"] | files["new"]) as reader:
        sides = []
        for named in files.values():
            by_format = {formats[name] for name in named}
            if len(by_format) > 1 or None in by_format:
                raise UsageError(
                    f"These are not files of one table: {', '.join(map(str, named.values()))}.",
                    hint="A table is in files of one format, by their suffixes or as given: csv, parquet or jsonl.",
                )
            sides.append(_Side.of(reader, list(named), next(iter(by_format), None)))
        yield reader, sides[0], sides[1]


def _schema(old: _Side, new: _Side) -> SchemaDiff:
    return SchemaDiff(
        tuple(name for name in new.columns if name not in old.columns),
        tuple(name for name in old.columns if name not in new.columns),
        tuple(
            (name, old.columns[name], sql_type)
            for name, sql_type in new.columns.items()
            if name in old.columns and old.columns[name] != sql_type
        ),
    )


def _shared(old: _Side, new: _Side) -> list[str]:
    if not (old.parts and new.parts):  # the table itself is new or gone: all rows are, with all of their columns
        return list((new if new.parts else old).columns)
    return [name for name in new.columns if name in old.columns]


def _common_type(types: set[str]) -> str | None:
    """The type as which values are compared; None: as they are."""
    if len(types) == 1:
        return None
    if types <= _INTEGERS:
        return "HUGEINT"
    if all(one in _INTEGERS | {"FLOAT", "DOUBLE"} or one.startswith("DECIMAL") for one in types):
        return "DOUBLE"
    return "VARCHAR"


Found = tuple[int, int, int | None, dict[str, int] | None, tuple[RowExample, ...]]


class Comparison:
    """The views ``old_rows`` and ``new_rows``, with columns ``c0``, ``c1``, …, and what differs between them."""

    def __init__(self, connection: DuckDBPyConnection, columns: Sequence[str], examples: int) -> None:
        self._connection = connection
        self._columns = columns
        self._examples = examples
        self._c = [f"c{position}" for position in range(len(columns))]

    def load(self, side: str, table: _Side, types: Mapping[str, set[str]]) -> int:
        """Define the rows of one side; returns how many there are."""

        def typed(position: int, name: str) -> str:
            to = _common_type(types[name])
            return f"s{position}::{to} AS c{position}" if to else f"s{position} AS c{position}"

        columns = "".join(f", {typed(*column)}" for column in enumerate(self._columns))
        rows = " UNION ALL ".join(
            f"SELECT malformed{columns} FROM ({part.select(self._columns)})" for part in table.parts
        )
        nothing = f"SELECT false AS malformed{''.join(f', NULL AS {c}' for c in self._c)} WHERE false"
        self._connection.execute(f"CREATE VIEW {side}_rows AS {rows or nothing}")
        lines, malformed = one_row(self._connection, f"SELECT count(*), count(*) FILTER (malformed) FROM {side}_rows")
        if malformed:
            raise UsageError(f"{malformed} lines of the {side} table are no JSON objects.")
        return int(lines)

    def as_multisets(self) -> Found:
        """Rows that one side has more often than the other."""
        c = ", ".join(self._c) or "true"
        # One grouping finds both directions; EXCEPT ALL would take one for each.
        self._connection.execute(
            f"CREATE TABLE differing AS SELECT {c}, sum(one)::BIGINT AS times FROM ("
            f"SELECT *, 1 AS one FROM new_rows UNION ALL SELECT *, -1 AS one FROM old_rows) "
            f"GROUP BY {c} HAVING sum(one) <> 0"
        )
        added, removed = one_row(
            self._connection,
            "SELECT coalesce(sum(times) FILTER (times > 0), 0)::BIGINT, coalesce(-sum(times) FILTER (times < 0), 0)"
            "::BIGINT FROM differing",
        )
        examples = [
            *(RowExample("added", self._named(row)) for row in self._first("", "times > 0")),
            *(RowExample("removed", self._named(row)) for row in self._first("", "times < 0")),
        ]
        return added, removed, None, None, tuple(examples)

    def by_key(self, key: Sequence[int]) -> Found:
        """Rows with a key that one side lacks, and those whose other columns differ.

        Raises:
            UsageError: a key that is there twice on one side.
        """
        for side in ("old", "new"):
            self._refuse_repeated(side, key)
        both = ", ".join(f"o.{c} AS o_{c}, n.{c} AS n_{c}" for c in self._c)
        same_key = " AND ".join(f"o.c{position} IS NOT DISTINCT FROM n.c{position}" for position in key)
        rest = [c for position, c in enumerate(self._c) if position not in key]
        differs = " OR ".join(f"o.{c} IS DISTINCT FROM n.{c}" for c in rest) or "false"
        self._connection.execute(
            f"CREATE TABLE differing AS SELECT {both}, CASE WHEN o.there IS NULL THEN 'added' "
            "WHEN n.there IS NULL THEN 'removed' ELSE 'changed' END AS kind "
            "FROM (SELECT *, true AS there FROM old_rows) AS o FULL JOIN (SELECT *, true AS there FROM new_rows) AS n "
            f"ON {same_key} WHERE o.there IS NULL OR n.there IS NULL OR {differs}"
        )
        counts = [f"count(*) FILTER (kind = '{kind}')" for kind in ("added", "removed", "changed")]
        counts += [f"count(*) FILTER (kind = 'changed' AND o_{c} IS DISTINCT FROM n_{c})" for c in rest]
        added, removed, changed, *columns = one_row(self._connection, f"SELECT {', '.join(counts)} FROM differing")
        by_column = {self._columns[int(c[1:])]: number for c, number in zip(rest, columns, strict=True) if number}
        examples = [
            *(RowExample("added", self._named(row)) for row in self._first("n_", "kind = 'added'", key)),
            *(RowExample("removed", self._named(row)) for row in self._first("o_", "kind = 'removed'", key)),
        ]
        after = self._first("n_", "kind = 'changed'", key)
        for old, new in zip(self._first("o_", "kind = 'changed'", key), after, strict=True):
            before, now = self._named(old), self._named(new)
            examples.append(
                RowExample("changed", now, {name: before[name] for name in before if before[name] != now[name]})
            )
        return added, removed, changed, by_column, tuple(examples)

    def _refuse_repeated(self, side: str, key: Sequence[int]) -> None:
        columns = ", ".join(f"c{position}" for position in key)
        found = self._connection.execute(
            f"SELECT {', '.join(f'c{position}::VARCHAR' for position in key)}, count(*) FROM {side}_rows "
            f"GROUP BY {columns} HAVING count(*) > 1 ORDER BY {columns} LIMIT 1"
        ).fetchone()
        if found is not None:
            *values, times = found
            shown = ", ".join(
                f"{self._columns[position]} = {value}" for position, value in zip(key, values, strict=True)
            )
            raise UsageError(
                f"The key does not name a row: {times} rows of the {side} table have {shown}.",
                hint="Add a column to the key, or compare without one.",
            )

    def _first(self, prefix: str, condition: str, key: Sequence[int] = ()) -> list[tuple[Any, ...]]:
        columns = ", ".join(f"{prefix}{c}::VARCHAR" for c in self._c) or "NULL"
        order = ", ".join(f"{prefix}c{position}" for position in key) or "ALL"
        return self._connection.execute(
            f"SELECT {columns} FROM differing WHERE {condition} ORDER BY {order} LIMIT {self._examples}"
        ).fetchall()

    def _named(self, row: Sequence[str | None]) -> dict[str, str | None]:
        return dict(zip(self._columns, row, strict=False))
