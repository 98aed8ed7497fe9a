"""Are the values of a key there once? All of them have to be seen together: grouped, out of core."""

# ruff: noqa: S608  # queries are made of our own names and numbers; values are quoted by engine.py

from __future__ import annotations

from collections.abc import Sequence

from mlops_kit.config.dataset import Table
from mlops_kit.quality import values
from mlops_kit.quality.results import EXAMPLES, Example, Result, on_table, shortened, some
from mlops_kit.quality.scan import typed
from mlops_kit.tabular.engine import one_row
from mlops_kit.tabular.reader import Part, Reader


def check_unique(
    reader: Reader, table: Table, parts: Sequence[Part], names: Sequence[str], key: tuple[str, ...], rows: int
) -> Result:
    positions = [names.index(name) for name in key]
    columns = ", ".join(
        f"v{position}::{values.SQL_TYPES[table.column(names[position]).type]} AS k{number}"
        for number, position in enumerate(positions)
    )
    there = " AND ".join(f"v{position} IS NOT NULL" for position in positions)
    all_keys = " UNION ALL ".join(
        f"SELECT {columns} FROM ({typed(table, part, names, positions)}) WHERE {there}" for part in parts
    )
    ks = ", ".join(f"k{number}" for number in range(len(key)))
    repeated = f"SELECT {ks}, count(*) AS n FROM ({all_keys}) GROUP BY {ks} HAVING count(*) > 1"
    found, failed = (0, 0)
    examples: list[Example] = []
    if parts:
        found, failed = one_row(reader.connection, f"SELECT count(*), coalesce(sum(n), 0)::BIGINT FROM ({repeated})")
    if failed:
        shown = ", ".join(f"k{number}::VARCHAR" for number in range(len(key)))
        for *one, times in reader.connection.execute(
            f"SELECT {shown}, n FROM ({repeated}) ORDER BY n DESC, {ks} LIMIT {EXAMPLES}"
        ).fetchall():
            examples.append(Example(f"{shortened(', '.join(one))} ({times} times)"))
    name = ", ".join(key)
    message = f"{name}: {some(failed, 'row')} of {rows:,} share {some(found, 'value')} that should be there once"
    return on_table(
        "unique",
        table.files,
        message if failed else f"{name}: every value is there once",
        passed=not failed,
        column=name,
        failed=failed,
        examined=rows,
        examples=examples,
    )
