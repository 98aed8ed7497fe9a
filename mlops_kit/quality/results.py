"""What a data test found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

EXAMPLES = 3
"""How many offending values a result shows."""
MAX_EXAMPLE = 80
"""Characters of an offending value that are shown."""


@dataclass(frozen=True, slots=True)
class Example:
    """An offending value as text (None: missing), with its file and row; rows count from 1, without the header."""

    value: str | None
    file: str | None = None
    row: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One constraint. ``failed_rows`` of ``examined_rows`` break it; for constraints on files, these are files.

    ``table`` is the glob of its files, None for constraints on files. ``column``: a composite key's columns are joined
    by ", ". A constraint such as ``completeness`` can pass although some rows fail.
    """

    constraint: str
    table: str | None
    column: str | None
    passed: bool
    failed_rows: int
    examined_rows: int
    examples: tuple[Example, ...]
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """Every constraint with its result, in the order of the file, and the rows of each table that could be read."""

    results: tuple[Result, ...]
    rows: Mapping[str, int]

    @property
    def passed(self) -> bool:
        return all(result.passed for result in self.results)

    @property
    def failed(self) -> tuple[Result, ...]:
        return tuple(result for result in self.results if not result.passed)


def on_table(
    constraint: str,
    table: str,
    message: str,
    *,
    passed: bool,
    column: str | None = None,
    failed: int = 0,
    examined: int = 0,
    examples: Iterable[Example] = (),
) -> Result:
    return Result(constraint, table, column, passed, failed, examined, tuple(examples), message)


def shortened(value: str | None) -> str | None:
    if value is None or len(value) <= MAX_EXAMPLE:
        return value
    return value[: MAX_EXAMPLE - 1] + "…"


def listed(names: Iterable[str]) -> str:
    """The first few of many names."""
    found = list(names)
    more = f" and {len(found) - EXAMPLES} more" if len(found) > EXAMPLES else ""
    return ", ".join(found[:EXAMPLES]) + more


def some(number: int, what: str) -> str:
    """``1 row``, ``2,000 rows``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
