"""What a release has to prove: the ``approvals`` and ``gates`` sections of an environment, ``gates`` and ``smoke`` of a
model.

What is left out is not asked for. Some gates cannot be switched off, because they cost nothing and nothing good fails
them: the stage order, the data, the lineage, the digests, the image, and that a release is no downgrade.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from mlops_kit.config.fields import LIST, Frozen, SmokeFile

GATES = (
    "stage order",
    "no downgrade",
    "data present",
    "data checks",
    "lineage",
    "digests",
    "signature",
    "image",
    "image scan",
    "metric",
    "incumbent",
    "source alarms",
    "soak",
    "approvals",
    "budget",
)
"""Every gate, in the order in which they are shown. There is a ``metric …`` and an ``incumbent …`` for each metric."""
PER_METRIC = ("metric", "incumbent")
NEVER_OVERRIDABLE = ("digests", "signature")
"""Bytes that are not what they should be: no reason makes them right."""


def gate_family(gate: str) -> str:
    """Which of :data:`GATES` a verdict is of: ``metric`` for ``metric accuracy``."""
    first, space, _ = gate.partition(" ")
    return first if space and first in PER_METRIC else gate


class Approvals(Frozen):
    """How many people have to agree to a release, and for how long they do."""

    required: Annotated[int, Field(ge=0, le=10)] = 0
    """Zero: nobody is asked. A rejection blocks all the same."""
    distinct_from_requester: bool = True
    """Whether who promotes may be one of them."""
    expire_hours: Annotated[int, Field(ge=1, le=365 * 24)] = 72


class ImageScan(Frozen):
    """How many findings of ECR's scan the serving image may have."""

    max_critical: Annotated[int, Field(ge=0)] = 0
    max_high: Annotated[int, Field(ge=0)] = 5


class Gates(Frozen):
    """Which gates an environment has besides those of its models, and which of them a person may override."""

    overridable: Annotated[tuple[str, ...], LIST, Field(max_length=20)] = ()
    """Gates that ``promote --override GATE --reason TEXT`` may pass. ``metric`` means every metric's gate."""
    soak_hours: Annotated[int, Field(ge=0, le=90 * 24)] = 0
    """How long the version has to have run in the stage before."""
    source_alarms: bool = False
    """Whether the model's alarms in the stage before have to be quiet."""
    data_checks: Literal["required", "if_configured", "off"] = "off"
    """Whether the data has to have passed its data tests. ``if_configured``: where the data set has a file."""
    image_scan: ImageScan | None = None
    """Absent: findings are not looked at."""
    signature: Literal["required", "off"] = "off"
    budget: Literal["block", "warn", "off"] = "off"
    """What a budget that is spent, or is forecast to be, means for a release."""

    @field_validator("overridable")
    @classmethod
    def _overridable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for gate in value:
            if gate_family(gate) not in GATES:
                raise ValueError(f"{gate!r} is no gate; gates are: {', '.join(GATES)}")
            if gate_family(gate) in NEVER_OVERRIDABLE:
                raise ValueError(f"{gate!r} cannot be overridden: it says that bytes are not what they should be")
        if len(set(value)) < len(value):
            raise ValueError("names something twice")
        return value


class MetricGate(Frozen):
    """A bound that a version's training metric has to keep before the version may enter an environment."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    not_worse_than_incumbent: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """By how much the metric may be worse than that of the release it replaces."""
    lower_is_better: bool = False
    """For errors and losses: a larger value is the worse one."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.at_least is None and self.at_most is None and self.not_worse_than_incumbent is None:
            raise ValueError(f"the gate on {self.metric!r} needs at_least or at_most, or not_worse_than_incumbent")
        return self

    @model_validator(mode="after")
    def _direction_is_used(self) -> Self:
        if self.lower_is_better and self.not_worse_than_incumbent is None:
            raise ValueError("lower_is_better is about not_worse_than_incumbent, which is missing")
        return self


class SmokeExpect(Frozen):
    """What the answer to the smoke request has to be like; every bound that is given has to hold."""

    content_type: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    lines: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """How many lines the answer has: as many as the request has rows, say."""
    contains: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    at_least: float | None = None
    """Every number in the answer is at least this."""
    at_most: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.at_least is not None and self.at_most is not None and self.at_most < self.at_least:
            raise ValueError(f"at_most ({self.at_most:g}) is smaller than at_least ({self.at_least:g})")
        return self


class Smoke(Frozen):
    """One request that a new release has to answer before it counts as one. ``request``: a file in ``source_dir``."""

    request: SmokeFile
    content_type: Annotated[str, Field(min_length=1, max_length=100)] = "text/csv"
    expect: SmokeExpect = SmokeExpect()
