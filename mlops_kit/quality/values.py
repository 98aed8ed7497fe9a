"""Values of a column as the type that its constraints say, in SQL.

Text is read as the type (CSV and JSON Lines are all text): what cannot be read is a failure that is counted. An empty
text is missing; in columns that are not text, so is each of :data:`~mlops_kit.drift.cells.NO_NUMBER`, and NaN.
Parquet has types of its own: they have to be of the declared kind.
"""

from __future__ import annotations

from mlops_kit.config.dataset import Type
from mlops_kit.drift.cells import no_number

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
_FLOATS = {"FLOAT", "DOUBLE"}
_TRUTHS = {"true": "true", "false": "false", "1": "true", "0": "false"}
SQL_TYPES: dict[Type | None, str] = {
    "integer": "HUGEINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "string": "VARCHAR",
    "date": "DATE",
    "timestamp": "TIMESTAMPTZ",
    None: "VARCHAR",
}
"""What a column of a type becomes where its values meet those of another file."""


def fits(kind: Type | None, sql_type: str) -> bool:
    """Whether a column that Parquet stores as ``sql_type`` is of the declared kind."""
    numeric = sql_type in _INTEGERS | _FLOATS or sql_type.startswith("DECIMAL")
    return {
        None: True,
        "integer": numeric,
        "number": numeric,
        "boolean": sql_type == "BOOLEAN",
        "string": sql_type == "VARCHAR" or sql_type.startswith("ENUM") or sql_type == "UUID",
        "date": sql_type == "DATE",
        "timestamp": sql_type.startswith("TIMESTAMP") or sql_type == "DATE",
    }[kind]


def value(kind: Type | None, sql_type: str, source: str) -> str:
    """SQL: the value, or NULL for what is missing or cannot be read as one."""
    if sql_type == "VARCHAR" or not fits(kind, sql_type):
        return _of_text(kind, f"{source}::VARCHAR")
    if kind in (None, "string"):
        return f"nullif({source}::VARCHAR, '')"
    if kind == "number":
        # By way of text, a 32-bit 0.1 becomes the 64-bit 0.1 that a bound is written as, not 0.10000000149.
        number = f"{source}::VARCHAR::DOUBLE" if sql_type == "FLOAT" else source
        return f"CASE WHEN NOT isnan({number}) THEN {number} END" if sql_type in _FLOATS else number
    if kind == "integer" and sql_type not in _INTEGERS:
        return f"CASE WHEN {source} = trunc({source}) THEN TRY_CAST({source} AS HUGEINT) END"
    if kind == "timestamp" and sql_type != "TIMESTAMP WITH TIME ZONE":
        return f"{source}::TIMESTAMP::TIMESTAMPTZ"
    return source


def missing(kind: Type | None, source: str) -> str:
    """SQL: whether a value that is NULL by :func:`value` is missing, rather than wrong."""
    if kind in (None, "string"):
        return "true"
    return no_number(f"{source}::VARCHAR")


def _of_text(kind: Type | None, source: str) -> str:
    if kind in (None, "string"):
        return f"nullif({source}, '')"
    if kind == "boolean":
        words = " ".join(f"WHEN '{word}' THEN {truth}" for word, truth in _TRUTHS.items())
        return f"CASE lower(trim({source})) {words} END"
    # DuckDB also reads 1_000, and its words "epoch" and "infinity" as dates; nothing that trains a model does.
    if kind in ("integer", "number"):
        number = f"TRY_CAST({source} AS DOUBLE)"
        plain = f"NOT contains({source}, '_')"
        if kind == "number":
            return f"CASE WHEN NOT isnan({number}) AND {plain} THEN {number} END"
        return f"CASE WHEN {number} = trunc({number}) AND {plain} THEN TRY_CAST({source} AS HUGEINT) END"
    moment = f"TRY_CAST({source} AS {SQL_TYPES[kind]})"
    # A date with a time of day is no date.
    length = "BETWEEN 8 AND 10" if kind == "date" else ">= 8"
    return f"CASE WHEN length(trim({source})) {length} AND isfinite({moment}) THEN {moment} END"
