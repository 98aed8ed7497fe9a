"""Schedules: when they fire, what they ask for, as whom, and what becomes of a request that is refused."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops_kit.local.overlay import schedule_expressions
from tests.local_cloud.support import DEV, REGION, ROLE, STAGING, Server, eventually, new_role, unique

NEVER = "at(2100-01-01T00:00:00)"
OFF = {"Mode": "OFF"}


class Schedules:
    """Makes and fires schedules as one role."""

    def __init__(self, server: Server) -> None:
        self.server, self.client = server, server.client("scheduler")
        self.role = new_role(server, DEV, {"Principal": {"Service": "scheduler.amazonaws.com"}})

    def create(self, arn: str, given: Any = None, *, expression: str = NEVER, target: Any = None, **more: Any) -> str:
        name = unique("schedule")
        whole = {"Arn": arn, "RoleArn": self.role, **(target or {})}
        if given is not None:
            whole["Input"] = given if isinstance(given, str) else json.dumps(given)
        self.client.create_schedule(
            Name=name, ScheduleExpression=expression, FlexibleTimeWindow=OFF, Target=whole, **more
        )
        return name

    def fire(self, name: str, group: str = "default", account: str = DEV) -> dict[str, Any]:
        query = urllib.parse.urlencode({"account": account, "region": REGION})
        url = f"{self.server.url}/_mlops-kit/schedules/{group}/{name}/fire?{query}"
        request = urllib.request.Request(url, method="POST")  # noqa: S310  # our own server
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return dict(json.load(answer))


@pytest.fixture(scope="module")
def schedules(server: Server) -> Schedules:
    return Schedules(server)


def queue(server: Server) -> tuple[str, str, Callable[[], dict[str, Any]]]:
    """A queue: URL, ARN, and its next message."""
    sqs = server.client("sqs")
    url = str(sqs.create_queue(QueueName=unique("queue"))["QueueUrl"])
    arn = str(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"])

    def receive() -> dict[str, Any]:
        request = {"QueueUrl": url, "MessageAttributeNames": ["All"]}
        return dict(eventually(lambda: sqs.receive_message(**request).get("Messages"))[0])

    return url, arn, receive


def echo_machine(server: Server) -> str:
    role = new_role(server, DEV, {"Principal": {"Service": "states.amazonaws.com"}})
    definition = {"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {"Type": "Succeed"}}}
    made = server.client("stepfunctions").create_state_machine(
        name=unique("machine"), roleArn=role, definition=json.dumps(definition)
    )
    return str(made["stateMachineArn"])


def executions(server: Server, machine: str) -> list[dict[str, Any]]:
    sfn = server.client("stepfunctions")
    found = sfn.list_executions(stateMachineArn=machine)["executions"]
    return [sfn.describe_execution(executionArn=execution["executionArn"]) for execution in found]


def test_a_schedule_fires_by_itself(server: Server, schedules: Schedules) -> None:
    url, arn, receive = queue(server)
    soon = (datetime.now(UTC) + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%S")
    name = schedules.create(
        arn, {"at": "<aws.scheduler.scheduled-time>"}, expression=f"at({soon})", ActionAfterCompletion="DELETE"
    )
    assert json.loads(receive()["Body"]) == {"at": f"{soon}Z"}

    def gone() -> bool:
        return name not in [s["Name"] for s in schedules.client.list_schedules(NamePrefix=name)["Schedules"]]

    assert eventually(gone)
    assert url


def test_a_rate_begins_at_once_and_a_disabled_schedule_does_not(server: Server, schedules: Schedules) -> None:
    _, arn, receive = queue(server)
    schedules.create(arn, "disabled", expression="rate(1 minute)", State="DISABLED")
    later = datetime.now(UTC) + timedelta(days=1)
    schedules.create(arn, "later", expression="rate(1 minute)", StartDate=later)
    schedules.create(arn, "now", expression="rate(1 minute)")
    assert receive()["Body"] == "now"


def test_a_state_machine_as_templated_and_as_universal_target(server: Server, schedules: Schedules) -> None:
    machine = echo_machine(server)
    templated = schedules.create(machine, {"by": "<aws.scheduler.schedule-arn>", "n": "<aws.scheduler.attempt-number>"})
    universal = schedules.create(
        "arn:aws:scheduler:::aws-sdk:sfn:startExecution",
        {"StateMachineArn": machine, "Name": "<aws.scheduler.execution-id>", "Input": '{"universal": true}'},
    )
    assert schedules.fire(templated)["Status"] == "SUCCEEDED"
    fired = schedules.fire(universal)
    assert fired["Status"] == "SUCCEEDED", fired
    found = executions(server, machine)
    assert {execution["input"] for execution in found} == {
        json.dumps({"by": f"arn:aws:scheduler:{REGION}:{DEV}:schedule/default/{templated}", "n": "1"}),
        '{"universal": true}',
    }
    assert fired["ExecutionId"] in [execution["name"] for execution in found]


def test_a_universal_target_starts_a_processing_job_as_the_api_has_it(server: Server, schedules: Schedules) -> None:
    name = schedules.create(
        "arn:aws:scheduler:::aws-sdk:sagemaker:createProcessingJob",
        {
            "ProcessingJobName": "drift-<aws.scheduler.execution-id>",
            "RoleArn": ROLE,
            "AppSpecification": {"ImageUri": "image:1", "ContainerEntrypoint": ["python3", "-c", "pass"]},
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
            },
            "Environment": {"AT": "<aws.scheduler.scheduled-time>"},
        },
    )
    fired = schedules.fire(name)
    assert fired["Status"] == "SUCCEEDED", fired
    job = server.client("sagemaker").describe_processing_job(ProcessingJobName=f"drift-{fired['ExecutionId']}")
    assert datetime.fromisoformat(job["Environment"]["AT"]) <= datetime.now(UTC)


def test_topics_buses_and_pipelines(server: Server, schedules: Schedules) -> None:
    sns, events, sagemaker = server.client("sns"), server.client("events"), server.client("sagemaker")
    _, arn, receive = queue(server)
    topic = sns.create_topic(Name=unique("topic"))["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    assert schedules.fire(schedules.create(topic, "hello"))["Status"] == "SUCCEEDED"
    assert receive()["Body"] == "hello"

    _, arn, receive = queue(server)
    rule, bus = unique("rule"), f"arn:aws:events:{REGION}:{DEV}:event-bus/default"
    events.put_rule(Name=rule, EventPattern=json.dumps({"source": [rule]}))
    events.put_targets(Rule=rule, Targets=[{"Id": "t", "Arn": arn}])
    parameters = {"EventBridgeParameters": {"Source": rule, "DetailType": "Time"}}
    assert schedules.fire(schedules.create(bus, {"n": 1}, target=parameters))["Status"] == "SUCCEEDED"
    assert json.loads(receive()["Body"])["detail"] == {"n": 1}

    name = unique("pipeline")
    step = {"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": {"Get": "Parameters.Commit"}}}
    definition = {
        "Version": "2020-12-01",
        "Parameters": [{"Name": "Commit", "Type": "String"}],
        "Steps": [step],
    }
    pipeline = sagemaker.create_pipeline(PipelineName=name, PipelineDefinition=json.dumps(definition), RoleArn=ROLE)
    parameters = {"SageMakerPipelineParameters": {"PipelineParameterList": [{"Name": "Commit", "Value": "abc"}]}}
    fired = schedules.fire(schedules.create(pipeline["PipelineArn"], target=parameters))
    assert fired["Status"] == "SUCCEEDED", fired
    assert len(sagemaker.list_pipeline_executions(PipelineName=name)["PipelineExecutionSummaries"]) == 1


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"TrainingJobName": "nosuch"}, "ValidationException"),
        ({"trainingJobName": "wrong case"}, "ParamValidationError"),
        ("no json", "JSONDecodeError"),
    ],
)
def test_a_refused_request_goes_to_the_dead_letter_queue(
    server: Server, schedules: Schedules, given: Any, code: str
) -> None:
    _, arn, receive = queue(server)
    target = "arn:aws:scheduler:::aws-sdk:sagemaker:stopTrainingJob"
    name = schedules.create(target, given, target={"DeadLetterConfig": {"Arn": arn}})
    fired = schedules.fire(name)
    message = receive()
    attributes = {key: value["StringValue"] for key, value in message["MessageAttributes"].items()}
    assert (fired["Status"], fired["Error"]) == ("FAILED", code)
    assert message["Body"] == (given if isinstance(given, str) else json.dumps(given))
    assert attributes["ERROR_CODE"] == code
    assert attributes["ERROR_MESSAGE"] == fired["Message"]
    assert attributes["SCHEDULE_ARN"] == f"arn:aws:scheduler:{REGION}:{DEV}:schedule/default/{name}"
    assert attributes["TARGET_ARN"] == target
    assert attributes["EXECUTION_ID"] == fired["ExecutionId"]
    assert attributes["RETRY_ATTEMPTS"] == "0"
    assert datetime.fromisoformat(attributes["SCHEDULED_TIME"]) <= datetime.now(UTC)


def test_a_role_that_has_stopped_trusting_the_scheduler_is_of_no_use(server: Server, schedules: Schedules) -> None:
    _, arn, _ = queue(server)
    iam, role = server.client("iam"), new_role(server, DEV, {"Principal": {"Service": "scheduler.amazonaws.com"}})
    name = schedules.create(arn, "x", target={"RoleArn": role})
    nobody = {"Effect": "Deny", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.update_assume_role_policy(
        RoleName=role.rsplit("/", 1)[1], PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [nobody]})
    )
    fired = schedules.fire(name)
    assert (fired["Status"], fired["Error"]) == ("FAILED", "AccessDeniedException")


def test_a_trust_policy_may_name_the_schedules_group(server: Server, schedules: Schedules) -> None:
    group = unique("group")
    schedules.client.create_schedule_group(Name=group)
    source = f"arn:aws:scheduler:{REGION}:{DEV}:schedule-group/{group}"
    condition = {"StringEquals": {"aws:SourceAccount": DEV, "aws:SourceArn": source}}
    role = new_role(server, DEV, {"Principal": {"Service": "scheduler.amazonaws.com"}, "Condition": condition})
    _, arn, receive = queue(server)
    name = schedules.create(arn, "from the group", target={"RoleArn": role}, GroupName=group)
    assert schedules.fire(name, group)["Status"] == "SUCCEEDED"
    assert receive()["Body"] == "from the group"
    with pytest.raises(ClientError, match="must allow AWS EventBridge Scheduler to assume"):
        schedules.create(arn, "from the default group", target={"RoleArn": role})


def test_firing_what_is_not_there(server: Server, schedules: Schedules) -> None:
    _, arn, _ = queue(server)
    name = schedules.create(arn)
    for group, schedule, account in (("default", "nosuch", DEV), ("nosuch", name, DEV), ("default", name, STAGING)):
        with pytest.raises(urllib.error.HTTPError) as caught:
            schedules.fire(schedule, group, account)
        assert caught.value.code == 404
        caught.value.close()


def test_an_update_replaces_everything(server: Server, schedules: Schedules) -> None:
    _, arn, _ = queue(server)
    name = schedules.create(
        arn,
        "x",
        State="DISABLED",
        Description="d",
        EndDate=datetime(2100, 1, 1, tzinfo=UTC),
        ScheduleExpressionTimezone="Europe/Berlin",
        ActionAfterCompletion="DELETE",
    )
    before = schedules.client.get_schedule(Name=name)
    assert (before["State"], before["ActionAfterCompletion"], before["Description"]) == ("DISABLED", "DELETE", "d")
    schedules.client.update_schedule(
        Name=name,
        ScheduleExpression="rate(10 days)",
        FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5},
        StartDate=datetime(2099, 1, 1, tzinfo=UTC),
        Target={"Arn": arn, "RoleArn": schedules.role, "Input": "y"},
    )
    after = schedules.client.get_schedule(Name=name)
    assert (after["State"], after["ActionAfterCompletion"]) == ("ENABLED", "NONE")
    assert after["ScheduleExpressionTimezone"] == "UTC"
    assert after["Target"]["Input"] == "y"
    assert not {"Description", "EndDate", "KmsKeyArn"} & after.keys()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"expression": "cron(0 3 * * *)"}, "Invalid Schedule Expression"),
        ({"expression": "rate(0 minutes)"}, "Invalid Schedule Expression"),
        ({"ScheduleExpressionTimezone": "Europe/Atlantis"}, "Timezone"),
        ({"arn": "arn:aws:scheduler:::aws-sdk:sagemaker:trainPlease"}, "trainPlease"),
        ({"arn": "arn:aws:scheduler:::aws-sdk:states:startExecution"}, "states"),
        ({"arn": "arn:aws:scheduler:::aws-sdk:sagemaker:listModels"}, "read-only"),
        ({"target": {"RoleArn": f"arn:aws:iam::{DEV}:role/nosuch"}}, "must allow AWS EventBridge Scheduler"),
        ({"GroupName": "nosuch"}, "ResourceNotFoundException"),
    ],
)
def test_what_is_refused(schedules: Schedules, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ClientError, match=words):
        schedules.create(**{"arn": "arn:aws:scheduler:::aws-sdk:sagemaker:stopTrainingJob", **changes})


def test_groups(schedules: Schedules) -> None:
    name = unique("group")
    schedules.client.create_schedule_group(Name=name)
    with pytest.raises(ClientError, match="ConflictException"):
        schedules.client.create_schedule_group(Name=name)
    schedules.client.delete_schedule_group(Name=name)
    for operation in (schedules.client.get_schedule_group, schedules.client.delete_schedule_group):
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            operation(Name=name)


def moments(expression: str, since: str, until: str, zone: str = "UTC", created: str | None = None) -> list[str]:
    """The minutes at which an expression fires, in UTC."""
    begin, end = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (since, until))
    start = datetime.fromisoformat(created).replace(tzinfo=UTC) if created else begin
    found = schedule_expressions.due(expression, zone, created=start, since=begin, until=end)
    return [moment.strftime("%m-%d %H:%M") for moment in found]


@pytest.mark.parametrize(
    ("expression", "since", "until", "zone", "expected"),
    [
        ("cron(0 3 * * ? *)", "2026-01-01T02:00", "2026-01-02T04:00", "UTC", ["01-01 03:00", "01-02 03:00"]),
        ("cron(0 3 * * ? *)", "2026-01-01T03:00", "2026-01-01T04:00", "UTC", []),
        ("cron(0/30 8 * * ? *)", "2026-01-01T00:00", "2026-01-01T12:00", "UTC", ["01-01 08:00", "01-01 08:30"]),
        ("cron(15 12 ? * MON-FRI *)", "2026-01-02T00:00", "2026-01-03T23:00", "UTC", ["01-02 12:15"]),
        ("cron(15 12 ? * FRI-SUN *)", "2026-01-03T13:00", "2026-01-05T13:00", "UTC", ["01-04 12:15"]),
        ("cron(0 0 ? * 1 *)", "2026-01-03T12:00", "2026-01-04T12:00", "UTC", ["01-04 00:00"]),
        ("cron(0 0 L * ? *)", "2026-02-27T12:00", "2026-02-28T12:00", "UTC", ["02-28 00:00"]),
        ("cron(0 0 1W * ? *)", "2026-02-01T12:00", "2026-02-02T12:00", "UTC", ["02-02 00:00"]),
        ("cron(0 0 ? * 6L *)", "2026-01-29T12:00", "2026-01-30T12:00", "UTC", ["01-30 00:00"]),
        ("cron(0 0 ? * 6L *)", "2026-01-22T12:00", "2026-01-23T12:00", "UTC", []),
        ("cron(0 0 ? * MON#1 *)", "2026-01-04T12:00", "2026-01-05T12:00", "UTC", ["01-05 00:00"]),
        ("cron(0 0 1,15 JAN-MAR,DEC ? 2026)", "2026-03-14T12:00", "2026-03-15T12:00", "UTC", ["03-15 00:00"]),
        ("cron(0 0 1,15 JAN-MAR,DEC ? 2027)", "2026-03-14T12:00", "2026-03-15T12:00", "UTC", []),
        ("cron(0 3 * * ? *)", "2026-01-01T00:00", "2026-01-01T12:00", "Europe/Berlin", ["01-01 02:00"]),
        ("cron(0 3 * * ? *)", "2026-07-01T00:00", "2026-07-01T12:00", "Europe/Berlin", ["07-01 01:00"]),
        # Skipped by daylight saving time, and repeated by it.
        ("cron(30 2 * * ? *)", "2026-03-28T12:00", "2026-03-29T12:00", "Europe/Berlin", []),
        ("cron(30 2 * * ? *)", "2026-10-24T12:00", "2026-10-25T12:00", "Europe/Berlin", ["10-25 00:30"]),
        ("at(2026-01-01T12:00:00)", "2026-01-01T00:00", "2026-01-02T00:00", "America/New_York", ["01-01 17:00"]),
        ("at(2026-01-01T12:00:00)", "2026-01-01T12:00", "2026-01-02T00:00", "UTC", []),
    ],
)  # fmt: skip
def test_when_a_schedule_fires(expression: str, since: str, until: str, zone: str, expected: list[str]) -> None:
    assert moments(expression, since, until, zone) == expected


def test_a_rate_counts_from_its_beginning() -> None:
    day = "2026-01-01T"
    assert moments("rate(5 minutes)", f"{day}10:00", f"{day}10:10", created=f"{day}09:02") == [
        "01-01 10:02",
        "01-01 10:07",
    ]
    assert moments("rate(1 hour)", f"{day}10:00", f"{day}12:00", created=f"{day}10:00") == [
        "01-01 11:00",
        "01-01 12:00",
    ]
    assert moments("rate(1 day)", f"{day}09:59", f"{day}10:00", created=f"{day}10:00") == ["01-01 10:00"]
    assert moments("rate(1 day)", f"{day}08:00", f"{day}09:00", created=f"{day}10:00") == []


@pytest.mark.parametrize(
    "expression",
    [
        *("cron(0 3 * * * *)", "cron(60 3 * * ? *)", "cron(0 3 ? * ? *)", "cron(0 3 ? * MO *)", "cron(0 3 32 * ? *)"),
        *("rate(1 week)", "rate(-1 days)", "at(tomorrow)", "every day", "at(2026-01-01)"),
    ],
)
def test_expressions_that_are_none(expression: str) -> None:
    with pytest.raises(schedule_expressions.ScheduleError):
        schedule_expressions.check(expression, "UTC")
