"""Does a table have the columns that its constraints name, and are they stored as what they should be?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlops_kit.config.dataset import Table
from mlops_kit.quality import values
from mlops_kit.quality.results import EXAMPLES, Example, Result, listed, on_table, shortened
from mlops_kit.tabular.reader import Part, Reader


def absent_columns(reader: Reader, parts: Sequence[Part], present: Mapping[str, int]) -> set[str]:
    """Columns that no file has. ``present``: column -> how many values of it there are.

    In JSON Lines, a column is there if one line has it, be it as null; no lines at all are no evidence.
    """
    absent = set()
    keys: dict[Part, set[str]] = {}
    for name, values_there in present.items():
        if values_there or not parts:
            continue
        for part in parts:
            if part.columns is None and part not in keys:
                keys[part] = set(reader.keys(part))
        if not any(
            not keys[part] or name in keys[part] if part.columns is None else part.type_of(name) for part in parts
        ):
            absent.add(name)
    return absent


def check_columns(reader: Reader, table: Table, parts: Sequence[Part], absent: set[str]) -> list[Result]:
    results = []
    for name in table.named:
        # Files of JSON Lines leave out what has no value; a file with a header has to have them all.
        without = [
            file
            for part in parts
            for file in part.files
            if name in absent or (part.columns is not None and part.type_of(name) is None)
        ]
        results.append(
            on_table(
                "column",
                table.files,
                f"{name}: there is no such column in {listed(without)}" if without else f"{name}: is there",
                passed=not without,
                column=name,
                failed=len(without),
                examined=sum(len(part.files) for part in parts),
                examples=[Example(None, file) for file in without[:EXAMPLES]],
            )
        )
    if table.other_columns == "refuse":
        others = sorted({key for part in parts for key in reader.keys(part)} - set(table.named))
        message = (
            f"columns that no constraint knows: {listed(map(repr, others))}" if others else "every column is known"
        )
        results.append(
            on_table(
                "other_columns",
                table.files,
                message,
                passed=not others,
                failed=len(others),
                examined=sum(len(part.files) for part in parts),
                examples=[Example(shortened(name)) for name in others[:EXAMPLES]],
            )
        )
    return results


def stored_otherwise(table: Table, parts: Sequence[Part], name: str) -> str | None:
    """Parquet has a type for the whole column; text that could be read as a number is not one."""
    for part in parts:
        sql_type = part.type_of(name)
        if part.format == "parquet" and sql_type and not values.fits(table.column(name).type, sql_type):
            return f"{listed(part.files)} has it as {sql_type}"
    return None
