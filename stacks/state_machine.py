"""A Step Functions state machine: what the environment does by itself without code of its own.

Executions are logged with their data and traced. The data are names and counts, never rows of a data set, so that the
definition and the history stay with the key that Step Functions brings; the log is encrypted with the environment's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mlops_kit.config import Environment
from mlops_kit.naming import EnvironmentNames
from stacks import policies
from stacks.bindings import Construct, IamRole, IamRolePolicy, SfnStateMachine
from stacks.log_group import log_group as make_log_group
from stacks.policies import Statement, allow

DELIVER_LOGS = (
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
)
"""None of them has a resource (https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html)."""
TRACE = (
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
)
"""None of them has a resource (https://docs.aws.amazon.com/step-functions/latest/dg/xray-iam.html)."""
GIVEN = "$states.context.Execution.Input"
"""In an expression, what the execution was started with, in whichever state."""


def caught() -> dict[str, Any]:
    """A Catch for whatever a task does not catch itself: go to the states of :func:`keep_failure`."""
    return {"ErrorEquals": ["States.ALL"], "Assign": {"failure": "{% $states.errorOutput %}"}, "Next": "Keep failure"}


def keep_failure(names: EnvironmentNames) -> dict[str, Any]:
    """The states at the end of the road: put the failure (variable ``failure``) into the dead-letter queue, and fail.

    The message has the input, so that what failed can be started again by hand.
    """
    return {
        "Keep failure": {
            "Type": "Task",
            "Resource": f"arn:{names.partition}:states:::sqs:sendMessage",
            "Arguments": {
                "QueueUrl": f"https://{policies.regional('sqs', names)}/{names.account}/{names.dead_letter_queue}",
                "MessageBody": {
                    "stateMachine": "{% $states.context.StateMachine.Name %}",
                    "execution": "{% $states.context.Execution.Id %}",
                    "input": f"{{% {GIVEN} %}}",
                    "failure": "{% $failure %}",
                },
            },
            "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 5, "MaxAttempts": 3, "BackoffRate": 2}],
            "Next": "Failed",
        },
        "Failed": {"Type": "Fail", "Error": "{% $failure.Error %}", "Cause": "{% $failure.Cause %}"},
    }


def may_keep_failure(names: EnvironmentNames, key_arn: str) -> list[Statement]:
    """What a machine with :func:`keep_failure` needs for it."""
    return [
        allow("KeepWhatFailed", ["sqs:SendMessage"], names.arn("sqs", names.dead_letter_queue)),
        allow(
            "EncryptWhatFailed",
            ["kms:Decrypt", "kms:GenerateDataKey"],
            key_arn,
            conditions=policies.through(names, "sqs"),
        ),
    ]


class StateMachine(Construct):
    """A state machine of type STANDARD with its role and its log group. ``arn``: what is started.

    ``definition`` is the Amazon States Language as plain data; ``statements`` are what its tasks may do.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        role_name: str,
        log_group: str,
        definition: Mapping[str, Any],
        statements: Sequence[Statement],
        environment: Environment,
        key_arn: str,
    ) -> None:
        super().__init__(scope, id_)
        names = environment.names
        logs = make_log_group(
            self,
            "logs",
            name=log_group,
            key_arn=key_arn,
            keep_days=environment.retention.logs_days,
            protect=environment.protect,
        )
        role = IamRole(
            self,
            "role",
            name=role_name,
            description=f"State machine {name}",
            permissions_boundary=names.boundary_arn,
            assume_role_policy=policies.document(
                allow(
                    "StepFunctions",
                    ["sts:AssumeRole"],
                    principal={"Service": "states.amazonaws.com"},
                    conditions={
                        "StringEquals": {"aws:SourceAccount": names.account},
                        "ArnLike": {"aws:SourceArn": names.arn("states", f"stateMachine:{name}")},
                    },
                )
            ),
        )
        policy = IamRolePolicy(
            self,
            "policy",
            name="tasks",
            role=role.id,
            policy=policies.document(*statements, allow("DeliverLogs", DELIVER_LOGS, "*"), allow("Trace", TRACE, "*")),
        )
        machine = SfnStateMachine(
            self,
            "machine",
            name=name,
            type="STANDARD",
            role_arn=role.arn,
            definition=json.dumps(definition),
            logging_configuration={"level": "ALL", "include_execution_data": True, "log_destination": f"{logs.arn}:*"},
            tracing_configuration={"enabled": True},
            depends_on=[policy],  # Step Functions tries the log delivery out when the machine is made
        )
        self.arn: str = machine.arn
