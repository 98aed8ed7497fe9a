"""Endpoints that are gone outside of working hours.

One state machine for the environment, and two schedules for each real-time endpoint. The input of an execution says all
about the endpoint, so that the machine is the same for every model, and so that it can be started by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mlops_kit.config import Environment, Model
from mlops_kit.naming import EnvironmentNames
from stacks import autoscaling, off_hours_machine, policies
from stacks.automation import DeadLetters
from stacks.bindings import Construct
from stacks.policies import Statement, allow
from stacks.schedules import Schedules
from stacks.serving import Served
from stacks.state_machine import StateMachine, may_keep_failure
from stacks.terraform_settings import cost_tags, model_tags

PAUSE_SECONDS = 30


class OffHours(Construct):
    """Nothing without ``off_hours``, or without a real-time endpoint."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        models: Sequence[Model],
        served: Mapping[str, Served],
        key_arn: str,
        schedules: Schedules,
        dead_letters: DeadLetters,
    ) -> None:
        super().__init__(scope, id_)
        hours, names = environment.off_hours, environment.names
        stopped = [model for model in models if model.serving.kind == "realtime"]
        if hours is None or not stopped:
            return
        machine = StateMachine(
            self,
            "machine",
            name=names.off_hours_machine,
            role_name=names.role("off-hours"),
            log_group=names.off_hours_log_group,
            definition=off_hours_machine.definition(names),
            statements=[*_statements(names, stopped, key_arn), *may_keep_failure(names, key_arn)],
            environment=environment,
            key_arn=key_arn,
        )
        for model in stopped:
            times: dict[Literal["stop", "start"], str] = {"stop": hours.stop, "start": hours.start}
            for action, expression in times.items():
                schedules.add(
                    self,
                    f"{model.name}-{action}",
                    name=model.names(names).schedule(action),
                    description=f"Off-hours: {action} the endpoint of {model.name}",
                    expression=expression,
                    timezone=hours.timezone,
                    arn=machine.arn,
                    payload={"action": action, **_about(environment, model)},
                )


def _about(environment: Environment, model: Model) -> dict[str, Any]:
    """What the machine has to know to take this endpoint away, and to make it again as Terraform and releases left it.

    ``target``, ``policies``, ``actions``: arguments of Application Auto Scaling.
    """
    own = model.names(environment.names)
    tags = cost_tags(environment) | model_tags(model)
    return {
        "endpoint": own.endpoint,
        "initial": own.initial_prefix,
        "bucket": environment.names.bucket("artifacts"),
        "key": own.off_hours_key,
        "pause": PAUSE_SECONDS,
        "tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        "target": {**_as_api(autoscaling.scalable_target(own, model)), "Tags": tags},
        "policies": [_renamed(_as_api(autoscaling.tracking(own, model)), "Name", "PolicyName")],
        "actions": [
            _renamed(_as_api(action), "Name", "ScheduledActionName")
            for action in autoscaling.scheduled_actions(own, model)
        ],
    }


def _as_api(value: Any) -> Any:
    """Terraform's snake_case -> the API's PascalCase: of the arguments of Application Auto Scaling, nothing else."""
    if isinstance(value, Mapping):
        return {"".join(word.title() for word in name.split("_")): _as_api(item) for name, item in value.items()}
    return [_as_api(item) for item in value] if isinstance(value, list) else value


def _renamed(arguments: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if name == old else name: value for name, value in arguments.items()}


def _statements(names: EnvironmentNames, stopped: Sequence[Model], key_arn: str) -> list[Statement]:
    owns = [model.names(names) for model in stopped]
    artifacts = names.bucket_arn("artifacts")
    return [
        allow(  # neither has a resource
            "Find", ["application-autoscaling:DescribeScalableTargets", "sagemaker:ListEndpoints"], "*"
        ),
        allow(
            "StopAndStart",
            [
                "sagemaker:AddTags",
                "sagemaker:CreateEndpoint",
                "sagemaker:DeleteEndpoint",
                "sagemaker:DescribeEndpoint",
                "sagemaker:UpdateEndpoint",
                "sagemaker:UpdateEndpointWeightsAndCapacities",  # Application Auto Scaling looks whether we might
            ],
            [names.arn("sagemaker", f"endpoint/{own.endpoint}") for own in owns],
        ),
        allow(
            "UseConfigs",
            ["sagemaker:CreateEndpoint", "sagemaker:DescribeEndpointConfig", "sagemaker:UpdateEndpoint"],
            [names.arn("sagemaker", f"endpoint-config/{own.prefix}-*") for own in owns],
        ),
        allow(
            "Remember",
            ["s3:GetObject", "s3:PutObject"],
            [f"{artifacts}/{own.off_hours_key}" for own in owns],
        ),
        allow("SeeWhatIsMissing", ["s3:ListBucket"], artifacts),  # or S3 says 403 where it means 404
        allow(
            "EncryptWhatIsRemembered",
            ["kms:Decrypt", "kms:GenerateDataKey"],
            key_arn,
            conditions=policies.through(names, "s3"),
        ),
        allow(  # AWS invents the targets' ids
            "Scale",
            [
                "application-autoscaling:DeregisterScalableTarget",
                "application-autoscaling:PutScalingPolicy",
                "application-autoscaling:PutScheduledAction",
                "application-autoscaling:RegisterScalableTarget",
                "application-autoscaling:TagResource",
            ],
            names.arn("application-autoscaling", "scalable-target/*"),
            conditions={"StringEquals": {"application-autoscaling:service-namespace": "sagemaker"}},
        ),
        allow(  # what target tracking is made of
            "MakeScalingAlarms",
            ["cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm"],
            [names.arn("cloudwatch", f"alarm:TargetTracking-endpoint/{own.endpoint}/*") for own in owns],
        ),
    ]
