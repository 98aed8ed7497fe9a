"""Training: what its role reaches, what a job may ask for, and that a failure is counted."""

from __future__ import annotations

import json
from typing import Any

from mlops_kit.config import Model, Training, TrainingLimits
from stacks.training import both, training_limits
from tests.stacks.stack import Stack


def statements(stack: Stack, role: str) -> dict[str, dict[str, Any]]:
    """Of the role called ``role``, by their ids."""
    (logical,) = [name for name, found in stack.all("aws_iam_role").items() if found["name"] == role]
    (policy,) = [
        found["policy"]
        for found in stack.all("aws_iam_role_policy").values()
        if found["role"] == f"${{aws_iam_role.{logical}.id}}"
    ]
    return {statement["Sid"]: statement for statement in stack.parse(policy)}


def test_the_role_reaches_its_data_set_and_its_model_and_nothing_else(sandbox: Stack) -> None:
    names = sandbox.environment.names
    for model in sandbox.models:
        found = statements(sandbox, model.names(names).role("training"))
        lake, artifacts = names.bucket_arn("lake"), names.bucket_arn("artifacts")
        reached = {
            resource
            for statement in found.values()
            for action in statement["Action"]
            if action in ("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject")
            for resource in (
                [statement["Resource"]] if isinstance(statement["Resource"], str) else statement["Resource"]
            )
        }
        assert reached == {
            f"{lake}/datasets/{model.dataset}/*",
            f"{artifacts}/training/{model.name}/pipeline/*",
            f"{artifacts}/training/{model.name}/source/*",
            f"{artifacts}/training/{model.name}/jobs/*",
        }
        listed = [s["Condition"]["StringLike"]["s3:prefix"] for s in found.values() if "s3:ListBucket" in s["Action"]]
        assert sorted(prefix for prefixes in listed for prefix in prefixes) == [
            f"datasets/{model.dataset}/*",
            f"training/{model.name}/jobs/*",
            f"training/{model.name}/pipeline/*",
            f"training/{model.name}/source/*",
        ]


def test_network_interfaces_only_in_a_vpc(sandbox: Stack, secure: Stack, adopted: Stack) -> None:
    for stack, expected in ((sandbox, False), (secure, True), (adopted, True)):
        found = statements(stack, stack.environment.names.model("fraud").role("training"))
        actions = {action for statement in found.values() for action in statement["Action"]}
        assert ("ec2:CreateNetworkInterface" in actions) is expected


def test_interfaces_are_held_to_the_subnets_of_jobs(adopted: Stack) -> None:
    existing = adopted.environment.network.existing
    assert existing is not None
    for kind in ("training", "pipeline", "drift"):
        found = statements(adopted, adopted.environment.names.model("fraud").role(kind))
        subnets = [f"arn:aws:ec2:us-east-1:*:subnet/{id_}" for id_ in existing.subnet_ids]
        assert set(subnets) <= set(found["MakeInterfaces"]["Resource"])
        assert (
            f"arn:aws:ec2:us-east-1:*:security-group/{existing.security_group_ids[0]}"
            in (found["MakeInterfaces"]["Resource"])
        )
        assert found["LendInterfaces"]["Condition"] == {"ArnLike": {"ec2:Subnet": subnets}}


def test_every_role_has_the_boundary_and_its_model_s_tag(sandbox: Stack) -> None:
    names = sandbox.environment.names
    for model in sandbox.models:
        role = sandbox.where("aws_iam_role", name=model.names(names).role("training"))
        assert role["permissions_boundary"] == names.boundary_arn
        assert role["tags"] == {"Model": model.name}


def model(name: str, **training: Any) -> Model:
    return Model(
        name=name,
        dataset="d",
        label="y",
        training=Training(source_dir=".", image="registry.example.com/t:1", **training),
    )


def test_limits_are_those_of_the_most_demanding_model() -> None:
    small = model("small")
    large = model(
        "large",
        limits=TrainingLimits(instance_types=("ml.m5.large", "ml.p3.2xlarge"), max_runtime_minutes=300),
    )
    assert training_limits([small]) == {
        "ForAllValues:StringEquals": {"sagemaker:InstanceTypes": ["ml.m5.large"]},
        "Null": {"sagemaker:InstanceTypes": "false"},
        "NumericLessThanEquals": {"sagemaker:MaxRuntimeInSeconds": "3600"},
    }
    allowed = training_limits([small, large])
    assert allowed["ForAllValues:StringEquals"]["sagemaker:InstanceTypes"] == ["ml.m5.large", "ml.p3.2xlarge"]
    assert allowed["NumericLessThanEquals"]["sagemaker:MaxRuntimeInSeconds"] == "18000"
    nobody = training_limits([])
    assert nobody["NumericLessThanEquals"]["sagemaker:MaxRuntimeInSeconds"] == "0"


def test_conditions_are_joined_operator_by_operator() -> None:
    assert both({"A": {"k": 1}, "B": {"l": 2}}, {"B": {"m": 3}, "C": {"n": 4}}) == {
        "A": {"k": 1},
        "B": {"l": 2, "m": 3},
        "C": {"n": 4},
    }


def test_failed_jobs_are_counted_by_their_role(sandbox: Stack) -> None:
    names = sandbox.environment.names
    for found in sandbox.models:
        own = found.names(names)
        rule = sandbox.where("aws_cloudwatch_event_rule", name=own.rule("training-failed"))
        assert json.loads(rule["event_pattern"]) == {
            "source": ["aws.sagemaker"],
            "detail-type": ["SageMaker Training Job State Change"],
            "detail": {"TrainingJobStatus": ["Failed"], "RoleArn": [own.role_arn("training")]},
        }


def test_failures_are_kept_in_an_encrypted_log_that_rules_may_write(sandbox: Stack) -> None:
    names = sandbox.environment.names
    group = sandbox.where("aws_cloudwatch_log_group", name=names.failures_log_group)
    assert group["kms_key_id"].startswith("${aws_kms_key.")
    targets = [
        target
        for target in sandbox.all("aws_cloudwatch_event_target").values()
        if target["arn"] == names.arn("logs", f"log-group:{names.failures_log_group}")
    ]
    assert len(targets) >= len(sandbox.models)
    assert all("role_arn" not in target for target in targets), "log groups are written by their resource policy"
    (write,) = [
        statement
        for statement in sandbox.parse(sandbox.one("aws_cloudwatch_log_resource_policy")["policy_document"])
        if "logs:PutLogEvents" in statement["Action"]
    ]
    assert write["Resource"] == names.arn("logs", f"log-group:{names.failures_log_group}:*")
    assert write["Condition"] == {"ArnLike": {"aws:SourceArn": names.arn("events", f"rule/{names.prefix}-*")}}
    (encrypt,) = [s for _, s in sandbox.every_statement() if s.get("Sid") == "EncryptLogs"]
    arns = encrypt["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    assert names.arn("logs", f"log-group:{names.failures_log_group}") in arns
