"""Open files as tables: only the files that are named, whatever they are called and whatever is in them.

DuckDB expands wildcards in every path, and a path may hold any character, so it is given links in a temporary
directory with names of our own. After that it may open what they lead to and nothing else, and no setting can be
changed: a data file cannot make it read, or write, elsewhere (DuckDB documentation, "Securing DuckDB").

CSV and JSON Lines are read as text. Nothing is guessed from the first rows.
"""

# ruff: noqa: S608  # queries are made of our own names and numbers; values are quoted by engine.py

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from mlops_kit.errors import UsageError
from mlops_kit.tabular.engine import identifier, reason, session, text
from mlops_kit.tabular.formats import SUFFIXES, compression, format_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MAX_JSON_BYTES = 64 * 1024**2
"""The longest line of JSON Lines that is read."""
_HEADER_LINES = 100
"""A header whose quoted names have line ends in them is read as far as this."""


class UnreadableError(UsageError):
    """A file that is not a table of its format. ``file`` is its path inside the data set."""

    def __init__(self, file: str, why: str) -> None:
        super().__init__(f"{file} cannot be read: {why}")
        self.file = file
        self.why = why


CSV_FILES_AT_ONCE = 2
"""DuckDB 2.0 reads more files than twice its threads in another way, which ends a file at a quote that is never closed:
the rows from there on are lost without an error. So no scan of it gets more than this."""
CSV_FILES_IN_PART = 64
"""A query of more scans takes DuckDB longer to plan than to run."""


@dataclass(frozen=True, slots=True)
class Column:
    """``name`` is the one in the file; ``source`` is SQL for its value; ``sql_type`` is DuckDB's."""

    name: str
    source: str
    sql_type: str


@dataclass(frozen=True, slots=True)
class Part:
    """Files of a table that have the same format and the same columns, so that one scan reads them all.

    ``columns`` is None for JSON Lines: only all of the lines would tell.
    """

    format: str
    files: tuple[str, ...]
    links: tuple[str, ...]
    columns: tuple[Column, ...] | None

    def type_of(self, name: str) -> str | None:
        """DuckDB's type of a column, VARCHAR for all text; None if there is no such column."""
        if self.columns is None:
            return "VARCHAR"
        return next((column.sql_type for column in self.columns if column.name == name), None)

    def select(self, names: Sequence[str]) -> str:
        """A query for these columns as ``s0``, ``s1``, …, NULL for those that are not there, and ``malformed``.

        ``malformed`` is true for a line of JSON Lines that is no JSON object; all its columns are NULL.
        """
        if self.format == "jsonl":
            files = f"[{', '.join(map(text, self.links))}]"
            pointers = ", ".join(text(pointer(name)) for name in names)
            fields = "".join(f"fields[{position + 1}] AS s{position}, " for position in range(len(names)))
            extracted = f"json_extract_string(json, [{pointers}])" if names else "NULL"
            return (
                f"SELECT {fields}malformed FROM (SELECT {extracted} AS fields, "
                "json IS NULL OR json_type(json) <> 'OBJECT' AS malformed FROM read_ndjson_objects("
                f"{files}, ignore_errors = true, maximum_object_size = {MAX_JSON_BYTES}, hive_partitioning = false))"
            )
        by_name = {column.name: column for column in self.columns or ()}
        sources = "".join(
            f"{by_name[name].source if name in by_name else 'NULL::VARCHAR'} AS s{position}, "
            for position, name in enumerate(names)
        )
        return f"SELECT {sources}false AS malformed FROM {self._relation()}"

    def one_by_one(self) -> list[Part]:
        """The same, a part for each file."""
        return [replace(self, files=(file,), links=(link,)) for file, link in zip(self.files, self.links, strict=True)]

    def _relation(self) -> str:
        if self.format == "parquet":
            return f"read_parquet([{', '.join(map(text, self.links))}], hive_partitioning = false)"
        names = tuple(column.source for column in self.columns or ())
        return f"({' UNION ALL '.join(csv_scans(self.links, names))})"


class Reader:
    """An open session over named files. Made by :func:`reading`."""

    def __init__(self, connection: DuckDBPyConnection, links: dict[str, str]) -> None:
        self.connection = connection
        self._links = links

    def parts(self, files: Iterable[str], format: str | None = None) -> tuple[list[Part], list[UnreadableError]]:
        """The files in parts, in order, and those of them that are not tables. ``format``: None goes by the names."""
        found: dict[tuple[str, tuple[Column, ...] | None], list[Part]] = {}
        unreadable = []
        for file in files:
            try:
                part = self.part(file, format)
            except UnreadableError as exc:
                unreadable.append(exc)
                continue
            found.setdefault((part.format, part.columns), []).append(part)
        parts = []
        for (kind, columns), alike in found.items():
            at_once = CSV_FILES_IN_PART if kind == "csv" else len(alike)
            for start in range(0, len(alike), at_once):
                some = alike[start : start + at_once]
                parts.append(Part(kind, tuple(p.files[0] for p in some), tuple(p.links[0] for p in some), columns))
        return parts, unreadable

    def part(self, file: str, format: str | None = None) -> Part:
        """One file.

        Raises:
            UnreadableError: it has no header, or no footer, or its format is not known.
        """
        import duckdb

        format = format or format_of(file)
        if format is None:
            raise UnreadableError(file, f"its name does not tell its format; known are {', '.join(SUFFIXES)}")
        link = self._links.get(file)
        if link is None:
            raise UnreadableError(file, "there is no such file, or its name is not UTF-8")
        try:
            columns: tuple[Column, ...] | None = None
            if format != "jsonl":
                columns = self._csv(file, link) if format == "csv" else self._parquet(file, link)
        except duckdb.OutOfMemoryException:
            raise
        except (duckdb.Error, csv.Error, UnicodeDecodeError) as exc:
            raise UnreadableError(file, self.reason(exc)) from exc
        return Part(format, (file,), (link,), columns)

    def keys(self, part: Part) -> list[str]:
        """Every key of JSON Lines, or the columns of another part."""
        if part.columns is not None:
            return [column.name for column in part.columns]
        files = f"[{', '.join(map(text, part.links))}]"
        found = self.connection.execute(
            "SELECT DISTINCT unnest(json_keys(json)) AS key FROM read_ndjson_objects("
            f"{files}, ignore_errors = true, maximum_object_size = {MAX_JSON_BYTES}, hive_partitioning = false) "
            "WHERE json_type(json) = 'OBJECT' ORDER BY key"
        )
        return [key for (key,) in found.fetchall()]

    def reason(self, exc: Exception) -> str:
        """What went wrong, with the file's own name in the place of the link's."""
        said = reason(exc)
        for file, link in self._links.items():
            said = said.replace(link, file)
        return said

    def _csv(self, file: str, link: str) -> tuple[Column, ...]:
        # As whole lines, by DuckDB, because it also unpacks them.
        lines = self.connection.execute(
            f"FROM read_csv({text(link)}, header = false, auto_detect = false, delim = '\x01', quote = '', "
            "escape = '', columns = {line: 'VARCHAR'}, ignore_errors = true, hive_partitioning = false) "
            f"LIMIT {_HEADER_LINES}"
        ).fetchall()
        header = next(csv.reader(f"{line or ''}\n" for (line,) in lines), [])
        if not header:
            raise UnreadableError(file, "it is empty; its first line has to name the columns")
        header[0] = header[0].removeprefix("\ufeff")
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise UnreadableError(file, f"it has columns of the same name: {', '.join(map(repr, twice))}")
        # Numbered, because DuckDB's own names ignore case.
        return tuple(Column(name, f"c{position}", "VARCHAR") for position, name in enumerate(header))

    def _parquet(self, file: str, link: str) -> tuple[Column, ...]:
        described = self.connection.execute(
            f"DESCRIBE FROM read_parquet({text(link)}, hive_partitioning = false)"
        ).fetchall()
        names = self._top_level(link)
        if len(names) != len(described):
            raise UnreadableError(file, "its schema cannot be understood")
        # DuckDB ignores case in names and calls `age` beside `Age` something else.
        return tuple(Column(name, identifier(row[0]), str(row[1])) for name, row in zip(names, described, strict=True))

    def _top_level(self, link: str) -> list[str]:
        schema = self.connection.execute(f"SELECT name, num_children FROM parquet_schema({text(link)})").fetchall()
        names, position = [], 1
        while position < len(schema):
            names.append(str(schema[position][0]))
            below = 1
            while below:  # a tree, depth first: skip what belongs to this column
                below += (schema[position][1] or 0) - 1
                position += 1
        return names


@contextmanager
def reading(files: Mapping[str, Path]) -> Iterator[Reader]:
    """Open files: the path that is shown -> where it is.

    Raises:
        UsageError: DuckDB is not installed.
        MlopsKitError: DuckDB gave up, for example because the disk is full.
    """
    with TemporaryDirectory(prefix="mlops-kit-tables-") as directory, session() as connection:
        links: dict[str, str] = {}
        targets = []
        for number, (shown, path) in enumerate(files.items()):
            target = str(path.resolve())
            if not (path.is_file() and _is_utf8(shown) and _is_utf8(target)):
                continue
            # The suffix tells DuckDB how the file is compressed.
            link = Path(directory) / f"{number}.table{compression(shown)}"
            link.symlink_to(target)
            links[shown] = str(link)
            targets.append(target)
        connection.execute(f"SET allowed_paths = [{', '.join(map(text, targets))}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield Reader(connection, links)


def csv_scans(files: Sequence[str], columns: Sequence[str]) -> Iterator[str]:
    """Queries that read CSV files with a header as text, in order. Files are as DuckDB wants them: no wildcards."""
    types = ", ".join(f"{column}: 'VARCHAR'" for column in columns)
    for start in range(0, len(files), CSV_FILES_AT_ONCE):
        some = ", ".join(map(text, files[start : start + CSV_FILES_AT_ONCE]))
        yield (
            f"FROM read_csv([{some}], header = true, auto_detect = false, delim = ',', quote = '\"', escape = '\"', "
            f"columns = {{{types}}}, hive_partitioning = false)"
        )


def pointer(name: str) -> str:
    """The JSON pointer of an object's key (RFC 6901)."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
