"""The constraints on a column's values as SQL conditions that are true for the rows that break them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from mlops_kit.config.dataset import Column, Type
from mlops_kit.quality.results import some
from mlops_kit.tabular.engine import text


@dataclass(frozen=True, slots=True)
class Rule:
    """``wrong`` is over ``v`` (the value), ``m`` (whether it is missing) and ``malformed``, numbered by column.

    ``tolerated``: the share of rows that may break it. ``told``: what is said of the rows that do.
    """

    constraint: str
    column: str
    position: int
    wrong: str
    told: str
    tolerated: float = 0.0

    def message(self, failed: int, rows: int) -> str:
        said = f"{self.column}: {some(failed, 'row')} of {rows:,} {self.told}"
        return f"{said}; at most {self.tolerated:.6g} of the rows may" if self.tolerated else said


def rules_of(name: str, column: Column, position: int) -> Iterator[Rule]:
    """What one scan can count, in the order in which results are listed."""
    value, missing = f"v{position}", f"m{position}"
    if column.type is not None:
        # What is missing is not of a wrong type, and a malformed line has no values at all.
        wrong = f"{value} IS NULL AND NOT {missing}"
        yield Rule("type", name, position, wrong, f"are no {column.type}")
    if (least := column.least_complete) is not None:
        yield Rule("completeness", name, position, f"{missing} AND NOT malformed", "have no value", 1 - least)
    if column.min is not None:
        wrong = f"{value} < {literal(column.type, column.min)}"
        yield Rule("min", name, position, wrong, f"are under {column.min}")
    if column.max is not None:
        wrong = f"{value} > {literal(column.type, column.max)}"
        yield Rule("max", name, position, wrong, f"are over {column.max}")
    if column.allowed is not None:
        allowed = ", ".join(literal(column.type, one) for one in column.allowed)
        yield Rule("allowed", name, position, f"{value} NOT IN ({allowed})", "are not among the allowed values")
    if column.pattern is not None:
        wrong = f"NOT regexp_matches({value}, {text(column.pattern)})"
        yield Rule("pattern", name, position, wrong, f"do not match {column.pattern}")


def literal(kind: Type | None, bound: bool | int | float | str) -> str:
    """A value of the constraints as an SQL literal."""
    if isinstance(bound, bool):
        return str(bound).lower()
    if isinstance(bound, int):
        return f"({bound})"  # of the smallest type that holds it, else a DOUBLE
    if isinstance(bound, float):
        return f"{text(repr(bound))}::DOUBLE"
    if kind == "date":
        return f"{text(bound)}::DATE"
    if kind == "timestamp":
        moment = datetime.fromisoformat(bound)
        return f"{text((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat())}::TIMESTAMPTZ"
    return text(bound)
