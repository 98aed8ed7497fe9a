"""How a model is served: the ``serving`` section of a model file."""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mlops_kit.config.fields import (
    LIST,
    FileName,
    Frozen,
    ImageUri,
    InstanceType,
    Percent,
    Prefix,
    Schedule,
    Timezone,
)

UPDATE_SECONDS = 3600
"""What an update may take besides baking: instances need time to start."""
TERMINATION_WAIT_SECONDS = 60
"""How long the old instances stay after the traffic left them: time for the answers still on their way."""
MAX_BAKING_MINUTES = 8 * 60 - UPDATE_SECONDS // 60
"""``MaximumExecutionTimeoutInSeconds`` is at most 8 hours."""
LOCAL_STORAGE = re.compile(r"[a-z]+\d[a-z]*d[a-z]*|g5|g6e?|gr6|p5[a-z]*|trn\d[a-z]*|i\d[a-z]*")
"""Instance families with local NVMe disks: a ``d`` after the generation (m5d, g4dn), and accelerators."""


def _check_bounds(low: int, high: int) -> None:
    if high < low:
        raise ValueError(f"max_instances ({high}) is smaller than min_instances ({low})")


class ScheduledScaling(Frozen):
    """From a point of a schedule on, other bounds for the number of instances."""

    at: Schedule
    timezone: Timezone = "UTC"
    min_instances: Annotated[int, Field(ge=0, le=100)]
    max_instances: Annotated[int, Field(ge=1, le=100)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_bounds(self.min_instances, self.max_instances)
        return self


class Autoscaling(Frozen):
    """Target tracking on requests per instance and minute, between two instance counts."""

    min_instances: Annotated[int, Field(ge=1, le=100)] = 1
    max_instances: Annotated[int, Field(ge=1, le=100)] = 2
    requests_per_instance_per_minute: Annotated[int, Field(ge=1)] = 1000
    schedule: Annotated[tuple[ScheduledScaling, ...], LIST, Field(max_length=10)] = ()

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_bounds(self.min_instances, self.max_instances)
        return self


class Rollout(Frozen):
    """How traffic moves to a new release, and how long the alarms are watched before the old one is let go."""

    strategy: Literal["all_at_once", "canary", "linear"] = "all_at_once"
    canary_percent: Annotated[int, Field(ge=5, le=50)] = 10
    """Share of the capacity that the canary gets. SageMaker allows at most half."""
    linear_percent: Annotated[int, Field(ge=10, le=50)] = 25
    """Share of the capacity that moves with each step of a linear rollout. SageMaker allows 10 to 50."""
    bake_minutes: Annotated[int, Field(ge=1, le=60)] = 5

    @property
    def bakes(self) -> int:
        """How many times the alarms are watched for ``bake_minutes``: after each step."""
        return {"all_at_once": 1, "canary": 2, "linear": math.ceil(100 / self.linear_percent)}[self.strategy]

    @property
    def timeout_seconds(self) -> int:
        """After how long SageMaker gives an update up and goes back."""
        return UPDATE_SECONDS + self.bakes * self.bake_minutes * 60

    @model_validator(mode="after")
    def _ends_in_time(self) -> Self:
        minutes = self.bakes * self.bake_minutes
        if minutes > MAX_BAKING_MINUTES:
            raise ValueError(
                f"{self.bakes} steps that bake for {self.bake_minutes} minutes each take {minutes} minutes; an update "
                f"has to end within 8 hours, of which {MAX_BAKING_MINUTES} minutes are for this: raise linear_percent "
                "or lower bake_minutes"
            )
        return self


class Serverless(Frozen):
    """Kind ``serverless``: SageMaker scales it, down to nothing; the first request after a pause waits."""

    memory_mb: Literal[1024, 2048, 3072, 4096, 5120, 6144] = 2048
    max_concurrency: Annotated[int, Field(ge=1, le=200)] = 10
    provisioned_concurrency: Annotated[int, Field(ge=1, le=200)] | None = None
    """How many requests are answered without a cold start. It costs money around the clock."""

    @model_validator(mode="after")
    def _provisioned_fits(self) -> Self:
        if (self.provisioned_concurrency or 0) > self.max_concurrency:
            raise ValueError(
                f"provisioned_concurrency ({self.provisioned_concurrency}) is larger than max_concurrency "
                f"({self.max_concurrency})"
            )
        return self


class Asynchronous(Frozen):
    """Kind ``async``: requests and answers lie in S3, and wait in a queue; no instance runs while it is empty."""

    concurrent_per_instance: Annotated[int, Field(ge=1, le=1000)] = 4
    backlog_per_instance: Annotated[int, Field(ge=1)] = 5
    """How many waiting requests one instance is worth: the target of the autoscaling."""
    scale_to_zero: bool = True


class Batch(Frozen):
    """Kind ``batch``: no endpoint, but a transform job on a schedule, from one prefix of the lake to another."""

    schedule: Schedule = "cron(0 4 ? * * *)"
    timezone: Timezone = "UTC"
    input_prefix: Prefix | None = None
    """Absent: ``raw/<model>/``."""
    content_type: Literal["text/csv", "application/json", "application/jsonlines"] = "text/csv"
    instance_count: Annotated[int, Field(ge=1, le=100)] = 1
    max_payload_mb: Annotated[int, Field(ge=1, le=100)] = 6


class Shadow(Frozen):
    """A registered version that gets copies of requests while its answers are thrown away: how it would do, live."""

    version: Annotated[int, Field(ge=1)]
    percent: Percent = 20
    instance_type: InstanceType | None = None
    """Absent: what the served version has."""
    instance_count: Annotated[int, Field(ge=1, le=100)] = 1


ServingKind = Literal["realtime", "serverless", "async", "batch"]


class Serving(Frozen):
    """How a model answers. ``entry_point`` holds ``model_fn`` and friends, and lies in the training's ``source_dir``.

    Of ``serverless``, ``asynchronous`` and ``batch``, the section of the ``kind`` counts; instances are for all kinds
    but serverless.
    """

    kind: ServingKind = "realtime"
    entry_point: FileName = "inference.py"
    image: ImageUri | None = None
    """Absent: the training image serves as well, as the framework images do."""
    instance_type: InstanceType = "ml.m5.large"
    autoscaling: Autoscaling = Autoscaling()
    capture_percent: Percent = 100
    rollout: Rollout = Rollout()
    serverless: Serverless = Serverless()
    asynchronous: Asynchronous = Asynchronous()
    batch: Batch = Batch()
    shadow: Shadow | None = None

    @property
    def has_endpoint(self) -> bool:
        return self.kind != "batch"

    @property
    def has_instances(self) -> bool:
        """Whether instances of its own run: then there are metrics of them, scaling, and blue/green deployments."""
        return self.kind in ("realtime", "async")

    @property
    def scales_to_zero(self) -> bool:
        """Whether the last instance goes when there is nothing to do."""
        return self.kind == "async" and self.asynchronous.scale_to_zero

    @property
    def is_captured(self) -> bool:
        """Whether SageMaker records requests and answers: it does so for real-time endpoints."""
        return self.kind == "realtime"

    @property
    def vcpus(self) -> int:
        """Of one instance. CloudWatch counts CPU use per core: 400 % is all of an instance with four.

        Within every family that SageMaker serves on, an ``xlarge`` has 4, and the number before it multiplies
        (https://aws.amazon.com/sagemaker/ai/pricing/).
        """
        size = self.instance_type.split(".")[2]
        times = size.removesuffix("xlarge")
        return 4 * int(times or 1) if size.endswith("xlarge") else 2

    @property
    def has_local_storage(self) -> bool:
        """Whether the instances bring NVMe disks of their own.

        Those are encrypted in hardware, and SageMaker refuses an endpoint config that names a KMS key for them
        (https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpointConfig.html, ``KmsKeyId``).
        """
        family = self.instance_type.split(".")[1]
        return LOCAL_STORAGE.fullmatch(family) is not None

    @model_validator(mode="after")
    def _canary_fits(self) -> Self:
        strategy = self.rollout.strategy
        if strategy == "all_at_once" or not self.has_instances:
            return self
        instances = self.autoscaling.min_instances
        if instances < 2:
            raise ValueError(
                f"a {strategy} rollout needs at least 2 instances, because a step may take at most half of them: raise "
                "autoscaling.min_instances to 2 or choose rollout.strategy all_at_once"
            )
        return self

    @model_validator(mode="after")
    def _shadow_has_a_place(self) -> Self:
        if self.shadow is not None and self.kind != "realtime":
            raise ValueError(f"a shadow needs kind 'realtime', not {self.kind!r}")
        return self

    @model_validator(mode="after")
    def _empties_only_a_queue(self) -> Self:
        if self.kind != "async" and any(step.min_instances == 0 for step in self.autoscaling.schedule):
            raise ValueError(f"autoscaling.schedule: no instances at all is for kind 'async', not {self.kind!r}")
        return self
