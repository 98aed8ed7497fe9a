"""What a pipeline execution tells CloudWatch and EventBridge of itself and of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_kit.local.compute.pipeline_steps import StepRun
from mlops_kit.local.compute.pipelines import PipelineRun
from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import event_delivery, events

NAMESPACE = "AWS/Sagemaker/ModelBuildingPipeline"
"""Spelled like this in "Amazon SageMaker AI metrics in Amazon CloudWatch", unlike SageMaker's other namespaces."""

ABSENT: tuple[Any, ...] = (None, {}, [])
_INVENTED = ("CreatedBy", "LastModifiedBy")


def announce(run: PipelineRun, step: StepRun | None, place: Place, execution: Any) -> None:
    """Metric and event of a new status, and moto's own object kept right for Search."""
    if step is not None:
        word = "Started" if step.status == "Executing" else step.status
        dimensions = {"PipelineName": run.pipeline_name, "StepName": step.step.name}
        event_delivery.count(place, NAMESPACE, f"Step{word}", dimensions)
        _emit_step(run, step, place)
        return
    execution.pipeline_execution_status, execution.pipeline_execution_failure_reason = run.status, run.reason
    word = "Started" if run.status == "Executing" else run.status
    if word != "Stopping":
        event_delivery.count(place, NAMESPACE, f"Execution{word}", {"PipelineName": run.pipeline_name})
    detail = {
        "pipelineExecutionDisplayName": execution.pipeline_execution_display_name,
        "currentPipelineExecutionStatus": run.status,
        "previousPipelineExecutionStatus": run.previous_status,
        "executionStartTime": event_delivery.stamp(run.created),
        "executionEndTime": event_delivery.stamp(run.modified) if run.final else None,
        "pipelineArn": run.pipeline_arn,
        "pipelineExecutionArn": run.arn,
    }
    kind = "SageMaker Model Building Pipeline Execution Status Change"
    events.emit(place, "aws.sagemaker", kind, present(detail), resources=[run.pipeline_arn, run.arn])


def _emit_step(run: PipelineRun, step: StepRun, place: Place) -> None:
    detail = {
        "metadata": step.metadata,
        "stepName": step.step.name,
        "stepType": step.step.type,
        "stepDisplayName": step.step.display_name,
        "currentStepStatus": step.status,
        "previousStepStatus": "Starting" if step.status == "Executing" else "Executing",
        "stepStartTime": event_delivery.stamp(step.started),
        "stepEndTime": event_delivery.stamp(step.ended) if step.ended else None,
        "failureReason": step.reason,
        "pipelineArn": run.pipeline_arn,
        "pipelineExecutionArn": run.arn,
    }
    kind = "SageMaker Model Building Pipeline Execution Step Status Change"
    events.emit(place, "aws.sagemaker", kind, present(detail), resources=[run.pipeline_arn, run.arn])


def present(described: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is absent, and without the users that moto invents."""
    return {name: value for name, value in described.items() if value not in ABSENT and name not in _INVENTED}
