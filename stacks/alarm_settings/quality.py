"""Whether a model can still be right: drift, the quality of its data, and ground truth."""

from __future__ import annotations

from mlops_kit.config import Environment, Model
from mlops_kit.naming import DRIFT_NAMESPACE, QUALITY_NAMESPACE, ModelNames
from stacks.alarm_settings.base import AT_LEAST, BELOW, HOUR, SILENT, Settings, where


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


def drift(environment: Environment, model: Model, names: ModelNames) -> Settings:
    return {
        "about": f"The requests to {names.endpoint} no longer look like the data it was trained on: the PSI of some "
        f"feature is {model.drift.psi_threshold:g} or more. See which: `mlops-kit drift run "
        f"{where(environment, model)}`. Then correct the source of the data, or train on newer data.",
        **_per_window(environment, model),
        "metric_name": "PsiMax",
        "threshold": model.drift.psi_threshold,
    }


def heartbeat(environment: Environment, model: Model, names: ModelNames) -> Settings:
    hours = model.drift.heartbeat_hours
    return {
        "about": f"No drift run of {names.endpoint} was heard of for {hours} hours, so nobody knows whether it drifts. "
        f"Start one with `mlops-kit drift run {where(environment, model)}` and read what it says.",
        **_drift_metric(environment, model),
        "metric_name": "Heartbeat",
        "statistic": "SampleCount",
        "period": HOUR,
        "evaluation_periods": hours,
        "comparison_operator": BELOW,
        "threshold": 1,
        "treat_missing_data": "breaching",  # missing data is what this alarm is about
    }


def data_quality(environment: Environment, model: Model, names: ModelNames) -> Settings:
    limit = model.alarms.malformed_percent
    return {
        "about": f"At least {limit:g} % of the rows sent to {names.endpoint} cannot be read as rows of "
        f"{model.dataset}: a column more or less, or not text of this kind at all. See `mlops-kit drift run "
        f"{where(environment, model)}`, then find who sends them.",
        **_per_window(environment, model),
        "metric_name": "MalformedPercent",
        "threshold": limit,
    }


def model_quality(environment: Environment, model: Model, names: ModelNames) -> Settings:
    quality = model.alarms.quality
    if quality is None:
        raise ValueError("an alarm on quality needs alarms.quality")  # Model.alarm_kinds does not ask for it
    return {
        "about": f"Measured against what turned out to be true, the {quality.metric} of {names.endpoint} is below "
        f"{quality.at_least:g}. Compare with the version before: `mlops-kit history {where(environment, model)}`.",
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
