"""A directory with one table in files -> a DuckDB table of texts and numbers, with the columns' true names beside it.

CSV and JSON Lines are read as text, so that the whole column decides what type it is, not its first rows. Columns are
numbered (``c0``, ``c1``, ...) inside DuckDB: its own names ignore case and would rename ``Age`` beside ``age``.
"""

# ruff: noqa: S608  # queries are made of our own names and numbers; values are parameters, or quoted by engine.py

from __future__ import annotations

import csv
import glob
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_kit.drift.cells import number
from mlops_kit.errors import UsageError
from mlops_kit.tabular.engine import identifier, one_row, reason, text
from mlops_kit.tabular.reader import csv_scans, pointer

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

RAW = "raw"
"""The table that :func:`load` creates: the files' columns as they are."""
DATA = "data"
"""The table that the profile makes of it: numeric columns as DOUBLE, all others as VARCHAR, NULL for "missing"."""

COLUMNS_AT_ONCE = 100

FORMATS = {".csv": "CSV", ".jsonl": "JSON Lines", ".ndjson": "JSON Lines", ".parquet": "Parquet"}
_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table ``raw``: the name it has in the files, and its position there."""

    name: str
    position: int
    sql_type: str

    @property
    def id(self) -> str:
        return f"c{self.position}"

    @property
    def as_text(self) -> str:
        return f"{self.id}::VARCHAR"

    @property
    def as_number(self) -> str:
        """SQL: the value as DOUBLE, or NULL if it is not a number."""
        if self.sql_type in _INTEGERS or self.sql_type == "DOUBLE" or self.sql_type.startswith("DECIMAL"):
            return f"{self.id}::DOUBLE"
        # By way of text, a 32-bit 0.1 becomes the 64-bit 0.1 that a request will carry, not 0.10000000149.
        return number(self.as_text)


def aggregate(
    connection: DuckDBPyConnection, columns: list[Column], template: str, table: str
) -> dict[str, tuple[Any, ...]]:
    """Aggregates of several columns: column id -> their values. ``{x}`` is the column in ``template``.

    One scan for every :data:`COLUMNS_AT_ONCE` columns, because some aggregates hold all values of a column.
    """
    found: dict[str, tuple[Any, ...]] = {}
    for start in range(0, len(columns), COLUMNS_AT_ONCE):
        some = columns[start : start + COLUMNS_AT_ONCE]
        structs = ", ".join(f"row({template.format(x=column.id)})" for column in some)
        values = one_row(connection, f"SELECT {structs} FROM {table}")
        found |= {column.id: tuple(of_column) for column, of_column in zip(some, values, strict=True)}
    return found


def find(directory: Path) -> tuple[str, list[Path]]:
    """The format and the files of the table below ``directory``, in the order of their paths; others are ignored.

    Raises:
        UsageError: no file of a known format, or several formats.
    """
    files = sorted(path for path in directory.rglob("*") if path.suffix.lower() in FORMATS and path.is_file())
    formats = {FORMATS[path.suffix.lower()] for path in files}
    if len(formats) != 1:
        found = f"files of several formats ({', '.join(sorted(formats))})" if formats else "no table"
        raise UsageError(
            f"There is {found} in {directory}; drift profiles one table.",
            hint=f"Put it there in files of one format: {', '.join(FORMATS)}.",
        )
    return formats.pop(), files


def load(connection: DuckDBPyConnection, directory: Path) -> list[Column]:
    """Create the table ``raw`` from the files below ``directory``; returns its columns.

    Raises:
        UsageError: no table, no rows, files whose columns differ, or a line that cannot be read.
    """
    import duckdb

    kind, files = find(directory)
    try:
        columns = {"CSV": _csv, "JSON Lines": _json_lines, "Parquet": _parquet}[kind](connection, files)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as exc:
        raise UsageError(f"The {kind} files in {directory} cannot be read: {reason(exc)}") from exc
    if one_row(connection, f"SELECT count(*) FROM {RAW}") == (0,):
        raise UsageError(f"The table in {directory} has no rows.")
    return columns


def _csv(connection: DuckDBPyConnection, files: list[Path]) -> list[Column]:
    header = _header(files[0])
    for path in files[1:]:
        if _header(path) != header:
            raise UsageError(f"{path} has other columns than {files[0]}.")
    columns = [Column(name, position, "VARCHAR") for position, name in enumerate(header)]
    for position, scan in enumerate(csv_scans(_exact(files), [column.id for column in columns])):
        connection.execute(f"INSERT INTO {RAW} {scan}" if position else f"CREATE TABLE {RAW} AS {scan}")
    return columns


def _header(path: Path) -> list[str]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = next(csv.reader(file), [])
    except (UnicodeDecodeError, csv.Error) as exc:
        raise UsageError(f"{path} is not a CSV file in UTF-8: {exc}") from exc
    if not header:
        raise UsageError(f"{path} is empty; its first line has to name the columns.")
    _distinct(header, path)
    return header


def _json_lines(connection: DuckDBPyConnection, files: list[Path]) -> list[Column]:
    connection.execute(
        "CREATE TEMP TABLE lines AS FROM read_ndjson_objects(?, hive_partitioning = false)", [_exact(files)]
    )
    keys = connection.execute("SELECT DISTINCT unnest(json_keys(json)) FROM lines").fetchall()
    first = connection.execute("SELECT json FROM lines LIMIT 1").fetchone()
    try:
        record = json.loads(first[0]) if first else {}
    except RecursionError as exc:
        raise UsageError(f"The first line of {files[0]} is nested too deeply.") from exc
    if not isinstance(record, dict):
        raise UsageError(f"The first line of {files[0]} is not a JSON object.")
    # The order of the first record, because the features of a request come in it; what only later ones have, by name.
    names = [*record, *sorted({key for (key,) in keys} - set(record))]
    columns = [Column(name, position, "VARCHAR") for position, name in enumerate(names)]
    pointers = ", ".join(text(pointer(name)) for name in names)
    fields = ", ".join(f"fields[{column.position + 1}] AS {column.id}" for column in columns)
    connection.execute(
        f"CREATE TABLE {RAW} AS SELECT {fields or 'NULL'} FROM "
        f"(SELECT json_extract_string(json, [{pointers}]) AS fields FROM lines)"
    )
    connection.execute("DROP TABLE lines")
    return columns


def _parquet(connection: DuckDBPyConnection, files: list[Path]) -> list[Column]:
    source = "read_parquet(?, hive_partitioning = false)"
    described = connection.execute(f"DESCRIBE FROM {source}", [_exact(files)]).fetchall()
    columns = [Column(row[0], position, row[1]) for position, row in enumerate(described)]
    named = ", ".join(f"{identifier(column.name)} AS {column.id}" for column in columns)
    connection.execute(f"CREATE TABLE {RAW} AS SELECT {named} FROM {source}", [_exact(files)])
    return columns


def _exact(files: Iterable[Path]) -> list[str]:
    # DuckDB expands *, ? and [ ] in every path it is given.
    return [glob.escape(str(path)) for path in files]


def _distinct(names: list[str], path: Path) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"{path} has columns of the same name: {', '.join(map(repr, twice))}.")
