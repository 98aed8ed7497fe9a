"""What a release costs a month more or less than the one it replaces: instances that run around the clock.

From a small table, so that planning asks nobody; what is not in the table is unknown, and said to be. Left out is what
depends on use: requests, storage, traffic, and what autoscaling adds above the least number of instances.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlops_kit.promotion.events import ReleaseSpec

HOURS_A_MONTH = 730
"""As AWS's own calculator has it: 8760 hours a year."""

REGION_GROUPS: Mapping[str, str] = {"us-east-1": "us", "us-east-2": "us", "us-west-2": "us"}
"""Regions with the same prices."""

# US dollars an hour on demand, for hosting. Collected in November 2026 from published copies of the list prices at
# https://aws.amazon.com/sagemaker/ai/pricing/; an estimate for a decision, not a bill.
HOURLY_USD: Mapping[str, Mapping[str, float]] = {
    "us": {
        "ml.t2.medium": 0.056,
        "ml.m5.large": 0.115,
        "ml.m5.xlarge": 0.23,
        "ml.m5.2xlarge": 0.461,
        "ml.m5.4xlarge": 0.922,
        "ml.c5.large": 0.102,
        "ml.c5.xlarge": 0.204,
        "ml.c5.2xlarge": 0.408,
        "ml.c5.4xlarge": 0.816,
        "ml.c5.9xlarge": 1.836,
        "ml.r5.large": 0.151,
        "ml.r5.2xlarge": 0.605,
        "ml.r5.4xlarge": 1.21,
        "ml.g4dn.xlarge": 0.736,
        "ml.g4dn.2xlarge": 0.94,
        "ml.g4dn.4xlarge": 1.505,
        "ml.g4dn.8xlarge": 2.72,
        "ml.g4dn.12xlarge": 4.89,
        "ml.g5.xlarge": 1.408,
        "ml.g5.2xlarge": 1.515,
        "ml.g5.12xlarge": 7.09,
        "ml.g5.24xlarge": 10.18,
        "ml.g5.48xlarge": 20.36,
        "ml.p3.2xlarge": 3.825,
        "ml.inf2.xlarge": 0.99,
    },
}


@dataclass(frozen=True, slots=True)
class Cost:
    """US dollars a month of what runs now and of what will; None where it is unknown, and then ``unknown`` says why."""

    before_usd: float | None
    after_usd: float | None
    unknown: str = ""

    @property
    def change_usd(self) -> float | None:
        if self.before_usd is None or self.after_usd is None:
            return None
        return round(self.after_usd - self.before_usd, 2)

    def __str__(self) -> str:
        if self.change_usd is None:
            return f"unknown: {self.unknown}"
        if not self.change_usd:
            return f"the same, {self.after_usd:.2f} USD a month"
        return f"{self.change_usd:+.2f} USD a month, {self.after_usd:.2f} in all"


def cost(before: ReleaseSpec | None, after: ReleaseSpec, region: str) -> Cost:
    """Of replacing ``before``; None is the model that the endpoint was deployed with, on the same instances."""
    now, why_now = _monthly(before or after, region)
    then, why_then = _monthly(after, region)
    return Cost(now, then, why_then or why_now)


def _monthly(spec: ReleaseSpec, region: str) -> tuple[float | None, str]:
    """Dollars, or why they are unknown."""
    if spec.kind == "serverless":
        provisioned = spec.serverless is not None and spec.serverless.provisioned_concurrency
        return (None, "of provisioned concurrency there is no price here") if provisioned else (0.0, "")
    if spec.kind == "batch":
        return 0.0, ""  # by the job
    instances = [(spec.instance_type, spec.instance_count)]
    if spec.shadow is not None:
        instances.append((spec.shadow.instance_type, spec.shadow.instance_count))
    total = 0.0
    for type_, count in instances:
        price = HOURLY_USD.get(REGION_GROUPS.get(region, ""), {}).get(type_)
        if price is None:
            return None, f"of {type_} in {region} there is no price here"
        total += price * count * HOURS_A_MONTH
    return round(total, 2), ""
