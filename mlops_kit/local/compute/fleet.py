"""A fleet: one endpoint config with one running container per variant."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlops_kit.local.compute.capture import CaptureConfig
from mlops_kit.local.compute.containers import Container, VariantSpec
from mlops_kit.local.compute.runtime import Runtime
from mlops_kit.local.compute.storage import Place


@dataclass(frozen=True, slots=True)
class FleetSpec:
    """An endpoint config, resolved as far as running it needs."""

    config: str
    variants: tuple[VariantSpec, ...]
    capture: CaptureConfig | None = None

    @property
    def instances(self) -> int:
        return sum(variant.instances for variant in self.variants)


@dataclass
class VariantState:
    """What DescribeEndpoint shows of a variant, and what routing uses."""

    spec: VariantSpec
    instances: int
    weight: float
    since: datetime
    credit: float = 0.0

    def describe(self) -> dict[str, Any]:
        return {
            "VariantName": self.spec.name,
            "DeployedImages": [
                {
                    "SpecifiedImage": self.spec.image,
                    "ResolvedImage": self.spec.image,
                    "ResolutionTime": self.since,
                }
            ],
            "CurrentWeight": self.weight,
            "DesiredWeight": self.weight,
            "CurrentInstanceCount": self.instances,
            "DesiredInstanceCount": self.instances,
        }


class Fleet:
    """All containers of one endpoint config."""

    def __init__(self, endpoint: str, spec: FleetSpec, place: Place, runtime: Runtime) -> None:
        self.spec = spec
        now = datetime.now(UTC)
        self.variants = [VariantState(v, v.instances, v.weight, now) for v in spec.variants]
        self.capture = spec.capture
        self._origin = (endpoint, place, runtime)
        self._lock = threading.Lock()
        self._replacing: set[str] = set()
        self._stopped = False
        self.containers = {variant.name: self._make(variant) for variant in spec.variants}

    def _make(self, variant: VariantSpec) -> Container:
        endpoint, place, runtime = self._origin
        return Container(endpoint, self.spec.config, variant, place, runtime)

    def start(self) -> None:
        """Start every container and wait until all are healthy; on failure none is left.

        Raises:
            NotHealthyError: the first container that is not.
        """
        try:
            for container in self.containers.values():
                container.start()
            for container in self.containers.values():
                container.wait_healthy()
        except BaseException:
            self.stop()
            raise

    def replace(self, variant: str) -> None:
        """Start a fresh container in place of one that died, unless somebody else is at it already.

        Raises:
            NotHealthyError: the fresh one does not come up either.
        """
        with self._lock:
            if self._stopped or variant in self._replacing or self.containers[variant].running:
                return
            self._replacing.add(variant)
        container = self._make(next(v for v in self.spec.variants if v.name == variant))
        try:
            container.start()
            container.wait_healthy()
            with self._lock:
                self.containers[variant] = container
        finally:
            with self._lock:
                self._replacing.discard(variant)
                if self._stopped or self.containers[variant] is not container:
                    container.stop()

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            for container in self.containers.values():
                container.stop()

    def choose(self) -> VariantState:
        """The variant whose turn it is: weighted and in a fixed order, so that shares are exact."""
        total = sum(v.weight for v in self.variants) or 1.0
        for variant in self.variants:
            variant.credit += variant.weight / total
        chosen = max(self.variants, key=lambda v: v.credit)
        chosen.credit -= 1.0
        return chosen
