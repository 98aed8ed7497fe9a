"""What starts by itself: the rules, the state machine, the way of drift between accounts, and what keeps failures."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from moto.events.models import EventPattern

from mlops_kit.local.overlay import sfn_definition
from mlops_kit.local.overlay.sfn_interpreter import Execution, StateError
from mlops_kit.naming import DatasetKeys
from stacks import retraining_machine
from tests.stacks.conftest import Synthesized
from tests.stacks.stack import Stack
from tests.stacks.test_training import statements


def rule(stack: Stack, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Pattern and target of a rule."""
    (logical,) = [key for key, found in stack.all("aws_cloudwatch_event_rule").items() if found["name"] == name]
    target = stack.where("aws_cloudwatch_event_target", rule=f"${{aws_cloudwatch_event_rule.{logical}.name}}")
    return json.loads(stack.all("aws_cloudwatch_event_rule")[logical]["event_pattern"]), target


def test_dead_letters_are_kept_encrypted_and_watched(stack: Stack) -> None:
    names = stack.environment.names
    queue = stack.where("aws_sqs_queue", name=names.dead_letter_queue)
    assert queue["message_retention_seconds"] == 14 * 24 * 3600
    assert queue["kms_master_key_id"].startswith("${aws_kms_key.")
    keep, tls = stack.parse(stack.one("aws_sqs_queue_policy")["policy"])
    assert keep["Principal"] == {"Service": "events.amazonaws.com"}
    assert keep["Condition"] == {
        "StringEquals": {"aws:SourceAccount": names.account},
        "ArnLike": {"aws:SourceArn": names.arn("events", f"rule/{names.prefix}-*")},
    }
    assert (tls["Effect"], tls["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    alarm = stack.where("aws_cloudwatch_metric_alarm", alarm_name=names.alarm("dead-letters"))
    assert (alarm["metric_name"], alarm["threshold"]) == ("ApproximateNumberOfMessagesVisible", 1)
    assert alarm["dimensions"] == {"QueueName": names.dead_letter_queue}
    assert alarm["alarm_actions"]


def test_data_that_moves_starts_the_retraining(sandbox: Stack) -> None:
    names = sandbox.environment.names
    own = names.model("fraud")
    pattern, target = rule(sandbox, own.rule("data"))
    assert pattern == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {
            "bucket": {"name": [names.bucket("lake")]},
            "object": {"key": [DatasetKeys("payments").ref("main")]},
        },
    }
    assert target["arn"].startswith("${aws_sfn_state_machine.")
    assert target["dead_letter_config"]["arn"].startswith("${aws_sqs_queue.")
    assert set(target["retry_policy"]) == {"maximum_event_age_in_seconds", "maximum_retry_attempts"}
    request = json.loads(target["input_transformer"]["input_template"])
    assert request == {
        "model": "fraud",
        "pipeline": own.pipeline,
        "dataset": "payments",
        "ref": "main",
        "cooldown_hours": 12,
        "reason": "payments@main moved, version <version>",
        "bucket": names.bucket("lake"),
    }
    notification = sandbox.of_bucket("aws_s3_bucket_notification", names.bucket("lake"))
    assert notification["eventbridge"] is True, "or S3 tells nobody"


def test_drift_here_and_in_every_later_stage_starts_it(sandbox: Stack) -> None:
    pattern, target = rule(sandbox, sandbox.environment.names.model("fraud").rule("drift"))
    stages = {stage.name: stage.names for stage in sandbox.project.stages}
    assert pattern["account"] == sorted(names.account for names in stages.values())
    assert pattern["resources"] == [
        stages[name].arn("cloudwatch", f"alarm:{stages[name].model('fraud').alarm('drift')}")
        for name in ("sandbox", "secure", "adopted")
    ]
    assert pattern["detail"] == {"state": {"value": ["ALARM"]}}
    assert "<alarm>" in target["input_transformer"]["input_template"]


def test_the_rule_takes_a_forwarded_alarm_and_no_other_event(sandbox: Stack, secure: Stack) -> None:
    pattern, _ = rule(sandbox, sandbox.environment.names.model("fraud").rule("drift"))
    matches = EventPattern.load(json.dumps(pattern)).matches_event
    names = secure.environment.names
    alarm = names.model("fraud").alarm("drift")
    event = {
        "source": "aws.cloudwatch",
        "detail-type": "CloudWatch Alarm State Change",
        "account": names.account,
        "resources": [names.arn("cloudwatch", f"alarm:{alarm}")],
        "detail": {"alarmName": alarm, "state": {"value": "ALARM"}},
    }
    assert matches(event)
    assert not matches({**event, "detail": {"state": {"value": "OK"}}})
    assert not matches({**event, "account": "999999999999"})
    assert not matches({**event, "resources": [names.arn("cloudwatch", "alarm:gallery-secure-fraud-latency")]})


def test_later_stages_hand_their_drift_on(secure: Stack, adopted: Stack, sandbox: Stack) -> None:
    for stack in (secure, adopted):
        names = stack.environment.names
        pattern, target = rule(stack, names.forward_rule)
        assert pattern["resources"] == [names.arn("cloudwatch", f"alarm:{names.model('fraud').alarm('drift')}")]
        assert target["arn"] == sandbox.environment.names.default_bus_arn
        assert target["role_arn"].startswith("${aws_iam_role.")
        assert statements(stack, names.role("events"))["ForwardDrift"]["Resource"] == target["arn"]
    made = {found["name"] for found in sandbox.all("aws_cloudwatch_event_rule").values()}
    assert sandbox.environment.names.forward_rule not in made


def test_the_first_stage_takes_drift_alarms_of_its_later_stages_and_nothing_else(
    sandbox: Stack, secure: Stack, adopted: Stack
) -> None:
    found = sandbox.parse(sandbox.one("aws_cloudwatch_event_bus_policy")["policy"])
    assert [statement["Principal"]["AWS"] for statement in found] == [
        stack.environment.names.account_root for stack in (secure, adopted)
    ]
    for statement, stack in zip(found, (secure, adopted), strict=True):
        assert statement["Action"] == ["events:PutEvents"]
        assert statement["Resource"] == sandbox.environment.names.default_bus_arn
        assert statement["Condition"] == {
            "ArnEquals": {"aws:PrincipalArn": stack.environment.names.role_arn("events")},
            "ForAllValues:StringEquals": {"events:source": "aws.cloudwatch"},
            "Null": {"events:source": "false"},
            "StringEquals": {"events:detail-type": "CloudWatch Alarm State Change"},
        }
    assert not secure.all("aws_cloudwatch_event_bus_policy")


def test_the_shipped_project_retrains_in_dev_when_production_drifts(synthesized: Synthesized) -> None:
    dev, staging, production = (synthesized.aws[name] for name in ("dev", "staging", "production"))
    pattern, _ = rule(dev, dev.environment.names.model("diagnosis").rule("drift"))
    assert pattern["account"] == ["111111111111", "222222222222", "333333333333"]
    for stack in (staging, production):
        assert not stack.all("aws_sfn_state_machine"), "only the first stage retrains"
        _, target = rule(stack, stack.environment.names.forward_rule)
        assert target["arn"] == dev.environment.names.default_bus_arn
    rules = {found["name"] for found in dev.all("aws_cloudwatch_event_rule").values()}
    assert dev.environment.names.model("diagnosis").rule("data") not in rules


def test_the_schedule(sandbox: Stack) -> None:
    own = sandbox.environment.names.model("fraud")
    schedule = sandbox.where("aws_scheduler_schedule", name=own.schedule("retraining"))
    assert schedule["schedule_expression"] == "cron(0 3 ? * SUN *)"
    assert schedule["target"]["arn"].startswith("${aws_sfn_state_machine.")
    assert json.loads(schedule["target"]["input"])["reason"] == "schedule"


def test_nothing_automatic_nothing_made(empty: Stack, lab: Stack) -> None:
    for stack in (empty, lab):
        assert not stack.all("aws_sfn_state_machine")
        names = stack.environment.names
        assert names.role("events") not in {role["name"] for role in stack.all("aws_iam_role").values()}
        alarms = {alarm["alarm_name"] for alarm in stack.all("aws_cloudwatch_metric_alarm").values()}
        assert names.alarm("retrain-failed") not in alarms


def test_a_retraining_that_fails_is_heard_of(sandbox: Stack) -> None:
    names = sandbox.environment.names
    alarm = sandbox.where("aws_cloudwatch_metric_alarm", alarm_name=names.alarm("retrain-failed"))
    assert (alarm["namespace"], alarm["metric_name"]) == ("AWS/States", "ExecutionsFailed")
    assert alarm["dimensions"]["StateMachineArn"].startswith("${aws_sfn_state_machine.")
    assert alarm["alarm_actions"]


def test_the_machine_may_start_these_pipelines_and_read_these_refs(sandbox: Stack) -> None:
    names = sandbox.environment.names
    found = statements(sandbox, names.role("retrain"))
    assert found["StartPipelines"]["Resource"] == [names.model("fraud").pipeline_arn]
    assert found["ReadRefs"]["Resource"] == [f"{names.bucket_arn('lake')}/{DatasetKeys('payments').ref('main')}"]
    assert found["KeepWhatFailed"]["Resource"] == names.arn("sqs", names.dead_letter_queue)


COMMIT = "c" * 64


class Services:
    """What the machine's tasks ask for, and the answers."""

    def __init__(self, *, runs: int = 0, fails: str = "", error: str = "SageMaker.SageMakerException") -> None:
        self.runs, self.fails, self.error = runs, fails, error
        self.asked: list[tuple[str, Any]] = []

    def __call__(self, resource: str, arguments: Any) -> Any:
        action = resource.rsplit(":", 1)[1]
        self.asked.append((action, arguments))
        if action == self.fails:
            raise StateError(self.error, "because")
        return {
            "listPipelineExecutions": {"PipelineExecutionSummaries": [{"PipelineExecutionArn": "old"}] * self.runs},
            "getObject": {"Body": json.dumps({"by": "a", "commit": COMMIT, "time": "t"})},
            "startPipelineExecution": {"PipelineExecutionArn": "new"},
            "sendMessage": {"MessageId": "m"},
        }[action]


def run(sandbox: Stack, services: Services) -> Any:
    names = sandbox.environment.names
    model = sandbox.project.model("fraud", sandbox.environment)
    request = retraining_machine.request(names, model, "test")
    machine = Execution(
        definition=retraining_machine.definition(names),
        context={
            "Execution": {"Id": "execution", "Name": "run", "Input": request},
            "StateMachine": {"Id": "machine", "Name": names.retrain_machine},
        },
        task=services,
        record=lambda *_, **__: None,
        wait=lambda _: None,
        check_stopped=lambda: None,
    )
    return machine.run(request)


def test_the_machine_is_well_formed(sandbox: Stack) -> None:
    machine = sandbox.where("aws_sfn_state_machine", name=sandbox.environment.names.retrain_machine)
    assert machine["type"] == "STANDARD"
    assert sfn_definition.check(machine["definition"]) == []


def test_it_starts_the_pipeline_on_what_the_ref_points_to(sandbox: Stack) -> None:
    services = Services()
    before = datetime.now(UTC)
    ended = run(sandbox, services)
    assert (ended["started"], ended["execution"], ended["commit"]) == (True, "new", COMMIT)
    (_, listed), (_, read), (_, started) = services.asked
    own = sandbox.environment.names.model("fraud")
    lake = sandbox.environment.names.bucket("lake")
    assert listed["PipelineName"] == own.pipeline
    since = datetime.fromisoformat(listed["CreatedAfter"])
    assert timedelta(0) <= since - (before - timedelta(hours=12)) + timedelta(milliseconds=1) < timedelta(minutes=5)
    assert (read["Bucket"], read["Key"]) == (lake, DatasetKeys("payments").ref("main"))
    assert read["ExpectedBucketOwner"] == sandbox.environment.account
    assert started["PipelineName"] == own.pipeline
    assert started["PipelineParameters"] == [
        {"Name": "DatasetCommit", "Value": COMMIT},
        {"Name": "DatasetManifest", "Value": f"s3://{lake}/{DatasetKeys('payments').manifest(COMMIT)}"},
    ]
    assert 32 <= len(started["ClientRequestToken"]) <= 128


def test_it_rests_after_a_run(sandbox: Stack) -> None:
    services = Services(runs=1)
    assert run(sandbox, services)["started"] is False
    assert [action for action, _ in services.asked] == ["listPipelineExecutions"]


@pytest.mark.parametrize("fails", ["listPipelineExecutions", "getObject", "startPipelineExecution"])
def test_what_fails_is_kept_with_its_reason(sandbox: Stack, fails: str) -> None:
    services = Services(fails=fails)
    with pytest.raises(StateError) as caught:
        run(sandbox, services)
    assert (caught.value.error, caught.value.cause) == ("SageMaker.SageMakerException", "because")
    action, message = services.asked[-1]
    names = sandbox.environment.names
    queue = f"https://sqs.us-east-1.amazonaws.com/{names.account}/{names.dead_letter_queue}"
    assert (action, message["QueueUrl"]) == ("sendMessage", queue)
    kept = message["MessageBody"]
    assert kept["failure"] == {"Error": "SageMaker.SageMakerException", "Cause": "because"}
    assert (kept["stateMachine"], kept["execution"]) == (names.retrain_machine, "execution")
    assert (kept["input"]["model"], kept["input"]["reason"]) == ("fraud", "test"), "enough to start it by hand"


def test_throttling_is_tried_again(sandbox: Stack) -> None:
    services = Services(fails="startPipelineExecution", error="SageMaker.ThrottlingException")
    with pytest.raises(StateError):
        run(sandbox, services)
    assert [action for action, _ in services.asked].count("startPipelineExecution") > 3
