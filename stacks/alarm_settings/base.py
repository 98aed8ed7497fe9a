"""What the settings of all alarms share."""

from __future__ import annotations

from typing import Any

from mlops_kit.config import Environment, Model

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


def where(environment: Environment, model: Model) -> str:
    return f"{model.name} --in {environment.name}"
