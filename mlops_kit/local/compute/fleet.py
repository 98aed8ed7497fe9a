"""A fleet: one endpoint config with one running container per variant, the shadow variant included."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlops_kit.local.compute.capture import CaptureConfig
from mlops_kit.local.compute.containers import Container, Site, VariantSpec
from mlops_kit.local.compute.runtime import Runtime
from mlops_kit.local.compute.storage import Place


@dataclass(frozen=True, slots=True)
class FleetSpec:
    """An endpoint config, resolved as far as running it needs."""

    config: str
    variants: tuple[VariantSpec, ...]
    capture: CaptureConfig | None = None
    shadow: VariantSpec | None = None
    """Gets copies of requests; nobody gets its answers."""
    asynchronous: Mapping[str, Any] | None = None
    """The AsyncInferenceConfig of an endpoint that is only invoked asynchronously."""

    @property
    def serverless(self) -> bool:
        return any(variant.serverless is not None for variant in self.variants)

    @property
    def all_variants(self) -> tuple[VariantSpec, ...]:
        return self.variants if self.shadow is None else (*self.variants, self.shadow)


@dataclass
class VariantState:
    """What DescribeEndpoint shows of a variant, and what routing uses."""

    spec: VariantSpec
    instances: int
    weight: float
    since: datetime
    credit: float = 0.0
    serverless: dict[str, int] | None = None

    @classmethod
    def of(cls, spec: VariantSpec) -> VariantState:
        serverless = None if spec.serverless is None else dict(spec.serverless)
        return cls(spec, spec.instances, spec.weight, datetime.now(UTC), serverless=serverless)

    def describe(self) -> dict[str, Any]:
        if self.serverless is None:
            capacity: dict[str, Any] = {
                "CurrentInstanceCount": self.instances,
                "DesiredInstanceCount": self.instances,
            }
        else:
            capacity = {
                "CurrentServerlessConfig": dict(self.serverless),
                "DesiredServerlessConfig": dict(self.serverless),
            }
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
            **capacity,
        }


class Fleet:
    """All containers of one endpoint config."""

    def __init__(self, endpoint: str, spec: FleetSpec, place: Place, runtime: Runtime) -> None:
        self.spec = spec
        self.variants = [VariantState.of(variant) for variant in spec.variants]
        self.shadow = None if spec.shadow is None else VariantState.of(spec.shadow)
        self.capture = spec.capture
        self._origin = (endpoint, place, runtime)
        self._lock = threading.Lock()
        self._replacing: set[str] = set()
        self._stopped = False
        self.containers = {variant.name: self._make(variant) for variant in spec.all_variants}

    def _make(self, variant: VariantSpec) -> Container:
        endpoint, place, runtime = self._origin
        config, instance = self.spec.config, uuid.uuid4().hex[:12]
        endpoint_directory = runtime.directory / "endpoints" / place.account / endpoint
        role = "shadow" if variant is self.spec.shadow else "production"
        site = Site(
            label=f"endpoint/{place.account}/{endpoint}/{config}/{variant.name}",
            purpose=f"{role} variant {variant.name}",
            directory=endpoint_directory / f"{config}-{variant.name}-{instance}",
            log_group=f"/aws/sagemaker/Endpoints/{endpoint}",
            log_stream=f"{variant.name}/i-{instance}",
        )
        return Container(site, variant, place, runtime)

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
        container = self._make(next(v for v in self.spec.all_variants if v.name == variant))
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

    def shadowed(self) -> VariantState | None:
        """The shadow variant, when it gets a copy of this request.

        Its weight relative to the production variant's is the share of the requests that are copied.
        """
        production = self.variants[0].weight
        if self.shadow is None or production <= 0:
            return None
        with self._lock:
            self.shadow.credit += min(1.0, self.shadow.weight / production)
            if self.shadow.credit < 1 - 1e-9:
                return None
            self.shadow.credit -= 1.0
            return self.shadow
