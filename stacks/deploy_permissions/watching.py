"""Alarms, topics, dashboards and logs."""

from __future__ import annotations

from mlops_kit.naming import EnvironmentNames
from stacks.deploy_permissions.scope import of
from stacks.policies import Statement, allow


def alarms(names: EnvironmentNames) -> list[Statement]:
    return [
        allow(
            "ManageAlarms",
            of(
                "cloudwatch",
                "DeleteAlarms",
                "ListTagsForResource",
                "PutCompositeAlarm",
                "PutMetricAlarm",
                "TagResource",
                "UntagResource",
            ),
            [
                names.arn("cloudwatch", f"alarm:{names.prefix}-*"),
                names.arn("cloudwatch", f"alarm:TargetTracking-endpoint/{names.prefix}-*"),  # made for a scaling policy
            ],
        ),
        allow("ReadAlarms", ["cloudwatch:DescribeAlarms"], names.arn("cloudwatch", "alarm:*")),
        allow(
            "ManageDashboards",
            of("cloudwatch", "DeleteDashboards", "GetDashboard", "PutDashboard"),
            f"arn:{names.partition}:cloudwatch::{names.account}:dashboard/{names.dashboard}*",
        ),
        allow(
            "ManageTopics",
            of(
                "sns",
                "CreateTopic",
                "DeleteTopic",
                "GetTopicAttributes",
                "ListTagsForResource",
                "SetTopicAttributes",
                "Subscribe",
                "TagResource",
                "UntagResource",
            ),
            [names.arn("sns", names.alarm_topic), names.arn("sns", names.pager_topic)],
        ),
        allow(  # a subscription is no resource that a policy could name
            "ManageSubscriptions",
            of("sns", "GetSubscriptionAttributes", "SetSubscriptionAttributes", "Unsubscribe"),
            "*",
        ),
    ]


def logs(names: EnvironmentNames) -> list[Statement]:
    groups = (
        names.training_log_group,
        names.processing_log_group,
        names.transform_log_group,
        names.endpoint_log_groups,
        names.flow_log_group,
        f"/aws/vendedlogs/states/{names.prefix}-*",
        f"/aws/events/{names.prefix}-*",
    )
    return [
        allow(
            "ManageLogGroups",
            of(
                "logs",
                "AssociateKmsKey",
                "CreateLogGroup",
                "ListTagsForResource",
                "PutRetentionPolicy",
                "TagResource",
                "UntagResource",
            ),
            [names.arn("logs", f"log-group:{group}{end}") for group in groups for end in ("", ":*")],
        ),
        allow("FindLogGroups", ["logs:DescribeLogGroups"], names.arn("logs", "log-group:*")),
        allow(  # for the logs of state machines, networks and rules; a delivery is nothing that a policy could name
            "DeliverLogs",
            of(
                "logs",
                "CreateLogDelivery",
                "DeleteLogDelivery",
                "DeleteResourcePolicy",
                "DescribeResourcePolicies",
                "GetLogDelivery",
                "ListLogDeliveries",
                "PutResourcePolicy",
                "UpdateLogDelivery",
            ),
            "*",
        ),
    ]
