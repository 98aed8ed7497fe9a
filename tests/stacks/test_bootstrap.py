"""The bootstrap stack: a state bucket that cannot be lost, a boundary, and a way in for one repository alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mlops_kit.config import Ci
from mlops_kit.local.overlay.iam_evaluation import matches
from mlops_kit.naming import BUCKET_KINDS, REPLICATED_KINDS
from tests.stacks import authorization
from tests.stacks.conftest import STAGES, Synthesized
from tests.stacks.identity import deployer
from tests.stacks.rules import buckets_are_safe, policies_fit
from tests.stacks.stack import Resource, Stack, listed
from tests.stacks.test_golden import check_golden

REPOSITORY = "example/ml-platform"
ISSUER = "token.actions.githubusercontent.com"
MANAGED_POLICIES = 10
"""How many managed policies a role may have."""
CREATED_BY = {
    "aws_appautoscaling_policy": "application-autoscaling:PutScalingPolicy",
    "aws_appautoscaling_scheduled_action": "application-autoscaling:PutScheduledAction",
    "aws_appautoscaling_target": "application-autoscaling:RegisterScalableTarget",
    "aws_budgets_budget": "budgets:ModifyBudget",
    "aws_ce_anomaly_monitor": "ce:CreateAnomalyMonitor",
    "aws_ce_anomaly_subscription": "ce:CreateAnomalySubscription",
    "aws_cloudwatch_composite_alarm": "cloudwatch:PutCompositeAlarm",
    "aws_cloudwatch_dashboard": "cloudwatch:PutDashboard",
    "aws_cloudwatch_event_bus_policy": "events:PutPermission",
    "aws_cloudwatch_event_rule": "events:PutRule",
    "aws_cloudwatch_event_target": "events:PutTargets",
    "aws_cloudwatch_log_group": "logs:CreateLogGroup",
    "aws_cloudwatch_log_resource_policy": "logs:PutResourcePolicy",
    "aws_cloudwatch_metric_alarm": "cloudwatch:PutMetricAlarm",
    "aws_default_security_group": "ec2:RevokeSecurityGroupEgress",
    "aws_ecr_lifecycle_policy": "ecr:PutLifecyclePolicy",
    "aws_ecr_registry_policy": "ecr:PutRegistryPolicy",
    "aws_ecr_replication_configuration": "ecr:PutReplicationConfiguration",
    "aws_ecr_repository": "ecr:CreateRepository",
    "aws_ecr_repository_policy": "ecr:SetRepositoryPolicy",
    "aws_flow_log": "ec2:CreateFlowLogs",
    "aws_iam_role": "iam:CreateRole",
    "aws_iam_role_policy": "iam:PutRolePolicy",
    "aws_kms_alias": "kms:CreateAlias",
    "aws_kms_key": "kms:CreateKey",
    "aws_route_table": "ec2:CreateRouteTable",
    "aws_route_table_association": "ec2:AssociateRouteTable",
    "aws_s3_bucket": "s3:CreateBucket",
    "aws_s3_bucket_inventory": "s3:PutInventoryConfiguration",
    "aws_s3_bucket_lifecycle_configuration": "s3:PutLifecycleConfiguration",
    "aws_s3_bucket_logging": "s3:PutBucketLogging",
    "aws_s3_bucket_notification": "s3:PutBucketNotification",
    "aws_s3_bucket_object_lock_configuration": "s3:PutBucketObjectLockConfiguration",
    "aws_s3_bucket_ownership_controls": "s3:PutBucketOwnershipControls",
    "aws_s3_bucket_policy": "s3:PutBucketPolicy",
    "aws_s3_bucket_public_access_block": "s3:PutBucketPublicAccessBlock",
    "aws_s3_bucket_replication_configuration": "s3:PutReplicationConfiguration",
    "aws_s3_bucket_server_side_encryption_configuration": "s3:PutEncryptionConfiguration",
    "aws_s3_bucket_versioning": "s3:PutBucketVersioning",
    "aws_s3_object": "s3:PutObject",
    "aws_sagemaker_endpoint": "sagemaker:CreateEndpoint",
    "aws_sagemaker_endpoint_configuration": "sagemaker:CreateEndpointConfig",
    "aws_sagemaker_model": "sagemaker:CreateModel",
    "aws_sagemaker_model_package_group": "sagemaker:CreateModelPackageGroup",
    "aws_sagemaker_model_package_group_policy": "sagemaker:PutModelPackageGroupPolicy",
    "aws_sagemaker_pipeline": "sagemaker:CreatePipeline",
    "aws_scheduler_schedule": "scheduler:CreateSchedule",
    "aws_scheduler_schedule_group": "scheduler:CreateScheduleGroup",
    "aws_security_group": "ec2:CreateSecurityGroup",
    "aws_sfn_state_machine": "states:CreateStateMachine",
    "aws_sns_topic": "sns:CreateTopic",
    "aws_sns_topic_policy": "sns:SetTopicAttributes",
    "aws_sns_topic_subscription": "sns:Subscribe",
    "aws_sqs_queue": "sqs:CreateQueue",
    "aws_sqs_queue_policy": "sqs:SetQueueAttributes",
    "aws_subnet": "ec2:CreateSubnet",
    "aws_vpc": "ec2:CreateVpc",
    "aws_vpc_endpoint": "ec2:CreateVpcEndpoint",
    "aws_vpc_security_group_egress_rule": "ec2:AuthorizeSecurityGroupEgress",
    "aws_vpc_security_group_ingress_rule": "ec2:AuthorizeSecurityGroupIngress",
}
"""Resource type of an environment's stack -> what AWS calls making it."""
NAMED = {
    "aws_budgets_budget": ("name", "budgets::{account}:budget/{}"),
    "aws_cloudwatch_composite_alarm": ("alarm_name", "cloudwatch:{region}:{account}:alarm:{}"),
    "aws_cloudwatch_dashboard": ("dashboard_name", "cloudwatch::{account}:dashboard/{}"),
    "aws_cloudwatch_event_rule": ("name", "events:{region}:{account}:rule/{}"),
    "aws_cloudwatch_log_group": ("name", "logs:{region}:{account}:log-group:{}"),
    "aws_cloudwatch_metric_alarm": ("alarm_name", "cloudwatch:{region}:{account}:alarm:{}"),
    "aws_ecr_repository": ("name", "ecr:{region}:{account}:repository/{}"),
    "aws_iam_role": ("name", "iam::{account}:role/{}"),
    "aws_s3_bucket": ("bucket", "s3:::{}"),
    "aws_s3_object": ("key", "s3:::{artifacts}/{}"),
    "aws_sagemaker_endpoint": ("name", "sagemaker:{region}:{account}:endpoint/{}"),
    "aws_sagemaker_endpoint_configuration": ("name", "sagemaker:{region}:{account}:endpoint-config/{}"),
    "aws_sagemaker_model": ("name", "sagemaker:{region}:{account}:model/{}"),
    "aws_sagemaker_model_package_group": (
        "model_package_group_name",
        "sagemaker:{region}:{account}:model-package-group/{}",
    ),
    "aws_sagemaker_pipeline": ("pipeline_name", "sagemaker:{region}:{account}:pipeline/{}"),
    "aws_scheduler_schedule": ("name", "scheduler:{region}:{account}:schedule/{group}/{}"),
    "aws_scheduler_schedule_group": ("name", "scheduler:{region}:{account}:schedule-group/{}"),
    "aws_sfn_state_machine": ("name", "states:{region}:{account}:stateMachine:{}"),
    "aws_sns_topic": ("name", "sns:{region}:{account}:{}"),
    "aws_sqs_queue": ("name", "sqs:{region}:{account}:{}"),
}
"""Resource type -> the attribute that is its name, and the ARN that IAM compares, after the partition."""
LOSES_DATA = {
    "ecr:BatchDeleteImage",
    "ecr:DeleteRepository",
    "kms:DisableKey",
    "kms:ScheduleKeyDeletion",
    "logs:DeleteLogGroup",
    "logs:DeleteLogStream",
    "s3:BypassGovernanceRetention",
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:DeleteObjectVersion",
    "sagemaker:DeleteModelPackage",
    "sagemaker:DeleteModelPackageGroup",
    "sqs:DeleteQueue",
    "sqs:PurgeQueue",
}


@pytest.fixture(params=[*STAGES, "lab", "empty", "sandbox", "secure", "adopted"])
def bootstrap(request: pytest.FixtureRequest, synthesized: Synthesized) -> Stack:
    """Each bootstrap stack in turn."""
    found: Stack = synthesized.bootstrap[request.param]
    return found


@pytest.fixture(params=["lab", "secure"])
def with_ci(request: pytest.FixtureRequest, synthesized: Synthesized) -> Stack:
    """The bootstrap stacks with a way in: without a network, and with one and a second region."""
    found: Stack = synthesized.bootstrap[request.param]
    return found


def granted(stack: Stack) -> list[dict[str, Any]]:
    """What the deploy role is allowed."""
    return [
        statement
        for document in deployer(stack).documents.values()
        for statement in document["Statement"]
        if statement["Effect"] == "Allow"
    ]


def actions(stack: Stack) -> set[str]:
    return {action for statement in granted(stack) for action in listed(statement["Action"])}


def test_golden(synthesized: Synthesized, update_golden: bool) -> None:
    check_golden(synthesized.bootstrap["lab"], Path("bootstrap") / "lab.json", update_golden)


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
    bucket = bootstrap.one("aws_s3_bucket")
    assert bucket["bucket"] == bootstrap.environment.names.state_bucket
    assert bucket["force_destroy"] is False
    assert bucket["lifecycle"] == {"prevent_destroy": True}
    assert buckets_are_safe(bootstrap) == []


def test_state_bucket_encrypts_as_the_backend_asks(bootstrap: Stack) -> None:
    (rule,) = bootstrap.one("aws_s3_bucket_server_side_encryption_configuration")["rule"]
    assert rule == {"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}
    state = f"{bootstrap.environment.names.state_bucket_arn}/terraform.tfstate"

    def refused(**headers: str) -> list[str]:
        keys = {"aws:SecureTransport": "true"} | {f"s3:x-amz-server-side-encryption{k}": v for k, v in headers.items()}
        statements = bootstrap.parse(bootstrap.one("aws_s3_bucket_policy")["policy"])
        assert all(statement["Effect"] == "Deny" for statement in statements)
        return [statement["Sid"] for statement in statements if matches(statement, "s3:PutObject", state, keys)]

    assert refused(**{"": "AES256"}) == []
    assert refused() == []
    assert refused(**{"": "aws:kms"}) == ["RefuseOtherEncryption"]


def test_only_replaced_states_expire(bootstrap: Stack) -> None:
    rules = {rule["id"]: rule for rule in bootstrap.one("aws_s3_bucket_lifecycle_configuration")["rule"]}
    assert set(rules) == {"abort-multipart", "expire-noncurrent"}
    assert rules["expire-noncurrent"]["noncurrent_version_expiration"] == [{"noncurrent_days": 90}]


def test_the_boundary_is_the_one_that_roles_name(bootstrap: Stack, synthesized: Synthesized) -> None:
    environment = bootstrap.environment
    boundary = bootstrap.where("aws_iam_policy", name=environment.names.boundary)
    assert bool(boundary.get("lifecycle", {}).get("prevent_destroy")) is environment.protect
    stacks = synthesized.local | synthesized.gallery | synthesized.corners
    assert bootstrap.boundary() == stacks[environment.name].boundary(), "as tried on the local cloud"
    assert policies_fit(bootstrap) == []


def test_the_environments_own_stack_has_no_boundary_on_aws(synthesized: Synthesized) -> None:
    for stack in synthesized.aws.values():
        assert stack.all("aws_iam_policy") == {}


def test_without_ci_there_is_no_way_in(synthesized: Synthesized) -> None:
    for name in (*STAGES, "empty", "sandbox", "adopted"):
        stack = synthesized.bootstrap[name]
        assert stack.environment.ci is None
        kinds = {kind for kind in stack.content["resource"] if not kind.startswith("aws_s3_bucket")}
        assert kinds == {"aws_iam_policy"}
        assert stack.one("aws_iam_policy")["name"] == stack.environment.names.boundary
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
                f"{ISSUER}:sub": f"repo:{REPOSITORY}:environment:{with_ci.environment.name}",
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


def test_actions_are_held_to_what_aws_lets_them(with_ci: Stack) -> None:
    assert sorted(authorization.misplaced(granted(with_ci))) == []


def test_what_aws_names_itself_is_held_by_tags(with_ci: Stack) -> None:
    tags = {"Project": with_ci.environment.project, "Environment": with_ci.environment.name}
    invented = (":key/", ":ec2:")
    held = [
        statement
        for statement in granted(with_ci)
        if any(part in resource for part in invented for resource in listed(statement["Resource"]))
        or "kms:CreateKey" in statement["Action"]
    ]
    assert {"MakeKey", "TagKey", "ManageKey"} < {statement["Sid"] for statement in held}
    for statement in held:
        conditions = statement["Condition"]["StringEquals"]
        requested = {f"aws:RequestTag/{tag}": value for tag, value in tags.items()}
        found = {f"aws:ResourceTag/{tag}": value for tag, value in tags.items()}
        assert requested.items() <= conditions.items() or found.items() <= conditions.items(), statement["Sid"]


def test_the_network_is_only_for_who_makes_one(synthesized: Synthesized) -> None:
    """The environment "adopted" has no way in; "lab" has one and no network."""
    assert any(action.startswith("ec2:") for action in actions(synthesized.bootstrap["secure"]))
    assert not any(action.startswith("ec2:") for action in actions(synthesized.bootstrap["lab"]))


def test_a_network_is_made_in_the_environments_own(synthesized: Synthesized) -> None:
    """EC2 asks for the new subnet, which brings its tags, and for the VPC that it is to lie in."""
    stack = synthesized.bootstrap["secure"]
    ci, names = deployer(stack), stack.environment.names
    ours = {"Project": "gallery", "Environment": "secure"}
    brings = {f"aws:RequestTag/{tag}": value for tag, value in ours.items()}
    has = {f"aws:ResourceTag/{tag}": value for tag, value in ours.items()}
    vpc, subnet = names.arn("ec2", "vpc/vpc-1"), names.arn("ec2", "subnet/subnet-1")
    assert ci.may("ec2:CreateSubnet", subnet, brings)
    assert ci.may("ec2:CreateSubnet", vpc, has)
    assert not ci.may("ec2:CreateSubnet", vpc)
    assert not ci.may("ec2:CreateSubnet", subnet)
    assert not ci.may("ec2:DeleteSubnet", subnet, brings)
    assert not ci.may("ec2:DeleteSubnet", subnet, has | {"aws:ResourceTag/Environment": "other"})


# --- IAM


def test_roles_are_made_and_changed_within_the_boundary_only(with_ci: Stack) -> None:
    ci, names = deployer(with_ci), with_ci.environment.names
    role = names.role_arn("promoter")
    for action in ("iam:CreateRole", "iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:PutRolePermissionsBoundary"):
        assert ci.may(action, role, {"iam:PermissionsBoundary": names.boundary_arn}), action
        assert not ci.may(action, role), action
        assert not ci.may(action, role, {"iam:PermissionsBoundary": names.iam_arn("policy/AdministratorAccess")}), (
            action
        )
        elsewhere = names.iam_arn("role/other-dev-promoter")
        assert not ci.may(action, elsewhere, {"iam:PermissionsBoundary": names.boundary_arn}), action
    refused = {
        "iam:AttachRolePolicy",
        "iam:DeleteRolePermissionsBoundary",
        "iam:CreatePolicy",
        "iam:CreatePolicyVersion",
    }
    assert not refused & actions(with_ci)
    assert all("role" in action.lower() for action in actions(with_ci) if action.startswith("iam:")), (
        "no users, no keys"
    )


def test_it_cannot_touch_itself_the_boundary_or_the_way_in(with_ci: Stack) -> None:
    ci, names = deployer(with_ci), with_ci.environment.names
    bounded = {"iam:PermissionsBoundary": names.boundary_arn}
    of_roles = sorted(action for action in actions(with_ci) if action.startswith("iam:"))
    assert [action for action in of_roles if ci.may(action, names.deploy_role_arn, bounded)] == []
    decision = ci.asks("iam:PutRolePolicy", names.deploy_role_arn, bounded)
    assert decision.by == f"{names.deploy_policy('roles')}/NeverItself"
    targets = (
        names.boundary_arn,
        *(names.iam_arn(f"policy/{policy}") for policy in ci.documents),
        names.iam_arn(f"oidc-provider/{ISSUER}"),
    )
    for target in targets:
        for action in (
            "iam:CreatePolicyVersion",
            "iam:DeletePolicy",
            "iam:SetDefaultPolicyVersion",
            "iam:AddClientIDToOpenIDConnectProvider",
            "iam:DeleteOpenIDConnectProvider",
            "iam:UpdateOpenIDConnectProviderThumbprint",
            *of_roles,
        ):
            assert not ci.may(action, target, bounded), (action, target)


def test_service_linked_roles_are_those_of_two_services(with_ci: Stack) -> None:
    made = {
        statement["Condition"]["StringEquals"]["iam:AWSServiceName"]: statement["Resource"]
        for statement in granted(with_ci)
        if statement["Action"] == ["iam:CreateServiceLinkedRole"]
    }
    assert set(made) == {"sagemaker.application-autoscaling.amazonaws.com", "replication.ecr.amazonaws.com"}
    for service, resource in made.items():
        assert f":role/aws-service-role/{service}/" in resource
        assert "*" not in resource


def test_roles_are_passed_to_the_services_that_assume_them(synthesized: Synthesized) -> None:
    stack = synthesized.gallery["secure"]
    ci, names = deployer(synthesized.bootstrap["secure"]), stack.environment.names
    passed = set()
    for role in stack.all("aws_iam_role").values():
        for statement in stack.parse(role["assume_role_policy"]):
            service = statement["Principal"].get("Service")
            if service is not None:
                passed.add(service)
                arn = names.iam_arn(f"role/{role['name']}")
                assert ci.may("iam:PassRole", arn, {"iam:PassedToService": service}), (role["name"], service)
                assert not ci.may("iam:PassRole", arn, {"iam:PassedToService": "ec2.amazonaws.com"})
                assert not ci.may("iam:PassRole", arn), "to whom?"
    assert len(passed) == 6


# --- what it is for


def test_state_is_the_environments_own_and_cannot_be_deleted(with_ci: Stack) -> None:
    names = with_ci.environment.names
    bucket = names.state_bucket_arn
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
    replicas = {names.replica_bucket(kind) for kind in (*REPLICATED_KINDS, "logs")}
    own = {names.bucket(kind) for kind in BUCKET_KINDS}
    assert own <= elsewhere <= own | replicas, "and no pattern of buckets"


def test_ci_deletes_nothing_that_holds_data(with_ci: Stack) -> None:
    names = with_ci.environment.names
    pipeline_code = f"{names.bucket_arn('artifacts')}/training/*/pipeline/*"
    lost = {
        (action, resource)
        for statement in granted(with_ci)
        for action in set(statement["Action"]) & LOSES_DATA
        for resource in listed(statement["Resource"])
    }
    assert lost == {("s3:DeleteObjectVersion", pipeline_code)}
    deletes = [s["Resource"] for s in granted(with_ci) if "s3:DeleteObject" in s["Action"]]
    assert deletes == [f"{names.state_bucket_arn}/terraform.tfstate.tflock", pipeline_code]


@pytest.mark.parametrize("model", ["fraud", "pipeline", "training"])
def test_ci_replaces_the_code_of_pipelines_and_loses_no_lineage(model: str, with_ci: Stack) -> None:
    """Whatever a model is called: a ``*`` of IAM's matches slashes too."""
    ci, names = deployer(with_ci), with_ci.environment.names
    own, artifacts, digest = names.model(model), names.bucket_arn("artifacts"), "5" * 64
    for key in (own.pipeline_source_key(digest), own.pipeline_entry_key(digest)):
        for action in ("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:PutObject"):
            assert ci.may(action, f"{artifacts}/{key}"), (action, key)
        assert ci.may("s3:ListBucketVersions", artifacts, {"s3:prefix": key})
    for key in (
        own.training_source_key(digest),
        f"{own.training_output_prefix}/{own.prefix}-1/output/model.tar.gz",
        own.artifact_key(digest),
        own.metrics_key(digest),
        own.initial_artifact_key,
        own.drift_job_key,
        names.network_key,
    ):
        for action in ("s3:DeleteObject", "s3:DeleteObjectVersion"):
            assert not ci.may(action, f"{artifacts}/{key}"), (action, key)
        assert not ci.may("s3:ListBucketVersions", artifacts, {"s3:prefix": key})
    assert not ci.may("s3:ListBucketVersions", artifacts)
    assert not ci.may("s3:PutObject", f"{artifacts}/{own.training_source_key(digest)}"), "it writes no lineage either"
    lake = f"{names.bucket_arn('lake')}/training/{model}/pipeline/x"
    assert not ci.may("s3:DeleteObjectVersion", lake)


def test_the_role_can_make_all_of_an_environment(synthesized: Synthesized) -> None:
    """A resource type that is new in the environment's stack fails here until the deploy role may make it."""
    stacks = (*synthesized.aws.values(), *synthesized.gallery.values(), *synthesized.corners.values())
    kinds = {kind for stack in stacks for kind in stack.content["resource"]}
    assert kinds - {"aws_iam_policy"} == set(CREATED_BY), "the boundary is made by the bootstrap stack"
    assert {CREATED_BY[kind] for kind in kinds & set(CREATED_BY)} <= actions(synthesized.bootstrap["secure"])


@pytest.mark.parametrize("environment", ["secure", "lab"])
def test_every_name_is_within_its_reach(environment: str, synthesized: Synthesized) -> None:
    stack = (synthesized.gallery | synthesized.corners)[environment]
    ci = deployer(synthesized.bootstrap[environment])
    refused = [
        (kind, arn)
        for kind, (attribute, pattern) in NAMED.items()
        for resource in stack.all(kind).values()
        for arn in [_arn(stack, resource, attribute, pattern)]
        if not ci.may(CREATED_BY[kind], arn, _keys(stack, kind))
    ]
    assert refused == []


def _arn(stack: Stack, resource: Resource, attribute: str, pattern: str) -> str:
    names = stack.environment.names
    parts = {
        "account": names.account,
        "region": names.region,
        "artifacts": names.bucket("artifacts"),
        "group": names.schedule_group,
    }
    name = resource[attribute]
    if (reference := re.fullmatch(r"\$\{(\w+)\.([\w-]+)\.name\}", name)) is not None:
        kind, logical = reference.groups()
        name = stack.all(kind)[logical]["name"]
    return f"arn:{names.partition}:" + pattern.format(name, **parts)


def _keys(stack: Stack, kind: str) -> dict[str, str]:
    return {"iam:PermissionsBoundary": stack.environment.names.boundary_arn} if kind == "aws_iam_role" else {}


def test_policies_fit(with_ci: Stack) -> None:
    attached = with_ci.all("aws_iam_role_policy_attachment")
    assert len(deployer(with_ci).documents) == len(attached) <= MANAGED_POLICIES
    assert policies_fit(with_ci) == []
    assert with_ci.environment.names.boundary not in json.dumps(attached), "a boundary grants nothing"
