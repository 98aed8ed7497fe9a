"""Query the tables of a checked out commit: all of them together are the view ``data``."""

# ruff: noqa: S608  # the query of the view is made of our own names; paths are quoted

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterable
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_kit.errors import NotFoundError, UsageError
from mlops_kit.quality.files import matching
from mlops_kit.tabular.engine import MEMORY_LIMIT, load, text
from mlops_kit.tabular.formats import format_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

VIEW = "data"
_READERS = {"csv": "read_csv", "parquet": "read_parquet", "jsonl": "read_ndjson"}
_WILD = set("*?[")
_numbers = count()


def tables(paths: Iterable[str], files: str = "**") -> tuple[list[str], str]:
    """Those of ``paths`` that the glob ``files`` matches and that are tables by their names, and their format.

    Raises:
        NotFoundError: no table matches.
        UsageError: tables of several formats match, or one whose name DuckDB takes for a pattern.
    """
    found = [(path, format_of(path)) for path in matching(files, paths)]
    named = [(path, kind) for path, kind in found if kind is not None]
    if not named:
        raise NotFoundError(f"There is no CSV, Parquet or JSON Lines file that matches {files!r}.")
    formats = sorted({kind for _, kind in named})
    if len(formats) > 1:
        raise UsageError(
            f"{files!r} matches tables of more than one format: {', '.join(formats)}.",
            hint=f"Say which are meant, for example files='**/*.{formats[0]}'.",
        )
    wild = [path for path, _ in named if _WILD & set(path)]
    if wild:
        raise UsageError(
            f"DuckDB takes {wild[0]!r} for a pattern.", hint="Leave it out with files=, or read it with open()."
        )
    return [path for path, _ in named], formats[0]


def query(sql: str, root: Path, paths: Iterable[str], kind: str) -> DuckDBPyRelation:
    """Run ``sql`` over the files at ``paths`` below ``root``; types are found out by DuckDB.

    Columns are put together by name. The result is lazy, reads the files when it is asked for rows, and keeps its
    connection for as long as it is there itself.

    Raises:
        UsageError: DuckDB is not installed.
        duckdb.Error: the query is none, or the files are no tables.
    """
    connection: DuckDBPyConnection = load().connect(
        config={
            "memory_limit": MEMORY_LIMIT,
            # What does not fit into memory would be written below the working directory otherwise.
            "temp_directory": str(Path(_scratch(os.getpid()), str(next(_numbers)))),
            "autoinstall_known_extensions": "false",
            "allow_community_extensions": "false",
            # Otherwise a table name that does not exist is looked up among the variables of this function.
            "python_enable_replacements": "false",
        }
    )
    names = ", ".join(text(str(root / path)) for path in paths)
    connection.execute(f"CREATE VIEW {VIEW} AS SELECT * FROM {_READERS[kind]}([{names}], union_by_name = true)")
    return connection.sql(sql)


@cache
def _scratch(process: int) -> str:
    """A directory for what DuckDB spills, gone when the process ends. A fork gets its own."""
    directory = tempfile.mkdtemp(prefix="mlops-kit-sql-")

    def remove() -> None:
        if os.getpid() == process:
            shutil.rmtree(directory, ignore_errors=True)

    atexit.register(remove)
    return directory
