"""Events on their way to targets: which arrive where, in which shape, and what becomes of those that cannot."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlops_kit.local.overlay import event_input
from tests.local_cloud.endpoints import Endpoints
from tests.local_cloud.support import (
    DEV,
    REGION,
    ROLE,
    STAGING,
    Server,
    eventually,
    new_bucket,
    new_role,
    tar_gz,
    unique,
)

EVENT = {
    "version": "0",
    "id": "1",
    "source": "aws.s3",
    "time": "2026-01-01T00:00:00Z",
    "detail": {"object": {"key": 'a "b"', "size": 5}, "tags": ["x", "y"]},
}


class Inbox:
    """A queue that keeps what it was sent."""

    def __init__(self, server: Server, account: str = DEV) -> None:
        self.sqs = server.client("sqs", account)
        self.url = self.sqs.create_queue(QueueName=unique("inbox"))["QueueUrl"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]
        self.arn = str(attributes["QueueArn"])
        self.messages: list[dict[str, Any]] = []

    def wait_for(self, count: int) -> list[dict[str, Any]]:
        """The messages, once there are ``count`` of them."""

        def enough() -> bool:
            request = {"QueueUrl": self.url, "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"]}
            for message in self.sqs.receive_message(**request).get("Messages", []):
                self.messages.append(message)
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
            return len(self.messages) >= count

        eventually(enough)
        return self.messages

    def events(self, count: int) -> list[dict[str, Any]]:
        return [json.loads(message["Body"]) for message in self.wait_for(count)]


def attribute(message: Mapping[str, Any], name: str) -> str:
    return str(message["MessageAttributes"][name]["StringValue"])


@pytest.fixture
def inbox(server: Server) -> Inbox:
    return Inbox(server)


@pytest.fixture(scope="module")
def events_role(server: Server) -> str:
    return new_role(server, DEV, {"Principal": {"Service": "events.amazonaws.com"}})


def rule(
    server: Server,
    pattern: Mapping[str, Any],
    *targets: Mapping[str, Any],
    account: str = DEV,
    bus: str = "default",
    **options: Any,
) -> str:
    """A rule with these targets; its name."""
    events, name = server.client("events", account), unique("rule")
    events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern), **options)
    numbered = [{"Id": f"t{i}", **target} for i, target in enumerate(targets)]
    assert events.put_targets(Rule=name, EventBusName=bus, Targets=numbered)["FailedEntryCount"] == 0
    return name


def put(server: Server, source: str, detail: Mapping[str, Any], account: str = DEV, **fields: Any) -> None:
    entry = {"Source": source, "DetailType": "Test", "Detail": json.dumps(detail), **fields}
    assert server.client("events", account).put_events(Entries=[entry])["FailedEntryCount"] == 0


def count(server: Server, rule_name: str, metric: str, account: str = DEV) -> float:
    now = datetime.now(UTC)
    points = server.client("cloudwatch", account).get_metric_statistics(
        Namespace="AWS/Events",
        MetricName=metric,
        Dimensions=[{"Name": "RuleName", "Value": rule_name}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=7200,
        Statistics=["Sum"],
    )["Datapoints"]
    return float(sum(point["Sum"] for point in points))


def pass_machine(server: Server) -> str:
    """A state machine that returns what it is given."""
    role = new_role(server, DEV, {"Principal": {"Service": "states.amazonaws.com"}})
    definition = {"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {"Type": "Succeed"}}}
    made = server.client("stepfunctions").create_state_machine(
        name=unique("machine"), roleArn=role, definition=json.dumps(definition)
    )
    return str(made["stateMachineArn"])


def inputs(server: Server, machine: str) -> Callable[[], list[Any]]:
    sfn = server.client("stepfunctions")

    def look() -> list[Any]:
        found = sfn.list_executions(stateMachineArn=machine)["executions"]
        return [json.loads(sfn.describe_execution(executionArn=e["executionArn"])["input"]) for e in found]

    return look


def eventful_bucket(server: Server, **options: Any) -> str:
    bucket = new_bucket(server, **options)
    server.client("s3").put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    return bucket


def test_an_object_that_was_put_copied_or_uploaded_in_parts_is_announced(server: Server, inbox: Inbox) -> None:
    bucket, s3 = eventful_bucket(server), server.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    pattern = {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [bucket]}, "object": {"key": [{"prefix": "refs/"}]}},
    }
    rule(server, pattern, {"Arn": inbox.arn})
    first = s3.put_object(Bucket=bucket, Key="refs/put", Body=b"12345")
    s3.put_object(Bucket=bucket, Key="other", Body=b"no event for this rule")
    s3.copy_object(Bucket=bucket, Key="refs/copy", CopySource={"Bucket": bucket, "Key": "refs/put"})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="refs/parts")["UploadId"]
    part = {"Bucket": bucket, "Key": "refs/parts", "UploadId": upload}
    etag = s3.upload_part(**part, PartNumber=1, Body=b"1234567")["ETag"]
    s3.complete_multipart_upload(**part, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})

    found = inbox.events(3)
    assert [(e["detail"]["object"]["key"], e["detail"]["object"]["size"], e["detail"]["reason"]) for e in found] == [
        ("refs/put", 5, "PutObject"),
        ("refs/copy", 5, "CopyObject"),
        ("refs/parts", 7, "CompleteMultipartUpload"),
    ]
    event = found[0]
    assert event["detail"]["object"]["etag"] == first["ETag"].strip('"')
    assert event["detail"]["object"]["version-id"] == first["VersionId"]
    assert event["detail"]["object"]["sequencer"] < found[1]["detail"]["object"]["sequencer"]
    assert event["detail"]["bucket"] == {"name": bucket}
    assert (event["account"], event["region"], event["resources"]) == (DEV, REGION, [f"arn:aws:s3:::{bucket}"])
    assert event["detail"]["requester"] == DEV
    assert datetime.fromisoformat(event["time"]).tzinfo is not None
    assert len({e["id"] for e in found}) == 3


def test_a_bucket_without_notifications_is_silent_and_a_deletion_is_told(server: Server, inbox: Inbox) -> None:
    quiet, bucket, s3 = new_bucket(server), eventful_bucket(server), server.client("s3")
    rule(server, {"source": ["aws.s3"], "detail": {"bucket": {"name": [quiet, bucket]}}}, {"Arn": inbox.arn})
    s3.put_object(Bucket=quiet, Key="a", Body=b"")
    s3.put_object(Bucket=bucket, Key="b", Body=b"")
    s3.delete_object(Bucket=bucket, Key="b")
    created, deleted = inbox.events(2)
    assert (created["detail-type"], deleted["detail-type"]) == ("Object Created", "Object Deleted")
    assert created["detail"]["object"]["key"] == deleted["detail"]["object"]["key"] == "b"
    assert "version-id" not in created["detail"]["object"]
    assert deleted["detail"]["deletion-type"] == "Permanently Deleted"


def test_a_state_machine_is_started_with_the_event_a_part_a_constant_or_a_template(
    server: Server, events_role: str
) -> None:
    machine, source = pass_machine(server), unique("source")
    target = {"Arn": machine, "RoleArn": events_role}
    rule(
        server,
        {"source": [source]},
        target,
        {**target, "InputPath": "$.detail.ref"},
        {**target, "Input": '{"constant": true}'},
        {
            **target,
            "InputTransformer": {
                "InputPathsMap": {"ref": "$.detail.ref", "first": "$.detail.tags[0]"},
                "InputTemplate": '{"ref": <ref>, "text": "first is <first>", "by": "<aws.events.rule-name>"}',
            },
        },
    )
    put(server, source, {"ref": {"commit": "abc"}, "tags": ["x"]})
    look = inputs(server, machine)
    found = eventually(lambda: seen if len(seen := look()) == 4 else None)
    assert found is not None
    whole = next(item for item in found if "detail-type" in item)
    assert whole["source"] == source
    assert whole["detail"] == {"ref": {"commit": "abc"}, "tags": ["x"]}
    assert {"commit": "abc"} in found
    assert {"constant": True} in found
    transformed = next(item for item in found if "text" in item)
    assert transformed["ref"] == {"commit": "abc"}
    assert transformed["text"] == "first is x"
    assert transformed["by"].startswith("rule-")


def test_a_pipeline_is_started_with_its_parameters(server: Server, events_role: str) -> None:
    sagemaker, name, source = server.client("sagemaker"), unique("pipeline"), unique("source")
    step = {"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": {"Get": "Parameters.Commit"}}}
    definition = {
        "Version": "2020-12-01",
        "Parameters": [{"Name": "Commit", "Type": "String"}],
        "Steps": [step],
    }
    made = sagemaker.create_pipeline(PipelineName=name, PipelineDefinition=json.dumps(definition), RoleArn=ROLE)
    parameters = {"PipelineParameterList": [{"Name": "Commit", "Value": "abc"}]}
    target = {"Arn": made["PipelineArn"], "RoleArn": events_role, "SageMakerPipelineParameters": parameters}
    rule(server, {"source": [source]}, target)
    put(server, source, {})
    executions = eventually(lambda: sagemaker.list_pipeline_executions(PipelineName=name)["PipelineExecutionSummaries"])
    found = sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=executions[0]["PipelineExecutionArn"])
    assert found["PipelineParameters"] == [{"Name": "Commit", "Value": "abc"}]


def test_topics_and_log_groups_are_reached(server: Server, inbox: Inbox) -> None:
    sns, logs, source, group = server.client("sns"), server.client("logs"), unique("source"), f"/events/{unique()}"
    topic = sns.create_topic(Name=unique("topic"))["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=inbox.arn, Attributes={"RawMessageDelivery": "true"})
    logs.create_log_group(logGroupName=group)
    group_arn = f"arn:aws:logs:{REGION}:{DEV}:log-group:{group}"
    template = {"InputPathsMap": {"n": "$.detail.n"}, "InputTemplate": "n is <n>"}
    rule(server, {"source": [source]}, {"Arn": topic, "InputTransformer": template}, {"Arn": group_arn})
    put(server, source, {"n": 5})
    assert inbox.wait_for(1)[0]["Body"] == "n is 5"
    lines = eventually(lambda: logs.filter_log_events(logGroupName=group)["events"])
    assert json.loads(lines[0]["message"])["detail"] == {"n": 5}


@pytest.mark.parametrize(
    ("case", "code"),
    [("no such machine", "NO_RESOURCE"), ("no trust", "NO_PERMISSIONS"), ("no role", "NO_PERMISSIONS")],
)
def test_what_cannot_be_delivered_goes_to_the_dead_letter_queue(
    server: Server, inbox: Inbox, events_role: str, case: str, code: str
) -> None:
    source, machine = unique("source"), pass_machine(server)
    other = new_role(server, DEV, {"Principal": {"Service": "lambda.amazonaws.com"}})
    target: dict[str, Any] = {
        "no such machine": {"Arn": f"{machine}-not", "RoleArn": events_role},
        "no trust": {"Arn": machine, "RoleArn": other},
        "no role": {"Arn": machine},
    }[case]
    name = rule(
        server,
        {"source": [source]},
        {**target, "Input": '{"not": "the event"}', "DeadLetterConfig": {"Arn": inbox.arn}},
        {"Arn": machine, "RoleArn": events_role},
    )
    put(server, source, {"n": 1})
    message = inbox.wait_for(1)[0]
    assert json.loads(message["Body"])["detail"] == {"n": 1}
    assert attribute(message, "ERROR_CODE") == code
    assert attribute(message, "RULE_ARN").endswith(f"rule/{name}")
    assert attribute(message, "TARGET_ARN") == target["Arn"]
    assert attribute(message, "ERROR_MESSAGE")
    assert eventually(inputs(server, machine)), "the other target is reached all the same"
    assert eventually(lambda: count(server, name, "Invocations") == 2.0)
    assert count(server, name, "TriggeredRules") == 1.0
    assert count(server, name, "FailedInvocations") == 1.0
    assert count(server, name, "InvocationsSentToDlq") == 1.0


def test_a_disabled_rule_and_a_scheduled_one_deliver_no_event(server: Server, inbox: Inbox) -> None:
    source, events = unique("source"), server.client("events")
    off = rule(server, {"source": [source]}, {"Arn": inbox.arn, "Input": '"off"'}, State="DISABLED")
    scheduled = unique("rule")
    events.put_rule(Name=scheduled, ScheduleExpression="rate(1 day)")
    events.put_targets(Rule=scheduled, Targets=[{"Id": "t", "Arn": inbox.arn, "Input": '"scheduled"'}])
    rule(server, {"source": [source]}, {"Arn": inbox.arn, "Input": '"on"'})
    put(server, source, {})
    put(server, source, {})
    assert [message["Body"] for message in inbox.wait_for(2)] == ['"on"', '"on"']
    assert count(server, off, "TriggeredRules") == 0
    assert count(server, scheduled, "TriggeredRules") == 0


def new_bus(server: Server, account: str = DEV, **statement: Any) -> str:
    """A bus whose policy is one statement, if that is given; its ARN."""
    events, name = server.client("events", account), unique("bus")
    arn = str(events.create_event_bus(Name=name)["EventBusArn"])
    if statement:
        whole = {"Sid": "In", "Effect": "Allow", "Action": "events:PutEvents", "Resource": arn, **statement}
        events.put_permission(EventBusName=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [whole]}))
    return arn


def of(arn: str) -> str:
    """A bus's name."""
    return arn.rsplit("/", 1)[-1]


@pytest.fixture(scope="module")
def staging_role(server: Server) -> str:
    return new_role(server, STAGING, {"Principal": {"Service": "events.amazonaws.com"}})


STAGING_ROOT = f"arn:aws:iam::{STAGING}:root"


def test_another_bus_gets_the_very_same_event(server: Server, inbox: Inbox, events_role: str) -> None:
    bus, source = new_bus(server), unique("source")
    rule(server, {"source": [source]}, {"Arn": inbox.arn}, bus=of(bus))
    rule(server, {"source": [source]}, {"Arn": inbox.arn}, {"Arn": bus, "RoleArn": events_role, "Input": '"no"'})
    put(server, source, {"over": "there"}, Resources=["arn:aws:s3:::b"], Time=datetime(2026, 1, 1, tzinfo=UTC))
    here, there = inbox.events(2)
    assert here == there
    assert there["detail"] == {"over": "there"}
    assert there["resources"] == ["arn:aws:s3:::b"]


def test_drift_in_a_later_stage_starts_a_state_machine_of_the_first(server: Server, events_role: str) -> None:
    """Both halves as ``stacks/drift_forwarding.py`` has them."""
    alarm, machine, prefix = unique("acme-staging-diagnosis-drift"), pass_machine(server), unique("acme-staging")
    alarm_arn = f"arn:aws:cloudwatch:{REGION}:{STAGING}:alarm:{alarm}"
    bus_arn = f"arn:aws:events:{REGION}:{DEV}:event-bus/default"
    changed = {
        "source": ["aws.cloudwatch"],
        "detail-type": ["CloudWatch Alarm State Change"],
        "resources": [alarm_arn],
        "detail": {"state": {"value": ["ALARM"]}},
    }
    own_rules = {
        "StringEquals": {"aws:SourceAccount": STAGING},
        "ArnLike": {"aws:SourceArn": f"arn:aws:events:{REGION}:{STAGING}:rule/{prefix}-*"},
    }
    trust = {"Principal": {"Service": "events.amazonaws.com"}, "Condition": own_rules}
    role, dead_letters = new_role(server, STAGING, trust), Inbox(server, STAGING)
    admitted = {
        "Sid": "DriftInStaging",
        "Effect": "Allow",
        "Principal": {"AWS": STAGING_ROOT},
        "Action": ["events:PutEvents"],
        "Resource": bus_arn,
        "Condition": {
            "ArnEquals": {"aws:PrincipalArn": role},
            "ForAllValues:StringEquals": {"events:source": "aws.cloudwatch"},
            "Null": {"events:source": "false"},
            "StringEquals": {"events:detail-type": "CloudWatch Alarm State Change"},
        },
    }
    server.client("events").put_permission(
        EventBusName="default", Policy=json.dumps({"Version": "2012-10-17", "Statement": [admitted]})
    )
    template = {
        "InputPathsMap": {"account": "$.account", "alarm": "$.detail.alarmName"},
        "InputTemplate": json.dumps({"model": "diagnosis", "reason": "alarm <alarm> in account <account>"}),
    }
    own_alarm = f"arn:aws:cloudwatch:{REGION}:{DEV}:alarm:acme-dev-diagnosis-drift"
    received = rule(
        server,
        {**changed, "account": [DEV, STAGING], "resources": [own_alarm, alarm_arn]},
        {"Arn": machine, "RoleArn": events_role, "InputTransformer": template},
    )
    retry = {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 10}
    events = server.client("events", STAGING)
    events.put_rule(Name=f"{prefix}-forward-drift", EventPattern=json.dumps(changed))
    target = {"Id": "first-stage", "Arn": bus_arn, "RoleArn": role, "RetryPolicy": retry}
    events.put_targets(
        Rule=f"{prefix}-forward-drift", Targets=[{**target, "DeadLetterConfig": {"Arn": dead_letters.arn}}]
    )

    cloudwatch = server.client("cloudwatch", STAGING)
    for name in (f"{alarm}-of-another-model", alarm):
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace=unique(),
            MetricName="psi",
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0.25,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="ignore",
        )
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="drifted")
    found = eventually(inputs(server, machine))
    assert found == [{"model": "diagnosis", "reason": f"alarm {alarm} in account {STAGING}"}]
    assert count(server, received, "TriggeredRules") == 1.0
    assert count(server, f"{prefix}-forward-drift", "Invocations", STAGING) == 1.0
    assert count(server, f"{prefix}-forward-drift", "FailedInvocations", STAGING) == 0.0


TEST_ONLY = {"StringEquals": {"events:detail-type": "Test"}}


@pytest.mark.parametrize(
    "statement",
    [
        {"Principal": {"AWS": STAGING}},
        {"Principal": "*"},
        {"Principal": {"AWS": STAGING_ROOT}, "Condition": TEST_ONLY},
        {"Principal": {"AWS": STAGING_ROOT}, "Condition": {"StringLike": {"events:source": "source-*"}}},
        {"Principal": {"AWS": STAGING_ROOT}, "Condition": {"Bool": {"events:eventBusInvocation": "true"}}},
        {
            "Principal": {"AWS": STAGING_ROOT},
            "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:events:{REGION}:{STAGING}:rule/*"}},
        },
    ],
)
@pytest.mark.parametrize("with_role", [True, False])
def test_a_bus_takes_the_events_that_its_policy_allows(
    server: Server, inbox: Inbox, staging_role: str, statement: dict[str, Any], with_role: bool
) -> None:
    bus, source = new_bus(server, **statement), unique("source")
    rule(server, {"source": [source], "account": [STAGING]}, {"Arn": inbox.arn}, bus=of(bus))
    target = {"Arn": bus, "RoleArn": staging_role} if with_role else {"Arn": bus}
    rule(server, {"source": [source]}, target, account=STAGING)
    put(server, source, {"n": 1}, STAGING)
    event = inbox.events(1)[0]
    assert (event["account"], event["region"], event["detail"]) == (STAGING, REGION, {"n": 1})


@pytest.mark.parametrize(
    "statement",
    [
        {},
        {"Principal": {"AWS": "333333333333"}},
        {"Principal": {"AWS": STAGING_ROOT}, "Effect": "Deny"},
        {"Principal": {"AWS": STAGING_ROOT}, "Action": "events:PutRule"},
        {"Principal": {"AWS": STAGING_ROOT}, "Resource": f"arn:aws:events:{REGION}:{DEV}:event-bus/other"},
        {"Principal": {"AWS": STAGING_ROOT}, "Condition": {"StringEquals": {"events:detail-type": "Other"}}},
        {"Principal": {"AWS": STAGING_ROOT}, "Condition": {"StringEquals": {"events:source": "aws.cloudwatch"}}},
        {"Principal": {"AWS": STAGING_ROOT}, "Condition": {"ArnEquals": {"aws:PrincipalArn": ROLE}}},
        {"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}}},
    ],
)
def test_what_a_bus_does_not_take_goes_to_the_dead_letter_queue(
    server: Server, inbox: Inbox, staging_role: str, statement: dict[str, Any]
) -> None:
    bus, source, dead_letters = new_bus(server, **statement), unique("source"), Inbox(server, STAGING)
    inside = rule(server, {"source": [source]}, {"Arn": inbox.arn}, bus=of(bus))
    target = {"Arn": bus, "RoleArn": staging_role, "DeadLetterConfig": {"Arn": dead_letters.arn}}
    outside = rule(server, {"source": [source]}, target, account=STAGING)
    put(server, source, {"n": 1}, STAGING)
    message = dead_letters.wait_for(1)[0]
    assert json.loads(message["Body"])["detail"] == {"n": 1}
    assert attribute(message, "ERROR_CODE") == "NO_PERMISSIONS"
    assert attribute(message, "TARGET_ARN") == bus
    assert eventually(lambda: count(server, outside, "InvocationsSentToDlq", STAGING) == 1.0)
    assert count(server, outside, "FailedInvocations", STAGING) == 1.0
    assert count(server, inside, "TriggeredRules") == 0.0


@pytest.mark.parametrize(
    ("case", "code"),
    [("no trust", "NO_PERMISSIONS"), ("no role of its own", "NO_PERMISSIONS"), ("no such bus", "NO_RESOURCE")],
)
def test_a_target_that_cannot_be_a_bus_of_this_rule(
    server: Server, inbox: Inbox, events_role: str, case: str, code: str
) -> None:
    bus, source = new_bus(server), unique("source")
    target = {
        "no trust": {"Arn": bus, "RoleArn": new_role(server, DEV, {"Principal": {"Service": "lambda.amazonaws.com"}})},
        "no role of its own": {"Arn": bus},
        "no such bus": {"Arn": f"{bus}-not", "RoleArn": events_role},
    }[case]
    rule(server, {"source": [source]}, {**target, "DeadLetterConfig": {"Arn": inbox.arn}})
    put(server, source, {})
    assert attribute(inbox.wait_for(1)[0], "ERROR_CODE") == code


def test_the_roles_of_an_organization_are_let_in(server: Server, inbox: Inbox) -> None:
    organizations, events = server.client("organizations", "454545454545"), server.client("events")
    organization = organizations.create_organization(FeatureSet="ALL")["Organization"]["Id"]
    made = organizations.create_account(AccountName="member", Email="member@example.com")["CreateAccountStatus"]
    member, bus, source = str(made["AccountId"]), new_bus(server), unique("source")
    role = new_role(server, member, {"Principal": {"Service": "events.amazonaws.com"}})
    events.put_permission(
        EventBusName=of(bus),
        Action="events:PutEvents",
        Principal="*",
        StatementId="Organization",
        Condition={"Type": "StringEquals", "Key": "aws:PrincipalOrgID", "Value": organization},
    )
    rule(server, {"source": [source]}, {"Arn": inbox.arn}, bus=of(bus))
    dead_letters = Inbox(server, member)
    rule(
        server,
        {"source": [source]},
        {"Arn": bus, "DeadLetterConfig": {"Arn": dead_letters.arn}},
        {"Arn": bus, "RoleArn": role},
        account=member,
    )
    put(server, source, {"n": 1}, member)
    assert inbox.events(1)[0]["account"] == member
    assert attribute(dead_letters.wait_for(1)[0], "ERROR_CODE") == "NO_PERMISSIONS", "AWS asks for a role here"


def test_an_event_is_passed_on_once(server: Server, inbox: Inbox, events_role: str) -> None:
    first, second, source = new_bus(server), new_bus(server), unique("source")
    pattern = {"source": [source]}
    rule(server, pattern, {"Arn": first, "RoleArn": events_role})
    on = rule(
        server,
        pattern,
        *({"Arn": bus, "RoleArn": events_role} for bus in (first, second)),
        {"Arn": inbox.arn, "Input": '"first"'},
        bus=of(first),
    )
    rule(server, pattern, {"Arn": inbox.arn, "Input": '"second"'}, bus=of(second))
    put(server, source, {})
    put(server, source, {}, EventBusName=of(second))
    assert [message["Body"] for message in inbox.wait_for(2)] == ['"first"', '"second"']
    assert count(server, on, "Invocations") == 1.0


def test_a_bus_policy_that_is_put_replaces_the_one_before(server: Server) -> None:
    bus, events = new_bus(server, Principal={"AWS": STAGING_ROOT}, Sid="Before"), server.client("events")
    statement = {
        "Sid": "After",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::333333333333:root"},
        "Action": "events:PutEvents",
        "Resource": bus,
    }
    events.put_permission(EventBusName=of(bus), Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert json.loads(events.describe_event_bus(Name=of(bus))["Policy"])["Statement"] == [statement]


def test_where_iam_is_enforced_the_role_has_to_be_allowed_as_well(tmp_path: Path) -> None:
    server = Server.start(tmp_path, "--enforce-iam")
    try:
        bus, inbox, dead_letters = new_bus(server, Principal={"AWS": STAGING}), Inbox(server), Inbox(server, STAGING)
        role = new_role(server, STAGING, {"Principal": {"Service": "events.amazonaws.com"}})
        statement = {"Effect": "Allow", "Action": "events:PutEvents", "Resource": bus, "Condition": TEST_ONLY}
        server.client("iam", STAGING).put_role_policy(
            RoleName=role.rsplit("/", 1)[-1],
            PolicyName="events",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )
        rule(server, {"source": ["here"]}, {"Arn": inbox.arn}, bus=of(bus))
        target = {"Arn": bus, "RoleArn": role, "DeadLetterConfig": {"Arn": dead_letters.arn}}
        rule(server, {"source": ["here"]}, target, account=STAGING)
        put(server, "here", {"n": 1}, STAGING, DetailType="Of another type")
        put(server, "here", {"n": 2}, STAGING)
        assert inbox.events(1)[0]["detail"] == {"n": 2}
        refused = dead_letters.wait_for(1)[0]
        assert json.loads(refused["Body"])["detail"] == {"n": 1}
        assert attribute(refused, "ERROR_CODE") == "NO_PERMISSIONS"
        assert attribute(refused, "ERROR_MESSAGE") == (
            f"User: arn:aws:sts::{STAGING}:assumed-role/{role.rsplit('/', 1)[-1]}/EventBridge is not authorized to "
            f"perform: events:PutEvents on resource: {bus} because no identity-based policy allows the "
            "events:PutEvents action"
        )
    finally:
        assert server.stop() == 0


def test_an_archive_keeps_events_and_plays_them_again(server: Server, inbox: Inbox) -> None:
    events, name, source = server.client("events"), unique("archive"), unique("source")
    bus = new_bus(server)
    archive = events.create_archive(
        ArchiveName=name, EventSourceArn=bus, EventPattern=json.dumps({"source": [source]})
    )["ArchiveArn"]
    rule(server, {"source": [source]}, {"Arn": inbox.arn}, bus=of(bus))
    put(server, source, {"n": 1}, EventBusName=bus)
    put(server, unique("other"), {"n": 2}, EventBusName=bus)
    assert eventually(lambda: events.describe_archive(ArchiveName=name)["EventCount"]) == 1
    now = datetime.now(UTC)
    events.start_replay(
        ReplayName=unique("replay"),
        EventSourceArn=archive,
        EventStartTime=now - timedelta(hours=1),
        EventEndTime=now,
        Destination={"Arn": bus},
    )
    first, again = inbox.events(2)
    assert first["detail"] == again["detail"] == {"n": 1}
    assert again["replay-name"].startswith("replay-")


def test_an_alarm_that_changes_its_state_starts_a_state_machine(server: Server, events_role: str) -> None:
    machine, name = pass_machine(server), unique("drift")
    pattern = {
        "source": ["aws.cloudwatch"],
        "detail-type": ["CloudWatch Alarm State Change"],
        "detail": {"alarmName": [{"prefix": "drift-"}], "state": {"value": ["ALARM"]}},
    }
    rule(server, pattern, {"Arn": machine, "RoleArn": events_role})
    cloudwatch = server.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace=unique(),
        MetricName="psi",
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0.2,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
    )
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="drifted")
    look = inputs(server, machine)
    found = eventually(lambda: [event for event in look() if event["detail"]["alarmName"] == name])
    assert found[0]["detail"]["state"]["value"] == "ALARM"
    assert found[0]["resources"] == [f"arn:aws:cloudwatch:{REGION}:{DEV}:alarm:{name}"]


@pytest.mark.parametrize(("script", "status"), [("pass", "Completed"), ("raise SystemExit(3)", "Failed")])
def test_a_training_job_announces_its_states(server: Server, inbox: Inbox, script: str, status: str) -> None:
    bucket, name, s3 = new_bucket(server), unique("job"), server.client("s3")
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Training Job State Change"],
        "detail": {"TrainingJobName": [name], "TrainingJobStatus": ["Completed", "Failed"]},
    }
    rule(server, pattern, {"Arn": inbox.arn})
    s3.put_object(Bucket=bucket, Key="code.tar.gz", Body=tar_gz({"train.py": script}))
    server.client("sagemaker").create_training_job(
        TrainingJobName=name,
        RoleArn=ROLE,
        AlgorithmSpecification={"TrainingImage": "i", "TrainingInputMode": "File"},
        HyperParameters={
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": f"s3://{bucket}/code.tar.gz",
        },
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    event = inbox.events(1)[0]
    assert event["detail"]["TrainingJobStatus"] == event["detail"]["SecondaryStatus"] == status
    assert event["resources"] == [event["detail"]["TrainingJobArn"]]
    assert event["detail"]["TrainingStartTime"] > 1_600_000_000_000
    assert ("FailureReason" in event["detail"]) is (status == "Failed")


def test_a_processing_job_announces_its_states(server: Server, inbox: Inbox) -> None:
    name = unique("job")
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Processing Job State Change"],
        "detail": {"ProcessingJobName": [name]},
    }
    rule(server, pattern, {"Arn": inbox.arn})
    server.client("sagemaker").create_processing_job(
        ProcessingJobName=name,
        RoleArn=ROLE,
        AppSpecification={"ImageUri": "image:1", "ContainerEntrypoint": ["python3", "-c", "raise SystemExit(3)"]},
        ProcessingResources={"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}},
    )
    running, failed = inbox.events(2)
    assert running["detail"]["ProcessingJobStatus"] == "InProgress"
    assert "ProcessingEndTime" not in running["detail"]
    assert failed["detail"]["ProcessingJobStatus"] == "Failed"
    assert "exit code: 3" in failed["detail"]["FailureReason"]
    assert failed["detail"]["ProcessingEndTime"] >= failed["detail"]["CreationTime"] > 1_600_000_000_000
    assert failed["detail"]["AppSpecification"]["ImageUri"] == "image:1"
    assert failed["detail"]["RoleArn"] == ROLE
    assert failed["resources"] == [failed["detail"]["ProcessingJobArn"]]


def test_transform_jobs_that_fail_are_counted(server: Server) -> None:
    """The rule as ``stacks/failures.py`` has it: its metric TriggeredRules is what an alarm looks at."""
    endpoints, prefix, group = Endpoints(server), unique("acme-dev-churn"), f"/aws/events/{unique()}"
    logs = server.client("logs")
    logs.create_log_group(logGroupName=group)
    failures = rule(
        server,
        {
            "source": ["aws.sagemaker"],
            "detail-type": ["SageMaker Transform Job State Change"],
            "detail": {"TransformJobStatus": ["Failed"], "TransformJobName": [{"prefix": f"{prefix}-"}]},
        },
        {"Arn": f"arn:aws:logs:{REGION}:{DEV}:log-group:{group}"},
    )
    model, bucket = endpoints.model("answer"), endpoints.bucket
    endpoints.s3.put_object(Bucket=bucket, Key="in/a.csv", Body=b"1")

    def transform(name: str, content_type: str) -> str:
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/in/"}}
        endpoints.sagemaker.create_transform_job(
            TransformJobName=name,
            ModelName=model,
            TransformInput={"DataSource": source, "ContentType": content_type},
            TransformOutput={"S3OutputPath": f"s3://{bucket}/out"},
            TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
            ModelClientConfig={"InvocationsMaxRetries": 0},
        )
        status = eventually(
            lambda: (
                found
                if (found := endpoints.sagemaker.describe_transform_job(TransformJobName=name)["TransformJobStatus"])
                != "InProgress"
                else None
            )
        )
        return str(status)

    assert transform(f"{prefix}-good", "text/csv") == "Completed"
    assert transform("other-bad", "text/fails") == "Failed"
    assert transform(f"{prefix}-bad", "text/fails") == "Failed"
    lines = eventually(lambda: logs.filter_log_events(logGroupName=group)["events"])
    event = json.loads(lines[0]["message"])
    detail = event["detail"]
    assert event["resources"] == [detail["TransformJobArn"]]
    assert (detail["TransformJobName"], detail["TransformJobStatus"]) == (f"{prefix}-bad", "Failed")
    assert detail["ModelName"] == model
    assert detail["TransformOutput"] == {"S3OutputPath": f"s3://{bucket}/out"}
    assert detail["FailureReason"].startswith("AlgorithmError: ")
    assert detail["TransformEndTime"] >= detail["TransformStartTime"] >= detail["CreationTime"] > 1_600_000_000_000
    assert count(server, failures, "TriggeredRules") == 1.0


@pytest.mark.parametrize(
    ("target", "payload"),
    [
        ({}, json.dumps(EVENT)),
        ({"InputPath": "$.detail.tags"}, '["x", "y"]'),
        ({"InputPath": "$.detail.tags[1]"}, '"y"'),
        ({"InputPath": "$.detail['object'].size"}, "5"),
        ({"InputPath": "$.detail.nosuch"}, "null"),
        ({"InputPath": "$"}, json.dumps(EVENT)),
        ({"Input": "[1]"}, "[1]"),
    ],
)
def test_what_a_target_is_given(target: dict[str, Any], payload: str) -> None:
    assert event_input.target_input(target, EVENT, {}) == payload


@pytest.mark.parametrize(
    ("template", "payload"),
    [
        ('{"k": <key>}', '{"k": "a \\"b\\""}'),
        ('{"k": "key <key>!"}', '{"k": "key a \\"b\\"!"}'),
        ('{"t": <tags>, "n": <size>}', '{"t": ["x", "y"], "n": 5}'),
        ('{"m": <missing>}', '{"m": ""}'),
        ("size <size>", "size 5"),
        ('"<size> bytes"', '"5 bytes"'),
        ('{"r": "<aws.events.rule-name>"}', '{"r": "rule"}'),
        ('{"e": <aws.events.event.json>}', '{"e": ' + json.dumps(EVENT) + "}"),
    ],
)
def test_templates(template: str, payload: str) -> None:
    paths = {"key": "$.detail.object.key", "tags": "$.detail.tags", "size": "$.detail.object.size", "missing": "$.x.y"}
    transformer = {"InputPathsMap": paths, "InputTemplate": template}
    assert event_input.target_input({"InputTransformer": transformer}, EVENT, {"rule-name": "rule"}) == payload


@pytest.mark.parametrize("template", ['{"k": <unknown>}', '{"k": "<key>}'])
def test_templates_that_make_no_json_are_errors(template: str) -> None:
    transformer = {"InputPathsMap": {"key": "$.detail.object.key"}, "InputTemplate": template}
    with pytest.raises(event_input.InputError):
        event_input.target_input({"InputTransformer": transformer}, EVENT, {})
