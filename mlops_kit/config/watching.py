"""When a model is called unwell: the ``drift`` and ``alarms`` sections of a model file."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mlops_kit.config.fields import (
    Frozen,
    ImageUri,
    InstanceType,
    Percent,
    Schedule,
    Timezone,
)


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
    schedule: Schedule | None = None
    """When the drift job runs by itself. Absent: somebody else runs ``mlops-kit drift run``."""
    timezone: Timezone = "UTC"
    image: ImageUri | None = None
    """The image of the scheduled drift job: any image with Python and ``mlops-kit[data]`` in it."""
    instance_type: InstanceType = "ml.m5.large"
    max_runtime_minutes: Annotated[int, Field(ge=5, le=24 * 60)] = 60

    @model_validator(mode="after")
    def _scheduled_job_has_an_image(self) -> Self:
        if self.schedule is not None and self.image is None:
            raise ValueError("a schedule needs an image for the drift job: name one that has mlops-kit[data] in it")
        return self

    @model_validator(mode="after")
    def _n_of_m(self) -> Self:
        if self.breaching_windows > self.windows:
            raise ValueError(f"breaching_windows ({self.breaching_windows}) is larger than windows ({self.windows})")
        if self.windows * self.window_minutes > 24 * 60:
            raise ValueError("windows x window_minutes is more than a day; CloudWatch looks back at most one day")
        return self


class Quality(Frozen):
    """A bound on how often the model is right, measured against ground truth as it arrives.

    ``metric``: the name under which the measuring job publishes it, in the namespace ``MlopsKit/Quality``.
    """

    metric: Annotated[str, Field(min_length=1, max_length=100)]
    at_least: float
    hours: Annotated[int, Field(ge=1, le=24)] = 24


class Alarms(Frozen):
    """Bounds of a model's own alarms. ``error_rate``: share of requests answered 5xx, in percent.

    Latency and overhead are percentiles in milliseconds (CloudWatch counts microseconds); overhead is what SageMaker
    adds to the model's own time. CPU is the average of all instances and cores, memory and disk are the fullest
    instance's, all in percent.
    """

    error_rate_percent: Annotated[float, Field(gt=0, le=100)] = 5.0
    latency_p50_ms: Annotated[int, Field(ge=1)] | None = None
    latency_p99_ms: Annotated[int, Field(ge=1)] = 1000
    overhead_p99_ms: Annotated[int, Field(ge=1)] | None = 1000
    cpu_percent: Percent | None = 90
    memory_percent: Percent | None = 90
    disk_percent: Percent | None = 85
    quiet_minutes: Annotated[int, Field(ge=5, le=24 * 60, multiple_of=5)] | None = None
    """How long an endpoint may get no request at all. Absent: for ever, as some models are asked only now and then."""
    backlog_minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 60
    """Kind ``async``: how long a request may wait in the queue."""
    malformed_percent: Annotated[float, Field(gt=0, le=100)] = 5.0
    """Data quality: share of captured rows that the drift job cannot read as rows of the data set."""
    quality: Quality | None = None
    period_minutes: Annotated[int, Field(ge=1, le=60)] = 1
