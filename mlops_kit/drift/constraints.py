"""``constraints.json``: what a table has to keep to be like the baseline, as SageMaker's monitoring suggests it.

Derived from the statistics alone. Source of schema and defaults: SageMaker developer guide, "Schema for Constraints
(constraints.json file)".
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mlops_kit.drift.statistics import Feature, InferredType, Record, Statistics

Switch = Literal["Enabled", "Disabled"]


class NumConstraints(Record):
    is_non_negative: bool


class StringConstraints(Record):
    domains: tuple[str, ...]


class FeatureConstraints(Record):
    """``completeness``: the share of rows that have a value, 0 to 1."""

    name: str
    inferred_type: InferredType
    completeness: float = Field(ge=0, le=1)
    num_constraints: NumConstraints | None = None
    string_constraints: StringConstraints | None = None


class DistributionConstraints(Record):
    perform_comparison: Switch = "Enabled"
    comparison_threshold: float = 0.1
    comparison_method: Literal["Simple", "Robust"] = "Robust"
    categorical_comparison_threshold: float = 0.1
    categorical_drift_method: Literal["LInfinity", "ChiSquared"] = "LInfinity"


class MonitoringConfig(Record):
    """The documented defaults."""

    evaluate_constraints: Switch = "Enabled"
    emit_metrics: Switch = "Enabled"
    datatype_check_threshold: float = 0.1
    domain_content_threshold: float = 0.1
    distribution_constraints: DistributionConstraints = DistributionConstraints()


class Constraints(Record):
    version: float = 0.0
    features: tuple[FeatureConstraints, ...]
    monitoring_config: MonitoringConfig = MonitoringConfig()


def suggest(statistics: Statistics) -> Constraints:
    """The constraints that the profiled table itself just keeps."""
    return Constraints(features=tuple(_feature(f, statistics.dataset.item_count) for f in statistics.features))


def _feature(feature: Feature, rows: int) -> FeatureConstraints:
    numbers, strings = feature.numerical_statistics, feature.string_statistics
    domains: StringConstraints | None = None
    if feature.inferred_type == "String" and strings is not None:
        listed = strings.distribution.categorical.buckets
        if len(listed) == strings.distinct_count:
            domains = StringConstraints(domains=tuple(sorted(bucket.value for bucket in listed)))
    return FeatureConstraints(
        name=feature.name,
        inferred_type=feature.inferred_type,
        completeness=feature.common.num_present / rows,
        num_constraints=None if numbers is None else NumConstraints(is_non_negative=numbers.min >= 0),
        string_constraints=domains,
    )
