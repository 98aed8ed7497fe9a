"""Where each kind of release goes, and that a serverless one is watched by us, because SageMaker does not."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops_kit.config import Rollout, Smoke, SmokeExpect
from mlops_kit.errors import DeploymentError
from mlops_kit.naming import EnvironmentNames
from mlops_kit.promotion.deploy import deploy
from mlops_kit.promotion.execute import Deployment
from mlops_kit.promotion.ledger import Release, ReleaseSpec, ServerlessSpec
from mlops_kit.promotion.smoke import SmokeTest

NAMES = EnvironmentNames("acme", "staging", "222222222222", "us-east-1").model("churn")


def release(config: str, **spec: Any) -> Release:
    return Release(
        id="r1",
        config=config,
        spec=ReleaseSpec(
            image="registry.example/image:1",
            artifact_uri="s3://bucket/1",
            environment={},
            instance_type="ml.m5.large",
            instance_count=1,
            capture_percent=100,
            encrypt_volume=False,
            **spec,
        ),
        version=1,
        artifact_sha256="1" * 64,
        dataset="d",
        dataset_commit="c" * 64,
        code_commit="",
        training_job="job",
    )


ROLLOUT = Rollout(bake_minutes=1)
SERVERLESS: dict[str, Any] = {"kind": "serverless", "serverless": ServerlessSpec(memory_mb=1024, max_concurrency=1)}


class Aws:
    """An endpoint that runs what it is told to at once, and alarms that go off at given looks."""

    def __init__(self, running: str = "old", *, alarm_at_look: int | None = None) -> None:
        self.running, self.alarm_at_look = running, alarm_at_look
        self.looks = 0
        self.updates: list[dict[str, Any]] = []
        self.made: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self.answer = b"0.5\n"
        self.noted = ""
        """What the lock says of what ran before."""

    def describe_endpoint(self, **_: Any) -> dict[str, Any]:
        return {
            "EndpointStatus": "InService",
            "EndpointConfigName": self.running,
            "LastModifiedTime": datetime(2026, 1, 1, tzinfo=UTC),
        }

    def update_endpoint(self, **arguments: Any) -> None:
        self.updates.append(arguments)
        self.running = arguments["EndpointConfigName"]

    def describe_model(self, ModelName: str) -> None:  # noqa: N803
        self._describe(f"model {ModelName}")

    def describe_endpoint_config(self, EndpointConfigName: str) -> None:  # noqa: N803
        self._describe(f"config {EndpointConfigName}")

    def _describe(self, what: str) -> None:
        if what not in self.made:
            raise ClientError({"Error": {"Code": "ValidationException", "Message": "m"}}, "Op")

    def create_model(self, **arguments: Any) -> None:
        self.made.append(f"model {arguments['ModelName']}")

    def create_endpoint_config(self, **arguments: Any) -> None:
        self.made.append(f"config {arguments['EndpointConfigName']}")

    def describe_alarms(self, AlarmNames: list[str], **_: Any) -> dict[str, Any]:  # noqa: N803
        assert AlarmNames == list(NAMES.rollback_alarms)
        self.looks += 1
        gone_off = self.alarm_at_look is not None and self.looks >= self.alarm_at_look
        states = ["ALARM" if gone_off else "OK", "OK"]
        found = zip(AlarmNames, states, strict=True)
        return {"MetricAlarms": [{"AlarmName": name, "StateValue": state} for name, state in found]}

    def invoke_endpoint(self, **arguments: Any) -> dict[str, Any]:
        self.asked.append(arguments)
        return {"Body": BytesIO(self.answer), "ContentType": "text/csv"}

    def run(
        self, what: Release, rollout: Rollout | None = ROLLOUT, before: Release | None = None, **options: Any
    ) -> list[float]:
        pauses: list[float] = []
        cloud: Any = SimpleNamespace(sagemaker=self, cloudwatch=self, runtime=self)
        held: Any = SimpleNamespace(check=lambda: None, took_over=None, holder=SimpleNamespace(ran=self.noted))

        def renew(now: datetime, *, ran: str) -> None:
            self.noted = held.holder.ran = ran

        held.renew = renew
        deployment = Deployment(cloud, NAMES, rollout, lambda: datetime.now(UTC), sleep=pauses.append, **options)
        assert deploy(what, deployment, before, held)
        return pauses


def test_a_serverless_release_is_watched_for_as_long_as_it_bakes() -> None:
    aws = Aws()
    assert sum(aws.run(release("new", **SERVERLESS))) == 60
    assert aws.running == "new"
    assert "DeploymentConfig" not in aws.updates[0]


@pytest.mark.parametrize("look", [1, 3, 7])
def test_an_alarm_while_it_bakes_brings_the_old_one_back(look: int) -> None:
    aws = Aws(alarm_at_look=look)
    with pytest.raises(DeploymentError, match=r"acme-staging-churn-errors go off.* runs old again") as caught:
        aws.run(release("new", **SERVERLESS))
    assert caught.value.exit_code == 5
    assert [update["EndpointConfigName"] for update in aws.updates] == ["new", "old"]


def test_an_alarm_after_that_is_for_people() -> None:
    aws = Aws(alarm_at_look=8)
    aws.run(release("new", **SERVERLESS))
    assert aws.running == "new"


def test_what_ran_before_is_noted_where_the_ledger_does_not_say_so_and_somebody_may_have_to_go_back() -> None:
    tried = Aws()
    tried.run(release("new", **SERVERLESS))
    assert tried.noted == "old"
    for options in ({"before": release("before", **SERVERLESS)}, {"rollout": None}):
        plain = Aws()
        plain.run(release("new", **SERVERLESS), **options)
        assert plain.noted == ""


def test_finishing_an_interrupted_run_watches_again_and_goes_back_to_what_the_ledger_says() -> None:
    aws = Aws(running="new", alarm_at_look=2)
    with pytest.raises(DeploymentError, match="runs before again"):
        aws.run(release("new", **SERVERLESS), before=release("before", **SERVERLESS))
    first = Aws(running="new", alarm_at_look=2)
    first.noted = "initial"
    with pytest.raises(DeploymentError, match="runs initial again"):
        first.run(release("new", **SERVERLESS))
    unknown = Aws(running="new", alarm_at_look=1)
    with pytest.raises(DeploymentError, match="nobody knows what") as caught:
        unknown.run(release("new", **SERVERLESS))
    assert "mlops-kit rollback churn --in staging" in str(caught.value.hint)
    assert unknown.updates == []


def test_what_the_ledger_calls_released_was_watched_before() -> None:
    aws = Aws(running="new", alarm_at_look=1)
    assert aws.run(release("new", **SERVERLESS), before=release("new", **SERVERLESS)) == []
    assert aws.running == "new"


def test_a_rollback_is_not_watched() -> None:
    aws = Aws(alarm_at_look=1)
    assert aws.run(release("new", **SERVERLESS), rollout=None) == []
    assert aws.running == "new"


def test_sagemaker_watches_the_others() -> None:
    aws = Aws(alarm_at_look=1)
    aws.run(release("new"))
    assert aws.looks == 0, "only while the endpoint is busy"
    assert "AutoRollbackConfiguration" in aws.updates[0]["DeploymentConfig"]


SMOKE = SmokeTest(Smoke(request="smoke.csv", expect=SmokeExpect(lines=1, at_least=0, at_most=1)), b"1,2\n")


@pytest.mark.parametrize("kind", [{}, SERVERLESS])
def test_a_release_that_fails_its_smoke_request_is_taken_back(kind: dict[str, Any]) -> None:
    aws = Aws()
    aws.run(release("new", **kind), smoke=SMOKE)
    assert aws.running == "new"
    assert aws.asked == [
        {"EndpointName": NAMES.endpoint, "ContentType": "text/csv", "Accept": "text/csv", "Body": b"1,2\n"}
    ]
    aws = Aws()
    aws.answer = b"nan\n"
    with pytest.raises(DeploymentError, match=r"new failed its smoke request: .* runs old again"):
        aws.run(release("new", **kind), smoke=SMOKE)
    assert aws.running == "old"
    assert "AutoRollbackConfiguration" not in str(aws.updates[1]), "no alarm stands in the way back"


def test_what_the_ledger_calls_released_is_not_asked_again() -> None:
    aws = Aws(running="new")
    aws.run(release("new"), before=release("new"), smoke=SMOKE)
    assert (aws.asked, aws.updates) == ([], [])


def test_a_batch_release_makes_no_endpoint_config() -> None:
    aws = Aws()
    with pytest.raises(AttributeError, match="scheduler"):  # nothing but the schedule is asked after the model is made
        aws.run(release("new", kind="batch"))
    assert aws.made == ["model new"]
    assert aws.updates == []
