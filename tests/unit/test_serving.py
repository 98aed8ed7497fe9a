"""Rolling a release out: success is only what was seen to run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops_kit import release_requests, serving
from mlops_kit.config import Rollout
from mlops_kit.errors import ConflictError, DeploymentError, NotFoundError
from mlops_kit.naming import EnvironmentNames
from mlops_kit.promotion.ledger import ReleaseSpec

NAMES = EnvironmentNames("acme", "staging", "222222222222", "us-east-1").model("churn")
ROLLOUT = Rollout(strategy="canary", canary_percent=10, bake_minutes=5)
SPEC = ReleaseSpec(
    image="registry.example/image:1",
    artifact_uri="s3://bucket/model.tar.gz",
    environment={"SAGEMAKER_PROGRAM": "inference.py"},
    instance_type="ml.m5.large",
    instance_count=2,
    capture_percent=20,
    encrypt_volume=True,
)


def error(code: str, operation: str = "Op") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "m"}}, operation)


class SageMaker:
    """Describes the endpoint as ``states`` say, one after the other, and records every mutating call."""

    def __init__(self, *states: dict[str, Any] | None) -> None:
        self.states = list(states)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.known: set[str] = set()
        self.refuse_update = False

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:  # noqa: N803
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if state is None:
            raise error("ValidationException")
        return {"LastModifiedTime": datetime(2026, 1, 1, tzinfo=UTC), **state}

    def update_endpoint(self, **arguments: Any) -> None:
        self.calls.append(("update_endpoint", arguments))
        if self.refuse_update:
            raise error("ValidationException")

    def describe_model(self, ModelName: str) -> None:  # noqa: N803
        self._describe(f"model {ModelName}")

    def describe_endpoint_config(self, EndpointConfigName: str) -> None:  # noqa: N803
        self._describe(f"config {EndpointConfigName}")

    def create_model(self, **arguments: Any) -> None:
        self._create("create_model", f"model {arguments['ModelName']}", arguments)

    def create_endpoint_config(self, **arguments: Any) -> None:
        self._create("create_endpoint_config", f"config {arguments['EndpointConfigName']}", arguments)

    def _describe(self, what: str) -> None:
        if what not in self.known:
            raise error("ValidationException")

    def _create(self, call: str, what: str, arguments: dict[str, Any]) -> None:
        self.calls.append((call, arguments))
        if what in self.known:
            raise error("ValidationException")
        self.known.add(what)


def in_service(config: str, **more: Any) -> dict[str, Any]:
    return {"EndpointStatus": "InService", "EndpointConfigName": config, **more}


def updating(old: str, new: str) -> dict[str, Any]:
    pending = {"EndpointConfigName": new}
    return {"EndpointStatus": "Updating", "EndpointConfigName": old, "PendingDeploymentSummary": pending}


def wait(client: Any, config: str = "new") -> list[float]:
    pauses: list[float] = []
    serving.wait(client, NAMES, config, sleep=pauses.append)
    return pauses


def start(client: Any, rollout: Rollout | None, spec: ReleaseSpec = SPEC) -> None:
    serving.start_update(client, NAMES, "new", release_requests.update(NAMES, "new", spec, rollout))


def test_waiting_ends_when_the_endpoint_runs_what_was_asked_for() -> None:
    assert len(wait(SageMaker(updating("old", "new"), updating("old", "new"), in_service("new")))) == 2


def test_an_update_that_sagemaker_rolled_back_is_a_failure_although_the_endpoint_is_healthy() -> None:
    client = SageMaker(updating("old", "new"), in_service("old", FailureReason="alarm errors went off"))
    with pytest.raises(DeploymentError, match=r"runs old\. alarm errors went off") as caught:
        wait(client)
    assert caught.value.exit_code == 5


def test_a_failed_endpoint_is_a_failure() -> None:
    with pytest.raises(DeploymentError, match="it is Failed"):
        wait(SageMaker({"EndpointStatus": "Failed", "EndpointConfigName": "new"}))


def test_pauses_grow_but_not_beyond_fifteen_seconds() -> None:
    pauses = wait(SageMaker(*[updating("old", "new")] * 20, in_service("new")))
    assert pauses == sorted(pauses)
    assert pauses[-1] == 15.0


def test_an_update_keeps_the_scaled_instances_and_names_the_rollback_alarms() -> None:
    client: Any = SageMaker(in_service("old"))
    start(client, ROLLOUT)
    [(_, sent)] = client.calls
    assert sent["RetainAllVariantProperties"] is True
    assert sent["ExcludeRetainedVariantProperties"] == [{"VariantPropertyType": "DataCaptureConfig"}]
    config = sent["DeploymentConfig"]
    assert config["AutoRollbackConfiguration"] == {
        "Alarms": [{"AlarmName": "acme-staging-churn-errors"}, {"AlarmName": "acme-staging-churn-latency"}]
    }
    routing = config["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert routing == {
        "Type": "CANARY",
        "WaitIntervalInSeconds": 300,
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
    }


def test_a_rollback_cannot_be_stopped_by_the_alarm_it_answers_to() -> None:
    client: Any = SageMaker(in_service("old"))
    start(client, None)
    [(_, sent)] = client.calls
    assert "AutoRollbackConfiguration" not in sent["DeploymentConfig"]
    routing = sent["DeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert routing == {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}


@pytest.mark.parametrize("state", [in_service("new"), updating("old", "new")])
def test_what_runs_or_is_on_its_way_is_not_started_again(state: dict[str, Any]) -> None:
    client: Any = SageMaker(state)
    start(client, ROLLOUT)
    assert client.calls == []


def test_another_deployment_under_way_is_a_conflict() -> None:
    client: Any = SageMaker(updating("old", "other"))
    with pytest.raises(ConflictError, match="Updating to other"):
        start(client, ROLLOUT)
    assert client.calls == []


def test_losing_the_race_to_start_is_a_conflict_and_winning_it_elsewhere_is_fine() -> None:
    lost: Any = SageMaker(in_service("old"), updating("old", "other"))
    lost.refuse_update = True
    with pytest.raises(ConflictError):
        start(lost, ROLLOUT)
    same: Any = SageMaker(in_service("old"), updating("old", "new"))
    same.refuse_update = True
    start(same, ROLLOUT)
    refused: Any = SageMaker(in_service("old"))
    refused.refuse_update = True
    with pytest.raises(ClientError):
        start(refused, ROLLOUT)


def test_no_endpoint_says_what_to_deploy() -> None:
    client: Any = SageMaker(None)
    assert serving.read_endpoint(client, NAMES) is None
    with pytest.raises(NotFoundError, match="no endpoint acme-staging-churn") as caught:
        start(client, ROLLOUT)
    assert "npx cdktf deploy staging" in str(caught.value.hint)


def test_a_release_is_made_once_and_named_by_its_content() -> None:
    client: Any = SageMaker(in_service("old"))
    name = release_requests.release_name(NAMES, SPEC)
    assert name == release_requests.release_name(NAMES, SPEC.model_copy())
    assert name != release_requests.release_name(NAMES, SPEC.model_copy(update={"instance_count": 3}))
    for _ in range(2):
        serving.make(client, NAMES, name, SPEC)
    assert [call for call, _ in client.calls] == ["create_model", "create_endpoint_config"]
    config = client.calls[1][1]
    assert config["KmsKeyId"] == "alias/acme-staging"
    assert config["DataCaptureConfig"]["InitialSamplingPercentage"] == 20


@pytest.mark.parametrize("kind", ["realtime", "batch"])
def test_somebody_creating_the_same_release_in_between_is_fine(kind: Any) -> None:
    client: Any = SageMaker(in_service("old"))
    spec = SPEC.model_copy(update={"kind": kind, "batch": None})
    create = client.create_model

    def beaten(**arguments: Any) -> None:
        client.known.add(f"model {arguments['ModelName']}")
        create(**arguments)

    client.create_model = beaten
    serving.make(client, NAMES, "config", spec)
    assert client.known == {"model config"} | ({"config config"} if kind == "realtime" else set())


def test_a_release_that_cannot_be_made_is_not_taken_for_one_that_is_there() -> None:
    client: Any = SageMaker(in_service("old"))

    def refused(**_: Any) -> None:
        raise error("ValidationException", "CreateModel")

    client.create_model = refused
    with pytest.raises(ClientError):
        serving.make(client, NAMES, "config", SPEC)
    assert client.known == set()


def test_an_update_that_nobody_could_take_back_is_at_rest() -> None:
    client: Any = SageMaker({"EndpointStatus": "UpdateRollbackFailed", "EndpointConfigName": "old"})
    with pytest.raises(DeploymentError, match="it is UpdateRollbackFailed"):
        wait(client)


def test_what_sagemaker_says_of_a_deployment_is_read() -> None:
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    variant = {
        "VariantName": "main",
        "CurrentWeight": 0.1,
        "DesiredWeight": 1.0,
        "VariantStatus": [{"Status": "Baking"}],
    }
    pending = {"EndpointConfigName": "new", "StartTime": begun, "ProductionVariants": [variant]}
    state = {"EndpointStatus": "Updating", "EndpointConfigName": "old", "PendingDeploymentSummary": pending}
    found = serving.require_endpoint(SageMaker({**state, "EndpointArn": "arn"}), NAMES)  # type: ignore[arg-type]
    assert (found.phase, found.share, found.begun, found.arn) == ("Baking", 0.1, begun, "arn")
    bare = serving.require_endpoint(SageMaker(updating("old", "new")), NAMES)  # type: ignore[arg-type]
    assert (bare.phase, bare.share, bare.begun) == ("", None, None)


def test_whoever_is_patient_waits_for_another_deployment_to_end() -> None:
    client: Any = SageMaker(updating("old", "other"), in_service("other"))
    seen: list[str] = []
    request = release_requests.update(NAMES, "new", SPEC, None)
    before = serving.start_update(client, NAMES, "new", request, on_busy=lambda state: seen.append(state.pending))
    assert (seen, before.config) == (["other"], "other")
    assert [call for call, _ in client.calls] == ["update_endpoint"]


def test_deleting_a_release_that_is_gone_already_is_fine() -> None:
    class Gone:
        def __init__(self, code: str) -> None:
            self.code = code
            self.asked: list[str] = []

        def delete_endpoint_config(self, EndpointConfigName: str) -> None:  # noqa: N803
            self.asked.append(EndpointConfigName)
            raise error(self.code)

        def delete_model(self, ModelName: str) -> None:  # noqa: N803
            self.asked.append(ModelName)
            raise error(self.code)

    gone: Any = Gone("ValidationException")
    assert not serving.delete_release(gone, NAMES, "config", SPEC)
    assert gone.asked == ["config", "config"]
    denied: Any = Gone("AccessDeniedException")
    with pytest.raises(ClientError):
        serving.delete_release(denied, NAMES, "config", SPEC)
