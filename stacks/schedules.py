"""What runs by the clock: the group of the environment's schedules, and the role in which EventBridge Scheduler acts.

One role for all schedules, and no more in it than what this environment's models have scheduled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlops_kit.config import Environment, Model
from mlops_kit.naming import EnvironmentNames
from stacks import policies
from stacks.bindings import Construct, IamRole, IamRolePolicy, SchedulerSchedule, SchedulerScheduleGroup
from stacks.policies import Statement, allow

if TYPE_CHECKING:  # it needs this module
    from stacks.automation import DeadLetters

RETRY_FOR_SECONDS = 3600
RETRY_ATTEMPTS = 5
"""What was not started within an hour is for a person to look at: it lies in the dead-letter queue then."""
EXECUTION_ID = "<aws.scheduler.execution-id>"
SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"
"""Words in a payload that EventBridge Scheduler replaces; the first is another one with each attempt."""


class Schedules(Construct):
    """The group and the role; :meth:`add` makes a schedule in them."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        models: Sequence[Model],
        key_arn: str,
        dead_letters: DeadLetters,
    ) -> None:
        super().__init__(scope, id_)
        names = environment.names
        group = SchedulerScheduleGroup(self, "group", name=names.schedule_group)
        role = IamRole(
            self,
            "role",
            name=names.role("schedules"),
            description=f"Starts what is scheduled in {names.prefix}",
            permissions_boundary=names.boundary_arn,
            assume_role_policy=policies.document(
                allow(
                    "Scheduler",
                    ["sts:AssumeRole"],
                    principal={"Service": "scheduler.amazonaws.com"},
                    conditions={
                        "StringEquals": {"aws:SourceAccount": names.account},
                        "ArnEquals": {
                            "aws:SourceArn": names.arn("scheduler", f"schedule-group/{names.schedule_group}")
                        },
                    },
                )
            ),
        )
        self.policy = IamRolePolicy(
            self,
            "policy",
            name="schedules",
            role=role.id,
            policy=policies.document(*_statements(environment, models, key_arn)),
        )
        self.group_name: str = group.name
        self.role_arn: str = role.arn
        self._key_arn = key_arn
        self._dead_letters = dead_letters

    def add(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        description: str,
        expression: str,
        timezone: str,
        arn: str,
        payload: Mapping[str, Any],
        enabled: bool = True,
        lifecycle: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call ``arn`` with ``payload`` as JSON whenever ``expression`` says; what cannot be started is kept.

        ``arn``: a state machine's, or what :func:`call` gives. What it may do has to stand in the role's policy.
        """
        return SchedulerSchedule(
            scope,
            id_,
            name=name,
            group_name=self.group_name,
            description=description,
            schedule_expression=expression,
            schedule_expression_timezone=timezone,
            state="ENABLED" if enabled else "DISABLED",
            kms_key_arn=self._key_arn,
            flexible_time_window={"mode": "OFF"},
            target={
                "arn": arn,
                "role_arn": self.role_arn,
                "input": json.dumps(payload),
                "dead_letter_config": {"arn": self._dead_letters.arn},
                "retry_policy": {
                    "maximum_event_age_in_seconds": RETRY_FOR_SECONDS,
                    "maximum_retry_attempts": RETRY_ATTEMPTS,
                },
            },
            depends_on=[self.policy],
            lifecycle=lifecycle,
        )


def call(names: EnvironmentNames, action: str) -> str:
    """The target that is any operation of the AWS SDK, as in ``sagemaker:createTransformJob``."""
    return f"arn:{names.partition}:scheduler:::aws-sdk:{action}"


def _statements(environment: Environment, models: Sequence[Model], key_arn: str) -> list[Statement]:
    names = environment.names
    statements = [
        allow("KeepWhatFailed", ["sqs:SendMessage"], names.arn("sqs", names.dead_letter_queue)),
        allow(
            "UseKey",
            ["kms:Decrypt", "kms:GenerateDataKey"],
            key_arn,
            conditions=policies.through(names, "s3", "scheduler", "sqs"),
        ),
    ]
    batches = [model.names(names) for model in models if model.serving.kind == "batch"]
    drifts = [model.names(names) for model in models if model.drift.schedule is not None]
    if batches:
        statements.append(
            allow(  # the job reads and writes as the role of its model, so nothing is passed here
                "StartTransformJobs",
                ["sagemaker:AddTags", "sagemaker:CreateTransformJob"],
                [
                    arn
                    for own in batches
                    for arn in (
                        names.arn("sagemaker", f"transform-job/{own.transform_job('*')}"),
                        names.arn("sagemaker", f"model/{own.prefix}-*"),
                    )
                ],
            )
        )
    if drifts:
        statements += [
            allow(
                "StartProcessingJobs",
                ["sagemaker:AddTags", "sagemaker:CreateProcessingJob"],
                [names.arn("sagemaker", f"processing-job/{own.drift_job('*')}") for own in drifts],
            ),
            allow(
                "PassDriftRoles",
                ["iam:PassRole"],
                [own.role_arn("drift") for own in drifts],
                conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            ),
        ]
    if batches or drifts:
        statements.append(
            allow(  # the volumes of the jobs
                "GrantKeyToJobs",
                ["kms:CreateGrant"],
                key_arn,
                conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
            )
        )
    if machines := _machines(environment, models):
        statements.append(
            allow(
                "StartMachines",
                ["states:StartExecution"],
                [names.arn("states", f"stateMachine:{name}") for name in machines],
            )
        )
    return statements


def _machines(environment: Environment, models: Sequence[Model]) -> list[str]:
    """The state machines that schedules start."""
    names = environment.names
    machines = []
    if any(model.retraining.schedule is not None for model in models):
        machines.append(names.retrain_machine)
    if environment.off_hours is not None and any(model.serving.kind == "realtime" for model in models):
        machines.append(names.off_hours_machine)
    return machines
