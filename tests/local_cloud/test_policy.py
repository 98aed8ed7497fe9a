"""Policy evaluation, pure: conditions, principals, actions, resources, effects."""

from __future__ import annotations

from typing import Any

import pytest

from mlops_kit.local.overlay import conditions, policy, principals

ROLE = "arn:aws:iam::222222222222:role/promoter"
ROOT = principals.root("111111111111")
SESSION = principals.Caller(
    account="222222222222",
    arn="arn:aws:sts::222222222222:assumed-role/promoter/me",
    principal_arn=ROLE,
    user_id="AROA:me",
)


@pytest.mark.parametrize(
    ("condition", "context", "expected"),
    [
        ({"Bool": {"aws:SecureTransport": "false"}}, {"aws:SecureTransport": "true"}, False),
        ({"Bool": {"aws:SecureTransport": False}}, {"aws:SecureTransport": "false"}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, {}, False),
        ({"BoolIfExists": {"aws:SecureTransport": "false"}}, {}, True),
        ({"StringEquals": {"k": ["a", "b"]}}, {"k": "b"}, True),
        ({"StringEquals": {"k": "a"}}, {"k": "b"}, False),
        ({"StringNotEquals": {"k": "a"}}, {"k": "b"}, True),
        ({"StringNotEquals": {"k": ["a", "b"]}}, {"k": "b"}, False),
        ({"StringNotEquals": {"k": "a"}}, {}, True),
        ({"StringNotEqualsIfExists": {"k": "a"}}, {"k": "a"}, False),
        ({"StringEqualsIgnoreCase": {"k": "A"}}, {"k": "a"}, True),
        ({"StringLike": {"k": "data/*"}}, {"k": "data/x/y"}, True),
        ({"StringLike": {"k": "data/?"}}, {"k": "data/xy"}, False),
        ({"StringNotLike": {"k": "data/*"}}, {"k": "other"}, True),
        ({"ArnEquals": {"k": "arn:aws:iam::*:role/x"}}, {"k": "arn:aws:iam::1:role/x"}, True),
        ({"ArnLike": {"k": "arn:aws:iam::*:role/x"}}, {"k": "arn:aws:iam::1:role/y"}, False),
        ({"ArnLike": {"k": "arn:*:role/x"}}, {"k": "arn:aws:iam::1:role/x"}, False),
        ({"ArnNotEquals": {"k": "arn:aws:iam::1:role/x"}}, {"k": "arn:aws:iam::1:role/y"}, True),
        ({"Null": {"k": "true"}}, {}, True),
        ({"Null": {"k": "true"}}, {"k": "v"}, False),
        ({"Null": {"k": False}}, {"k": "v"}, True),
        ({"NumericLessThan": {"k": "1.2"}}, {"k": "1.3"}, False),
        ({"NumericLessThan": {"k": 10}}, {"k": "9"}, True),
        ({"NumericLessThan": {"k": 10}}, {"k": "many"}, False),
        ({"DateGreaterThan": {"k": "2026-01-01T00:00:00Z"}}, {"k": "2026-06-01T00:00:00Z"}, True),
        ({"IpAddress": {"k": "10.0.0.0/8"}}, {"k": "10.1.2.3"}, True),
        ({"NotIpAddress": {"k": "10.0.0.0/8"}}, {"k": "10.1.2.3"}, False),
        ({"ForAllValues:StringEquals": {"k": "a"}}, {}, True),
        ({"ForAnyValue:StringEquals": {"k": "a"}}, {}, False),
        ({"StringEquals": {"a": "1"}, "Bool": {"b": "true"}}, {"a": "1", "b": "false"}, False),
        ({"StringEquals": {"AWS:PrincipalARN": ROLE}}, {"aws:PrincipalArn": ROLE}, True),
    ],
)
def test_conditions(condition: dict[str, Any], context: dict[str, str], expected: bool) -> None:
    assert conditions.holds(condition, context) is expected


def test_an_operator_that_does_not_exist_is_refused() -> None:
    with pytest.raises(conditions.UnknownOperatorError, match="StringIs"):
        conditions.holds({"StringIs": {"k": "v"}}, {})


def verdict(caller: principals.Caller, *statements: dict[str, Any], action: str = "s3:GetObject") -> str:
    return policy.evaluate({"Statement": list(statements)}, policy.Request(caller, action, "arn:aws:s3:::b/k"))


@pytest.mark.parametrize(
    ("principal", "caller", "expected"),
    [
        ("*", SESSION, "allow"),
        ({"AWS": "*"}, ROOT, "allow"),
        ({"AWS": ROLE}, SESSION, "allow"),
        ({"AWS": "222222222222"}, SESSION, "allow"),
        ({"AWS": "arn:aws:iam::222222222222:root"}, SESSION, "allow"),
        ({"AWS": SESSION.arn}, SESSION, "allow"),
        ({"AWS": ROLE}, ROOT, "neutral"),
        ({"AWS": "111111111111"}, SESSION, "neutral"),
        ({"Service": "logging.s3.amazonaws.com"}, SESSION, "neutral"),
        ({"Service": "logging.s3.amazonaws.com"}, principals.aws_service("logging.s3.amazonaws.com"), "allow"),
    ],
)
def test_principals(principal: Any, caller: principals.Caller, expected: str) -> None:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "s3:*", "Resource": "*"}
    assert verdict(caller, statement) == expected


def test_deny_wins_and_what_does_not_match_does_not_count() -> None:
    allow = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::b/*"}
    deny = {**allow, "Effect": "Deny"}
    assert verdict(ROOT, allow) == "allow"
    assert verdict(ROOT, allow, deny) == "deny"
    assert verdict(ROOT, allow, {**deny, "Condition": {"StringEquals": {"aws:PrincipalArn": ROLE}}}) == "allow"
    assert verdict(SESSION, allow, {**deny, "Condition": {"StringEquals": {"aws:PrincipalArn": ROLE}}}) == "deny"
    assert verdict(ROOT, {**allow, "Action": "s3:Put*"}) == "neutral"
    assert verdict(ROOT, {**allow, "Action": "S3:getobject"}) == "allow"
    assert verdict(ROOT, {**allow, "Resource": "arn:aws:s3:::b"}) == "neutral"
    not_actions = {"Effect": "Deny", "Principal": "*", "NotAction": "s3:Get*", "Resource": "*"}
    assert verdict(ROOT, not_actions) == "neutral"
    assert verdict(ROOT, not_actions, action="s3:PutObject") == "deny"
    not_principal = {"Effect": "Deny", "NotPrincipal": {"AWS": ROLE}, "Action": "*", "Resource": "*"}
    assert verdict(ROOT, not_principal) == "deny"
    assert verdict(SESSION, not_principal) == "neutral"


@pytest.mark.parametrize(
    "document",
    [
        "{",
        "{}",
        '{"Statement": [{"Effect": "Maybe", "Action": "*"}]}',
        '{"Statement": [{"Effect": "Deny"}]}',
        '{"Statement": {"Effect": "Deny", "Action": "*", "Condition": {"Boolean": {"k": "v"}}}}',
    ],
)
def test_malformed_policies_are_refused(document: str) -> None:
    with pytest.raises(policy.MalformedPolicyError):
        policy.parse(document)
