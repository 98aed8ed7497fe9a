"""Composite alarms: their rules, and what follows from the states of other alarms."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops_kit.local.overlay import alarm_rules
from tests.local_cloud.support import Server, eventually, unique

STATES = {"a": "ALARM", "b": "OK", "c": "INSUFFICIENT_DATA", "with (a) space": "ALARM"}


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ('ALARM("a")', True),
        ("ALARM(a)", True),
        ("ALARM(b)", False),
        ("OK(b)", True),
        ("INSUFFICIENT_DATA(c)", True),
        ("NOT ALARM(b)", True),
        ("NOT NOT ALARM(b)", False),
        ("TRUE", True),
        ("FALSE", False),
        ("FALSE OR TRUE", True),
        ("FALSE AND TRUE OR TRUE", True),
        ("TRUE OR TRUE AND FALSE", True),
        ("(TRUE OR TRUE) AND FALSE", False),
        ("NOT FALSE AND FALSE", False),
        ("NOT (FALSE AND FALSE)", True),
        ('ALARM("with (a) space")AND(OK(b))', True),
        ('ALARM("arn:aws:cloudwatch:us-east-1:111111111111:alarm:a")', True),
        ("ALARM(unknown)", False),
        ("NOT ALARM(unknown)", True),
        ("\n ALARM(a)\n  AND\tOK(b) ", True),
    ],
)
def test_rules(rule: str, holds: bool) -> None:
    assert alarm_rules.parse(rule).holds(STATES) is holds


def test_a_rule_knows_its_alarms() -> None:
    assert alarm_rules.parse('ALARM(b) OR (OK("a b") AND NOT OK(b))').names == ("b", "a b")


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ("", "too early"),
        ("ALARM(a) AND", "too early"),
        ("ALARM(a", "too early"),
        ("(ALARM(a)", "too early"),
        ("ALARM a", r"'\(' is expected"),
        ("ALARM(a b)", r"'\)' is expected"),
        ("ALARM()", "needs the name"),
        ("ALARM(a) ALARM(b)", "not expected"),
        ("ALARM(a))", "not expected"),
        ("alarm(a)", "none of"),
        ("AT_LEAST(1, ALARM, (a, b))", "none of"),
        ('ALARM("a)', "cannot be read"),
        ("TRUE" + " OR TRUE" * 2000, "longer than"),
    ],
)
def test_what_is_not_a_rule_is_refused(rule: str, complaint: str) -> None:
    with pytest.raises(alarm_rules.RuleError, match=complaint):
        alarm_rules.parse(rule)


class Alarms:
    """Metric alarms of a test's own, each over a metric of its name, and composite ones over them."""

    def __init__(self, server: Server) -> None:
        self.server, self.prefix = server, unique("composite")
        self.cloudwatch = server.client("cloudwatch")

    def name(self, short: str) -> str:
        return f"{self.prefix}-{short}"

    def metric(self, short: str, **changes: Any) -> str:
        self.cloudwatch.put_metric_alarm(
            AlarmName=self.name(short),
            **{
                "Namespace": "Test",
                "MetricName": self.name(short),
                "Statistic": "Maximum",
                "Period": 3600,
                "EvaluationPeriods": 1,
                "Threshold": 5.0,
                "ComparisonOperator": "GreaterThanThreshold",
                "TreatMissingData": "notBreaching",
                **changes,
            },
        )
        return self.name(short)

    def composite(self, short: str, rule: str, **more: Any) -> str:
        self.cloudwatch.put_composite_alarm(AlarmName=self.name(short), AlarmRule=rule, **more)
        return self.name(short)

    def breach(self, short: str) -> None:
        datum = {"MetricName": self.name(short), "Value": 9.0}
        self.cloudwatch.put_metric_data(Namespace="Test", MetricData=[datum])

    def describe(self, short: str) -> dict[str, Any]:
        [alarm] = self.cloudwatch.describe_alarms(AlarmNames=[self.name(short)], AlarmTypes=["CompositeAlarm"])[
            "CompositeAlarms"
        ]
        return dict(alarm)

    def becomes(self, short: str, state: str) -> None:
        eventually(lambda: self.describe(short)["StateValue"] == state)

    def history(self, short: str, kind: str) -> list[str]:
        items = self.cloudwatch.describe_alarm_history(
            AlarmName=self.name(short), AlarmTypes=["CompositeAlarm"], HistoryItemType=kind, ScanBy="TimestampAscending"
        )["AlarmHistoryItems"]
        assert all(item["AlarmType"] == "CompositeAlarm" for item in items)
        return [item["HistorySummary"] for item in items]

    def listed(self, **filters: Any) -> list[str]:
        answer = self.cloudwatch.describe_alarms(AlarmNamePrefix=f"{self.prefix}-", **filters)
        return [alarm["AlarmName"] for kind in ("MetricAlarms", "CompositeAlarms") for alarm in answer[kind]]


class Inbox:
    """A queue that a topic delivers to."""

    def __init__(self, server: Server) -> None:
        self.sqs, sns = server.client("sqs"), server.client("sns")
        self.url = self.sqs.create_queue(QueueName=unique("inbox"))["QueueUrl"]
        self.topic: str = sns.create_topic(Name=unique("topic"))["TopicArn"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn)
        self.messages: list[dict[str, Any]] = []

    def receive(self) -> list[dict[str, Any]]:
        """All that came so far."""
        for message in self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", []):
            self.messages.append(json.loads(json.loads(message["Body"])["Message"]))
            self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return self.messages


@pytest.fixture
def alarms(server: Server) -> Alarms:
    return Alarms(server)


def test_a_composite_alarm_follows_its_children_and_tells(server: Server, alarms: Alarms) -> None:
    one, other, inbox = alarms.metric("one"), alarms.metric("other"), Inbox(server)
    alarms.composite("both", f'ALARM("{one}") AND ALARM({other})', AlarmDescription="Both", AlarmActions=[inbox.topic])
    alarms.becomes("both", "OK")
    alarms.breach("one")
    eventually(lambda: alarms.listed(StateValue="ALARM") == [one])
    assert alarms.describe("both")["StateValue"] == "OK"
    alarms.breach("other")
    alarms.becomes("both", "ALARM")
    [message] = eventually(inbox.receive)
    assert message["AlarmName"] == alarms.name("both")
    assert (message["OldStateValue"], message["NewStateValue"]) == ("OK", "ALARM")
    assert message["AlarmRule"] == f'ALARM("{one}") AND ALARM({other})'
    assert {child["Arn"].rsplit(":", 1)[1] for child in message["TriggeringChildren"]} == {one, other}
    assert alarms.history("both", "StateUpdate") == [
        "Alarm updated from INSUFFICIENT_DATA to OK",
        "Alarm updated from OK to ALARM",
    ]
    assert eventually(lambda: alarms.history("both", "Action")) == [f"Successfully executed action {inbox.topic}"]
    described = alarms.describe("both")
    assert described["AlarmDescription"] == "Both"
    assert described["StateReason"].startswith("arn:aws:cloudwatch:")
    assert "transitioned to ALARM" in described["StateReason"]


def test_a_composite_alarm_emits_its_event(server: Server, alarms: Alarms) -> None:
    sqs, events = server.client("sqs"), server.client("events")
    url = sqs.create_queue(QueueName=unique("events"))["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.cloudwatch"], "detail": {"alarmName": [{"prefix": alarms.prefix}]}}
    events.put_rule(Name=alarms.prefix, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=alarms.prefix, Targets=[{"Id": "queue", "Arn": arn}])
    alarms.composite("always", "TRUE")
    [received] = eventually(lambda: sqs.receive_message(QueueUrl=url).get("Messages", []))
    event = json.loads(received["Body"])
    assert event["detail-type"] == "CloudWatch Alarm State Change"
    assert event["detail"]["state"]["value"] == "ALARM"
    assert event["detail"]["configuration"]["alarmRule"] == "TRUE"


def test_composite_alarms_can_be_nested_and_changed(alarms: Alarms) -> None:
    child = alarms.composite("child", f"ALARM({alarms.metric('leaf')})")
    alarms.composite("a-parent", f"NOT OK({child})")
    alarms.becomes("a-parent", "OK")
    alarms.breach("leaf")
    alarms.becomes("a-parent", "ALARM")
    alarms.composite("a-parent", f"OK({child})")
    alarms.becomes("a-parent", "OK")
    assert len(alarms.history("a-parent", "ConfigurationUpdate")) == 2


def test_actions_can_be_switched_off(server: Server, alarms: Alarms) -> None:
    inbox = Inbox(server)
    alarms.composite("silent", "TRUE", ActionsEnabled=False, AlarmActions=[inbox.topic])
    alarms.composite("loud", "TRUE", AlarmActions=[inbox.topic])
    alarms.becomes("silent", "ALARM")
    assert [message["AlarmName"] for message in eventually(inbox.receive)] == [alarms.name("loud")]
    assert alarms.history("silent", "Action") == []


def test_a_suppressor_holds_the_actions_back_until_it_is_over(server: Server, alarms: Alarms) -> None:
    inbox, leaf = Inbox(server), alarms.metric("leaf")
    maintenance = alarms.composite("maintenance", "TRUE")
    alarms.becomes("maintenance", "ALARM")
    alarms.composite(
        "service",
        f"ALARM({leaf})",
        AlarmActions=[inbox.topic],
        ActionsSuppressor=maintenance,
        ActionsSuppressorWaitPeriod=0,
        ActionsSuppressorExtensionPeriod=0,
    )
    alarms.becomes("service", "OK")
    alarms.breach("leaf")
    alarms.becomes("service", "ALARM")
    assert alarms.describe("service")["ActionsSuppressedBy"] == "Alarm"
    assert alarms.history("service", "Action") == []
    alarms.composite("maintenance", "FALSE")
    assert eventually(inbox.receive)[0]["NewStateValue"] == "ALARM"
    assert "ActionsSuppressedBy" not in alarms.describe("service")


def test_actions_wait_for_the_suppressor(server: Server, alarms: Alarms) -> None:
    inbox = Inbox(server)
    alarms.composite(
        "service",
        "TRUE",
        AlarmActions=[inbox.topic],
        ActionsSuppressor=alarms.composite("maintenance", "FALSE"),
        ActionsSuppressorWaitPeriod=100_000,
        ActionsSuppressorExtensionPeriod=0,
    )
    alarms.becomes("service", "ALARM")
    assert alarms.describe("service")["ActionsSuppressedBy"] == "WaitPeriod"
    assert alarms.history("service", "Action") == []


def test_alarms_are_found_by_type_name_state_and_family(alarms: Alarms) -> None:
    one, other = alarms.metric("one"), alarms.metric("other")
    top = alarms.composite("top", f"ALARM({one}) OR FALSE")
    assert alarms.listed() == [one, other], "without a type, metric alarms only"
    assert alarms.listed(AlarmTypes=["CompositeAlarm"]) == [top]
    assert alarms.listed(AlarmTypes=["CompositeAlarm", "MetricAlarm"]) == [one, other, top]
    both = {"AlarmTypes": ["CompositeAlarm", "MetricAlarm"]}
    find = alarms.cloudwatch.describe_alarms
    assert [a["AlarmName"] for a in find(ChildrenOfAlarmName=top, **both)["MetricAlarms"]] == [one]
    assert [a["AlarmName"] for a in find(ParentsOfAlarmName=one, **both)["CompositeAlarms"]] == [top]
    eventually(lambda: alarms.listed(StateValue="OK", **both) == [one, other, top])


def test_what_a_rule_names_has_to_exist_and_stays(alarms: Alarms) -> None:
    with pytest.raises(ClientError, match="do not exist") as missing:
        alarms.composite("top", "ALARM(nobody)")
    assert missing.value.response["Error"]["Code"] in ("ValidationError", "ValidationException")
    with pytest.raises(ClientError, match="too early"):
        alarms.composite("top", "ALARM(")
    one = alarms.metric("one")
    top = alarms.composite("top", f"ALARM({one})")
    with pytest.raises(ClientError, match="composite alarm"):
        alarms.cloudwatch.delete_alarms(AlarmNames=[one])
    with pytest.raises(ClientError, match="itself"):
        alarms.composite("top", f"ALARM({top})")
    with pytest.raises(ClientError, match="needs ActionsSuppressorWaitPeriod"):
        alarms.composite("top", "TRUE", ActionsSuppressor=one)
    alarms.cloudwatch.delete_alarms(AlarmNames=[one, top])
    assert alarms.listed(AlarmTypes=["CompositeAlarm", "MetricAlarm"]) == []
