"""A batch release changes the scheduled job, and nothing else about the schedule."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.validate import validate_parameters

from mlops_kit import batch
from mlops_kit.errors import ConflictError, DeploymentError, IntegrityError, NotFoundError
from mlops_kit.naming import EnvironmentNames
from mlops_kit.promotion.ledger import BatchSpec, ReleaseSpec

NAMES = EnvironmentNames("acme", "staging", "222222222222", "us-east-1").model("churn")
SPEC = ReleaseSpec(
    kind="batch",
    image="registry.example/image:1",
    artifact_uri="s3://bucket/model.tar.gz",
    environment={},
    instance_type="ml.c5.large",
    instance_count=3,
    capture_percent=0,
    encrypt_volume=True,
    batch=BatchSpec(input_prefix="raw/churn/", content_type="text/csv", max_payload_mb=9),
)
JOB = {
    "TransformJobName": "acme-staging-churn-<aws.scheduler.execution-id>",
    "ModelName": "acme-staging-churn-initial-1",
    "MaxPayloadInMB": 6,
    "BatchStrategy": "MultiRecord",
    "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://old/"}}},
    "TransformOutput": {"S3OutputPath": "s3://lake/predictions/churn/", "Accept": "text/csv", "KmsKeyId": "key"},
    "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    "Tags": [{"Key": "Model", "Value": "churn"}],
}
SCHEDULE = {
    "Arn": "arn:aws:scheduler:us-east-1:222222222222:schedule/acme-staging/churn-batch",
    "CreationDate": datetime(2026, 1, 1, tzinfo=UTC),
    "Name": "churn-batch",
    "GroupName": "acme-staging",
    "ScheduleExpression": "cron(0 4 ? * * *)",
    "ScheduleExpressionTimezone": "Europe/Berlin",
    "KmsKeyArn": "arn:aws:kms:us-east-1:222222222222:key/k",
    "FlexibleTimeWindow": {"Mode": "OFF"},
    "State": "DISABLED",
    "Target": {
        "Arn": "arn:aws:scheduler:::aws-sdk:sagemaker:createTransformJob",
        "RoleArn": "arn:aws:iam::222222222222:role/acme-staging-schedules",
        "DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:222222222222:acme-staging-dead-letters"},
        "RetryPolicy": {"MaximumRetryAttempts": 5},
        "Input": json.dumps(JOB),
    },
}


class Scheduler:
    """One schedule; every update is checked against the API and replaces the schedule as a whole."""

    def __init__(self, schedule: dict[str, Any] | None) -> None:
        self.schedule = schedule
        self.updates: list[dict[str, Any]] = []
        self.code = ""
        self.loses_updates = False

    def get_schedule(self, GroupName: str, Name: str) -> dict[str, Any]:  # noqa: N803
        assert (GroupName, Name) == ("acme-staging", "churn-batch")
        if self.schedule is None:
            raise self.error("ResourceNotFoundException")
        return dict(self.schedule)

    def update_schedule(self, **arguments: Any) -> None:
        model = botocore.session.Session().get_service_model("scheduler")
        validate_parameters(arguments, model.operation_model("UpdateSchedule").input_shape)
        if self.code:
            raise self.error(self.code)
        self.updates.append(arguments)
        if not self.loses_updates:
            self.schedule = arguments

    @staticmethod
    def error(code: str) -> ClientError:
        return ClientError({"Error": {"Code": code, "Message": "m"}}, "Op")

    @property
    def job(self) -> dict[str, Any]:
        assert self.schedule is not None
        found: dict[str, Any] = json.loads(self.schedule["Target"]["Input"])
        return found


def test_a_release_sets_the_model_and_switches_the_schedule_on() -> None:
    scheduler = Scheduler(SCHEDULE)
    batch.release(scheduler, NAMES, "acme-staging-churn-abc", SPEC)
    [sent] = scheduler.updates
    assert sent["State"] == "ENABLED"
    for kept in ("ScheduleExpression", "ScheduleExpressionTimezone", "KmsKeyArn", "FlexibleTimeWindow", "GroupName"):
        assert sent[kept] == SCHEDULE[kept]
    target: Any = SCHEDULE["Target"]
    assert {**sent["Target"], "Input": ""} == {**target, "Input": ""}, "role, retries and dead letters are Terraform's"
    assert batch.read(scheduler, NAMES) == batch.BatchState("ENABLED", "acme-staging-churn-abc", "cron(0 4 ? * * *)")


def test_the_job_is_what_the_release_says() -> None:
    scheduler = Scheduler(SCHEDULE)
    batch.release(scheduler, NAMES, "config", SPEC)
    job = scheduler.job
    sagemaker = botocore.session.Session().get_service_model("sagemaker")
    validate_parameters(job, sagemaker.operation_model("CreateTransformJob").input_shape)
    assert job["TransformResources"] == {"InstanceType": "ml.c5.large", "InstanceCount": 3, "VolumeKmsKeyId": "key"}
    source = job["TransformInput"]["DataSource"]["S3DataSource"]
    assert source["S3Uri"] == "s3://acme-staging-222222222222-lake/raw/churn/"
    assert (job["MaxPayloadInMB"], job["TransformInput"]["SplitType"], job["BatchStrategy"]) == (
        9,
        "Line",
        "MultiRecord",
    )
    for kept in ("TransformJobName", "Tags"):
        assert job[kept] == JOB[kept]
    assert job["TransformOutput"] == JOB["TransformOutput"]


def test_json_documents_are_sent_one_by_one_and_disks_of_their_own_get_no_key() -> None:
    spec = SPEC.model_copy(
        update={
            "encrypt_volume": False,
            "batch": BatchSpec(input_prefix="x/", content_type="application/json", max_payload_mb=6),
        }
    )
    job = batch.job_of(JOB, NAMES, "config", spec)
    assert (job["TransformInput"]["SplitType"], job["BatchStrategy"]) == ("None", "SingleRecord")
    assert job["TransformInput"]["ContentType"] == job["TransformOutput"]["Accept"] == "application/json"
    assert "VolumeKmsKeyId" not in job["TransformResources"]


def test_the_same_release_again_changes_nothing() -> None:
    scheduler = Scheduler(SCHEDULE)
    for _ in range(2):
        batch.release(scheduler, NAMES, "config", SPEC)
    assert len(scheduler.updates) == 1


def test_an_update_that_is_not_there_afterwards_is_a_failed_deployment() -> None:
    scheduler = Scheduler(SCHEDULE)
    scheduler.loses_updates = True
    with pytest.raises(DeploymentError, match="is DISABLED and uses acme-staging-churn-initial-1") as caught:
        batch.release(scheduler, NAMES, "config", SPEC)
    assert caught.value.exit_code == 5


def test_no_schedule_says_what_to_deploy() -> None:
    assert batch.read(Scheduler(None), NAMES) is None
    with pytest.raises(NotFoundError, match="no schedule churn-batch in staging") as caught:
        batch.release(Scheduler(None), NAMES, "config", SPEC)
    assert "npx cdktf deploy staging" in str(caught.value.hint)
    with pytest.raises(DeploymentError, match="is gone"):
        batch.verify(Scheduler(None), NAMES, "config")


def test_two_writers_at_once_are_a_conflict_and_other_errors_stay_what_they_are() -> None:
    scheduler = Scheduler(SCHEDULE)
    scheduler.code = "ConflictException"
    with pytest.raises(ConflictError, match="being changed by somebody else"):
        batch.release(scheduler, NAMES, "config", SPEC)
    scheduler.code = "AccessDeniedException"
    with pytest.raises(ClientError):
        batch.release(scheduler, NAMES, "config", SPEC)


def test_a_schedule_that_starts_something_else_is_not_overwritten() -> None:
    for text in ("{}", "not json", "[]"):
        target: Any = {**SCHEDULE["Target"], "Input": text}  # type: ignore[dict-item]
        scheduler = Scheduler({**SCHEDULE, "Target": target})
        with pytest.raises(IntegrityError, match="does not start a transform job"):
            batch.release(scheduler, NAMES, "config", SPEC)
        assert scheduler.updates == []
    with pytest.raises(IntegrityError, match="another kind of serving"):
        batch.job_of(JOB, NAMES, "config", SPEC.model_copy(update={"batch": None}))
