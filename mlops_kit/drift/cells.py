"""How the values of a feature fall into cells: the baseline's buckets, made to cover every value there can be.

- Intervals: the outer two reach to minus and plus infinity.
- Points (numeric features with few values): one cell a value, and one for every other number.
- Categories: one cell a listed value, and one for every other text.
- A feature that had no value in the baseline: one cell for any value.

Every feature has one more cell for missing values: an empty field, NULL, ``NaN`` or infinity in a numeric feature, and
text that is not a number where the baseline has numbers. The last kind is also counted for itself.

``true`` and ``false`` are the numbers 1 and 0, in whatever case, because clients write them in every way there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlops_kit.drift.engine import text
from mlops_kit.drift.statistics import Feature, Kll, Statistics

NO_NUMBER = ("", "na", "n/a", "nan", "null", "none", "?")
"""Texts that mean "no value" in a numeric column, in lower case."""


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of one feature. ``expected`` is the baseline's count in each, missing values last."""

    name: str
    numeric: bool
    edges: tuple[float, ...] | None
    """Inner edges of intervals; a value equal to an edge belongs to the cell above it."""
    values: tuple[float, ...] | tuple[str, ...]
    """Points or categories; what is none of them falls into the cell after the last."""
    expected: tuple[int, ...]

    @property
    def missing(self) -> int:
        """Index of the cell for missing values."""
        return len(self.expected) - 1

    @property
    def codes(self) -> int:
        """Different results of :func:`cell`: the cells, and one code for text that is not a number."""
        return len(self.expected) + 1


def cells_of(feature: Feature) -> Cells:
    """The cells that a baseline's feature defines."""
    common = feature.common
    name, missing = feature.name, common.num_missing
    if feature.numerical_statistics is not None:
        kll: Kll = feature.numerical_statistics.distribution.kll
        counts = tuple(bucket.count for bucket in kll.buckets)
        bounds = tuple(bucket.lower_bound for bucket in kll.buckets)
        if kll.points:
            return Cells(name, True, None, bounds, (*counts, 0, missing))
        return Cells(name, True, bounds[1:], (), (*counts, missing))
    if feature.inferred_type == "Unknown" or feature.string_statistics is None:
        return Cells(name, False, None, (), (common.num_present, missing))
    listed = feature.string_statistics.distribution.categorical.buckets
    other = common.num_present - sum(bucket.count for bucket in listed)
    counts = tuple(bucket.count for bucket in listed)
    return Cells(name, False, None, tuple(bucket.value for bucket in listed), (*counts, other, missing))


def request_cells(statistics: Statistics, label: str) -> tuple[Cells, ...]:
    """The cells of what a request carries: every feature but the label, in the baseline's order."""
    return tuple(cells_of(feature) for feature in statistics.features if feature.name != label)


def number(value: str) -> str:
    """SQL: the text ``value`` as DOUBLE, or NULL."""
    words = f"CASE lower(trim({value})) WHEN 'true' THEN 1.0 WHEN 'false' THEN 0.0 END"
    return f"coalesce(TRY_CAST({value} AS DOUBLE), {words})"


def no_number(value: str) -> str:
    """SQL: whether the text ``value`` is one of the ways to write that there is no number."""
    return f"({value} IS NULL OR lower(trim({value})) IN ({', '.join(map(text, NO_NUMBER))}))"


def interval(edges: Sequence[float], value: str) -> str:
    """SQL: which of the intervals between ``edges`` the finite DOUBLE ``value`` is in, from 0."""
    if not edges:
        return "0"
    steps = " ".join(f"WHEN {value} < {double(edge)} THEN {index}" for index, edge in enumerate(edges))
    return f"CASE {steps} ELSE {len(edges)} END"


def cell(cells: Cells, value: str, as_number: str, parameters: list[object]) -> str:
    """SQL: the code of the cell that a captured text falls into.

    ``value`` is the field as text, ``as_number`` the same as DOUBLE (see :func:`number`). Values of points and
    categories are appended to ``parameters``: they are data, and never become SQL.
    """
    missing = cells.missing
    if not cells.numeric:
        present = "0" if not cells.values else _listed(cells, value, "VARCHAR", parameters)
        return f"CASE WHEN {value} IS NULL OR {value} = '' THEN {missing} ELSE {present} END"
    if cells.edges is None:
        present = _listed(cells, as_number, "DOUBLE", parameters)
    else:
        present = interval(cells.edges, as_number)
    absent = f"{as_number} IS NOT NULL OR {no_number(value)}"
    return f"CASE WHEN isfinite({as_number}) THEN {present} WHEN {absent} THEN {missing} ELSE {missing + 1} END"


def _listed(cells: Cells, value: str, sql_type: str, parameters: list[object]) -> str:
    parameters.append(list(cells.values))
    return f"coalesce(list_position(?::{sql_type}[], {value}) - 1, {len(cells.values)})"


def double(value: float) -> str:
    """SQL: the exact float, as DOUBLE."""
    # repr is the shortest text that reads back as the same float; as a bare literal it would be a DECIMAL.
    return f"'{value!r}'::DOUBLE"
