"""What each kind of alarm looks at, and from what on it goes off.

Percentiles of latency and overhead are in microseconds, as CloudWatch counts them. CPU counts every core: an instance
with four is busy at 400 %. Metrics and their units: "Metrics for monitoring Amazon SageMaker AI with Amazon CloudWatch"
and "Monitor asynchronous endpoint", SageMaker developer guide; the kit's own: :mod:`mlops_kit.drift.publish`.
"""

from __future__ import annotations

from collections.abc import Callable

from mlops_kit.config import Environment, Model
from mlops_kit.naming import AlarmKind, ModelNames
from stacks.alarm_settings import endpoint, jobs, quality
from stacks.alarm_settings.base import (
    ENDPOINT_NAMESPACE,
    INSTANCE_NAMESPACE,
    MICROSECONDS,
    PIPELINE_NAMESPACE,
    Settings,
)

__all__ = ["ENDPOINT_NAMESPACE", "INSTANCE_NAMESPACE", "MICROSECONDS", "PIPELINE_NAMESPACE", "settings"]


def settings(kind: AlarmKind, environment: Environment, model: Model) -> Settings:
    """The arguments of the alarm, and ``about``: what it means and what to do first."""
    return _SETTINGS[kind](environment, model, model.names(environment.names))


_SETTINGS: dict[AlarmKind, Callable[[Environment, Model, ModelNames], Settings]] = {
    "errors": endpoint.errors,
    "latency": endpoint.latency,
    "latency-p50": endpoint.latency_p50,
    "overhead": endpoint.overhead,
    "cpu": endpoint.cpu,
    "memory": endpoint.memory,
    "disk": endpoint.disk,
    "quiet": endpoint.quiet,
    "backlog": endpoint.backlog,
    "drift": quality.drift,
    "drift-heartbeat": quality.heartbeat,
    "data-quality": quality.data_quality,
    "model-quality": quality.model_quality,
    "batch-failed": jobs.batch_failed,
    "training-failed": jobs.training_failed,
    "pipeline-failed": jobs.pipeline_failed,
}
