"""``benchmarks/results.json``: one row a measurement, merged by name, so that each benchmark can be run alone.

A row says what was measured of ours and of the other, in which unit, their ratio, and the goal for the ratio. Seconds
and bytes depend on the machine; ratios measured side by side travel.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

RESULTS = Path(__file__).parent / "results.json"
COLUMNS = ("name", "ours", "other", "unit", "ratio", "goal", "met")

Row = dict[str, Any]


Bound = Literal["at most", "at least", "more"]


def row(name: str, *, ours: float, other: float, unit: str, bound: Bound, goal: float) -> Row:
    """``ratio`` is how much larger ours is, which may be ``at most`` the goal, or how much larger the other is, which
    has to be ``at least`` the goal. ``more``: much is good, and ours has to be at least the goal times the other.
    """
    ratio = other / ours if bound == "at least" else ours / other
    return {
        "name": name,
        "ours": round(ours, 3),
        "other": round(other, 3),
        "unit": unit,
        "ratio": round(ratio, 3),
        "goal": f"{'at most' if bound == 'at most' else 'at least'} {goal:g}",
        "met": ratio <= goal if bound == "at most" else ratio >= goal,
    }


def limit(name: str, ours: float, bound: float, unit: str) -> Row:
    """Against a number, not against a peer."""
    return row(name, ours=ours, other=bound, unit=unit, bound="at most", goal=1.0)


def record(rows: Sequence[Row], path: Path = RESULTS) -> None:
    """Put the rows into the results, in place of older ones with the same names, and print them."""
    known: dict[str, Row] = {}
    if path.exists():
        known = {old["name"]: old for old in json.loads(path.read_text())}
    known |= {new["name"]: new for new in rows}
    path.write_text(json.dumps([known[name] for name in sorted(known)], indent=2) + "\n")
    print(table(rows))


def table(rows: Sequence[Row]) -> str:
    cells = [COLUMNS, *(tuple(_shown(row[column]) for column in COLUMNS) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:g}" if isinstance(value, float) else str(value)
