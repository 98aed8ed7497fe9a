"""Scans of a table: one counts what is wrong, and only if something is, another finds the first rows that are.

The columns that a scan computes are numbered: ``s3`` is a value as it is stored, ``v3`` as its type says, ``m3``
whether it is missing.
"""

# ruff: noqa: S608  # queries are made of our own names and numbers; values are quoted by engine.py

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from mlops_kit.config.dataset import Table
from mlops_kit.quality import values
from mlops_kit.quality.results import EXAMPLES, Example, shortened
from mlops_kit.quality.rules import Rule
from mlops_kit.tabular.engine import one_row
from mlops_kit.tabular.reader import Part, Reader, UnreadableError

COLUMNS_AT_ONCE = 100
"""A scan of more columns would be a query that takes DuckDB longer to plan than to run."""

MALFORMED = Rule("format", "", -1, "malformed", "")


@dataclass(slots=True)
class Counted:
    """What the scan found: ``wrong`` rows by rule, ``present`` values by column."""

    rows: int = 0
    malformed: int = 0
    wrong: dict[Rule, int] = field(default_factory=dict)
    present: dict[str, int] = field(default_factory=dict)


def typed(table: Table, part: Part, names: Sequence[str], positions: Sequence[int]) -> str:
    """A query for the values of columns: ``s3`` as stored, ``v3`` as typed, ``m3`` whether it is missing."""
    sources = part.select([names[position] for position in positions])
    typed, flagged = [], []
    for source, position in enumerate(positions):
        kind = table.column(names[position]).type
        sql_type = part.type_of(names[position]) or "VARCHAR"
        typed.append(f"s{source} AS s{position}, {values.value(kind, sql_type, f's{source}')} AS v{position}")
        # CASE, not AND: what has a value is not looked at as a text as well.
        missing = values.missing(kind, f"s{position}")
        flagged.append(f"CASE WHEN v{position} IS NULL THEN {missing} ELSE false END AS m{position}")
    inner = f"SELECT malformed, {', '.join(typed)} FROM ({sources})" if typed else sources
    return f"SELECT *, {', '.join(flagged)} FROM ({inner})" if flagged else inner


def count(
    reader: Reader,
    table: Table,
    parts: Sequence[Part],
    names: Sequence[str],
    rules: Sequence[Rule],
    unreadable: list[UnreadableError],
) -> tuple[Counted, list[Part]]:
    """The counts of all parts, and the parts that could be read; a broken file is left out and told by itself."""
    import duckdb

    total = Counted(wrong=dict.fromkeys(rules, 0), present=dict.fromkeys(names, 0))
    read: list[Part] = []
    waiting = list(parts)
    while waiting:
        part = waiting.pop(0)
        try:
            counted = _count_part(reader, table, part, names, rules)
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as exc:
            if len(part.files) > 1:
                waiting[:0] = part.one_by_one()
            else:
                unreadable.append(UnreadableError(part.files[0], reader.reason(exc)))
            continue
        read.append(part)
        total.rows += counted.rows
        total.malformed += counted.malformed
        for rule, number in counted.wrong.items():
            total.wrong[rule] += number
        for name, number in counted.present.items():
            total.present[name] += number
    return total, read


def _count_part(reader: Reader, table: Table, part: Part, names: Sequence[str], rules: Sequence[Rule]) -> Counted:
    counted = Counted()
    for start in range(0, max(1, len(names)), COLUMNS_AT_ONCE):
        positions = range(start, min(start + COLUMNS_AT_ONCE, len(names)))
        some_rules = [rule for rule in rules if rule.position in positions]
        aggregates = [
            "count(*)",
            "count(*) FILTER (malformed)",
            *(f"count(s{position})" for position in positions),
            *(f"count(*) FILTER ({rule.wrong})" for rule in some_rules),
        ]
        query = f"SELECT {', '.join(aggregates)} FROM ({typed(table, part, names, positions)})"
        lines, malformed, *numbers = one_row(reader.connection, query)
        counted.rows, counted.malformed = lines - malformed, malformed
        counted.present |= dict(zip((names[position] for position in positions), numbers, strict=False))
        counted.wrong |= dict(zip(some_rules, numbers[len(positions) :], strict=True))
    return counted


def examples_of(
    reader: Reader, table: Table, parts: Sequence[Part], names: Sequence[str], rules: Sequence[Rule]
) -> dict[Rule, list[Example]]:
    """The first few rows that break each rule; files are read in order, as far as it takes."""
    found: dict[Rule, list[Example]] = {rule: [] for rule in rules}
    for part in itertools.chain.from_iterable(part.one_by_one() for part in parts):
        wanting = [rule for rule in rules if len(found[rule]) < EXAMPLES]
        for start in range(0, len(wanting), COLUMNS_AT_ONCE):
            some_rules = wanting[start : start + COLUMNS_AT_ONCE]
            positions = sorted({rule.position for rule in some_rules if rule.position >= 0})
            firsts = ", ".join(
                f"arg_min({{'row': row, 'value': {f's{rule.position}::VARCHAR' if rule.position >= 0 else 'NULL'}}}, "
                f"row, {EXAMPLES}) FILTER ({rule.wrong})"
                for rule in some_rules
            )
            numbered = f"SELECT *, row_number() OVER () AS row FROM ({typed(table, part, names, positions)})"
            for rule, rows in zip(
                some_rules, one_row(reader.connection, f"SELECT {firsts} FROM ({numbered})"), strict=True
            ):
                found[rule] += [Example(shortened(one["value"]), part.files[0], one["row"]) for one in rows or ()]
    return {rule: examples[:EXAMPLES] for rule, examples in found.items()}
