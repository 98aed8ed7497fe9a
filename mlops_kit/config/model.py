"""``environments/models/<name>.yaml``: one onboarded model, and how it differs per environment."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from mlops_kit.config.fields import (
    LIST,
    DefinitionFile,
    FileName,
    Frozen,
    ImageUri,
    InstanceType,
    MetricRegex,
    Name,
    Schedule,
    Timezone,
)
from mlops_kit.config.release_gates import MetricGate, Smoke
from mlops_kit.config.serving import Serving
from mlops_kit.config.watching import Alarms, Drift
from mlops_kit.naming import AlarmKind, EnvironmentNames, ModelNames


class TrainingLimits(Frozen):
    """The most that a training job of a model may ask for, whoever starts it and by whatever way. IAM holds it."""

    instance_types: Annotated[tuple[InstanceType, ...], LIST, Field(min_length=1, max_length=20)]
    max_instances: Annotated[int, Field(ge=1, le=100)] = 1
    max_runtime_minutes: Annotated[int, Field(ge=1, le=28 * 24 * 60)] = 24 * 60


class Training(Frozen):
    """The training job. ``source_dir`` is relative to the model file; everything in it travels to the job."""

    source_dir: str
    entry_point: FileName = "train.py"
    image: ImageUri
    instance_type: InstanceType = "ml.m5.large"
    instance_count: Annotated[int, Field(ge=1, le=20)] = 1
    volume_gb: Annotated[int, Field(ge=1, le=16384)] = 30
    max_runtime_minutes: Annotated[int, Field(ge=1, le=28 * 24 * 60)] = 60
    spot: bool = False
    """Train on spare capacity: up to 90 % cheaper, and the job may wait for it or be interrupted."""
    max_wait_minutes: Annotated[int, Field(ge=1, le=28 * 24 * 60)] | None = None
    """With ``spot``: how long the job may take, waiting included. Absent: twice max_runtime_minutes."""
    limits: TrainingLimits | None = None
    """Absent: exactly the instance type, count and run time above."""
    pipeline: DefinitionFile | None = None
    """The model's SageMaker pipeline, as a definition file beside the model file. Absent: no pipeline."""
    hyperparameters: dict[str, str | int | float | bool] = Field(default_factory=dict)
    metrics: dict[str, MetricRegex] = Field(default_factory=dict)
    """Metric name -> regular expression with one group; the last match in the job's log is the metric's value."""

    @property
    def allowed(self) -> TrainingLimits:
        """What a job of this model may ask for: what IAM lets it have."""
        return self.limits or TrainingLimits(
            instance_types=(self.instance_type,),
            max_instances=self.instance_count,
            max_runtime_minutes=self.max_runtime_minutes,
        )

    @property
    def wait_minutes(self) -> int | None:
        """``MaxWaitTimeInSeconds`` in minutes; None for a job that does not wait for spare capacity."""
        return (self.max_wait_minutes or 2 * self.max_runtime_minutes) if self.spot else None

    @model_validator(mode="after")
    def _within_limits(self) -> Self:
        allowed = self.allowed
        if self.instance_type not in allowed.instance_types:
            raise ValueError(
                f"instance_type {self.instance_type!r} is not among limits.instance_types: "
                f"{', '.join(allowed.instance_types)}"
            )
        if self.instance_count > allowed.max_instances:
            raise ValueError(f"instance_count ({self.instance_count}) is over limits.max_instances")
        if self.max_runtime_minutes > allowed.max_runtime_minutes:
            raise ValueError(f"max_runtime_minutes ({self.max_runtime_minutes}) is over limits.max_runtime_minutes")
        return self

    @model_validator(mode="after")
    def _waits_long_enough(self) -> Self:
        if self.max_wait_minutes is not None and not self.spot:
            raise ValueError("max_wait_minutes is for spot training, and spot is false")
        if self.max_wait_minutes is not None and self.max_wait_minutes < self.max_runtime_minutes:
            raise ValueError(
                f"max_wait_minutes ({self.max_wait_minutes}) has to include max_runtime_minutes "
                f"({self.max_runtime_minutes})"
            )
        return self


class Retraining(Frozen):
    """What starts the model's pipeline by itself, and how long it then rests."""

    on_data: bool = False
    """When the data set's ``ref`` moves."""
    on_drift: bool = False
    """When the model's drift alarm goes off, in this environment or in one that is promoted to from here."""
    schedule: Schedule | None = None
    timezone: Timezone = "UTC"
    ref: Name = "main"
    """What the pipeline trains on."""
    cooldown_hours: Annotated[int, Field(ge=1, le=30 * 24)] = 24
    """No second start within this time, whatever the reason: drift that training does not cure must not train for
    ever."""

    @property
    def automatic(self) -> bool:
        return self.on_data or self.on_drift or self.schedule is not None


class Model(Frozen):
    """One model as it is in one environment: the file's values with that environment's overrides laid over them."""

    name: Name
    dataset: Name
    label: str
    """The column to be predicted: part of the data, never of a request, so drift leaves it out."""
    training: Training
    serving: Serving = Serving()
    gates: Annotated[tuple[MetricGate, ...], LIST] = ()
    smoke: Smoke | None = None
    """Absent: a new release counts once SageMaker runs it, whatever it answers."""
    drift: Drift = Drift()
    alarms: Alarms = Alarms()
    retraining: Retraining = Retraining()
    monthly_usd: Annotated[int, Field(ge=1)] | None = None
    """A budget of the model's own, over what is tagged with it. Absent: only the environment has one."""

    @property
    def alarm_kinds(self) -> tuple[AlarmKind, ...]:
        """Which alarms the model has, as it is served and as its file asks for; ``unhealthy`` sums up the others."""
        serving, alarms = self.serving, self.alarms
        wanted: dict[AlarmKind, bool] = {
            "errors": serving.has_endpoint,
            "latency": serving.has_endpoint,
            "latency-p50": serving.has_endpoint and alarms.latency_p50_ms is not None,
            "overhead": serving.has_endpoint and alarms.overhead_p99_ms is not None,
            "cpu": serving.has_instances and alarms.cpu_percent is not None,
            "memory": serving.has_instances and alarms.memory_percent is not None,
            "disk": serving.has_instances and alarms.disk_percent is not None,
            "quiet": serving.has_endpoint and alarms.quiet_minutes is not None,
            "backlog": serving.kind == "async",
            "drift": self.is_watched_for_drift,
            "drift-heartbeat": self.is_watched_for_drift,
            "data-quality": self.is_watched_for_drift,
            "model-quality": alarms.quality is not None,
            "batch-failed": serving.kind == "batch",
            "training-failed": True,
            "pipeline-failed": self.training.pipeline is not None,
            "unhealthy": True,
        }
        return tuple(kind for kind, has in wanted.items() if has)

    @property
    def is_watched_for_drift(self) -> bool:
        """Whether there is captured traffic to compare with the training data."""
        return self.serving.is_captured

    @model_validator(mode="after")
    def _retraining_has_a_pipeline(self) -> Self:
        if self.retraining.automatic and self.training.pipeline is None:
            raise ValueError("retraining starts the model's pipeline, and training.pipeline names none")
        return self

    @model_validator(mode="after")
    def _smoke_has_an_endpoint(self) -> Self:
        if self.smoke is not None and self.serving.kind not in ("realtime", "serverless"):
            raise ValueError(f"smoke: kind {self.serving.kind!r} does not answer while one waits")
        return self

    @model_validator(mode="after")
    def _drift_has_traffic(self) -> Self:
        if self.drift.schedule is not None and not self.is_watched_for_drift:
            raise ValueError(
                f"drift.schedule: SageMaker captures no traffic of kind {self.serving.kind!r}, so there is nothing to "
                "compare"
            )
        return self

    @property
    def serving_image(self) -> str:
        return self.serving.image or self.training.image

    def names(self, environment: EnvironmentNames) -> ModelNames:
        return environment.model(self.name)
