"""What each kind of alarm looks at, and from what on it goes off.

Percentiles of latency and overhead are in microseconds, as CloudWatch counts them. CPU counts every core: an instance
with four is busy at 400 %. Metrics and their units: "Metrics for monitoring Amazon SageMaker AI with Amazon CloudWatch"
and "Monitor asynchronous endpoint", SageMaker developer guide; the kit's own: :mod:`mlops_kit.drift.publish`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlops_kit.config import Environment, Model
from mlops_kit.naming import DRIFT_NAMESPACE, QUALITY_NAMESPACE, VARIANT, AlarmKind, ModelNames

HOUR = 3600
FIVE_MINUTES = 300
MICROSECONDS = 1000
"""In a millisecond."""
ENDPOINT_NAMESPACE = "AWS/SageMaker"
INSTANCE_NAMESPACE = "/aws/sagemaker/Endpoints"
PIPELINE_NAMESPACE = "AWS/Sagemaker/ModelBuildingPipeline"

Settings = dict[str, Any]
AT_LEAST = "GreaterThanOrEqualToThreshold"
BELOW = "LessThanThreshold"
SILENT = "notBreaching"
"""Without requests there are no errors, and the heartbeat alarm is about a drift job that does not report."""


def settings(kind: AlarmKind, environment: Environment, model: Model) -> Settings:
    """The arguments of the alarm, and ``about``: what it means and what to do first."""
    return _SETTINGS[kind](environment, model, model.names(environment.names))


def _where(environment: Environment, model: Model) -> str:
    return f"{model.name} --in {environment.name}"


def _endpoint(model: Model, names: ModelNames) -> Settings:
    return {
        "namespace": ENDPOINT_NAMESPACE,
        "dimensions": {"EndpointName": names.endpoint, "VariantName": VARIANT},
        "period": model.alarms.period_minutes * 60,
        "evaluation_periods": 1,
        "comparison_operator": AT_LEAST,
        "treat_missing_data": SILENT,
    }


def _errors(environment: Environment, model: Model, names: ModelNames) -> Settings:
    limit = model.alarms.error_rate_percent
    about = (
        f"{names.endpoint} fails at least {limit:g} % of its requests. Read the log group {names.endpoint_log_group}; "
        f"undo the release with `mlops-kit rollback {_where(environment, model)}`."
    )
    if model.serving.kind == "async":
        return {"about": about, **_failed_share(model, names)}
    return {
        "about": about,
        **_endpoint(model, names),
        "metric_name": "Invocation5XXErrors",
        "statistic": "Average",  # each request counts 0 or 1, so the average is the error rate
        "threshold": limit / 100,
    }


def _failed_share(model: Model, names: ModelNames) -> Settings:
    """Asynchronous requests are counted one by one, failed and processed: the rate is left to the alarm."""

    def counted(id_: str, metric: str) -> Settings:
        return {
            "id": id_,
            "metric": {
                "namespace": ENDPOINT_NAMESPACE,
                "metric_name": metric,
                "dimensions": {"EndpointName": names.endpoint, "VariantName": VARIANT},
                "period": model.alarms.period_minutes * 60,
                "stat": "Sum",
            },
        }

    share = {
        "id": "share",
        "expression": "IF(failed + processed > 0, failed / (failed + processed), 0)",
        "label": "share of requests that failed",
        "return_data": True,
    }
    return {
        "metric_query": [counted("failed", "InvocationFailures"), counted("processed", "InvocationsProcessed"), share],
        "evaluation_periods": 1,
        "comparison_operator": AT_LEAST,
        "threshold": model.alarms.error_rate_percent / 100,
        "treat_missing_data": SILENT,
    }


def _percentile(metric: str, percentile: str, milliseconds: int | None) -> Settings:
    return {
        "metric_name": metric,
        "extended_statistic": percentile,
        "threshold": (milliseconds or 0) * MICROSECONDS,
    }


def _latency(environment: Environment, model: Model, names: ModelNames) -> Settings:
    limit = model.alarms.latency_p99_ms
    return {
        "about": f"1 % of the requests to {names.endpoint} take the model {limit} ms or longer. Compare with its "
        f"traffic on the dashboard {names.dashboard}: give it more instances, or undo the release with "
        f"`mlops-kit rollback {_where(environment, model)}`.",
        **_endpoint(model, names),
        **_percentile("ModelLatency", "p99", limit),
    }


def _latency_p50(environment: Environment, model: Model, names: ModelNames) -> Settings:
    limit = model.alarms.latency_p50_ms
    return {
        "about": f"Half of the requests to {names.endpoint} take the model {limit} ms or longer: it is slow for "
        f"everybody. Undo the release with `mlops-kit rollback {_where(environment, model)}` if it came with one.",
        **_endpoint(model, names),
        **_percentile("ModelLatency", "p50", limit),
    }


def _overhead(environment: Environment, model: Model, names: ModelNames) -> Settings:
    limit = model.alarms.overhead_p99_ms
    return {
        "about": f"SageMaker adds {limit} ms or more to 1 % of the requests to {names.endpoint}: large payloads, cold "
        f"starts, or too few instances. See `mlops-kit status --in {environment.name}`.",
        **_endpoint(model, names),
        **_percentile("OverheadLatency", "p99", limit),
    }


def _used(metric: str, statistic: str, percent: int | None, times: int = 1) -> Callable[[Model, ModelNames], Settings]:
    def build(model: Model, names: ModelNames) -> Settings:
        return {
            **_endpoint(model, names),
            "namespace": INSTANCE_NAMESPACE,
            "metric_name": metric,
            "statistic": statistic,
            "period": FIVE_MINUTES,
            "evaluation_periods": 3,
            "threshold": (percent or 0) * times,
        }

    return build


def _cpu(environment: Environment, model: Model, names: ModelNames) -> Settings:
    limit, cores = model.alarms.cpu_percent, model.serving.vcpus
    return {
        "about": f"The {cores} cores of each instance of {names.endpoint} are {limit} % busy for a quarter of an hour. "
        f"Raise autoscaling.max_instances; see `mlops-kit status --in {environment.name}`.",
        **_used("CPUUtilization", "Average", limit, cores)(model, names),
    }


def _memory(environment: Environment, model: Model, names: ModelNames) -> Settings:
    limit = model.alarms.memory_percent
    return {
        "about": f"An instance of {names.endpoint} used {limit} % of its memory for a quarter of an hour, and may be "
        f"killed. Undo the release with `mlops-kit rollback {_where(environment, model)}`, or take a larger instance.",
        **_used("MemoryUtilization", "Maximum", limit)(model, names),
    }


def _disk(environment: Environment, model: Model, names: ModelNames) -> Settings:
    limit = model.alarms.disk_percent
    return {
        "about": f"The disk of an instance of {names.endpoint} is {limit} % full. Something in the container writes "
        f"files. Restart it with another release: `mlops-kit rollback {_where(environment, model)}`.",
        **_used("DiskUtilization", "Maximum", limit)(model, names),
    }


def _quiet(environment: Environment, model: Model, names: ModelNames) -> Settings:
    minutes = model.alarms.quiet_minutes or 5
    return {
        "about": f"Nobody has asked {names.endpoint} anything for {minutes} minutes. See whether it is "
        f"there with `mlops-kit status --in {environment.name}`; if it is, ask those who should be calling it.",
        **_endpoint(model, names),
        "metric_name": "Invocations",
        "statistic": "Sum",
        "period": FIVE_MINUTES,
        "evaluation_periods": minutes * 60 // FIVE_MINUTES,
        "comparison_operator": BELOW,
        "threshold": 1,
        "treat_missing_data": "breaching",  # CloudWatch has no zeros for an endpoint that nobody calls
    }


def _backlog(environment: Environment, model: Model, names: ModelNames) -> Settings:
    minutes = model.alarms.backlog_minutes
    return {
        "about": f"A request to {names.endpoint} has been waiting for {minutes} minutes. Raise "
        f"autoscaling.max_instances, or see in {names.endpoint_log_group} why it does not get on; "
        f"`mlops-kit status --in {environment.name}` tells whether it is being updated.",
        "namespace": ENDPOINT_NAMESPACE,
        "dimensions": {"EndpointName": names.endpoint},
        "metric_name": "ApproximateAgeOfOldestRequest",
        "statistic": "Maximum",
        "period": FIVE_MINUTES,
        "evaluation_periods": 1,
        "comparison_operator": AT_LEAST,
        "threshold": minutes * 60,
        "treat_missing_data": SILENT,
    }


def _drift_metric(environment: Environment, model: Model) -> Settings:
    return {
        "namespace": DRIFT_NAMESPACE,
        "dimensions": {"Environment": environment.name, "Model": model.name},
    }


def _per_window(environment: Environment, model: Model) -> Settings:
    """N of M windows of the drift job."""
    return {
        **_drift_metric(environment, model),
        "statistic": "Maximum",  # a window that is measured again is published again
        "period": model.drift.window_minutes * 60,
        "evaluation_periods": model.drift.windows,
        "datapoints_to_alarm": model.drift.breaching_windows,
        "comparison_operator": AT_LEAST,
        "treat_missing_data": SILENT,
    }


def _drift(environment: Environment, model: Model, names: ModelNames) -> Settings:
    return {
        "about": f"The requests to {names.endpoint} no longer look like the data it was trained on: the PSI of some "
        f"feature is {model.drift.psi_threshold:g} or more. See which: `mlops-kit drift run "
        f"{_where(environment, model)}`. Then correct the source of the data, or train on newer data.",
        **_per_window(environment, model),
        "metric_name": "PsiMax",
        "threshold": model.drift.psi_threshold,
    }


def _heartbeat(environment: Environment, model: Model, names: ModelNames) -> Settings:
    hours = model.drift.heartbeat_hours
    return {
        "about": f"No drift run of {names.endpoint} was heard of for {hours} hours, so nobody knows whether it drifts. "
        f"Start one with `mlops-kit drift run {_where(environment, model)}` and read what it says.",
        **_drift_metric(environment, model),
        "metric_name": "Heartbeat",
        "statistic": "SampleCount",
        "period": HOUR,
        "evaluation_periods": hours,
        "comparison_operator": BELOW,
        "threshold": 1,
        "treat_missing_data": "breaching",  # missing data is what this alarm is about
    }


def _data_quality(environment: Environment, model: Model, names: ModelNames) -> Settings:
    limit = model.alarms.malformed_percent
    return {
        "about": f"At least {limit:g} % of the rows sent to {names.endpoint} cannot be read as rows of "
        f"{model.dataset}: a column more or less, or not text of this kind at all. See `mlops-kit drift run "
        f"{_where(environment, model)}`, then find who sends them.",
        **_per_window(environment, model),
        "metric_name": "MalformedPercent",
        "threshold": limit,
    }


def _model_quality(environment: Environment, model: Model, names: ModelNames) -> Settings:
    quality = model.alarms.quality
    if quality is None:
        raise ValueError("an alarm on quality needs alarms.quality")  # Model.alarm_kinds does not ask for it
    return {
        "about": f"Measured against what turned out to be true, the {quality.metric} of {names.endpoint} is below "
        f"{quality.at_least:g}. Compare with the version before: `mlops-kit history {_where(environment, model)}`.",
        "namespace": QUALITY_NAMESPACE,
        "dimensions": {"Environment": environment.name, "Model": model.name},
        "metric_name": quality.metric,
        "statistic": "Minimum",
        "period": HOUR,
        "evaluation_periods": quality.hours,
        "datapoints_to_alarm": 1,
        "comparison_operator": BELOW,
        "threshold": quality.at_least,
        "treat_missing_data": SILENT,  # ground truth comes when it comes
    }


def _failed(namespace: str, metric: str, dimensions: dict[str, str]) -> Settings:
    return {
        "namespace": namespace,
        "metric_name": metric,
        "dimensions": dimensions,
        "statistic": "Sum",
        "period": FIVE_MINUTES,
        "evaluation_periods": 1,
        "comparison_operator": AT_LEAST,
        "threshold": 1,
        "treat_missing_data": SILENT,
    }


def _batch_failed(environment: Environment, model: Model, names: ModelNames) -> Settings:
    return {
        "about": f"A transform job of {names.prefix} failed: its predictions are missing. Its log is in "
        f"{environment.names.transform_log_group}; `mlops-kit status --in {environment.name}` shows the release.",
        **_failed("AWS/Events", "TriggeredRules", {"RuleName": names.rule("batch-failed")}),
    }


def _training_failed(environment: Environment, model: Model, names: ModelNames) -> Settings:
    return {
        "about": f"A training job of {names.prefix} failed. Its log is in {environment.names.training_log_group}; "
        f"train again with `mlops-kit train {model.name} --env {environment.name}`.",
        **_failed("AWS/Events", "TriggeredRules", {"RuleName": names.rule("training-failed")}),
    }


def _pipeline_failed(environment: Environment, model: Model, names: ModelNames) -> Settings:
    return {
        "about": f"The pipeline {names.pipeline} failed: no new version came of it. Look at its steps in SageMaker; "
        f"train by hand with `mlops-kit train {model.name} --env {environment.name}`.",
        **_failed(PIPELINE_NAMESPACE, "ExecutionFailed", {"PipelineName": names.pipeline}),
    }


_SETTINGS: dict[AlarmKind, Callable[[Environment, Model, ModelNames], Settings]] = {
    "errors": _errors,
    "latency": _latency,
    "latency-p50": _latency_p50,
    "overhead": _overhead,
    "cpu": _cpu,
    "memory": _memory,
    "disk": _disk,
    "quiet": _quiet,
    "backlog": _backlog,
    "drift": _drift,
    "drift-heartbeat": _heartbeat,
    "data-quality": _data_quality,
    "model-quality": _model_quality,
    "batch-failed": _batch_failed,
    "training-failed": _training_failed,
    "pipeline-failed": _pipeline_failed,
}
