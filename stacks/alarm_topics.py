"""Where alarms go.

Two topics: one gets a message for every alarm, and the owner reads it in working hours. The other gets one message an
incident, from the composite alarms, and wakes somebody up.
"""

from __future__ import annotations

from mlops_kit.config import Environment
from mlops_kit.naming import EnvironmentNames
from stacks import policies
from stacks.bindings import Construct, SnsTopic, SnsTopicPolicy, SnsTopicSubscription
from stacks.policies import allow


class AlarmTopics(Construct):
    """``arn``: every alarm; ``pager_arn``: one message an incident. Both are encrypted and open to alarms only."""

    def __init__(self, scope: Construct, id_: str, *, environment: Environment, key_arn: str) -> None:
        super().__init__(scope, id_)
        names = environment.names
        self.arn: str = self._topic("topic", names, names.alarm_topic, key_arn, environment.owner)
        pager = environment.pager or environment.owner
        self.pager_arn: str = self._topic("pager", names, names.pager_topic, key_arn, pager)

    def _topic(self, id_: str, names: EnvironmentNames, name: str, key_arn: str, reader: str) -> str:
        scope = Construct(self, id_)
        topic = SnsTopic(scope, "topic", name=name, kms_master_key_id=key_arn)
        arn = names.arn("sns", name)
        SnsTopicPolicy(
            scope,
            "policy",
            arn=topic.arn,
            policy=policies.document(
                allow(
                    "AlarmsPublish",
                    ["sns:Publish"],
                    arn,
                    principal={"Service": "cloudwatch.amazonaws.com"},
                    conditions={
                        "StringEquals": {"aws:SourceAccount": names.account},
                        "ArnLike": {"aws:SourceArn": names.arn("cloudwatch", f"alarm:{names.prefix}-*")},
                    },
                ),
                policies.tls_only(arn, "sns:Publish"),
            ),
        )
        SnsTopicSubscription(scope, "reader", topic_arn=topic.arn, protocol="email", endpoint=reader)
        return topic.arn
