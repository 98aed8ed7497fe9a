"""The scheduled drift job: its request, its role, what it is told."""

from __future__ import annotations

import json
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from mlops_kit.jobs.drift_entry import DriftTask
from tests.stacks.stack import Stack
from tests.stacks.test_training import statements


def request(stack: Stack) -> dict[str, Any]:
    own = stack.environment.names.model("fraud")
    schedule = stack.where("aws_scheduler_schedule", name=own.schedule("drift"))
    found: dict[str, Any] = json.loads(schedule["target"]["input"])
    return found


def test_the_request_is_one_that_sagemaker_takes(sandbox: Stack, secure: Stack) -> None:
    service = ServiceModel(Loader().load_service_model("sagemaker", "service-2"), "sagemaker")
    shape = service.operation_model("CreateProcessingJob").input_shape
    for stack in (sandbox, secure):
        assert ParamValidator().validate(request(stack), shape).generate_report() == ""
        name = request(stack)["ProcessingJobName"].replace("<aws.scheduler.execution-id>", "0" * 36)
        assert len(name) <= 63


def test_the_schedule_calls_sagemaker(sandbox: Stack) -> None:
    own = sandbox.environment.names.model("fraud")
    schedule = sandbox.where("aws_scheduler_schedule", name=own.schedule("drift"))
    assert schedule["target"]["arn"] == "arn:aws:scheduler:::aws-sdk:sagemaker:createProcessingJob"
    assert schedule["schedule_expression"] == "rate(1 hour)"
    found = statements(sandbox, sandbox.environment.names.role("schedules"))
    (resource,) = found["StartProcessingJobs"]["Resource"]
    assert resource == sandbox.environment.names.arn("sagemaker", f"processing-job/{own.drift_job('*')}")


def test_it_runs_where_the_environment_says(sandbox: Stack, secure: Stack) -> None:
    assert request(sandbox)["NetworkConfig"] == {"EnableNetworkIsolation": False}
    network = request(secure)["NetworkConfig"]
    assert network["EnableNetworkIsolation"] is False, "it asks S3 and CloudWatch"
    assert len(network["VpcConfig"]["Subnets"]) == 3
    cluster = request(secure)["ProcessingResources"]["ClusterConfig"]
    assert cluster["VolumeKmsKeyId"].startswith("${aws_kms_key.")
    tags = {tag["Key"]: tag["Value"] for tag in request(secure)["Tags"]}
    assert (tags["Model"], tags["Environment"]) == ("fraud", "secure")


def test_it_is_told_the_environment_and_the_model(sandbox: Stack) -> None:
    own = sandbox.environment.names.model("fraud")
    told = sandbox.where("aws_s3_object", key=own.drift_job_key)
    content = told["content"].replace("$${", "${").replace("%%{", "%{")
    task = DriftTask.model_validate_json(content)
    assert task.environment == sandbox.environment
    assert task.model == sandbox.project.model("fraud", sandbox.environment)
    (given,) = request(sandbox)["ProcessingInputs"]
    assert given["S3Input"]["S3Uri"] == f"s3://{sandbox.environment.names.bucket('artifacts')}/{own.drift_job_key}"
    file = request(sandbox)["Environment"]["MLOPS_KIT_DRIFT_JOB"]
    assert file == f"{given['S3Input']['LocalPath']}/fraud.json"


def test_its_role_reads_and_publishes_and_writes_nothing(sandbox: Stack) -> None:
    names = sandbox.environment.names
    own = names.model("fraud")
    found = statements(sandbox, own.role("drift"))
    actions = {action for statement in found.values() for action in statement["Action"]}
    assert not {action for action in actions if action.startswith(("s3:Put", "s3:Delete", "sagemaker:", "sts:"))}
    assert found["PutMetrics"]["Condition"] == {"StringEquals": {"cloudwatch:namespace": ["MlopsKit/Drift"]}}
    assert found["ReadTrafficAndBaseline"]["Resource"] == [
        f"{names.bucket_arn('capture')}/{own.capture_prefix}*",
        f"{names.bucket_arn('artifacts')}/models/fraud/*",
        f"{names.bucket_arn('artifacts')}/{own.drift_job_key}",
        f"{names.bucket_arn('ledger')}/fraud/*",
    ]
    assert found["FindReleases"]["Action"] == ["s3:ListBucket", "s3:ListBucketVersions"], "an event has one version"
    assert found["FindReleases"]["Condition"] == {"StringLike": {"s3:prefix": ["fraud/*"]}}


def test_without_a_schedule_there_is_nothing(sandbox: Stack) -> None:
    names = sandbox.environment.names
    roles = {role["name"] for role in sandbox.all("aws_iam_role").values()}
    assert names.model("fraud").role("drift") in roles
    assert not {names.model(model).role("drift") for model in ("chat", "papers", "churn")} & roles
