"""Jobs that failed: batches, trainings, pipelines."""

from __future__ import annotations

from mlops_kit.config import Environment, Model
from mlops_kit.naming import ModelNames
from stacks.alarm_settings.base import AT_LEAST, FIVE_MINUTES, PIPELINE_NAMESPACE, SILENT, Settings


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


def batch_failed(environment: Environment, model: Model, names: ModelNames) -> Settings:
    return {
        "about": f"A transform job of {names.prefix} failed: its predictions are missing. Its log is in "
        f"{environment.names.transform_log_group}; `mlops-kit status --in {environment.name}` shows the release.",
        **_failed("AWS/Events", "TriggeredRules", {"RuleName": names.rule("batch-failed")}),
    }


def training_failed(environment: Environment, model: Model, names: ModelNames) -> Settings:
    return {
        "about": f"A training job of {names.prefix} failed. Its log is in {environment.names.training_log_group}; "
        f"train again with `mlops-kit train {model.name} --env {environment.name}`.",
        **_failed("AWS/Events", "TriggeredRules", {"RuleName": names.rule("training-failed")}),
    }


def pipeline_failed(environment: Environment, model: Model, names: ModelNames) -> Settings:
    return {
        "about": f"The pipeline {names.pipeline} failed: no new version came of it. Look at its steps in SageMaker; "
        f"train by hand with `mlops-kit train {model.name} --env {environment.name}`.",
        **_failed(PIPELINE_NAMESPACE, "ExecutionFailed", {"PipelineName": names.pipeline}),
    }
