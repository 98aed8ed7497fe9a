"""Who may use the environment's key, and that the second region has one of its own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.stacks.conftest import Synthesized
from tests.stacks.stack import Stack

Statements = dict[str, dict[str, Any]]


def policy_of(stack: Stack, description: str) -> Statements:
    (key,) = [key for key in stack.all("aws_kms_key").values() if key["description"].startswith(description)]
    return {statement["Sid"]: statement for statement in stack.parse(key["policy"])}


@pytest.fixture
def policy(secure: Stack) -> Statements:
    return policy_of(secure, "Data, artifacts")


def test_both_keys_rotate_and_can_be_brought_back(secure: Stack) -> None:
    keys = secure.all("aws_kms_key").values()
    assert len(keys) == 2
    for key in keys:
        assert key["enable_key_rotation"] is True
        assert key["deletion_window_in_days"] >= 7


def test_the_account_uses_the_key_through_services_only(policy: Statements) -> None:
    use = policy["UseThroughServices"]
    assert "kms:Decrypt" in use["Action"]
    assert use["Condition"] == {
        "StringEquals": {
            "kms:ViaService": [
                f"{service}.us-east-1.amazonaws.com"
                for service in ("ecr", "s3", "sagemaker", "scheduler", "sns", "sqs", "states")
            ]
        }
    }


def test_no_statement_lets_decrypt_without_a_condition(secure: Stack) -> None:
    for key in secure.all("aws_kms_key").values():
        for statement in secure.parse(key["policy"]):
            if statement["Sid"] != "Administer":
                assert statement.get("Condition"), statement["Sid"]
            else:
                assert not [a for a in statement["Action"] if a.startswith(("kms:Decrypt", "kms:Gen", "kms:Enc"))]


def test_log_groups_are_sagemakers_or_carry_the_environments_name(secure: Stack, policy: Statements) -> None:
    names = secure.environment.names
    patterns = policy["EncryptLogs"]["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    assert names.arn("logs", f"log-group:{names.flow_log_group}") in patterns
    for pattern in patterns:
        group = pattern.removeprefix(names.arn("logs", "log-group:"))
        assert group.startswith("/aws/sagemaker/") or names.prefix in group, pattern


def test_every_encrypted_log_group_may_use_the_key(synthesized: Synthesized) -> None:
    for stack in synthesized.gallery.values():
        names = stack.environment.names
        allowed = policy_of(stack, "Data, artifacts")["EncryptLogs"]["Condition"]["ArnLike"]
        patterns = allowed["kms:EncryptionContext:aws:logs:arn"]
        for group in stack.all("aws_cloudwatch_log_group").values():
            arn = names.arn("logs", f"log-group:{group['name']}")
            assert any(arn == p or (p.endswith("*") and arn.startswith(p[:-1])) for p in patterns), group["name"]


def test_rules_write_to_the_environments_topics_and_queue_only(secure: Stack, policy: Statements) -> None:
    names = secure.environment.names
    publish, keep = policy["RulesPublish"], policy["RulesKeepDeadLetters"]
    assert publish["Principal"] == keep["Principal"] == {"Service": "events.amazonaws.com"}
    assert publish["Condition"] == {
        "ArnEquals": {
            "kms:EncryptionContext:aws:sns:topicArn": [
                names.arn("sns", names.alarm_topic),
                names.arn("sns", names.pager_topic),
            ]
        }
    }
    assert keep["Condition"] == {
        "ArnEquals": {"kms:EncryptionContext:aws:sqs:arn": names.arn("sqs", names.dead_letter_queue)}
    }


def test_alarms_publish_from_this_account_only(secure: Stack, policy: Statements) -> None:
    assert policy["AlarmsPublish"]["Condition"] == {"StringEquals": {"aws:SourceAccount": secure.environment.account}}


def test_the_second_region_has_its_own_key(secure: Stack) -> None:
    names = secure.environment.names
    (key,) = [key for key in secure.all("aws_kms_key").values() if key["description"].startswith("Copies")]
    assert key["provider"] == "aws.replica"
    statements = {statement["Sid"]: statement for statement in secure.parse(key["policy"])}
    assert set(statements) == {"Administer", "UseThroughS3"}, "nothing else is kept there"
    assert statements["UseThroughS3"]["Condition"] == {
        "StringEquals": {"kms:ViaService": ["s3.us-west-2.amazonaws.com"]}
    }
    alias = secure.where("aws_kms_alias", name=names.replica_key_alias)
    assert alias["provider"] == "aws.replica"


def test_the_promoter_of_the_next_stage_decrypts_what_s3_gives_it(sandbox: Stack) -> None:
    statement = policy_of(sandbox, "Data, artifacts")["PromoterOfSecureDecrypts"]
    assert statement["Action"] == ["kms:Decrypt"]
    assert statement["Condition"] == {
        "ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::777777777777:role/gallery-secure-promoter"},
        "StringEquals": {"kms:ViaService": ["s3.us-east-1.amazonaws.com"]},
    }
