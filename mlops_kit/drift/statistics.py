"""``statistics.json``: what the training data looked like, feature by feature, as SageMaker's monitoring writes it.

Source: SageMaker developer guide, "Schema for Statistics (statistics.json file)". Keys that the schema has and the kit
does not use (the KLL sketch itself, custom statistics) are accepted and dropped.

Buckets of a numeric feature are one of two kinds, told apart by their bounds:

- **intervals**, ``lower_bound <= x < upper_bound``, each starting where the one before ends, the last one including its
  upper bound (which may equal its lower bound, when the maximum is frequent);
- **points**, ``lower_bound == upper_bound == x``: one bucket a value, for features with few values.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from mlops_kit.errors import IntegrityError

InferredType = Literal["Integral", "Fractional", "String", "Unknown"]
NUMERIC: tuple[InferredType, ...] = ("Integral", "Fractional")


class Record(BaseModel):
    """Base of the file formats' parts."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


def _whole(value: Any) -> Any:
    # SageMaker writes some counts as 12.0.
    return int(value) if isinstance(value, float) and value.is_integer() else value


Count = Annotated[int, BeforeValidator(_whole), Field(ge=0)]


class Common(Record):
    """How many rows have a value, and how many have none."""

    num_present: Count
    num_missing: Count


class NumericBucket(Record):
    lower_bound: float
    upper_bound: float
    count: Count


class Kll(Record):
    buckets: tuple[NumericBucket, ...] = Field(min_length=1)

    @property
    def points(self) -> bool:
        return all(bucket.lower_bound == bucket.upper_bound for bucket in self.buckets)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for before, after in pairwise(self.buckets):
            if after.lower_bound <= before.lower_bound:
                raise ValueError(f"lower bounds must increase: {before.lower_bound} is followed by {after.lower_bound}")
            if not self.points and after.lower_bound != before.upper_bound:
                raise ValueError(f"a bucket ends at {before.upper_bound}, the next starts at {after.lower_bound}")
        if self.buckets[-1].upper_bound < self.buckets[-1].lower_bound:
            raise ValueError("the last bucket ends before it starts")
        return self


class NumericDistribution(Record):
    kll: Kll


class NumericalStatistics(Record):
    """``std_dev`` is that of the population, not of a sample."""

    common: Common
    mean: float
    sum: float
    std_dev: float
    min: float
    max: float
    distribution: NumericDistribution

    @model_validator(mode="after")
    def _counted(self) -> Self:
        counted = sum(bucket.count for bucket in self.distribution.kll.buckets)
        if counted != self.common.num_present:
            raise ValueError(f"the buckets hold {counted} rows, num_present is {self.common.num_present}")
        return self


class CategoryBucket(Record):
    value: str
    count: Count


class Categorical(Record):
    buckets: tuple[CategoryBucket, ...]


class StringDistribution(Record):
    categorical: Categorical


class StringStatistics(Record):
    """``distribution`` lists the most frequent values; ``distinct_count`` counts all of them."""

    common: Common
    distinct_count: Count
    distribution: StringDistribution

    @model_validator(mode="after")
    def _counted(self) -> Self:
        buckets = self.distribution.categorical.buckets
        counted = sum(bucket.count for bucket in buckets)
        if counted > self.common.num_present:
            raise ValueError(f"the buckets hold {counted} rows, num_present is {self.common.num_present}")
        if len({bucket.value for bucket in buckets}) < len(buckets):
            raise ValueError("a value has two buckets")
        return self


class Feature(Record):
    """One column. ``Unknown``: it has no value at all; its (empty) statistics are those of a string."""

    name: str
    inferred_type: InferredType
    numerical_statistics: NumericalStatistics | None = None
    string_statistics: StringStatistics | None = None

    @property
    def common(self) -> Common:
        found = self.numerical_statistics or self.string_statistics
        assert found is not None  # noqa: S101  # held by the validator below
        return found.common

    @model_validator(mode="after")
    def _typed(self) -> Self:
        expected = "numerical_statistics" if self.inferred_type in NUMERIC else "string_statistics"
        if getattr(self, expected) is None:
            raise ValueError(f"the feature {self.name!r} is {self.inferred_type} and has no {expected}")
        return self


class Dataset(Record):
    item_count: Count


class Statistics(Record):
    """A whole table: ``features`` are its columns, in the table's order."""

    version: float = 0.0
    dataset: Dataset
    features: tuple[Feature, ...]

    @model_validator(mode="after")
    def _one_table(self) -> Self:
        names = [feature.name for feature in self.features]
        if len(set(names)) < len(names):
            raise ValueError("a feature is listed twice")
        for feature in self.features:
            rows = feature.common.num_present + feature.common.num_missing
            if rows != self.dataset.item_count:
                raise ValueError(f"{feature.name!r} counts {rows} rows, the table has {self.dataset.item_count}")
        return self


def dump(record: Record) -> bytes:
    """The file's bytes: the same content gives the same bytes (sorted keys, shortest exact floats, UTF-8)."""
    content = record.model_dump(mode="json", exclude_none=True)
    return (json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def load_statistics(body: bytes, source: str) -> Statistics:
    """Read ``statistics.json``; ``source`` names it in errors.

    Raises:
        IntegrityError: it is not JSON, not of this format, or contradicts itself.
    """
    try:
        return Statistics.model_validate_json(body)
    except ValidationError as exc:
        raise _unreadable(exc, source) from exc


def _unreadable(exc: ValidationError, source: str) -> IntegrityError:
    error = exc.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in error["loc"])
    message = error["msg"].removeprefix("Value error, ")
    return IntegrityError(
        f"{source} is not a baseline that can be used: {f'{where}: {message}' if where else message}",
        hint="Record it again from the training data with `mlops-kit drift baseline`.",
    )
