"""How traffic moves from the old fleet to the new one: SageMaker's deployment configuration as a list of steps.

Pure. See "Blue/Green Deployments" and "Rolling deployments" in the SageMaker developer guide. Times are AWS's own, in
seconds; whoever carries a plan out may scale them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CANARY_LIMIT = 0.5
"""A canary may take at most half of the capacity."""


class InvalidDeploymentError(ValueError):
    """A deployment configuration that SageMaker would refuse."""


@dataclass(frozen=True, slots=True)
class Step:
    """Give the new fleet this share of the traffic (0 to 1), then watch the alarms for so many seconds."""

    share: float
    bake_seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """``termination_wait``: seconds that the old fleet is kept after the last step. ``alarms`` undo the deployment."""

    steps: tuple[Step, ...]
    termination_wait: float = 0.0
    alarms: tuple[str, ...] = ()
    timeout: float | None = None


ALL_AT_ONCE = Plan((Step(1.0, 0.0),))


def plan(config: Mapping[str, Any] | None, instances: int) -> Plan:
    """The steps that ``config`` (a DeploymentConfig) means for a fleet of ``instances``.

    Raises:
        InvalidDeploymentError: a canary or step larger than half of the fleet, or a part that is missing.
    """
    if not config:
        return ALL_AT_ONCE
    alarms = tuple(a["AlarmName"] for a in (config.get("AutoRollbackConfiguration") or {}).get("Alarms") or [])
    if rolling := config.get("RollingUpdatePolicy"):
        size = _share(rolling["MaximumBatchSize"], instances, "MaximumBatchSize")
        wait = float(rolling["WaitIntervalInSeconds"])
        timeout = rolling.get("MaximumExecutionTimeoutInSeconds")
        return Plan(_linear(size, wait), 0.0, alarms, timeout)
    policy = config.get("BlueGreenUpdatePolicy")
    if not policy:
        return Plan(ALL_AT_ONCE.steps, 0.0, alarms)
    routing = policy["TrafficRoutingConfiguration"]
    wait = float(routing["WaitIntervalInSeconds"])
    if routing["Type"] == "ALL_AT_ONCE":
        steps: tuple[Step, ...] = (Step(1.0, wait),)
    elif routing["Type"] == "CANARY":
        steps = (Step(_share(routing.get("CanarySize"), instances, "CanarySize"), wait), Step(1.0, wait))
    elif routing["Type"] == "LINEAR":
        steps = _linear(_share(routing.get("LinearStepSize"), instances, "LinearStepSize"), wait)
    else:
        raise InvalidDeploymentError(f"unknown traffic routing type {routing['Type']!r}")
    return Plan(
        steps,
        float(policy.get("TerminationWaitInSeconds") or 0),
        alarms,
        policy.get("MaximumExecutionTimeoutInSeconds"),
    )


def _share(size: Mapping[str, Any] | None, instances: int, what: str) -> float:
    if not size:
        raise InvalidDeploymentError(f"{what} is missing")
    value = float(size["Value"])
    count = value if size["Type"] == "INSTANCE_COUNT" else math.ceil(instances * value / 100)
    if count < 1 or count > instances * CANARY_LIMIT:
        raise InvalidDeploymentError(
            f"{what} of {size['Value']:g} {'instances' if size['Type'] == 'INSTANCE_COUNT' else 'percent'} must be at "
            f"least one instance and at most half of the endpoint's {instances} instance(s)"
        )
    return count / instances


def _linear(size: float, wait: float) -> tuple[Step, ...]:
    count = math.ceil(1 / size - 1e-9)
    return tuple(Step(min(1.0, size * (i + 1)), wait) for i in range(count))
