"""DuckDB, set up to run offline and out of core. Imported only when a session starts.

Settings: DuckDB documentation, "Configuration" and "Securing DuckDB".
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mlops_kit.errors import MlopsKitError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY_LIMIT = "2GB"
"""What does not fit is written to the session's temporary directory."""
MAX_THREADS = 4
"""Each thread holds a read buffer of twice the longest line; more threads than this do not pay for theirs."""


def load() -> ModuleType:
    """DuckDB's module; it is an extra.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import duckdb
    except ImportError as exc:
        raise UsageError("This needs DuckDB, which is not installed.", hint="pip install 'mlops-kit[data]'") from exc
    return duckdb


@contextmanager
def session(*, memory_limit: str = MEMORY_LIMIT) -> Iterator[DuckDBPyConnection]:
    """A connection to an empty database in a temporary directory; both are gone afterwards.

    Raises:
        UsageError: DuckDB is not installed.
        MlopsKitError: DuckDB gave up in the block, for example because the disk is full.
    """
    duckdb = load()
    with tempfile.TemporaryDirectory(prefix="mlops-kit-data-") as scratch:
        try:
            with duckdb.connect(
                str(Path(scratch) / "scratch.duckdb"),
                config={
                    "memory_limit": memory_limit,
                    "temp_directory": scratch,
                    "threads": str(min(MAX_THREADS, os.cpu_count() or 1)),
                    # The wheel brings the readers that are used (json, parquet, icu); nothing is fetched at run time.
                    "autoinstall_known_extensions": "false",
                    "autoload_known_extensions": "false",
                    "allow_community_extensions": "false",
                    # Otherwise a table name that does not exist is looked up among Python's variables.
                    "python_enable_replacements": "false",
                },
            ) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                # It makes a join of every IN, and a query with one for each of 100 columns takes half a minute to plan.
                connection.execute("SET disabled_optimizers = 'in_clause'")
                yield connection
        except duckdb.Error as exc:
            raise MlopsKitError(f"DuckDB could not do its part: {reason(exc)}") from exc


def one_row(connection: DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """The only row of an aggregate."""
    found = connection.execute(query).fetchone()
    assert found is not None  # noqa: S101  # an aggregate without GROUP BY has one row
    return tuple(found)


def reason(exc: Exception) -> str:
    """What went wrong, and in which file, without the query, the settings and the data that DuckDB adds."""
    first, *rest = str(exc).splitlines() or [type(exc).__name__]
    said = [first, *(line for line in rest if line.startswith(("Expected Number", "Value with", "Invalid unicode")))]
    file = next((line.strip().removeprefix("file = ") for line in rest if line.startswith("  file = ")), None)
    return ". ".join(said) + (f" ({file})" if file else "")


def text(value: str) -> str:
    """``value`` as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """``name`` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
