"""Queues, state machines, rules, schedules, budgets."""

from __future__ import annotations

from mlops_kit.naming import EnvironmentNames
from stacks.deploy_permissions.scope import of
from stacks.policies import Statement, allow


def automation(names: EnvironmentNames) -> list[Statement]:
    return [
        allow(
            "ManageQueues",
            of(
                "sqs",
                "CreateQueue",
                "GetQueueAttributes",
                "GetQueueUrl",
                "ListQueueTags",
                "SetQueueAttributes",
                "TagQueue",
                "UntagQueue",
            ),
            names.arn("sqs", f"{names.prefix}-*"),
        ),
        allow(
            "ManageStateMachines",
            of(
                "states",
                "CreateStateMachine",
                "DeleteStateMachine",
                "DescribeStateMachine",
                "ListStateMachineVersions",
                "ListTagsForResource",
                "TagResource",
                "UntagResource",
                "UpdateStateMachine",
            ),
            names.arn("states", f"stateMachine:{names.prefix}-*"),
        ),
        allow("CheckStateMachines", ["states:ValidateStateMachineDefinition"], "*"),
        allow(
            "ManageRules",
            of(
                "events",
                "DeleteRule",
                "DescribeRule",
                "ListTagsForResource",
                "ListTargetsByRule",
                "PutRule",
                "PutTargets",
                "RemoveTargets",
                "TagResource",
                "UntagResource",
            ),
            names.arn("events", f"rule/{names.prefix}-*"),
        ),
        allow("SeeEventBus", ["events:DescribeEventBus"], names.arn("events", "event-bus/default")),
        allow("LetEventsIn", of("events", "PutPermission", "RemovePermission"), "*"),  # these cannot name the bus
        allow(
            "ManageSchedules",
            of(
                "scheduler",
                "CreateSchedule",
                "CreateScheduleGroup",
                "DeleteSchedule",
                "DeleteScheduleGroup",
                "GetSchedule",
                "GetScheduleGroup",
                "ListTagsForResource",
                "TagResource",
                "UntagResource",
                "UpdateSchedule",
            ),
            [
                names.arn("scheduler", f"schedule-group/{names.schedule_group}"),
                names.arn("scheduler", f"schedule/{names.schedule_group}/*"),
            ],
        ),
    ]


def spending(names: EnvironmentNames) -> list[Statement]:
    partition, account = names.partition, names.account
    return [
        allow(
            "ManageBudgets",
            of("budgets", "ListTagsForResource", "ModifyBudget", "TagResource", "UntagResource", "ViewBudget"),
            f"arn:{partition}:budgets::{account}:budget/{names.prefix}-*",
        ),
        allow(  # AWS invents their ids, and takes the pattern for one that is yet to be made
            "ManageAnomalies",
            of(
                "ce",
                "CreateAnomalyMonitor",
                "CreateAnomalySubscription",
                "DeleteAnomalyMonitor",
                "DeleteAnomalySubscription",
                "GetAnomalyMonitors",
                "GetAnomalySubscriptions",
                "ListTagsForResource",
                "TagResource",
                "UntagResource",
                "UpdateAnomalyMonitor",
                "UpdateAnomalySubscription",
            ),
            [f"arn:{partition}:ce::{account}:{kind}/*" for kind in ("anomalymonitor", "anomalysubscription")],
        ),
    ]
