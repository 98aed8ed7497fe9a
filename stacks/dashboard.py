"""CloudWatch dashboards: one for the environment, and one for each model.

The environment's page answers "is everything well, and what does it cost"; a model's page has everything about it:
traffic, errors, latency, use of its instances, drift, releases, and its alarms. Which graphs there are follows from how
the model is served.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from mlops_kit.config import Environment, Model
from mlops_kit.naming import (
    DRIFT_NAMESPACE,
    ENVIRONMENT_ALARM_KINDS,
    QUALITY_NAMESPACE,
    RELEASES_NAMESPACE,
    SHADOW_VARIANT,
    VARIANT,
)
from stacks.alarm_settings import ENDPOINT_NAMESPACE, INSTANCE_NAMESPACE, MICROSECONDS, PIPELINE_NAMESPACE
from stacks.bindings import CloudwatchDashboard, Construct
from stacks.widgets import Graph, Line, Page

DAY = 86400
BILLING_REGION = "us-east-1"
"""The only region that has billing metrics, whatever the bill is for."""


class EnvironmentDashboard(Construct):
    """What it costs, what failed to start, and a row for each model."""

    def __init__(self, scope: Construct, id_: str, *, environment: Environment, models: Sequence[Model]) -> None:
        super().__init__(scope, id_)
        names = environment.names
        page = Page(environment.region)
        page.text(f"# {environment.name}: account {environment.account}")
        page.graphs([_bill(environment), _not_delivered(environment)])
        own = [names.alarm(kind) for kind in ENVIRONMENT_ALARM_KINDS]
        unhealthy = [model.names(names).alarm("unhealthy") for model in models]
        page.alarms("Alarms", [names.arn("cloudwatch", f"alarm:{alarm}") for alarm in (*unhealthy, *own)])
        for model in models:
            page.text(f"## {model.name}: {model.serving.kind}, dashboard `{model.names(names).dashboard}`")
            page.graphs(_overview(environment, model))
        CloudwatchDashboard(
            self, "dashboard", dashboard_name=names.dashboard, dashboard_body=json.dumps({"widgets": page.widgets})
        )


class ModelDashboard(Construct):
    """Everything about one model."""

    def __init__(self, scope: Construct, id_: str, *, environment: Environment, model: Model) -> None:
        super().__init__(scope, id_)
        names = model.names(environment.names)
        page = Page(environment.region)
        page.text(f"# {model.name} in {environment.name}: {model.serving.kind}")
        kinds = model.alarm_kinds
        page.alarms("Alarms", [environment.names.arn("cloudwatch", f"alarm:{names.alarm(kind)}") for kind in kinds])
        page.graphs(
            [*_serving(environment, model), *_quality(environment, model), *_changes(environment, model), _use()]
        )
        CloudwatchDashboard(
            self, "dashboard", dashboard_name=names.dashboard, dashboard_body=json.dumps({"widgets": page.widgets})
        )


def _bill(environment: Environment) -> Graph:
    line = Line("AWS/Billing", "EstimatedCharges", ("Currency", "USD"), "Maximum", "this month so far, USD")
    return Graph("Cost", [line], DAY, environment.budget.monthly_usd, BILLING_REGION)


def _use() -> Graph:
    """CloudWatch knows no cost of a tag; what one model costs is in Cost Explorer, by its tag, and in its budget."""
    dimensions = ("ServiceName", "AmazonSageMaker", "Currency", "USD")
    line = Line("AWS/Billing", "EstimatedCharges", dimensions, "Maximum", "this month so far, USD")
    return Graph("Cost of SageMaker, all models", [line], DAY, region=BILLING_REGION)


def _not_delivered(environment: Environment) -> Graph:
    queue = ("QueueName", environment.names.dead_letter_queue)
    line = Line("AWS/SQS", "ApproximateNumberOfMessagesVisible", queue, "Maximum", "messages")
    return Graph("Not delivered, not started", [line], limit=1)


def _overview(environment: Environment, model: Model) -> list[Graph]:
    graphs = _serving(environment, model)[:3]
    return [*graphs, *_quality(environment, model)[:1], *_releases(environment, model)]


def _serving(environment: Environment, model: Model) -> list[Graph]:
    if not model.serving.has_endpoint:
        return []
    endpoint = model.names(environment.names).endpoint
    dimensions = ("EndpointName", endpoint, "VariantName", VARIANT)
    period = model.alarms.period_minutes * 60

    def served(metric: str, statistic: str, label: str, variant: str = VARIANT) -> Line:
        return Line(ENDPOINT_NAMESPACE, metric, ("EndpointName", endpoint, "VariantName", variant), statistic, label)

    traffic = [served("Invocations", "Sum", "requests")]
    if model.serving.has_instances:
        traffic.append(served("InvocationsPerInstance", "Sum", "per instance"))
    latency = [served("ModelLatency", "p50", "p50"), served("ModelLatency", "p99", "p99")]
    if model.serving.shadow is not None:
        traffic.append(served("Invocations", "Sum", "copied to the shadow", SHADOW_VARIANT))
        latency.append(served("ModelLatency", "p99", "shadow p99", SHADOW_VARIANT))
    errors = [served("Invocation5XXErrors", "Average", "5xx"), served("Invocation4XXErrors", "Average", "4xx")]
    graphs = [
        Graph("Traffic", traffic, period),
        Graph("Errors, share of requests", errors, period, model.alarms.error_rate_percent / 100),
        Graph("Model latency, microseconds", latency, period, model.alarms.latency_p99_ms * MICROSECONDS),
        Graph("Overhead, microseconds", [served("OverheadLatency", "p99", "p99")], period),
    ]
    if model.serving.kind == "async":
        waiting = [
            Line(ENDPOINT_NAMESPACE, metric, ("EndpointName", endpoint), "Maximum", label)
            for metric, label in (("ApproximateBacklogSize", "waiting"), ("ApproximateAgeOfOldestRequest", "seconds"))
        ]
        failed = [served("InvocationFailures", "Sum", "failed"), served("InvocationsProcessed", "Sum", "processed")]
        graphs[1] = Graph("Failed and processed requests", failed, period)
        graphs.append(Graph("Queue", waiting, period))
    if model.serving.has_instances:
        used = [
            Line(INSTANCE_NAMESPACE, metric, dimensions, "Average", label)
            for metric, label in (
                ("CPUUtilization", f"CPU, of {model.serving.vcpus}00 %"),
                ("MemoryUtilization", "memory"),
                ("DiskUtilization", "disk"),
            )
        ]
        graphs.append(Graph("Instances, percent", used))
    return graphs


def _quality(environment: Environment, model: Model) -> list[Graph]:
    dimensions = ("Environment", environment.name, "Model", model.name)
    graphs = []
    if model.is_watched_for_drift:
        period = model.drift.window_minutes * 60
        psi = Line(DRIFT_NAMESPACE, "PsiMax", dimensions, "Maximum", "PSI of the worst feature")
        rows = Line(DRIFT_NAMESPACE, "Rows", dimensions, "Maximum", "rows")
        malformed = Line(DRIFT_NAMESPACE, "MalformedPercent", dimensions, "Maximum", "malformed, %")
        graphs = [
            Graph("Drift", [psi], period, model.drift.psi_threshold),
            Graph("Captured rows", [rows], period),
            Graph("Data quality", [malformed], period, model.alarms.malformed_percent),
        ]
    if (quality := model.alarms.quality) is not None:
        line = Line(QUALITY_NAMESPACE, quality.metric, dimensions, "Minimum", quality.metric)
        graphs.append(Graph("Against ground truth", [line], 3600, quality.at_least))
    return graphs


def _changes(environment: Environment, model: Model) -> list[Graph]:
    if model.training.pipeline is None:
        return _releases(environment, model)
    pipeline = ("PipelineName", model.names(environment.names).pipeline)
    runs = [
        Line(PIPELINE_NAMESPACE, metric, pipeline, "Sum", label)
        for metric, label in (("ExecutionSucceeded", "succeeded"), ("ExecutionFailed", "failed"))
    ]
    return [*_releases(environment, model), Graph("Pipeline", runs, DAY)]


def _releases(environment: Environment, model: Model) -> list[Graph]:
    dimensions = ("Environment", environment.name, "Model", model.name)
    lines = [
        Line(RELEASES_NAMESPACE, metric, dimensions, "Sum", label)
        for metric, label in (("Succeeded", "released"), ("Failed", "failed"), ("RolledBack", "rolled back"))
    ]
    return [Graph("Releases", lines, DAY)]
