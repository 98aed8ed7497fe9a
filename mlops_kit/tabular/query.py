"""Query the tables of a checked out commit: all of them together are the view ``data``."""

# ruff: noqa: S608  # the query of the view is made of our own names; paths are quoted

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_kit.errors import NotFoundError, UsageError
from mlops_kit.quality.files import matching
from mlops_kit.tabular.engine import text
from mlops_kit.tabular.formats import format_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

VIEW = "data"
_READERS = {"csv": "read_csv", "parquet": "read_parquet", "jsonl": "read_ndjson"}
_WILD = set("*?[")


def query(sql: str, root: Path, paths: Iterable[str], files: str = "**") -> DuckDBPyRelation:
    """Run ``sql`` over the files below ``root`` that the glob ``files`` matches; types are found out by DuckDB.

    Columns are put together by name. The result is lazy and reads the files when it is asked for rows.

    Raises:
        NotFoundError: no table matches.
        UsageError: tables of several formats match, or DuckDB is not installed.
    """
    found = [(path, format_of(path)) for path in matching(files, paths)]
    tables = [(path, kind) for path, kind in found if kind is not None]
    if not tables:
        raise NotFoundError(f"There is no CSV, Parquet or JSON Lines file that matches {files!r}.")
    formats = sorted({kind for _, kind in tables})
    if len(formats) > 1:
        raise UsageError(
            f"{files!r} matches {' and '.join(formats)}; say which, for example files='**/*.{formats[0]}'."
        )
    wild = [path for path, _ in tables if _WILD & set(path)]
    if wild:
        raise UsageError(f"DuckDB takes {wild[0]!r} for a pattern; use files= to leave it out.")
    import duckdb

    connection = duckdb.connect()
    names = ", ".join(text(str(root / path)) for path, _ in tables)
    connection.execute(f"CREATE VIEW {VIEW} AS SELECT * FROM {_READERS[formats[0]]}([{names}], union_by_name = true)")
    return connection.sql(sql)
