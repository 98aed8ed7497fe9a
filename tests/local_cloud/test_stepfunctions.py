"""State machines: what runs, what is refused, and that the history and the metrics tell the truth."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops_kit.local.overlay import sfn_definition, sfn_expressions
from mlops_kit.local.overlay.sfn_expressions import EvaluationError
from mlops_kit.local.overlay.sfn_interpreter import matches
from tests.local_cloud.support import DEV, Server, eventually, new_bucket, new_role, unique

SDK = "arn:aws:states:::aws-sdk"
Definition = dict[str, Any]


def machine(*states: tuple[str, dict[str, Any]], **fields: Any) -> Definition:
    """A JSONata machine of these states, which follow each other unless they say otherwise."""
    made = {}
    for i, (name, state) in enumerate(states):
        goes_on = state["Type"] in ("Choice", "Succeed", "Fail") or "Next" in state or "End" in state
        last = i + 1 == len(states)
        made[name] = state if goes_on else {**state, **({"End": True} if last else {"Next": states[i + 1][0]})}
    return {"QueryLanguage": "JSONata", "StartAt": states[0][0], "States": made, **fields}


class Machines:
    """Creates and runs state machines as one role."""

    def __init__(self, server: Server) -> None:
        self.server, self.sfn = server, server.client("stepfunctions")
        self.role = new_role(server, DEV, {"Principal": {"Service": "states.amazonaws.com"}})

    def create(self, definition: Definition, **options: Any) -> str:
        options = {"name": unique("machine"), "roleArn": self.role, "definition": json.dumps(definition), **options}
        return str(self.sfn.create_state_machine(**options)["stateMachineArn"])

    def start(self, arn: str, given: Any = None) -> str:
        return str(self.sfn.start_execution(stateMachineArn=arn, input=json.dumps(given))["executionArn"])

    def ended(self, execution: str) -> dict[str, Any]:
        def over() -> dict[str, Any] | None:
            found: dict[str, Any] = self.sfn.describe_execution(executionArn=execution)
            return found if found["status"] != "RUNNING" else None

        return dict(eventually(over) or {})

    def run(self, definition: Definition, given: Any = None) -> dict[str, Any]:
        return self.ended(self.start(self.create(definition), given))

    def output(self, definition: Definition, given: Any = None) -> Any:
        done = self.run(definition, given)
        assert done["status"] == "SUCCEEDED", done
        return json.loads(done["output"])

    def history(self, execution: str, **options: Any) -> list[dict[str, Any]]:
        return list(self.sfn.get_execution_history(executionArn=execution, **options)["events"])


@pytest.fixture(scope="module")
def machines(server: Server) -> Machines:
    return Machines(server)


def queue(server: Server) -> tuple[str, Callable[[], dict[str, Any]]]:
    """A queue's URL, and its next message."""
    sqs = server.client("sqs")
    url = str(sqs.create_queue(QueueName=unique("queue"))["QueueUrl"])

    def receive() -> dict[str, Any]:
        request = {"QueueUrl": url, "MessageAttributeNames": ["All"]}
        return dict(eventually(lambda: sqs.receive_message(**request).get("Messages"))[0])

    return url, receive


def test_a_task_calls_aws_as_the_machines_role_and_answers_in_pascal_case(server: Server, machines: Machines) -> None:
    bucket = new_bucket(server)
    server.client("s3").put_object(Bucket=bucket, Key="a.json", Body=b'{"commit": "abc", "rows": [1, 2]}')
    read = {
        "Type": "Task",
        "Resource": f"{SDK}:s3:getObject",
        "Arguments": {"Bucket": bucket, "Key": "{% $states.input.key %}"},
        "Assign": {"size": "{% $states.result.ContentLength %}"},
        "Output": "{% $parse($states.result.Body) %}",
    }
    who = {
        "Type": "Task",
        "Resource": f"{SDK}:sts:getCallerIdentity",
        "Output": {"arn": "{% $states.result.Arn %}", "size": "{% $size %}", "last": "{% $states.input.rows[-1] %}"},
    }
    found = machines.output(machine(("Read", read), ("Who", who)), {"key": "a.json"})
    assert found["arn"].startswith(f"arn:aws:sts::{DEV}:assumed-role/{machines.role.rsplit('/', 1)[1]}/")
    assert found["size"] == 33
    assert found["last"] == 2


def test_variables_choices_and_the_context(machines: Machines) -> None:
    definition = machine(
        ("Begin", {"Type": "Pass", "Assign": {"n": "{% $states.input.n %}", "old": "before"}, "Output": "replaced"}),
        ("Both", {"Type": "Pass", "Assign": {"n": "{% $n + 1 %}", "old": "{% $n %}"}, "Output": "{% $n %}"}),
        (
            "Choose",
            {
                "Type": "Choice",
                "Choices": [
                    {"Condition": "{% $n > 100 %}", "Next": "Large"},
                    {"Condition": "{% $n = 6 and $old = 5 %}", "Assign": {"word": "six"}, "Next": "Tell"},
                ],
                "Default": "Large",
            },
        ),
        ("Tell", {"Type": "Succeed", "Output": {"word": "{% $word %}", "seen": "{% $states.input %}"}}),
        ("Large", {"Type": "Succeed", "Output": "{% $states.context.Execution.Input.n %}"}),
    )
    assert machines.output(definition, {"n": 5}) == {"word": "six", "seen": 5}
    assert machines.output(definition, {"n": 500}) == 500


def test_the_context_names_the_execution_and_the_state(machines: Machines) -> None:
    arn = machines.create(machine(("Here", {"Type": "Pass", "Output": "{% $states.context %}"})))
    execution = machines.start(arn, {"a": 1})
    context = json.loads(machines.ended(execution)["output"])
    assert context["Execution"]["Id"] == execution
    assert context["Execution"]["Name"] == execution.rsplit(":", 1)[1]
    assert context["Execution"]["Input"] == {"a": 1}
    assert context["StateMachine"]["Id"] == arn
    assert context["State"]["Name"] == "Here"
    assert datetime.fromisoformat(context["Execution"]["StartTime"]) <= datetime.now(UTC)


def test_errors_are_named_as_the_java_sdk_names_them_and_caught(server: Server, machines: Machines) -> None:
    url, receive = queue(server)
    call = {
        "Type": "Task",
        "Resource": f"{SDK}:sagemaker:startPipelineExecution",
        "Arguments": {"PipelineName": "nosuch"},
        "Catch": [
            {"ErrorEquals": ["S3.NoSuchKeyException"], "Next": "Wrong"},
            {
                "ErrorEquals": ["States.ALL"],
                "Assign": {"error": "{% $states.errorOutput.Error %}"},
                "Output": {"cause": "{% $states.errorOutput.Cause %}", "for": "{% $states.input.id %}"},
                "Next": "Bury",
            },
        ],
        "End": True,
    }
    bury = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage",
        "Arguments": {
            "QueueUrl": url,
            "MessageBody": {"error": "{% $error %}", "was": "{% $states.input %}"},
            "MessageAttributes": {"Kind": {"DataType": "String", "StringValue": "lost"}},
        },
        "Next": "Give up",
    }
    give_up = {"Type": "Fail", "Error": "{% $error %}", "Cause": "{% 'in the queue: ' & $states.input.MessageId %}"}
    wrong = {"Type": "Succeed"}
    done = machines.run(machine(("Call", call), ("Bury", bury), ("Give up", give_up), ("Wrong", wrong)), {"id": 7})
    message = receive()
    body = json.loads(message["Body"])
    assert done["status"] == "FAILED"
    assert done["error"] == body["error"] == "SageMaker.ResourceNotFoundException"
    assert done["cause"] == f"in the queue: {message['MessageId']}"
    assert body["was"]["for"] == 7
    assert "(Service: SageMaker, Status Code: 400, Request ID: " in body["was"]["cause"]
    assert message["MessageAttributes"]["Kind"]["StringValue"] == "lost"


def test_an_error_that_the_api_does_not_model_has_the_services_name(machines: Machines) -> None:
    call = {
        "Type": "Task",
        "Resource": f"{SDK}:sagemaker:describeTrainingJob",
        "Arguments": {"TrainingJobName": "nosuch"},
    }
    assert machines.run(machine(("Call", call)))["error"] == "SageMaker.SageMakerException"


def test_a_task_is_retried_and_then_caught(machines: Machines) -> None:
    call = {
        "Type": "Task",
        "Resource": f"{SDK}:sqs:getQueueUrl",
        "Arguments": {"QueueName": "nosuch"},
        "Retry": [{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 3600, "MaxAttempts": 2}],
        "Catch": [{"ErrorEquals": ["States.ALL"], "Output": "{% $states.context.State.RetryCount %}", "Next": "End"}],
        "Next": "End",
    }
    execution = machines.start(machines.create(machine(("Call", call), ("End", {"Type": "Succeed"}))))
    assert machines.ended(execution)["output"] == "2"
    assert [event["type"] for event in machines.history(execution)].count("TaskFailed") == 3


@pytest.mark.parametrize(
    ("arguments", "field"),
    [({"StateMachineArn": "x", "Nonsense": 1}, "Nonsense"), ({"stateMachineArn": "x"}, "stateMachineArn")],
)
def test_parameters_that_the_api_does_not_have_cannot_be_caught(
    machines: Machines, arguments: dict[str, Any], field: str
) -> None:
    call = {
        "Type": "Task",
        "Resource": f"{SDK}:sfn:startExecution",
        "Arguments": arguments,
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Never"}],
        "End": True,
    }
    done = machines.run(machine(("Call", call), ("Never", {"Type": "Succeed"})))
    assert (done["status"], done["error"]) == ("FAILED", "States.Runtime")
    assert field in done["cause"]


def test_one_machine_starts_another(machines: Machines) -> None:
    inner = machines.create(machine(("Echo", {"Type": "Pass", "Output": {"got": "{% $states.input.x %}"}})))
    start = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution",
        "Arguments": {"StateMachineArn": inner, "Input": {"x": "{% $states.input %}"}},
        "Output": "{% $states.result.ExecutionArn %}",
    }
    execution = machines.output(machine(("Start", start)), [1, 2])
    assert json.loads(machines.ended(execution)["output"]) == {"got": [1, 2]}


def test_sns_publish(server: Server, machines: Machines) -> None:
    sns, sqs = server.client("sns"), server.client("sqs")
    url, receive = queue(server)
    queue_arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = sns.create_topic(Name=unique("topic"))["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"})
    publish = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sns:publish",
        "Arguments": {"TopicArn": topic, "Message": {"drift": "{% $states.input.psi > 0.2 %}"}},
    }
    machines.output(machine(("Publish", publish)), {"psi": 0.5})
    assert json.loads(receive()["Body"]) == {"drift": True}


def test_waiting_for_a_moment_that_has_passed_takes_no_time(machines: Machines) -> None:
    past = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    definition = machine(
        ("None", {"Type": "Wait", "Seconds": "{% 0 %}"}),
        ("Past", {"Type": "Wait", "Timestamp": past}),
        ("Succeed", {"Type": "Succeed"}),
    )
    assert machines.output(definition, "kept") == "kept"


def test_an_execution_that_waits_can_be_stopped(machines: Machines) -> None:
    arn = machines.create(machine(("Wait", {"Type": "Wait", "Seconds": 86400})))
    execution = machines.start(arn)
    eventually(lambda: "WaitStateEntered" in [event["type"] for event in machines.history(execution)])
    running = machines.sfn.list_executions(stateMachineArn=arn, statusFilter="RUNNING")["executions"]
    assert [found["executionArn"] for found in running] == [execution]
    assert "stopDate" not in running[0]
    machines.sfn.stop_execution(executionArn=execution, error="Enough", cause="it takes a day")
    done = machines.sfn.describe_execution(executionArn=execution)
    assert (done["status"], done["error"], done["cause"]) == ("ABORTED", "Enough", "it takes a day")
    assert machines.history(execution, reverseOrder=True)[0]["type"] == "ExecutionAborted"


def test_time_runs_out(machines: Machines) -> None:
    done = machines.run(machine(("Wait", {"Type": "Wait", "Seconds": 86400}), TimeoutSeconds=1))
    assert done["status"] == "TIMED_OUT"
    assert done["error"] == "States.Timeout"


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}, "does not run JSONPath states"),
        (
            machine(("A", {"Type": "Parallel", "Branches": [machine(("B", {"Type": "Pass"}))]})),
            "does not run Parallel states",
        ),
        (
            machine(("A", {"Type": "Task", "Resource": f"arn:aws:lambda:us-east-1:{DEV}:function:f"})),
            "does not run tasks of the resource arn:aws:lambda",
        ),
        (
            machine(("A", {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken"})),
            "does not run tasks of the resource",
        ),
    ],
)
def test_what_is_not_run_says_so(machines: Machines, definition: Definition, words: str) -> None:
    done = machines.run(definition)
    assert done["status"] == "FAILED"
    assert "the local cloud" in done["cause"]
    assert words in done["cause"]


def test_express_machines_are_not_run(machines: Machines) -> None:
    arn = machines.create(machine(("A", {"Type": "Pass"})), type="EXPRESS")
    done = machines.ended(machines.start(arn))
    assert done["status"] == "FAILED"
    assert "type EXPRESS" in done["cause"]


def test_an_expression_without_a_value_fails_unless_it_is_caught(machines: Machines) -> None:
    uncaught = machines.run(machine(("A", {"Type": "Pass", "Output": {"x": "{% $states.input.nosuch %}"}})), {})
    assert (uncaught["status"], uncaught["error"]) == ("FAILED", "States.QueryEvaluationError")
    assert "Output/x" in uncaught["cause"]
    caught = {
        "Type": "Task",
        "Resource": f"{SDK}:sts:getCallerIdentity",
        "Output": "{% $states.result.Nosuch %}",
        "Catch": [{"ErrorEquals": ["States.QueryEvaluationError"], "Output": "caught", "Next": "End"}],
        "Next": "End",
    }
    assert machines.output(machine(("A", caught), ("End", {"Type": "Succeed"}))) == "caught"


def test_a_condition_has_to_be_a_boolean_and_one_has_to_match(machines: Machines) -> None:
    def choice(condition: Any) -> Definition:
        return machine(
            ("Choose", {"Type": "Choice", "Choices": [{"Condition": condition, "Next": "End"}]}),
            ("End", {"Type": "Succeed"}),
        )

    assert machines.run(choice("{% 1 %}"))["error"] == "States.QueryEvaluationError"
    assert machines.run(choice("{% 1 > 2 %}"))["error"] == "States.NoChoiceMatched"


def test_the_history_is_what_happened(machines: Machines) -> None:
    definition = machine(
        ("First", {"Type": "Pass", "Output": {"n": 1}, "Assign": {"v": [1]}}),
        ("Ask", {"Type": "Task", "Resource": f"{SDK}:sts:getCallerIdentity", "Output": "{% $states.input %}"}),
        ("Choose", {"Type": "Choice", "Choices": [{"Condition": "{% false %}", "Next": "End"}], "Default": "End"}),
        ("End", {"Type": "Succeed"}),
    )
    execution = machines.start(machines.create(definition), {"begin": True})
    machines.ended(execution)
    events = machines.history(execution)
    assert [event["type"] for event in events] == [
        *("ExecutionStarted", "PassStateEntered", "PassStateExited"),
        *("TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSucceeded", "TaskStateExited"),
        *("ChoiceStateEntered", "ChoiceStateExited", "SucceedStateEntered", "SucceedStateExited", "ExecutionSucceeded"),
    ]
    assert [event["id"] for event in events] == list(range(1, 14))
    assert json.loads(events[0]["executionStartedEventDetails"]["input"]) == {"begin": True}
    assert events[2]["stateExitedEventDetails"]["assignedVariables"] == {"v": "[1]"}
    scheduled = events[4]["taskScheduledEventDetails"]
    assert (scheduled["resourceType"], scheduled["resource"]) == ("aws-sdk:sts", "getCallerIdentity")
    first = machines.sfn.get_execution_history(executionArn=execution, maxResults=5)
    rest = machines.sfn.get_execution_history(executionArn=execution, nextToken=first["nextToken"])
    assert [e["id"] for e in first["events"] + rest["events"]] == list(range(1, 14))


def test_a_repeated_start_is_one_execution_and_a_name_is_used_once(machines: Machines) -> None:
    arn, name = machines.create(machine(("Wait", {"Type": "Wait", "Seconds": 86400}))), unique("execution")
    start = machines.sfn.start_execution
    first = start(stateMachineArn=arn, name=name, input='{"a": 1}')["executionArn"]
    assert start(stateMachineArn=arn, name=name, input='{"a": 1}')["executionArn"] == first
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        start(stateMachineArn=arn, name=name, input='{"a": 2}')
    machines.sfn.stop_execution(executionArn=first)


def test_executions_are_counted(server: Server, machines: Machines) -> None:
    choose = {"Type": "Choice", "Choices": [{"Condition": "{% $states.input %}", "Next": "Good"}], "Default": "Bad"}
    arn = machines.create(machine(("Choose", choose), ("Good", {"Type": "Succeed"}), ("Bad", {"Type": "Fail"})))
    for good in (True, True, False):
        machines.ended(machines.start(arn, good))

    def counts() -> dict[str, float]:
        now = datetime.now(UTC)
        names = ("ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed")
        found = {}
        for name in names:
            points = server.client("cloudwatch").get_metric_statistics(
                Namespace="AWS/States",
                MetricName=name,
                Dimensions=[{"Name": "StateMachineArn", "Value": arn}],
                StartTime=now - timedelta(hours=1),
                EndTime=now + timedelta(hours=1),
                Period=7200,
                Statistics=["Sum"],
            )["Datapoints"]
            found[name] = sum(point["Sum"] for point in points)
        return found

    expected = {"ExecutionsStarted": 3.0, "ExecutionsSucceeded": 2.0, "ExecutionsFailed": 1.0}
    assert eventually(lambda: counts() == expected)


def test_a_role_that_does_not_trust_step_functions_is_refused(server: Server, machines: Machines) -> None:
    other = new_role(server, DEV, {"Principal": {"Service": "lambda.amazonaws.com"}})
    with pytest.raises(ClientError, match="AccessDeniedException"):
        machines.create(machine(("A", {"Type": "Pass"})), roleArn=other)


def test_a_definition_is_checked_when_it_is_put(machines: Machines) -> None:
    good, bad = machine(("A", {"Type": "Pass"})), machine(("A", {"Type": "Pass", "Next": "B"}))
    with pytest.raises(ClientError, match=r"InvalidDefinition.*MISSING_TRANSITION_TARGET"):
        machines.create(bad)
    arn = machines.create(good)
    with pytest.raises(ClientError, match="InvalidDefinition"):
        machines.sfn.update_state_machine(stateMachineArn=arn, definition=json.dumps(bad))
    validate = machines.sfn.validate_state_machine_definition
    assert validate(definition=json.dumps(good)) | {"ResponseMetadata": 0} == {
        "result": "OK",
        "diagnostics": [],
        "truncated": False,
        "ResponseMetadata": 0,
    }
    refused = validate(definition=json.dumps(bad))
    assert refused["result"] == "FAIL"
    assert refused["diagnostics"][0]["location"] == "/States/A/Next"
    unknown = validate(
        definition=json.dumps(machine(("A", {"Type": "Task", "Resource": f"{SDK}:sagemaker:trainPlease"})))
    )
    assert "trainPlease" in unknown["diagnostics"][0]["message"]
    with pytest.raises(ClientError, match="StateMachineAlreadyExists"):
        machines.create(machine(("B", {"Type": "Pass"})), name=arn.rsplit(":", 1)[1])


@pytest.mark.parametrize(
    ("definition", "location"),
    [
        ("no json", "/"),
        ({"StartAt": "A", "States": {}}, "/States"),
        ({"StartAt": "B", "States": {"A": {"Type": "Pass", "End": True}}}, "/StartAt"),
        (machine(("A", {"Type": "Nap"})), "/States/A/Type"),
        ({"StartAt": "A", "States": {"A": {"Type": "Pass"}}}, "/States/A"),
        (machine(("A", {"Type": "Pass", "Next": "A", "End": True})), "/States/A"),
        (machine(("A", {"Type": "Choice", "Choices": []})), "/States/A/Choices"),
        (machine(("A", {"Type": "Choice", "Choices": [{"Next": "A"}]})), "/States/A/Choices[0]"),
        (machine(("A", {"Type": "Wait"})), "/States/A"),
        (machine(("A", {"Type": "Task"})), "/States/A/Resource"),
        (machine(("A", {"Type": "Pass", "ResultPath": "$.x"})), "/States/A/ResultPath"),
        (
            machine(("A", {"Type": "Pass", "End": True}), ("B", {"Type": "Pass", "End": True})),
            "/States/B",
        ),
        (machine(("A", {"Type": "Pass", "Output": {"x": ["{% $states. %}"]}})), "/States/A/Output/x[0]"),
        (
            machine(("A", {"Type": "Task", "Resource": "r", "Catch": [{"ErrorEquals": ["e"], "Next": "B"}]})),
            "/States/A/Catch[0]/Next",
        ),
    ],
)
def test_what_is_wrong_with_a_definition(definition: Any, location: str) -> None:
    text = definition if isinstance(definition, str) else json.dumps(definition)
    assert location in [found.location for found in sfn_definition.check(text)]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("$parse('{\"a\": [1, null]}').a", [1, None]),
        ("$count([])", 0),
        ("$count($states.input.runs[Status = 'Executing'])", 1),
        ("$states.input.runs[0].Status", "Executing"),
        ("$exists($states.input.nosuch)", False),
        ("$toMillis('2026-01-01T00:00:00Z')", 1767225600000),
        ("$fromMillis($toMillis('2026-01-01T01:00:00Z') - 3600000)", "2026-01-01T00:00:00.000Z"),
        ("$hash('x', 'SHA-256')", "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"),
        ("$partition([1..5], 2)", [[1, 2], [3, 4], [5]]),
        ("$range(0, 10, 5)", [0, 5, 10]),
        ("$string({'a': 1})", '{"a":1}'),
        ("'a' & '/' & 'b'", "a/b"),
        ("$millis() > 1767225600000", True),
        ("$toMillis($now()) = $millis()", True),
        ("$length($uuid())", 36),
        ("null", None),
        ("{'n': null, 'x': $states.input.nosuch}", {"n": None}),
        ("6 / 2", 3),
        ("$states.input.keys ~> $split('/')", ["a", "b"]),
        ("$type($states.input.absent)", "null"),
    ],
)
def test_expressions(expression: str, value: Any) -> None:
    given = {"runs": [{"Status": "Executing"}, {"Status": "Failed"}], "keys": "a/b", "absent": None}
    found = sfn_expressions.evaluate(f"{{% {expression} %}}", {"states": {"input": given}}, "Output")
    assert found == value
    assert json.loads(json.dumps(found)) == value


@pytest.mark.parametrize(
    "expression",
    [
        "$states.input.nosuch",
        "$eval('1')",
        "1 / 0",
        "$parse('no json')",
        "$error('boom')",
        "function($x) {$x}",
        "$hash('x', 'CRC')",
    ],
)
def test_expressions_that_fail(expression: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        sfn_expressions.evaluate({"a": f"{{% {expression} %}}"}, {"states": {"input": {}}}, "Output")
    assert caught.value.location == "Output/a"


def test_only_a_whole_string_is_an_expression() -> None:
    text = {"a": "x {% 1 %}", "b": ["{% 1 %} "], "c": "{% 1 %}"}
    assert sfn_expressions.evaluate(text, {}, "Output") == {"a": "x {% 1 %}", "b": ["{% 1 %} "], "c": 1}


@pytest.mark.parametrize(
    ("names", "error", "covered"),
    [
        (["States.ALL"], "S3.NoSuchKeyException", True),
        (["States.ALL"], "States.QueryEvaluationError", True),
        (["States.ALL"], "States.Runtime", False),
        (["States.TaskFailed"], "States.Timeout", False),
        (["States.TaskFailed"], "Sqs.SqsException", True),
        (["Sqs.SqsException"], "S3.S3Exception", False),
        (["States.Runtime"], "States.Runtime", True),
    ],
)
def test_which_errors_a_retrier_covers(names: list[str], error: str, covered: bool) -> None:
    assert matches(names, error) is covered
