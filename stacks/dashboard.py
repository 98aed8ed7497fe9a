"""One CloudWatch dashboard an environment, one row a model: traffic, errors, latency, drift, and its alarms."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mlops_kit.config import Environment, Model
from mlops_kit.naming import ALARM_KINDS, DRIFT_NAMESPACE, VARIANT
from stacks.bindings import CloudwatchDashboard, Construct

WIDTH = 6
HEIGHT = 6
ALARMS_HEIGHT = 2
TITLE_HEIGHT = 1
ROW = TITLE_HEIGHT + HEIGHT + ALARMS_HEIGHT


class Dashboard(Construct):
    """Widgets are placed on CloudWatch's grid of 24 columns."""

    def __init__(self, scope: Construct, id_: str, *, environment: Environment, models: Sequence[Model]) -> None:
        super().__init__(scope, id_)
        widgets = [
            widget for row, model in enumerate(models) for widget in _model_widgets(environment, model, row * ROW)
        ]
        CloudwatchDashboard(
            self,
            "dashboard",
            dashboard_name=environment.names.dashboard,
            dashboard_body=json.dumps({"widgets": widgets or [_text(f"# {environment.name}: no models yet", 0)]}),
        )


def _model_widgets(environment: Environment, model: Model, top: int) -> list[dict[str, Any]]:
    names = model.names(environment.names)
    endpoint = ["EndpointName", names.endpoint, "VariantName", VARIANT]
    drift = ["Environment", environment.name, "Model", model.name]
    seconds = model.alarms.period_minutes * 60

    def graph(
        column: int,
        title: str,
        metrics: list[list[Any]],
        *,
        period: int = seconds,
        limit: tuple[str, float] | None = None,
    ) -> dict[str, Any]:
        properties: dict[str, Any] = {
            "title": title,
            "view": "timeSeries",
            "region": environment.region,
            "period": period,
            "metrics": metrics,
        }
        if limit is not None:
            properties["annotations"] = {"horizontal": [{"label": limit[0], "value": limit[1]}]}
        return {
            "type": "metric",
            "x": column * WIDTH,
            "y": top + TITLE_HEIGHT,
            "width": WIDTH,
            "height": HEIGHT,
            "properties": properties,
        }

    def served(metric: str, statistic: str, label: str) -> list[Any]:
        return ["AWS/SageMaker", metric, *endpoint, {"stat": statistic, "label": label}]

    alarms = {
        "type": "alarm",
        "x": 0,
        "y": top + TITLE_HEIGHT + HEIGHT,
        "width": 24,
        "height": ALARMS_HEIGHT,
        "properties": {
            "title": "Alarms",
            "alarms": [environment.names.arn("cloudwatch", f"alarm:{names.alarm(kind)}") for kind in ALARM_KINDS],
        },
    }
    return [
        _text(f"## {model.name}: endpoint `{names.endpoint}`", top),
        graph(
            0,
            "Traffic",
            [served("Invocations", "Sum", "requests"), served("InvocationsPerInstance", "Sum", "per instance")],
        ),
        graph(
            1,
            "Errors, share of requests",
            [served("Invocation5XXErrors", "Average", "5xx"), served("Invocation4XXErrors", "Average", "4xx")],
            limit=("alarm", model.alarms.error_rate_percent / 100),
        ),
        graph(
            2,
            "Model latency, microseconds",
            [served("ModelLatency", "p50", "p50"), served("ModelLatency", "p99", "p99")],
            limit=("alarm", model.alarms.latency_p99_ms * 1000),
        ),
        graph(
            3,
            "Drift, PSI of the worst feature",
            [[DRIFT_NAMESPACE, "PsiMax", *drift, {"stat": "Maximum", "label": "PSI"}]],
            period=model.drift.window_minutes * 60,
            limit=("alarm", model.drift.psi_threshold),
        ),
        alarms,
    ]


def _text(markdown: str, top: int) -> dict[str, Any]:
    return {
        "type": "text",
        "x": 0,
        "y": top,
        "width": 24,
        "height": TITLE_HEIGHT,
        "properties": {"markdown": markdown},
    }
