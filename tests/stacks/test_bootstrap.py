"""The bootstrap stack: a state bucket that cannot be lost, and a way in for one repository and nobody else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mlops_kit.config import Ci
from mlops_kit.naming import BUCKET_KINDS
from stacks.deploy_role import ISSUER
from tests.stacks.conftest import STAGES, Synthesized
from tests.stacks.stack import Stack
from tests.stacks.test_access import listed
from tests.stacks.test_golden import check_golden

REPOSITORY = "example/ml-platform"
MANAGED_POLICY_LIMIT = 6144
WITHOUT_RESOURCE = {
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScalingPolicies",
    "kms:CreateKey",
    "kms:ListAliases",
    "sns:GetSubscriptionAttributes",
    "sns:SetSubscriptionAttributes",
    "sns:Unsubscribe",
}
"""Actions that take no resource (Service Authorization Reference), so that ``*`` is the only thing to write."""
CREATED_BY = {
    "aws_appautoscaling_policy": "application-autoscaling:PutScalingPolicy",
    "aws_appautoscaling_target": "application-autoscaling:RegisterScalableTarget",
    "aws_budgets_budget": "budgets:ModifyBudget",
    "aws_cloudwatch_dashboard": "cloudwatch:PutDashboard",
    "aws_cloudwatch_log_group": "logs:CreateLogGroup",
    "aws_cloudwatch_metric_alarm": "cloudwatch:PutMetricAlarm",
    "aws_iam_role": "iam:CreateRole",
    "aws_iam_role_policy": "iam:PutRolePolicy",
    "aws_kms_alias": "kms:CreateAlias",
    "aws_kms_key": "kms:CreateKey",
    "aws_s3_bucket": "s3:CreateBucket",
    "aws_s3_bucket_lifecycle_configuration": "s3:PutLifecycleConfiguration",
    "aws_s3_bucket_logging": "s3:PutBucketLogging",
    "aws_s3_bucket_notification": "s3:PutBucketNotification",
    "aws_s3_bucket_object_lock_configuration": "s3:PutBucketObjectLockConfiguration",
    "aws_s3_bucket_ownership_controls": "s3:PutBucketOwnershipControls",
    "aws_s3_bucket_policy": "s3:PutBucketPolicy",
    "aws_s3_bucket_public_access_block": "s3:PutBucketPublicAccessBlock",
    "aws_s3_bucket_server_side_encryption_configuration": "s3:PutEncryptionConfiguration",
    "aws_s3_bucket_versioning": "s3:PutBucketVersioning",
    "aws_s3_object": "s3:PutObject",
    "aws_sagemaker_endpoint": "sagemaker:CreateEndpoint",
    "aws_sagemaker_endpoint_configuration": "sagemaker:CreateEndpointConfig",
    "aws_sagemaker_model": "sagemaker:CreateModel",
    "aws_sagemaker_model_package_group": "sagemaker:CreateModelPackageGroup",
    "aws_sagemaker_model_package_group_policy": "sagemaker:PutModelPackageGroupPolicy",
    "aws_sns_topic": "sns:CreateTopic",
    "aws_sns_topic_policy": "sns:SetTopicAttributes",
    "aws_sns_topic_subscription": "sns:Subscribe",
}
"""Resource type of an environment's stack -> what AWS calls making it."""
LOSES_DATA = {
    "kms:DisableKey",
    "kms:ScheduleKeyDeletion",
    "logs:DeleteLogGroup",
    "s3:BypassGovernanceRetention",
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:DeleteObjectVersion",
    "sagemaker:DeleteModelPackage",
    "sagemaker:DeleteModelPackageGroup",
}


@pytest.fixture(params=[*STAGES, "lab", "empty"])
def bootstrap(request: pytest.FixtureRequest, synthesized: Synthesized) -> Stack:
    """Each bootstrap stack in turn."""
    found: Stack = synthesized.bootstrap[request.param]
    return found


@pytest.fixture
def with_ci(synthesized: Synthesized) -> Stack:
    return synthesized.bootstrap["lab"]


def granted(stack: Stack) -> list[dict[str, Any]]:
    """What the deploy role is allowed."""
    return [
        statement
        for policy in stack.all("aws_iam_policy").values()
        for statement in stack.parse(policy["policy"])
        if statement["Effect"] == "Allow"
    ]


def actions(stack: Stack) -> set[str]:
    return {action for statement in granted(stack) for action in listed(statement["Action"])}


def test_golden(with_ci: Stack, update_golden: bool) -> None:
    check_golden(with_ci, Path("bootstrap") / "lab.json", update_golden)


def test_only_when_asked_for(synthesized: Synthesized) -> None:
    for stack in (*synthesized.aws.values(), *synthesized.local.values()):
        assert not list(stack.directory.parent.glob("*-bootstrap"))
    for name, stack in synthesized.bootstrap.items():
        assert stack.directory.name == f"{name}-bootstrap"
        assert not (stack.directory.parent / name).exists(), "and then nothing else"


def test_its_own_state_is_a_file_at_the_projects_root(bootstrap: Stack) -> None:
    path = str(bootstrap.project.root / f"bootstrap.{bootstrap.environment.name}.tfstate")
    assert bootstrap.content["terraform"]["backend"] == {"local": {"path": path}}


def test_it_acts_in_one_account(bootstrap: Stack) -> None:
    (provider,) = bootstrap.content["provider"]["aws"]
    assert provider["allowed_account_ids"] == [bootstrap.environment.account]


def test_state_bucket_is_protected_in_every_environment(bootstrap: Stack) -> None:
    names = bootstrap.environment.names
    bucket = bootstrap.one("aws_s3_bucket")
    assert bucket["bucket"] == names.state_bucket
    assert bucket["force_destroy"] is False
    assert bucket["lifecycle"] == {"prevent_destroy": True}
    assert bootstrap.one("aws_s3_bucket_versioning")["versioning_configuration"] == {"status": "Enabled"}
    blocked = bootstrap.one("aws_s3_bucket_public_access_block")
    for setting in ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"):
        assert blocked[setting] is True
    ownership = bootstrap.one("aws_s3_bucket_ownership_controls")
    assert ownership["rule"] == {"object_ownership": "BucketOwnerEnforced"}
    (tls,) = bootstrap.parse(bootstrap.one("aws_s3_bucket_policy")["policy"])
    assert (tls["Effect"], tls["Action"]) == ("Deny", "s3:*")
    assert tls["Resource"] == [names.state_bucket_arn, f"{names.state_bucket_arn}/*"]
    assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_state_bucket_encrypts_as_the_backend_asks(bootstrap: Stack) -> None:
    (rule,) = bootstrap.one("aws_s3_bucket_server_side_encryption_configuration")["rule"]
    assert rule == {"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}


def test_only_replaced_states_expire(bootstrap: Stack) -> None:
    rules = {rule["id"]: rule for rule in bootstrap.one("aws_s3_bucket_lifecycle_configuration")["rule"]}
    assert set(rules) == {"abort-multipart", "expire-noncurrent"}
    assert rules["expire-noncurrent"]["noncurrent_version_expiration"] == [{"noncurrent_days": 90}]


def test_without_ci_there_is_no_way_in(synthesized: Synthesized) -> None:
    for name in (*STAGES, "empty"):
        stack = synthesized.bootstrap[name]
        assert stack.environment.ci is None
        assert {kind for kind in stack.content["resource"] if not kind.startswith("aws_s3_bucket")} == set()
        assert set(stack.content["output"]) == {"state_bucket"}


def test_trust_is_one_repository_and_one_environment(with_ci: Stack) -> None:
    (provider,) = with_ci.all("aws_iam_openid_connect_provider")
    assert with_ci.one("aws_iam_openid_connect_provider")["url"] == f"https://{ISSUER}"
    role = with_ci.one("aws_iam_role")
    (trust,) = with_ci.parse(role["assume_role_policy"])
    assert trust == {
        "Sid": "OneRepositoryAndEnvironment",
        "Effect": "Allow",
        "Principal": {"Federated": f"${{aws_iam_openid_connect_provider.{provider}.arn}}"},
        "Action": ["sts:AssumeRoleWithWebIdentity"],
        "Condition": {
            "StringEquals": {
                f"{ISSUER}:aud": "sts.amazonaws.com",
                f"{ISSUER}:sub": f"repo:{REPOSITORY}:environment:lab",
            }
        },
    }
    assert "*" not in role["assume_role_policy"]


@pytest.mark.parametrize(
    "repository",
    [
        "acme",
        "acme/*",
        "*/ml",
        "acme/ml*",
        "acme/ml/x",
        "acme/ml:ref",
        "acme/",
        "/ml",
        "a b/ml",
        "acme/..",
        "acme/ml\n",
    ],
)
def test_only_one_repository_can_be_named(repository: str) -> None:
    with pytest.raises(ValidationError, match="one GitHub repository"):
        Ci(repository=repository)


@pytest.mark.parametrize("repository", [REPOSITORY, "a/b", "Acme-Corp/ml.platform_2", "acme/.github"])
def test_real_repositories_can_be_named(repository: str) -> None:
    assert Ci(repository=repository).repository == repository


def test_no_wildcard_action(with_ci: Stack) -> None:
    assert not [action for action in actions(with_ci) if "*" in action]


def test_no_wildcard_resource_where_a_name_exists(with_ci: Stack) -> None:
    for statement in granted(with_ci):
        if "*" in listed(statement["Resource"]):
            assert set(statement["Action"]) <= WITHOUT_RESOURCE, statement["Sid"]


def test_what_aws_names_itself_is_held_by_tags(with_ci: Stack) -> None:
    environment = with_ci.environment
    for statement in granted(with_ci):
        if (
            any(":key/" in resource for resource in listed(statement["Resource"]))
            or "kms:CreateKey" in statement["Action"]
        ):
            conditions = statement["Condition"]["StringEquals"]
            kind = "Request" if statement["Sid"] in ("MakeKey", "TagKey") else "Resource"
            assert conditions[f"aws:{kind}Tag/Project"] == environment.project, statement["Sid"]
            assert conditions[f"aws:{kind}Tag/Environment"] == environment.name, statement["Sid"]


def test_iam_is_held_to_the_environments_roles(with_ci: Stack) -> None:
    names = with_ci.environment.names
    for statement in granted(with_ci):
        if statement["Action"] == ["iam:CreateServiceLinkedRole"]:
            assert "/aws-service-role/sagemaker." in statement["Resource"]
        elif any(action.startswith("iam:") for action in statement["Action"]):
            assert statement["Resource"] == names.iam_arn(f"role/{names.prefix}-*"), statement["Sid"]
    assert not {action for action in actions(with_ci) if action.startswith("iam:Attach") or "User" in action}
    (passes,) = [statement for statement in granted(with_ci) if "iam:PassRole" in statement["Action"]]
    assert passes["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    refused = [
        statement
        for policy in with_ci.all("aws_iam_policy").values()
        for statement in with_ci.parse(policy["policy"])
        if statement["Effect"] == "Deny"
    ]
    assert [(s["Action"], s["Resource"]) for s in refused] == [("iam:*", names.deploy_role_arn)], "not itself"


def test_state_is_the_environments_own_and_cannot_be_deleted(with_ci: Stack) -> None:
    bucket = with_ci.environment.names.state_bucket_arn
    state = f"{bucket}/terraform.tfstate"
    found = {
        (action, resource)
        for statement in granted(with_ci)
        for action in statement["Action"]
        for resource in listed(statement["Resource"])
        if bucket in resource
    }
    lock = f"{state}.tflock"
    assert found == {
        ("s3:ListBucket", bucket),
        *((action, key) for action in ("s3:GetObject", "s3:PutObject") for key in (state, lock)),
        ("s3:DeleteObject", lock),
    }
    elsewhere = {
        resource.split(":::")[1].split("/")[0]
        for statement in granted(with_ci)
        for resource in listed(statement["Resource"])
        if ":s3:::" in resource and bucket not in resource
    }
    assert elsewhere == {with_ci.environment.names.bucket(kind) for kind in BUCKET_KINDS}, "and no pattern of buckets"


def test_ci_deletes_nothing_that_holds_data(with_ci: Stack) -> None:
    assert not actions(with_ci) & LOSES_DATA


def test_the_role_can_make_all_of_an_environment(with_ci: Stack, synthesized: Synthesized) -> None:
    """A resource type that is new in the environment's stack fails here until the deploy role may make it."""
    stacks = (*synthesized.aws.values(), *synthesized.corners.values())
    kinds = {kind for stack in stacks for kind in stack.content["resource"]}
    assert kinds == set(CREATED_BY)
    assert {CREATED_BY[kind] for kind in kinds} <= actions(with_ci)


def test_policies_fit(with_ci: Stack) -> None:
    policies = with_ci.all("aws_iam_policy").values()
    assert len(policies) == len(with_ci.all("aws_iam_role_policy_attachment")) <= 10
    for policy in policies:
        assert len(json.dumps(json.loads(policy["policy"]), separators=(",", ":"))) < MANAGED_POLICY_LIMIT
