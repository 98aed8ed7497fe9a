"""How many instances an endpoint has: between two bounds, by the requests that each of them gets."""

from __future__ import annotations

from typing import Any

from mlops_kit.config import Autoscaling as Bounds
from mlops_kit.naming import ModelNames
from stacks.bindings import AppautoscalingPolicy, AppautoscalingTarget, Construct

SCALE_OUT_COOLDOWN_SECONDS = 60
SCALE_IN_COOLDOWN_SECONDS = 300
"""Out quickly, in slowly: an instance needs minutes to start, and a load that comes back soon should still find it."""


class Autoscaling(Construct):
    """Target tracking on invocations per instance and minute.

    No role is named: Application Auto Scaling makes and uses its service-linked role for SageMaker endpoints.
    """

    def __init__(self, scope: Construct, id_: str, *, names: ModelNames, bounds: Bounds, endpoint: Any) -> None:
        super().__init__(scope, id_)
        target = AppautoscalingTarget(
            self,
            "target",
            service_namespace="sagemaker",
            resource_id=names.autoscaling_resource,
            scalable_dimension="sagemaker:variant:DesiredInstanceCount",
            min_capacity=bounds.min_instances,
            max_capacity=bounds.max_instances,
            depends_on=[endpoint],
        )
        AppautoscalingPolicy(
            self,
            "policy",
            name=f"{names.endpoint}-requests",
            policy_type="TargetTrackingScaling",
            service_namespace="sagemaker",
            resource_id=names.autoscaling_resource,
            scalable_dimension="sagemaker:variant:DesiredInstanceCount",
            target_tracking_scaling_policy_configuration={
                "predefined_metric_specification": {"predefined_metric_type": "SageMakerVariantInvocationsPerInstance"},
                "target_value": bounds.requests_per_instance_per_minute,
                "scale_in_cooldown": SCALE_IN_COOLDOWN_SECONDS,
                "scale_out_cooldown": SCALE_OUT_COOLDOWN_SECONDS,
            },
            depends_on=[target],
        )
