"""How many instances an endpoint has: between two bounds, by what there is to do for each of them.

Real-time endpoints follow their requests, asynchronous ones their queue, down to no instance at all. Serverless
endpoints have none, and SageMaker scales them; their provisioned concurrency is fixed. The settings are plain data
here, because the off-hours machine has to make them again with the endpoint.
"""

from __future__ import annotations

from typing import Any

from mlops_kit.config import Model
from mlops_kit.naming import ModelNames
from stacks.bindings import (
    AppautoscalingPolicy,
    AppautoscalingScheduledAction,
    AppautoscalingTarget,
    CloudwatchMetricAlarm,
    Construct,
)
from stacks.terraform_settings import model_tags

SCALE_OUT_COOLDOWN_SECONDS = 60
SCALE_IN_COOLDOWN_SECONDS = 300
"""Out quickly, in slowly: an instance needs minutes to start, and a load that comes back soon should still find it."""
ENDPOINT_NAMESPACE = "AWS/SageMaker"


class Autoscaling(Construct):
    """Target tracking, and other bounds by the clock if the model file has a schedule.

    No role is named: Application Auto Scaling makes and uses its service-linked role for SageMaker endpoints.
    """

    def __init__(self, scope: Construct, id_: str, *, names: ModelNames, model: Model, endpoint: Any) -> None:
        super().__init__(scope, id_)
        if not model.serving.has_instances:
            return
        scheduled = model.serving.autoscaling.schedule
        target = AppautoscalingTarget(
            self,
            "target",
            **scalable_target(names, model),
            tags=model_tags(model),
            depends_on=[endpoint],
            # Between two points of the schedule, the bounds are what the last one set.
            lifecycle={"ignore_changes": ["min_capacity", "max_capacity"]} if scheduled else None,
        )
        AppautoscalingPolicy(self, "policy", **tracking(names, model), depends_on=[target])
        for index, action in enumerate(scheduled_actions(names, model)):
            AppautoscalingScheduledAction(self, f"schedule-{index}", **action, depends_on=[target])
        if model.serving.scales_to_zero:
            self._wake_up(names, model, target)

    def _wake_up(self, names: ModelNames, model: Model, target: Any) -> None:
        """Target tracking divides by the instances, so it cannot bring the first one.

        Source: "Autoscale an asynchronous endpoint", SageMaker developer guide.
        """
        policy = AppautoscalingPolicy(
            self,
            "wake-up",
            name=f"{names.endpoint}-wake-up",
            policy_type="StepScaling",
            **_variant(names),
            step_scaling_policy_configuration={
                "adjustment_type": "ChangeInCapacity",
                "metric_aggregation_type": "Average",
                "cooldown": SCALE_IN_COOLDOWN_SECONDS,
                "step_adjustment": [{"metric_interval_lower_bound": "0", "scaling_adjustment": 1}],
            },
            depends_on=[target],
        )
        CloudwatchMetricAlarm(
            self,
            "work-waits",
            alarm_name=names.wake_alarm,
            alarm_description=f"Requests wait and {names.endpoint} has no instance. This alarm starts one; nobody has "
            "to do anything.",
            namespace=ENDPOINT_NAMESPACE,
            metric_name="HasBacklogWithoutCapacity",
            dimensions={"EndpointName": names.endpoint},
            statistic="Average",
            period=60,
            evaluation_periods=1,
            threshold=1,
            comparison_operator="GreaterThanOrEqualToThreshold",
            treat_missing_data="notBreaching",
            alarm_actions=[policy.arn],
            tags=model_tags(model),
        )


def _variant(names: ModelNames) -> dict[str, Any]:
    return {
        "service_namespace": "sagemaker",
        "resource_id": names.autoscaling_resource,
        "scalable_dimension": "sagemaker:variant:DesiredInstanceCount",
    }


def scalable_target(names: ModelNames, model: Model) -> dict[str, Any]:
    bounds = model.serving.autoscaling
    least = 0 if model.serving.scales_to_zero else bounds.min_instances
    return {**_variant(names), "min_capacity": least, "max_capacity": bounds.max_instances}


def tracking(names: ModelNames, model: Model) -> dict[str, Any]:
    """Target tracking: on invocations per instance and minute, or on requests that wait per instance."""
    cooldown = {"scale_in_cooldown": SCALE_IN_COOLDOWN_SECONDS, "scale_out_cooldown": SCALE_OUT_COOLDOWN_SECONDS}
    common = {"policy_type": "TargetTrackingScaling", **_variant(names)}
    if model.serving.kind == "async":
        return {
            "name": f"{names.endpoint}-backlog",
            **common,
            "target_tracking_scaling_policy_configuration": {
                "customized_metric_specification": {
                    "namespace": ENDPOINT_NAMESPACE,
                    "metric_name": "ApproximateBacklogSizePerInstance",
                    "dimensions": [{"name": "EndpointName", "value": names.endpoint}],
                    "statistic": "Average",
                },
                "target_value": model.serving.asynchronous.backlog_per_instance,
                **cooldown,
            },
        }
    return {
        "name": f"{names.endpoint}-requests",
        **common,
        "target_tracking_scaling_policy_configuration": {
            "predefined_metric_specification": {"predefined_metric_type": "SageMakerVariantInvocationsPerInstance"},
            "target_value": model.serving.autoscaling.requests_per_instance_per_minute,
            **cooldown,
        },
    }


def scheduled_actions(names: ModelNames, model: Model) -> list[dict[str, Any]]:
    return [
        {
            "name": f"{names.endpoint}-{number}",
            **_variant(names),
            "schedule": step.at,
            "timezone": step.timezone,
            "scalable_target_action": {"min_capacity": step.min_instances, "max_capacity": step.max_instances},
        }
        for number, step in enumerate(model.serving.autoscaling.schedule, start=1)
    ]
