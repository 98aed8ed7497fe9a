"""An endpoint: fleets of model containers, the traffic between them, and what becomes of an update.

States and transitions are SageMaker's::

    Creating ──> InService ──UpdateEndpoint──> Updating ──> InService (new config)
        └──> Failed                               └──> RollingBack ──> InService (old config, FailureReason)

A fleet is one endpoint config with one container per variant. An update starts the new fleet beside the old one, asks
it whether it is healthy, and only then moves traffic, step by step, while it watches the rollback alarms. Whatever goes
wrong, the old fleet keeps serving.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mlops_kit.local.compute import rollout
from mlops_kit.local.compute.backlog import Backlog
from mlops_kit.local.compute.containers import NotHealthyError
from mlops_kit.local.compute.fleet import Fleet, FleetSpec, VariantState
from mlops_kit.local.compute.pending import Pending, variants
from mlops_kit.local.compute.runtime import Runtime
from mlops_kit.local.compute.storage import Place

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1

AlarmWatch = Callable[[Sequence[str], datetime], list[str]]
"""(names, since) -> those that are, or since then were, in ALARM."""


class InProgressError(Exception):
    """Something else is happening to the endpoint already."""


@dataclass(frozen=True, slots=True)
class Retained:
    """RetainAllVariantProperties: which properties of the running variants an update keeps."""

    keep: bool = False
    exclude: frozenset[str] = frozenset()


@dataclass(eq=False)
class Endpoint:
    """One endpoint. All public methods may be called from any thread."""

    name: str
    place: Place
    runtime: Runtime
    alarms: AlarmWatch
    status: str = "Creating"
    failure_reason: str | None = None
    deployment_config: Mapping[str, Any] | None = None
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))
    fleet: Fleet | None = None
    pending: Pending | None = None
    config: str = ""
    backlog: Backlog | None = None
    """The queue of an asynchronous endpoint, from its first request on."""
    _gone: threading.Event = field(default_factory=threading.Event)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def in_progress(self) -> bool:
        return self.status in ("Creating", "Updating", "RollingBack", "SystemUpdating", "Deleting")

    def create(self, spec: FleetSpec, deployment_config: Mapping[str, Any] | None) -> None:
        self.config, self.deployment_config = spec.config, deployment_config
        self._background(self._create, spec)

    def update(
        self, spec: FleetSpec, deployment_config: Mapping[str, Any] | None, retained: Retained | None = None
    ) -> None:
        """Start an update.

        Raises:
            InProgressError: another one has not ended yet.
            rollout.InvalidDeploymentError: before anything has changed.
        """
        retained = retained or Retained()
        with self._lock:
            if self.in_progress:
                raise InProgressError
            fleet = Fleet(self.name, spec, self.place, self.runtime)
            self._retain(fleet, retained)
            plan = rollout.plan(deployment_config, sum(v.instances for v in fleet.variants))
            self.status, self.failure_reason, self.modified = "Updating", None, datetime.now(UTC)
            self.deployment_config = deployment_config
            self.pending = Pending(fleet, self.modified)
        self._background(self._update, plan)

    def _retain(self, fleet: Fleet, retained: Retained) -> None:
        if not retained.keep or self.fleet is None:
            return
        running = self.variants()
        for variant in fleet.variants:
            old = running.get(variant.spec.name)
            if old is None:
                continue
            if "DesiredInstanceCount" not in retained.exclude:
                variant.instances = old.instances
            if "DesiredWeight" not in retained.exclude:
                variant.weight = old.weight
        if "DataCaptureConfig" not in retained.exclude:
            fleet.capture = self.fleet.capture

    def delete(self) -> None:
        """Stop all containers.

        Raises:
            InProgressError: an update has not ended yet.
        """
        with self._lock:
            if self.in_progress:
                raise InProgressError
            self.status = "Deleting"
            self._gone.set()
            for fleet in (self.fleet, self.pending.fleet if self.pending else None):
                if fleet is not None:
                    fleet.stop()

    @property
    def gone(self) -> threading.Event:
        """Set once the endpoint is deleted."""
        return self._gone

    @property
    def instances(self) -> int:
        """Of all production variants that serve."""
        with self._lock:
            return sum(variant.instances for variant in self.fleet.variants) if self.fleet else 0

    def variants(self) -> dict[str, VariantState]:
        """The variants that run, the shadow variant included."""
        with self._lock:
            if self.fleet is None:
                return {}
            running = [*self.fleet.variants, *([self.fleet.shadow] if self.fleet.shadow else [])]
            return {variant.spec.name: variant for variant in running}

    def scale(
        self, variant: str, instances: int | None, weight: float | None, serverless: Mapping[str, int] | None = None
    ) -> bool:
        """Change what was given; False if there is no such variant."""
        with self._lock:
            if (state := self.variants().get(variant)) is None:
                return False
            state.instances = state.instances if instances is None else instances
            state.weight = state.weight if weight is None else weight
            if state.serverless is not None and serverless:
                state.serverless |= serverless
            self.modified = datetime.now(UTC)
            return True

    def route(self, target: str | None) -> tuple[Fleet, VariantState] | None:
        """Where the next request goes; None when nothing serves yet or there is no such variant."""
        with self._lock:
            if self.fleet is None or self.status in ("Creating", "Failed", "Deleting"):
                return None
            fleet = self.fleet
            if self.pending is not None and self.pending.share > 0:
                self.pending.credit += self.pending.share
                if self.pending.credit >= 1 - 1e-9:
                    self.pending.credit -= 1
                    fleet = self.pending.fleet
            if target is None:
                return fleet, fleet.choose()
            return next(((fleet, v) for v in fleet.variants if v.spec.name == target), None)

    def fleets(self) -> list[Fleet]:
        with self._lock:
            return [f for f in (self.fleet, self.pending.fleet if self.pending else None) if f is not None]

    def _background(self, function: Callable[..., None], *args: Any) -> None:
        threading.Thread(target=function, args=args, name=f"endpoint {self.name}", daemon=True).start()

    def _create(self, spec: FleetSpec) -> None:
        fleet = Fleet(self.name, spec, self.place, self.runtime)
        reason: str | None = None
        try:
            fleet.start()
        except NotHealthyError as exc:
            reason = str(exc)
        except Exception as exc:
            log.exception("endpoint %s", self.name)
            reason = f"InternalServerError: {type(exc).__name__}: {exc}"
        with self._lock:
            if self._gone.is_set():
                fleet.stop()
                return
            self.modified = datetime.now(UTC)
            self.fleet = fleet
            self.status, self.failure_reason = ("Failed", reason) if reason else ("InService", None)
        log.info("endpoint %s: %s%s", self.name, self.status, f": {reason}" if reason else "")

    def _update(self, plan: rollout.Plan) -> None:
        with self._lock:
            pending = self.pending
        if pending is None:
            return
        try:
            pending.fleet.start()
            reason = self._shift(plan, pending)
        except NotHealthyError as exc:
            reason = str(exc)
        except Exception as exc:
            log.exception("endpoint %s", self.name)
            reason = f"InternalServerError: {type(exc).__name__}: {exc}"
        with self._lock:
            if self._gone.is_set():
                pending.fleet.stop()
                return
            if reason is None:
                old, self.fleet, self.config = self.fleet, pending.fleet, pending.fleet.spec.config
            else:
                self.status, pending.share = "RollingBack", 0.0
                old = pending.fleet
            self.pending = None
        if old is not None:
            old.stop()
        with self._lock:
            self.status, self.failure_reason, self.modified = "InService", reason, datetime.now(UTC)
        log.info("endpoint %s: runs %s%s", self.name, self.config, f", rolled back: {reason}" if reason else "")

    def _shift(self, plan: rollout.Plan, pending: Pending) -> str | None:
        """Move the traffic; the reason if it has to move back."""
        begun = time.monotonic()
        for step in plan.steps:
            with self._lock:
                pending.enter("Baking" if step.bake_seconds else "ActivatingTraffic", step.share)
            if firing := self._bake(self.runtime.scaled(step.bake_seconds), plan.alarms, pending.started):
                names = ", ".join(f'"{name}"' for name in firing)
                return f"Endpoint update was rolled back: the alarm {names} went into ALARM during the deployment."
            if plan.timeout and time.monotonic() - begun > self.runtime.scaled(plan.timeout):
                return f"Endpoint update was rolled back: it took longer than {plan.timeout} seconds."
        self._gone.wait(self.runtime.scaled(plan.termination_wait))
        return None

    def _bake(self, seconds: float, alarms: Sequence[str], since: datetime) -> list[str]:
        deadline = time.monotonic() + seconds
        while not self._gone.is_set():
            if alarms and (firing := self.alarms(alarms, since)):
                return firing
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                break
            time.sleep(min(POLL_SECONDS, remaining))
        return []

    def describe(self) -> dict[str, Any]:
        """What DescribeEndpoint says beyond name and ARN."""
        with self._lock:
            found: dict[str, Any] = {
                "EndpointConfigName": self.config,
                "EndpointStatus": self.status,
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
            }
            if self.fleet is not None:
                found |= variants(self.fleet)
                if self.fleet.spec.asynchronous is not None:
                    found["AsyncInferenceConfig"] = self.fleet.spec.asynchronous
                if self.fleet.capture is not None:
                    found["DataCaptureConfig"] = self.fleet.capture.describe()
            if self.failure_reason:
                found["FailureReason"] = self.failure_reason
            if self.deployment_config:
                found["LastDeploymentConfig"] = self.deployment_config
            if self.pending is not None:
                found["PendingDeploymentSummary"] = self.pending.describe()
        return found
