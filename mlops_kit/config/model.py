"""``environments/models/<name>.yaml``: one onboarded model, and how it differs per environment."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mlops_kit.config.fields import LIST, FileName, Frozen, ImageUri, InstanceType, MetricRegex, Name, Percent
from mlops_kit.naming import EnvironmentNames, ModelNames

LOCAL_STORAGE = re.compile(r"[a-z]+\d[a-z]*d[a-z]*|g5|g6e?|gr6|p5[a-z]*|trn\d[a-z]*|i\d[a-z]*")
"""Instance families with local NVMe disks: a ``d`` after the generation (m5d, g4dn), and accelerators."""


class Training(Frozen):
    """The training job. ``source_dir`` is relative to the model file; everything in it travels to the job."""

    source_dir: str
    entry_point: FileName = "train.py"
    image: ImageUri
    instance_type: InstanceType = "ml.m5.large"
    instance_count: Annotated[int, Field(ge=1, le=20)] = 1
    volume_gb: Annotated[int, Field(ge=1, le=16384)] = 30
    max_runtime_minutes: Annotated[int, Field(ge=1, le=28 * 24 * 60)] = 60
    hyperparameters: dict[str, str | int | float | bool] = Field(default_factory=dict)
    metrics: dict[str, MetricRegex] = Field(default_factory=dict)
    """Metric name -> regular expression with one group; the last match in the job's log is the metric's value."""


class Autoscaling(Frozen):
    """Target tracking on requests per instance and minute, between two instance counts."""

    min_instances: Annotated[int, Field(ge=1, le=100)] = 1
    max_instances: Annotated[int, Field(ge=1, le=100)] = 2
    requests_per_instance_per_minute: Annotated[int, Field(ge=1)] = 1000

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_instances < self.min_instances:
            raise ValueError(
                f"max_instances ({self.max_instances}) is smaller than min_instances ({self.min_instances})"
            )
        return self


class Rollout(Frozen):
    """How traffic moves to a new release, and how long the alarms are watched before the old one is let go."""

    strategy: Literal["all_at_once", "canary"] = "all_at_once"
    canary_percent: Annotated[int, Field(ge=5, le=50)] = 10
    """Share of the capacity that the canary gets. SageMaker allows at most half."""
    bake_minutes: Annotated[int, Field(ge=1, le=60)] = 5


class Serving(Frozen):
    """The endpoint. ``entry_point`` holds ``model_fn`` and friends, and lies in the training's ``source_dir``."""

    entry_point: FileName = "inference.py"
    image: ImageUri | None = None
    """Absent: the training image serves as well, as the framework images do."""
    instance_type: InstanceType = "ml.m5.large"
    autoscaling: Autoscaling = Autoscaling()
    capture_percent: Percent = 100
    rollout: Rollout = Rollout()

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
        if self.rollout.strategy == "canary" and self.autoscaling.min_instances < 2:
            raise ValueError(
                "a canary needs at least 2 instances, because it may take at most half of them: raise "
                "autoscaling.min_instances to 2 or choose rollout.strategy all_at_once"
            )
        return self


class MetricGate(Frozen):
    """A bound that a version's training metric has to keep before the version may enter an environment."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError(f"the gate on {self.metric!r} needs at_least or at_most")
        return self


class Drift(Frozen):
    """When captured traffic counts as drifted away from the training data.

    ``psi_threshold``: population stability index of the worst feature; 0.1 is commonly read as "look", 0.2 as "act"
    (Siddiqi, Credit Risk Scorecards, 2006). The alarm goes off when ``breaching_windows`` of the last ``windows``
    windows breach, and when no drift run was heard of for ``heartbeat_hours``.
    """

    psi_threshold: Annotated[float, Field(gt=0)] = 0.2
    window_minutes: Literal[5, 10, 15, 30, 60] = 60
    breaching_windows: Annotated[int, Field(ge=1)] = 1
    windows: Annotated[int, Field(ge=1)] = 3
    minimum_rows: Annotated[int, Field(ge=1)] = 200
    """Windows with fewer rows are not judged: with 100 rows of 30 undrifted features, the worst PSI passes 0.25 one
    time in five; with 200 rows, practically never."""
    heartbeat_hours: Annotated[int, Field(ge=1, le=24)] = 24

    @model_validator(mode="after")
    def _n_of_m(self) -> Self:
        if self.breaching_windows > self.windows:
            raise ValueError(f"breaching_windows ({self.breaching_windows}) is larger than windows ({self.windows})")
        if self.windows * self.window_minutes > 24 * 60:
            raise ValueError("windows x window_minutes is more than a day; CloudWatch looks back at most one day")
        return self


class Alarms(Frozen):
    """Bounds of the endpoint's own alarms. ``error_rate``: share of requests answered 5xx, in percent."""

    error_rate_percent: Annotated[float, Field(gt=0, le=100)] = 5.0
    latency_p99_ms: Annotated[int, Field(ge=1)] = 1000
    """99th percentile of the model's own latency, in milliseconds (CloudWatch counts microseconds)."""
    period_minutes: Annotated[int, Field(ge=1, le=60)] = 1


class Model(Frozen):
    """One model as it is in one environment: the file's values with that environment's overrides laid over them."""

    name: Name
    dataset: Name
    label: str
    """The column to be predicted: part of the data, never of a request, so drift leaves it out."""
    training: Training
    serving: Serving = Serving()
    gates: Annotated[tuple[MetricGate, ...], LIST] = ()
    drift: Drift = Drift()
    alarms: Alarms = Alarms()

    @property
    def serving_image(self) -> str:
        return self.serving.image or self.training.image

    def names(self, environment: EnvironmentNames) -> ModelNames:
        return environment.model(self.name)
