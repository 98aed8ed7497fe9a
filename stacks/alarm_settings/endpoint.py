"""An endpoint and its instances: errors, latency, what they use, and whether anybody asks."""

from __future__ import annotations

from collections.abc import Callable

from mlops_kit.config import Environment, Model
from mlops_kit.naming import VARIANT, ModelNames
from stacks.alarm_settings.base import (
    AT_LEAST,
    BELOW,
    ENDPOINT_NAMESPACE,
    FIVE_MINUTES,
    INSTANCE_NAMESPACE,
    MICROSECONDS,
    SILENT,
    Settings,
    where,
)


def _endpoint(model: Model, names: ModelNames) -> Settings:
    return {
        "namespace": ENDPOINT_NAMESPACE,
        "dimensions": {"EndpointName": names.endpoint, "VariantName": VARIANT},
        "period": model.alarms.period_minutes * 60,
        "evaluation_periods": 1,
        "comparison_operator": AT_LEAST,
        "treat_missing_data": SILENT,
    }


def errors(environment: Environment, model: Model, names: ModelNames) -> Settings:
    limit = model.alarms.error_rate_percent
    about = (
        f"{names.endpoint} fails at least {limit:g} % of its requests. Read the log group {names.endpoint_log_group}; "
        f"undo the release with `mlops-kit rollback {where(environment, model)}`."
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


def latency(environment: Environment, model: Model, names: ModelNames) -> Settings:
    limit = model.alarms.latency_p99_ms
    return {
        "about": f"1 % of the requests to {names.endpoint} take the model {limit} ms or longer. Compare with its "
        f"traffic on the dashboard {names.dashboard}: give it more instances, or undo the release with "
        f"`mlops-kit rollback {where(environment, model)}`.",
        **_endpoint(model, names),
        **_percentile("ModelLatency", "p99", limit),
    }


def latency_p50(environment: Environment, model: Model, names: ModelNames) -> Settings:
    limit = model.alarms.latency_p50_ms
    return {
        "about": f"Half of the requests to {names.endpoint} take the model {limit} ms or longer: it is slow for "
        f"everybody. Undo the release with `mlops-kit rollback {where(environment, model)}` if it came with one.",
        **_endpoint(model, names),
        **_percentile("ModelLatency", "p50", limit),
    }


def overhead(environment: Environment, model: Model, names: ModelNames) -> Settings:
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


def cpu(environment: Environment, model: Model, names: ModelNames) -> Settings:
    limit, cores = model.alarms.cpu_percent, model.serving.vcpus
    return {
        "about": f"The {cores} cores of each instance of {names.endpoint} are {limit} % busy for a quarter of an hour. "
        f"Raise autoscaling.max_instances; see `mlops-kit status --in {environment.name}`.",
        **_used("CPUUtilization", "Average", limit, cores)(model, names),
    }


def memory(environment: Environment, model: Model, names: ModelNames) -> Settings:
    limit = model.alarms.memory_percent
    return {
        "about": f"An instance of {names.endpoint} used {limit} % of its memory for a quarter of an hour, and may be "
        f"killed. Undo the release with `mlops-kit rollback {where(environment, model)}`, or take a larger instance.",
        **_used("MemoryUtilization", "Maximum", limit)(model, names),
    }


def disk(environment: Environment, model: Model, names: ModelNames) -> Settings:
    limit = model.alarms.disk_percent
    return {
        "about": f"The disk of an instance of {names.endpoint} is {limit} % full. Something in the container writes "
        f"files. Restart it with another release: `mlops-kit rollback {where(environment, model)}`.",
        **_used("DiskUtilization", "Maximum", limit)(model, names),
    }


def quiet(environment: Environment, model: Model, names: ModelNames) -> Settings:
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


def backlog(environment: Environment, model: Model, names: ModelNames) -> Settings:
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
