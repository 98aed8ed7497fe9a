"""Batch models: a scheduled transform job, switched off until a release says with which model."""

from __future__ import annotations

import json
import re
from typing import Any

import botocore.session
from botocore.validate import validate_parameters

from mlops_kit.naming import EnvironmentNames
from stacks import boundary, schedules
from tests.stacks.identity import Identity
from tests.stacks.stack import Stack


def schedule(stack: Stack, name: str) -> dict[str, Any]:
    return stack.where("aws_scheduler_schedule", name=name)


def test_no_endpoint(sandbox: Stack) -> None:
    endpoints = {endpoint["name"] for endpoint in sandbox.all("aws_sagemaker_endpoint").values()}
    assert endpoints == {f"gallery-sandbox-{model}" for model in ("fraud", "chat", "papers")}


def test_the_schedule_waits_for_a_release_and_terraform_leaves_it_alone_afterwards(sandbox: Stack) -> None:
    made = schedule(sandbox, "churn-batch")
    assert made["state"] == "DISABLED"
    assert made["lifecycle"] == {"ignore_changes": ["state", "target[0].input"]}
    assert (made["schedule_expression"], made["schedule_expression_timezone"]) == (
        "cron(30 2 ? * * *)",
        "Europe/Berlin",
    )
    assert made["target"]["arn"] == "arn:aws:scheduler:::aws-sdk:sagemaker:createTransformJob"


def test_the_job_is_one_that_sagemaker_takes(sandbox: Stack) -> None:
    text = schedule(sandbox, "churn-batch")["target"]["input"]
    text = text.replace("<aws.scheduler.execution-id>", "0" * 36)
    job = json.loads(re.sub(r"\$\{[^}]*\}", "reference", text))
    sagemaker = botocore.session.Session().get_service_model("sagemaker")
    validate_parameters(job, sagemaker.operation_model("CreateTransformJob").input_shape)
    assert len(job["TransformJobName"]) <= 63
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*", job["TransformJobName"])
    lake = "s3://gallery-sandbox-666666666666-lake"
    assert job["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"] == f"{lake}/raw/churn/"
    assert job["TransformOutput"]["S3OutputPath"] == f"{lake}/predictions/churn/<aws.scheduler.scheduled-time>"
    assert job["TransformResources"]["InstanceCount"] == 2
    assert {tag["Key"]: tag["Value"] for tag in job["Tags"]} == {
        "Project": "gallery",
        "Environment": "sandbox",
        "Owner": "owner@example.com",
        "CostCenter": "research 42",
        "ManagedBy": "mlops-kit",
        "Model": "churn",
    }


def test_job_names_fit_however_long_the_models_name_is() -> None:
    environment = EnvironmentNames("acme", "production", "1" * 12, "us-east-1")
    names = [
        environment.model(model).transform_job("e" * 36) for model in ("a", "diagnosis", "diagnosis-of-everything")
    ]
    assert all(len(name) <= 63 and name.startswith("acme-") for name in names)
    assert names[1].startswith("acme-production-diagnosis-")
    assert len(set(names)) == 3


def test_one_role_starts_what_is_scheduled_and_nothing_else(sandbox: Stack, secure: Stack) -> None:
    def allowed(stack: Stack) -> dict[str, dict[str, Any]]:
        (policy,) = [p for p in stack.all("aws_iam_role_policy").values() if p["name"] == "schedules"]
        return {statement["Sid"]: statement for statement in stack.parse(policy["policy"])}

    arn = "arn:aws:sagemaker:us-east-1:666666666666"
    found = allowed(sandbox)
    assert found["StartTransformJobs"]["Resource"] == [
        f"{arn}:transform-job/gallery-sandbox-churn-*",
        f"{arn}:model/gallery-sandbox-churn-*",
    ]
    assert found["PassDriftRoles"]["Resource"] == ["arn:aws:iam::666666666666:role/gallery-sandbox-fraud-drift"]
    assert found["StartMachines"]["Resource"] == [
        "arn:aws:states:us-east-1:666666666666:stateMachine:gallery-sandbox-retrain",
        "arn:aws:states:us-east-1:666666666666:stateMachine:gallery-sandbox-off-hours",
    ]
    assert found["KeepWhatFailed"]["Resource"] == "arn:aws:sqs:us-east-1:666666666666:gallery-sandbox-dead-letters"
    assert "gallery-secure-off-hours" not in json.dumps(allowed(secure)), "secure has no off-hours"


def test_jobs_of_a_long_project_name_are_within_the_role_and_its_boundary(sandbox: Stack) -> None:
    environment = sandbox.environment.model_copy(update={"project": "p" * 30})
    names, models = environment.names, sandbox.models
    policy = {"Statement": schedules._statements(environment, models, names.arn("kms", "key/1"))}
    role = Identity({"schedules": policy}, {"Statement": boundary.statements(names)})
    kinds = {
        "transform-job": ("sagemaker:CreateTransformJob", [m for m in models if m.serving.kind == "batch"]),
        "processing-job": ("sagemaker:CreateProcessingJob", [m for m in models if m.drift.schedule is not None]),
    }
    for kind, (action, scheduled) in kinds.items():
        assert scheduled
        for model in scheduled:
            job = model.names(names).transform_job("e" * 36)
            assert len(job) <= 63
            assert not job.startswith(names.project), "cut, so the project's own pattern does not take it in"
            assert role.may(action, names.arn("sagemaker", f"{kind}/{job}"))
        other = names.model("other").transform_job("e" * 36)
        assert not role.may(action, names.arn("sagemaker", f"{kind}/{other}"))


def test_the_role_is_for_this_group_of_schedules_only(sandbox: Stack) -> None:
    role = sandbox.where("aws_iam_role", name="gallery-sandbox-schedules")
    (statement,) = sandbox.parse(role["assume_role_policy"])
    assert statement["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "666666666666"},
        "ArnEquals": {"aws:SourceArn": "arn:aws:scheduler:us-east-1:666666666666:schedule-group/gallery-sandbox"},
    }
    assert role["permissions_boundary"] == "arn:aws:iam::666666666666:policy/gallery-sandbox-boundary"


def test_every_schedule_is_encrypted_retried_and_keeps_what_failed(sandbox: Stack) -> None:
    schedules = sandbox.all("aws_scheduler_schedule").values()
    assert {"churn-batch", "fraud-stop", "fraud-start"} <= {made["name"] for made in schedules}
    for made in schedules:
        assert made["kms_key_arn"].startswith("${aws_kms_key.")
        assert made["group_name"].startswith("${aws_scheduler_schedule_group.")
        assert made["target"]["retry_policy"]["maximum_retry_attempts"] > 0
        assert "dead_letter_config" in made["target"]
