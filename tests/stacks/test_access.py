"""Least privilege, in every policy of every environment."""

from __future__ import annotations

import json
from typing import Any

from mlops_kit.naming import ROLE_KINDS
from tests.stacks.conftest import Synthesized
from tests.stacks.stack import POLICIES, Stack

WITHOUT_RESOURCE = {
    "cloudwatch:GetMetricData",
    "cloudwatch:GetMetricStatistics",
    "cloudwatch:PutMetricData",
    "ecr:GetAuthorizationToken",
}
"""Actions that take no resource (Service Authorization Reference), so that ``*`` is the only thing to write."""
INLINE_LIMIT = 10_240
"""Characters of all inline policies of a role together (IAM and STS quotas)."""


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def allowed(stack: Stack) -> list[tuple[str, dict[str, Any]]]:
    return [(kind, statement) for kind, statement in stack.every_statement() if statement["Effect"] == "Allow"]


def test_no_action_is_a_wildcard_over_a_service(stack: Stack) -> None:
    for kind, statement in allowed(stack):
        for action in listed(statement["Action"]):
            assert action not in ("*", f"{action.split(':')[0]}:*"), (kind, statement["Sid"])
            if "*" in action:  # the families that AWS itself writes so
                assert action in {"kms:GenerateDataKey*", "kms:ReEncrypt*"}, (kind, statement["Sid"])


def test_no_resource_is_a_wildcard_where_a_name_exists(stack: Stack) -> None:
    for kind, statement in allowed(stack):
        if kind == "aws_kms_key":  # there, * is the key itself
            continue
        if "*" in listed(statement.get("Resource", [])):
            assert set(listed(statement["Action"])) <= WITHOUT_RESOURCE, (kind, statement["Sid"])


def test_metrics_are_held_by_their_namespace(stack: Stack) -> None:
    for kind, statement in allowed(stack):
        if "cloudwatch:PutMetricData" in statement["Action"]:
            assert statement["Condition"]["StringEquals"]["cloudwatch:namespace"], (kind, statement["Sid"])


def test_no_policy_lets_everybody_in(stack: Stack) -> None:
    for kind, statement in allowed(stack):
        assert statement.get("Principal") not in ("*", {"AWS": "*"}), (kind, statement["Sid"])


def test_services_only_act_for_this_account(stack: Stack) -> None:
    for kind, statement in allowed(stack):
        service = statement.get("Principal", {}).get("Service", "")
        if service and not service.startswith("logs."):  # CloudWatch Logs is held by the encryption context
            assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == stack.environment.account, kind


def test_statement_ids_are_unique_within_a_policy(stack: Stack) -> None:
    for kind in POLICIES:
        for logical in stack.all(kind):
            ids = [statement["Sid"] for statement in stack.statements(kind, logical)]
            assert len(ids) == len(set(ids))
            assert all(sid.isalnum() for sid in ids)


def test_roles(stack: Stack) -> None:
    names = {role["name"] for role in stack.all("aws_iam_role").values()}
    assert names == {stack.environment.names.role(kind) for kind in ROLE_KINDS}


def test_inline_policies_fit(stack: Stack, lab: Stack) -> None:
    for one in (stack, lab):
        total: dict[str, int] = {}
        for policy in one.all("aws_iam_role_policy").values():
            compact = json.dumps(json.loads(policy["policy"]), separators=(",", ":"))
            total[policy["role"]] = total.get(policy["role"], 0) + len(compact)
        assert max(total.values()) < INLINE_LIMIT


def test_only_the_next_stage_may_read(synthesized: Synthesized) -> None:
    for stack in synthesized.aws.values():
        own = stack.environment.account
        foreign = [
            (kind, statement)
            for kind, statement in allowed(stack)
            if own not in str(statement.get("Principal", {}).get("AWS", own))
        ]
        targets = stack.project.targets_of(stack.environment)
        assert bool(foreign) == bool(targets)
        reading = {"aws_s3_bucket_policy", "aws_kms_key", "aws_sagemaker_model_package_group_policy"}
        assert {kind for kind, _ in foreign} == (reading if targets else set())
        for _, statement in foreign:
            (target,) = targets
            assert statement["Principal"] == {"AWS": target.names.account_root}
            assert statement["Condition"]["ArnEquals"] == {"aws:PrincipalArn": target.names.role_arn("promoter")}
            for action in listed(statement["Action"]):
                assert action.split(":")[1].startswith(("Get", "List", "Describe", "Decrypt")), action


def test_promoter_reads_its_source_only(synthesized: Synthesized) -> None:
    for stack in synthesized.aws.values():
        source = stack.environment.promotes_from
        for role, policy in ((p["role"], p["policy"]) for p in stack.all("aws_iam_role_policy").values()):
            others = [
                stage.name for stage in stack.project.stages if stage.account in policy and stage != stack.environment
            ]
            assert others in ([], [source]), role


def test_ledger_is_append_only_for_the_promoter(stack: Stack) -> None:
    ledger = f"{stack.environment.names.bucket_arn('ledger')}/*"
    writes = [
        statement
        for kind, statement in allowed(stack)
        if kind == "aws_iam_role_policy"
        and ledger in listed(statement.get("Resource"))
        and any(action.startswith(("s3:Put", "s3:Delete")) for action in listed(statement["Action"]))
    ]
    (write,) = writes
    assert write["Action"] == ["s3:PutObject"]
    assert write["Condition"] == {"Null": {"s3:if-none-match": "false"}}


def test_execution_roles_cannot_touch_the_ledger(stack: Stack) -> None:
    for policy in stack.all("aws_iam_role_policy").values():
        if policy["name"] in ("training", "serving"):
            assert stack.environment.names.bucket("ledger") not in policy["policy"]


def test_operators_may_assume_the_promoter(lab: Stack) -> None:
    names = lab.environment.names
    role = lab.where("aws_iam_role", name=names.role("promoter"))
    (statement,) = lab.parse(role["assume_role_policy"])
    assert statement["Principal"]["AWS"] == [
        "arn:aws-us-gov:iam::444444444444:root",
        "arn:aws-us-gov:iam::999999999999:role/release-bot",
    ]


def test_images_outside_ecr_need_no_permission(lab: Stack) -> None:
    pulls = {
        policy["name"]: [s["Resource"] for s in lab.parse(policy["policy"]) if s["Sid"] == "PullImages"]
        for policy in lab.all("aws_iam_role_policy").values()
    }
    repository = "arn:aws-us-gov:ecr:us-gov-west-1:123456789012:repository/team/vision"
    assert pulls["training"] == [[f"{repository}/train"]]
    assert pulls["serving"] == [[f"{repository}/serve"]]


def test_key(stack: Stack) -> None:
    key = stack.one("aws_kms_key")
    assert key["enable_key_rotation"] is True
    statements = {statement["Sid"]: statement for statement in stack.parse(key["policy"])}
    administer = statements["Administer"]["Action"]
    assert "kms:PutKeyPolicy" in administer, "or nobody could ever change this policy"
    assert not {"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"} & set(administer)
    assert "kms:ViaService" in statements["UseThroughServices"]["Condition"]["StringEquals"]
    assert statements["AlarmsPublish"]["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert stack.one("aws_kms_alias")["name"] == stack.environment.names.key_alias
