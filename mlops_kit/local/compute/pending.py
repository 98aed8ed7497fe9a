"""What DescribeEndpoint says of fleets: of the one that serves, and of the one that is to take its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mlops_kit.local.compute.fleet import Fleet


@dataclass
class Pending:
    """A fleet that an update has started. ``share`` of the traffic that it has; ``credit``: what it is owed of that."""

    fleet: Fleet
    started: datetime
    share: float = 0.0
    credit: float = 0.0
    phase: str = "Creating"
    """SageMaker's status of a variant: Creating, then ActivatingTraffic, or Baking where alarms are watched."""
    phase_since: datetime = field(default_factory=lambda: datetime.now(UTC))

    def enter(self, phase: str, share: float) -> None:
        self.phase, self.phase_since, self.share = phase, datetime.now(UTC), share

    def describe(self) -> dict[str, Any]:
        """PendingDeploymentSummary: each variant has its weight only as far as traffic has moved."""
        found = variants(self.fleet)
        status = [{"Status": self.phase, "StartTime": self.phase_since}]
        for variant in (*found["ProductionVariants"], *found.get("ShadowProductionVariants", ())):
            variant |= {"CurrentWeight": variant["DesiredWeight"] * self.share, "VariantStatus": status}
        return {"EndpointConfigName": self.fleet.spec.config, **found, "StartTime": self.started}


def variants(fleet: Fleet) -> dict[str, Any]:
    """ProductionVariants, and ShadowProductionVariants if there is one."""
    found = {"ProductionVariants": [variant.describe() for variant in fleet.variants]}
    if fleet.shadow is not None:
        found["ShadowProductionVariants"] = [fleet.shadow.describe()]
    return found
