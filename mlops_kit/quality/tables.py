"""One table against its constraints.

Told in order by :func:`check_table`: sort the files into parts that one scan can read, count what breaks a constraint,
find out which columns are not there at all, find examples, and look for values that are there more than once.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlops_kit.config.dataset import Table
from mlops_kit.errors import UsageError
from mlops_kit.quality.columns import absent_columns, check_columns, stored_otherwise
from mlops_kit.quality.results import EXAMPLES, Example, Result, on_table, some
from mlops_kit.quality.rules import rules_of
from mlops_kit.quality.scan import MALFORMED, Counted, count, examples_of
from mlops_kit.quality.unique import check_unique
from mlops_kit.tabular.engine import one_row, text
from mlops_kit.tabular.reader import Reader, UnreadableError


def check_table(reader: Reader, table: Table, files: Sequence[str]) -> tuple[list[Result], int | None]:
    """The results, without those on the number of rows, and how many rows there are (None if they cannot be counted).

    Raises:
        UsageError: a pattern that RE2 does not know.
    """
    if not files:
        return [on_table("files", table.files, f"there is no file {table.files}", passed=False)], None
    _check_patterns(reader, table)
    names = list(table.named)
    rules = [rule for position, name in enumerate(names) for rule in rules_of(name, table.column(name), position)]
    parts, unreadable = reader.parts(files, table.format)
    counted, parts = count(reader, table, parts, names, rules, unreadable)

    malformed = examples_of(reader, table, parts, names, [MALFORMED])[MALFORMED] if counted.malformed else []
    results = [_format(table, files, unreadable, counted, malformed)]
    if not parts:
        return results, None
    absent = absent_columns(reader, parts, counted.present)
    results += check_columns(reader, table, parts, absent)
    failing = [rule for rule in rules if counted.wrong[rule] and rule.column not in absent]
    examples = examples_of(reader, table, parts, names, failing)
    by_column: dict[str, list[Result]] = {name: [] for name in names}
    for rule in rules:
        if rule.column in absent:
            continue
        failed = counted.wrong[rule]
        message = rule.message(failed, counted.rows)
        stored = stored_otherwise(table, parts, rule.column) if rule.constraint == "type" else None
        by_column[rule.column].append(
            on_table(
                rule.constraint,
                table.files,
                f"{message}; {stored}" if stored else message,
                passed=not stored and failed <= rule.tolerated * counted.rows * (1 + 1e-12),
                column=rule.column,
                failed=failed,
                examined=counted.rows,
                examples=examples.get(rule, ()),
            )
        )
    for name, column in table.columns.items():
        if column.unique and name not in absent:
            by_column[name].append(check_unique(reader, table, parts, names, (name,), counted.rows))
    results += [result for name in names for result in by_column[name]]
    results += [
        check_unique(reader, table, parts, names, key, counted.rows) for key in table.unique if not absent & set(key)
    ]
    return results, None if unreadable else counted.rows


def _check_patterns(reader: Reader, table: Table) -> None:
    import duckdb

    for name, column in table.columns.items():
        try:
            if column.pattern is not None:
                one_row(reader.connection, f"SELECT regexp_matches('', {text(column.pattern)})")
        except duckdb.Error as exc:
            raise UsageError(
                f"The pattern of column {name!r} of {table.files}, {column.pattern!r}, is none that RE2 knows: "
                f"{reader.reason(exc)}",
                hint="See https://github.com/google/re2/wiki/Syntax.",
            ) from exc


def _format(
    table: Table,
    files: Sequence[str],
    unreadable: Sequence[UnreadableError],
    counted: Counted,
    examples: Sequence[Example],
) -> Result:
    told = [f"{error.file}: {error.why}" for error in unreadable[:EXAMPLES]]
    if len(unreadable) > EXAMPLES:
        told.append(f"and {len(unreadable) - EXAMPLES} more files")
    if counted.malformed:
        verb = "is" if counted.malformed == 1 else "are"
        told.append(f"{some(counted.malformed, 'line')} that {verb} no JSON object")
    return on_table(
        "format",
        table.files,
        "; ".join(told) or f"{some(len(files), 'file')} can be read",
        passed=not told,
        failed=counted.malformed or len(unreadable),
        examined=counted.rows + counted.malformed if counted.malformed else len(files),
        examples=[*(Example(None, error.file) for error in unreadable[:EXAMPLES]), *examples][:EXAMPLES],
    )
