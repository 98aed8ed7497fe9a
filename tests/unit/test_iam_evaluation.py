"""Identity policies, pure: what matches, what wins, and what the resource's side changes."""

from __future__ import annotations

from typing import Any

import pytest

from mlops_kit.local.overlay import conditions
from mlops_kit.local.overlay.iam_evaluation import Call, Decision, ResourcePolicy, decide, matches

OBJECT = "arn:aws:s3:::bucket/models/m.tar.gz"
READ = Call("s3:GetObject", OBJECT)


def statement(effect: str = "Allow", action: Any = "s3:GetObject", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (statement(), True),
        (statement(action=["s3:PutObject", "s3:GetObject"]), True),
        (statement(action="S3:getobject"), True),
        (statement(action="s3:Get*"), True),
        (statement(action="s3:GetObjec?"), True),
        (statement(action="*"), True),
        (statement(action="s3:GetObjectVersion"), False),
        (statement(action="sagemaker:*"), False),
        (statement(resource=OBJECT), True),
        (statement(resource="arn:aws:s3:::bucket/*"), True),
        (statement(resource="arn:aws:s3:::bucket/models/?.tar.gz"), True),
        (statement(resource="arn:aws:s3:::*"), True),
        (statement(resource="arn:aws:s3"), True),
        (statement(resource="arn:*:bucket/models/m.tar.gz"), False),
        (statement(resource="arn:aws:s3:::bucket"), False),
        (statement(resource="arn:aws:s3:::BUCKET/*"), False),
        (statement(resource=["arn:aws:s3:::other/*", "arn:aws:s3:::bucket/models/*"]), True),
        ({"Effect": "Allow", "NotAction": "s3:Get*", "Resource": "*"}, False),
        ({"Effect": "Allow", "NotAction": ["iam:*", "s3:Put*"], "Resource": "*"}, True),
        ({"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::bucket/*"}, False),
        ({"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::other/*"}, True),
        ({"Effect": "Allow", "Action": "s3:*"}, False),
        (statement(Condition={"StringEquals": {"aws:PrincipalAccount": "111111111111"}}), True),
        (statement(Condition={"StringEquals": {"aws:PrincipalAccount": "222222222222"}}), False),
        (statement(Condition={"Null": {"s3:if-none-match": "true"}}), True),
        (statement(Condition={"Null": {"s3:if-none-match": "false"}}), False),
        (statement(resource="arn:aws:s3:::bucket/${aws:PrincipalTag/area}/*"), True),
        (statement(resource="arn:aws:s3:::bucket/${aws:principaltag/AREA}/*"), True),
        (statement(resource="arn:aws:s3:::bucket/${aws:PrincipalTag/team}/*"), False),
        (statement(resource="arn:aws:s3:::bucket/${aws:PrincipalTag/team, 'models'}/*"), True),
        (statement(resource="arn:aws:s3:::bucket/${aws:PrincipalTag/star}/*"), False),
        (statement(resource="arn:aws:s3:::bucket/${aws:TagKeys}/*"), False),
        (statement(Condition={"StringEquals": {"aws:PrincipalTag/area": "${aws:PrincipalTag/area}"}}), True),
        (statement(Condition={"StringEquals": {"aws:PrincipalTag/area": "${aws:PrincipalTag/none}"}}), False),
    ],
)
def test_matches(given: dict[str, Any], expected: bool) -> None:
    context = {
        "aws:PrincipalAccount": "111111111111",
        "aws:PrincipalTag/area": "models",
        "aws:PrincipalTag/star": "*",
        "aws:TagKeys": ["models"],
    }
    assert matches(given, "s3:GetObject", OBJECT, context) is expected


def test_an_action_without_a_resource_needs_a_star() -> None:
    assert matches(statement(action="cloudwatch:*"), "cloudwatch:GetMetricData", "*", {})
    assert not matches(statement(action="*", resource="arn:aws:cloudwatch:*:*:*"), "cloudwatch:GetMetricData", "*", {})


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [
        ("ForAllValues:StringEquals", ["ml.m5.large"], True),
        ("ForAllValues:StringEquals", ["ml.m5.large", "ml.p4d.24xlarge"], False),
        ("ForAllValues:StringEquals", [], True),
        ("ForAnyValue:StringEquals", ["ml.m5.large", "ml.p4d.24xlarge"], True),
        ("ForAnyValue:StringEquals", ["ml.p4d.24xlarge"], False),
        ("ForAnyValue:StringEquals", [], False),
        ("ForAnyValue:StringNotEquals", ["ml.m5.large", "ml.p4d.24xlarge"], True),
        ("ForAnyValue:StringNotEquals", ["ml.m5.large"], False),
        ("ForAllValues:StringNotEquals", ["ml.p4d.24xlarge"], True),
        ("ForAllValues:StringNotEquals", ["ml.p4d.24xlarge", "ml.m5.large"], False),
        ("StringNotEquals", ["ml.p4d.24xlarge", "ml.m5.large"], False),
    ],
)
def test_keys_with_several_values(operator: str, values: list[str], expected: bool) -> None:
    condition = {operator: {"sagemaker:InstanceTypes": ["ml.m5.large"]}}
    given = statement(action="*", Condition=condition)
    assert matches(given, "sagemaker:CreateTrainingJob", "arn:x", {"sagemaker:InstanceTypes": values}) is expected


def test_an_operator_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(conditions.UnknownOperatorError):
        decide({"p": document(statement(Condition={"StringIs": {"k": "v"}}))}, None, READ)


ALLOW = document(statement(Sid="Read"))
ALLOW_ALL = document(statement(action="*", Sid="All"))
DENY = document(statement("Deny", Sid="Never"))
OTHER = document(statement(action="s3:PutObject"))
NO_IDENTITY = "because no identity-based policy allows the s3:GetObject action"


@pytest.mark.parametrize(
    ("documents", "boundary", "session", "expected"),
    [
        ({}, None, None, Decision(False, None, NO_IDENTITY)),
        ({"p": OTHER}, None, None, Decision(False, None, NO_IDENTITY)),
        ({"p": ALLOW}, None, None, Decision(True, "p/Read")),
        ({"o": OTHER, "p": ALLOW}, None, None, Decision(True, "p/Read")),
        ({"p": {"Statement": statement()}}, None, None, Decision(True, "p/0")),
        (
            {"p": ALLOW, "d": DENY},
            None,
            None,
            Decision(False, "d/Never", "with an explicit deny in an identity-based policy"),
        ),
        (
            {"p": ALLOW, "d": document(statement("Deny", Condition={"Bool": {"aws:SecureTransport": "false"}}))},
            None,
            None,
            Decision(True, "p/Read"),
        ),
        ({"p": ALLOW}, ALLOW_ALL, None, Decision(True, "p/Read")),
        (
            {"p": ALLOW},
            OTHER,
            None,
            Decision(False, None, "because no permissions boundary allows the s3:GetObject action"),
        ),
        (
            {"p": ALLOW},
            DENY,
            None,
            Decision(False, "a permissions boundary/Never", "with an explicit deny in a permissions boundary"),
        ),
        ({"p": OTHER}, ALLOW_ALL, None, Decision(False, None, NO_IDENTITY)),
        ({"p": ALLOW}, None, ALLOW_ALL, Decision(True, "p/Read")),
        (
            {"p": ALLOW},
            None,
            OTHER,
            Decision(False, None, "because no session policy allows the s3:GetObject action"),
        ),
        (
            {"p": ALLOW},
            ALLOW_ALL,
            DENY,
            Decision(False, "a session policy/Never", "with an explicit deny in a session policy"),
        ),
        ({"p": OTHER}, None, ALLOW_ALL, Decision(False, None, NO_IDENTITY)),
    ],
)
def test_decisions(documents: Any, boundary: Any, session: Any, expected: Decision) -> None:
    assert decide(documents, boundary, READ, session=session) == expected


NO_RESOURCE = "because no resource-based policy allows the s3:GetObject action"


@pytest.mark.parametrize(
    ("identity_allows", "resource", "allowed", "why"),
    [
        (False, ResourcePolicy("caller"), True, None),
        (False, ResourcePolicy("account"), False, NO_IDENTITY),
        (True, ResourcePolicy("account"), True, None),
        (True, ResourcePolicy("deny"), False, "with an explicit deny in a resource-based policy"),
        (True, ResourcePolicy("nothing", other_account=True), False, NO_RESOURCE),
        (True, ResourcePolicy("account", other_account=True), True, None),
        (True, ResourcePolicy("caller", other_account=True), True, None),
        (False, ResourcePolicy("account", other_account=True), False, NO_IDENTITY),
        (False, ResourcePolicy("caller", other_account=True), False, NO_IDENTITY),
        (True, ResourcePolicy("nothing", required=True), False, NO_RESOURCE),
        (True, ResourcePolicy("account", required=True), True, None),
        (False, ResourcePolicy("account", required=True), False, NO_IDENTITY),
        (False, ResourcePolicy("caller", required=True), True, None),
    ],
)
def test_the_resources_side(identity_allows: bool, resource: ResourcePolicy, allowed: bool, why: str | None) -> None:
    decision = decide({"p": ALLOW if identity_allows else OTHER}, None, READ, resource=resource)
    assert (decision.allowed, decision.why) == (allowed, why)


def test_a_boundary_limits_what_the_resource_grants() -> None:
    decision = decide({}, OTHER, READ, resource=ResourcePolicy("caller"))
    assert decision.why == "because no permissions boundary allows the s3:GetObject action"
