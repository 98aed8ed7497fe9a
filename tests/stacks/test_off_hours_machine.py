"""The off-hours machine, run: whatever state it finds, it ends where it should, or says that it did not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from mlops_kit.local.overlay import sfn_definition
from mlops_kit.local.overlay.sfn_interpreter import Execution, StateError
from mlops_kit.naming import EnvironmentNames
from stacks import off_hours_machine

NAMES = EnvironmentNames("acme", "dev", "111111111111", "us-east-1")
MODEL = NAMES.model("churn")
DEFINITION = off_hours_machine.definition(NAMES)
TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": MODEL.autoscaling_resource,
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    "MinCapacity": 1,
    "MaxCapacity": 2,
}


class Aws:
    """As much of three services as the machine calls. An endpoint is busy for ``busy`` looks after each change."""

    def __init__(self, running: str | None = None, status: str = "InService", busy: int = 2) -> None:
        self.endpoint: dict[str, Any] | None = None
        if running is not None:
            self.endpoint = {"EndpointName": MODEL.endpoint, "EndpointStatus": status, "EndpointConfigName": running}
        self.busy, self.left = busy, 0
        self.objects: dict[str, str] = {}
        self.scaled: dict[str, Any] = {"target": TARGET}
        self.policies: list[str] = []
        self.actions: list[str] = []
        self.messages: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.waits = 0
        self.broken: set[str] = set()
        self.quoted = False

    def run(self, action: str, **more: Any) -> None:
        given = {
            "action": action,
            "endpoint": MODEL.endpoint,
            "initial": MODEL.initial_prefix,
            "bucket": NAMES.bucket("artifacts"),
            "key": MODEL.off_hours_key,
            "pause": 30,
            "tags": [{"Key": "Model", "Value": "churn"}],
            "target": TARGET,
            "policies": [{"PolicyName": "requests"}],
            "actions": [{"ScheduledActionName": "1"}, {"ScheduledActionName": "2"}],
            **more,
        }
        context = {
            "Execution": {"Id": "execution", "Name": "run", "Input": given},
            "StateMachine": {"Id": "machine", "Name": NAMES.off_hours_machine},
        }
        Execution(DEFINITION, context, self._task, lambda *_, **__: None, self._wait, lambda: None).run(given)

    def _wait(self, until: datetime) -> None:
        assert until > datetime.now(UTC)
        self.waits += 1

    def _task(self, resource: str, arguments: Any) -> Any:
        action = resource.rsplit(":", 1)[1]
        self.calls.append(action)
        if action in self.broken:
            raise StateError("SageMaker.SageMakerException", f"{action} is broken")
        found: dict[str, Any] | None = getattr(self, f"_{action}")(arguments)
        return found or {}

    def _listEndpoints(self, arguments: Any) -> dict[str, Any]:  # noqa: N802
        assert arguments["NameContains"] == MODEL.endpoint
        neighbour = {"EndpointName": f"{MODEL.endpoint}-2", "EndpointStatus": "InService"}
        if self.endpoint is None:
            return {"Endpoints": [neighbour]}
        if self.left:
            self.left -= 1
            if not self.left:
                self.endpoint["EndpointStatus"] = "InService"
        return {"Endpoints": [neighbour, dict(self.endpoint)]}

    def _describeEndpoint(self, arguments: Any) -> dict[str, Any]:  # noqa: N802
        assert self.endpoint is not None
        return dict(self.endpoint)

    def _deleteEndpoint(self, arguments: Any) -> None:  # noqa: N802
        assert self.scaled == {}, "nobody scales what is about to go"
        self.endpoint = None

    def _createEndpoint(self, arguments: Any) -> None:  # noqa: N802
        assert self.endpoint is None
        assert arguments["Tags"] == [{"Key": "Model", "Value": "churn"}]
        self.endpoint = {**arguments, "EndpointStatus": "Creating"}
        self.left = self.busy

    def _updateEndpoint(self, arguments: Any) -> None:  # noqa: N802
        assert self.endpoint is not None
        self.endpoint |= {"EndpointConfigName": arguments["EndpointConfigName"], "EndpointStatus": "Updating"}
        self.left = self.busy

    def _putObject(self, arguments: Any) -> None:  # noqa: N802
        assert arguments["Bucket"] == NAMES.bucket("artifacts")
        self.objects[arguments["Key"]] = arguments["Body"]

    def _getObject(self, arguments: Any) -> dict[str, Any]:  # noqa: N802
        if arguments["Key"] not in self.objects:
            raise StateError("S3.NoSuchKeyException", "The specified key does not exist.")
        body = self.objects[arguments["Key"]]
        return {"Body": json.dumps(body) if self.quoted else body}

    def _describeScalableTargets(self, arguments: Any) -> dict[str, Any]:  # noqa: N802
        assert arguments["ResourceIds"] == [MODEL.autoscaling_resource]
        return {"ScalableTargets": [self.scaled["target"]] if self.scaled else []}

    def _deregisterScalableTarget(self, arguments: Any) -> None:  # noqa: N802
        assert self.scaled, "Application Auto Scaling refuses what is not there"
        assert arguments["ResourceId"] == MODEL.autoscaling_resource
        self.scaled, self.policies, self.actions = {}, [], []

    def _registerScalableTarget(self, arguments: Any) -> None:  # noqa: N802
        self.scaled = {"target": arguments}

    def _putScalingPolicy(self, arguments: Any) -> None:  # noqa: N802
        self.policies.append(arguments["PolicyName"])

    def _putScheduledAction(self, arguments: Any) -> None:  # noqa: N802
        self.actions.append(arguments["ScheduledActionName"])

    def _sendMessage(self, arguments: Any) -> None:  # noqa: N802
        assert arguments["QueueUrl"] == "https://sqs.us-east-1.amazonaws.com/111111111111/acme-dev-dead-letters"
        self.messages.append(arguments["MessageBody"])


def test_the_definition_is_well_formed() -> None:
    assert sfn_definition.check(json.dumps(DEFINITION)) == []


def test_an_endpoint_goes_and_comes_back_as_it_was() -> None:
    aws = Aws(running="acme-dev-churn-abc")
    aws.run("stop")
    assert aws.endpoint is None
    assert aws.scaled == {}
    assert json.loads(aws.objects[MODEL.off_hours_key]) == {"config": "acme-dev-churn-abc"}
    aws.run("start")
    assert aws.endpoint is not None
    assert (aws.endpoint["EndpointConfigName"], aws.endpoint["EndpointStatus"]) == ("acme-dev-churn-abc", "InService")
    assert (aws.scaled, aws.policies, aws.actions) == ({"target": TARGET}, ["requests"], ["1", "2"])
    assert aws.messages == []
    assert aws.waits == 2, "one look while it was made, one when it was there"


def test_both_can_be_done_twice() -> None:
    aws = Aws(running="acme-dev-churn-abc")
    for action in ("stop", "stop"):
        aws.run(action)
    assert (aws.endpoint, aws.messages, aws.calls.count("deleteEndpoint")) == (None, [], 1)
    for action in ("start", "start"):
        aws.run(action)
    assert aws.endpoint is not None
    assert (aws.messages, aws.calls.count("createEndpoint")) == ([], 1)


def test_a_deployment_under_way_ends_first() -> None:
    aws = Aws(running="acme-dev-churn-abc", status="Updating")
    aws.left = 5
    aws.run("stop")
    assert aws.waits == 4
    assert aws.endpoint is None


def test_an_endpoint_that_terraform_made_anew_gets_what_it_ran() -> None:
    aws = Aws(running="acme-dev-churn-abc")
    aws.run("stop")
    aws.endpoint = Aws(running="acme-dev-churn-initial-12345678").endpoint
    aws.run("start")
    assert aws.endpoint is not None
    assert aws.endpoint["EndpointConfigName"] == "acme-dev-churn-abc"
    assert aws.scaled == {"target": TARGET}


def test_a_release_made_since_then_stays() -> None:
    aws = Aws(running="acme-dev-churn-abc")
    aws.run("stop")
    aws.endpoint = Aws(running="acme-dev-churn-def").endpoint
    aws.run("start")
    assert aws.endpoint is not None
    assert aws.endpoint["EndpointConfigName"] == "acme-dev-churn-def"
    assert "updateEndpoint" not in aws.calls


def test_an_endpoint_without_a_release_stays_as_it_is() -> None:
    aws = Aws(running="acme-dev-churn-initial-12345678")
    aws.run("start")
    assert aws.messages == []
    assert "updateEndpoint" not in aws.calls


def test_what_was_remembered_is_understood_however_it_was_written_down() -> None:
    aws = Aws(running="acme-dev-churn-abc")
    aws.run("stop")
    aws.quoted = True
    aws.run("start")
    assert aws.endpoint is not None
    assert aws.endpoint["EndpointConfigName"] == "acme-dev-churn-abc"


def failed(aws: Aws, action: str) -> dict[str, Any]:
    with pytest.raises(StateError) as caught:
        aws.run(action)
    [message] = aws.messages
    assert (message["failure"]["Error"], message["failure"]["Cause"]) == (caught.value.error, caught.value.cause)
    assert (message["input"]["action"], message["input"]["endpoint"]) == (action, MODEL.endpoint)
    found: dict[str, Any] = message["failure"]
    return found


def test_whatever_fails_is_kept_with_what_starts_it_again() -> None:
    aws = Aws(running="acme-dev-churn-abc")
    aws.broken = {"deleteEndpoint"}
    assert failed(aws, "stop")["Cause"] == "deleteEndpoint is broken"
    assert aws.calls.count("deleteEndpoint") == 4, "it was tried again"
    aws.broken, aws.messages = set(), []
    aws.run("stop")
    assert aws.endpoint is None


def test_nothing_to_make_an_endpoint_of_is_a_failure() -> None:
    assert "No way to start acme-dev-churn: it is Absent" in failed(Aws(), "start")["Cause"]


def test_an_endpoint_that_failed_is_not_called_started_but_can_be_stopped() -> None:
    aws = Aws(running="acme-dev-churn-abc", status="Failed")
    assert "it is Failed" in failed(aws, "start")["Cause"]
    aws.messages = []
    aws.run("stop")
    assert aws.endpoint is None


def test_an_update_that_was_rolled_back_is_a_failure() -> None:
    aws = Aws(running="acme-dev-churn-abc")
    aws.run("stop")
    aws.endpoint = Aws(running="acme-dev-churn-initial-12345678").endpoint
    aws._updateEndpoint = lambda arguments: None  # type: ignore[method-assign]
    assert "and runs acme-dev-churn-initial-12345678" in failed(aws, "start")["Cause"]


def test_waiting_ends() -> None:
    aws = Aws(running="acme-dev-churn-abc", status="Updating")
    assert "it is Updating" in failed(aws, "stop")["Cause"]
    assert aws.waits == off_hours_machine.ATTEMPTS


@pytest.mark.parametrize("action", ["stop", "start"])
def test_a_model_without_scheduled_scaling_is_fine(action: str) -> None:
    aws = Aws(running="acme-dev-churn-abc")
    aws.run(action, actions=[])
    assert aws.messages == []
