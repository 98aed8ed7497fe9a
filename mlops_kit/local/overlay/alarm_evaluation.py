"""What state an alarm is in, from its datapoints: CloudWatch's rules, pure.

See "Configuring how CloudWatch alarms treat missing data" and "Evaluating an alarm". Datapoints come newest first, one
per period; None is a period without data.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
Missing = Literal["missing", "ignore", "breaching", "notBreaching"]

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """When datapoints mean ALARM: ``datapoints_to_alarm`` of the last ``evaluation_periods`` breach."""

    comparison: str
    threshold: float
    evaluation_periods: int
    datapoints_to_alarm: int
    missing: Missing = "missing"

    @property
    def evaluation_range(self) -> int:
        """How many periods are looked at. AWS looks further back than it evaluates, so that one late datapoint changes
        nothing; how far it does not say. Its examples have five periods for three."""
        return self.evaluation_periods + 2 if self.evaluation_periods > 1 else 1


def evaluate(rule: Rule, datapoints: Sequence[float | None], current: State) -> State:
    """The state that ``datapoints`` (newest first, ``rule.evaluation_range`` of them) mean."""
    real = [value for value in datapoints if value is not None][: rule.evaluation_periods]
    breaching = sum(COMPARISONS[rule.comparison](value, rule.threshold) for value in real)
    needed = rule.datapoints_to_alarm
    absent = rule.evaluation_periods - len(real)
    if breaching >= needed:
        return "ALARM"
    if absent == 0:
        return "OK"
    if rule.missing == "breaching":
        return "ALARM" if breaching + absent >= needed else "OK"
    if rule.missing == "notBreaching":
        return "OK"
    undecided = breaching == len(real)  # nothing but breaching data, or no data at all
    if rule.missing == "ignore":
        return current if undecided else "OK"
    if not real:
        return "INSUFFICIENT_DATA"
    return "ALARM" if undecided else "OK"


@dataclass(frozen=True, slots=True)
class Sample:
    """Some values of a metric, as PutMetricData takes them: one value, or a set of which only the sums are known."""

    count: float
    total: float
    minimum: float
    maximum: float


def is_statistic(name: str) -> bool:
    """Whether :func:`statistic` computes it."""
    return re.fullmatch(r"SampleCount|Sum|Average|Minimum|Maximum|p\d+(\.\d+)?", name) is not None


def statistic(name: str, samples: Sequence[Sample]) -> float | None:
    """``Sum``, ``Average``, ``Minimum``, ``Maximum``, ``SampleCount`` or a percentile (``p99``) of the samples.

    Raises:
        ValueError: another statistic.
    """
    if not is_statistic(name):
        raise ValueError(f"the local cloud does not compute the statistic {name!r}")
    if not samples:
        return None
    count = sum(s.count for s in samples)
    if name == "SampleCount":
        return count
    if name == "Sum":
        return sum(s.total for s in samples)
    if name == "Average":
        return sum(s.total for s in samples) / count if count else None
    if name == "Minimum":
        return min(s.minimum for s in samples)
    if name == "Maximum":
        return max(s.maximum for s in samples)
    return _percentile(sorted(s.total / s.count for s in samples if s.count), float(name[1:]))


def _percentile(ordered: Sequence[float], percent: float) -> float | None:
    """Linear interpolation between the closest ranks."""
    if not ordered:
        return None
    position = (len(ordered) - 1) * percent / 100
    below, above = math.floor(position), math.ceil(position)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)
