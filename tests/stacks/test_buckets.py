"""Every bucket is versioned, encrypted, private and TLS-only, and keeps what it has to keep."""

from __future__ import annotations

import pytest

from mlops_kit.naming import BUCKET_KINDS, BucketKind
from tests.stacks.stack import Stack


@pytest.fixture(params=BUCKET_KINDS)
def kind(request: pytest.FixtureRequest) -> BucketKind:
    found: BucketKind = request.param
    return found


def test_there_are_no_other_buckets(stack: Stack) -> None:
    names = {bucket["bucket"] for bucket in stack.all("aws_s3_bucket").values()}
    assert names == {stack.environment.names.bucket(kind) for kind in BUCKET_KINDS}


def test_versioned(stack: Stack, kind: BucketKind) -> None:
    versioning = stack.of_bucket("aws_s3_bucket_versioning", stack.environment.names.bucket(kind))
    assert versioning["versioning_configuration"] == {"status": "Enabled"}


def test_encrypted(stack: Stack, kind: BucketKind) -> None:
    encryption = stack.of_bucket(
        "aws_s3_bucket_server_side_encryption_configuration", stack.environment.names.bucket(kind)
    )
    (rule,) = encryption["rule"]
    default = rule["apply_server_side_encryption_by_default"]
    if kind == "logs":  # S3 delivers no access logs to a bucket with SSE-KMS
        assert default == {"sse_algorithm": "AES256"}
    else:
        assert default["sse_algorithm"] == "aws:kms"
        assert default["kms_master_key_id"].startswith("${aws_kms_key.")
        assert rule["bucket_key_enabled"] is True


def test_private(stack: Stack, kind: BucketKind) -> None:
    name = stack.environment.names.bucket(kind)
    blocked = stack.of_bucket("aws_s3_bucket_public_access_block", name)
    for setting in ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"):
        assert blocked[setting] is True
    ownership = stack.of_bucket("aws_s3_bucket_ownership_controls", name)
    assert ownership["rule"] == {"object_ownership": "BucketOwnerEnforced"}


def test_tls_only(stack: Stack, kind: BucketKind) -> None:
    names = stack.environment.names
    policy = stack.of_bucket("aws_s3_bucket_policy", names.bucket(kind))
    assert any(
        statement["Effect"] == "Deny"
        and statement["Principal"] == {"AWS": "*"}
        and statement["Action"] == "s3:*"
        and statement["Resource"] == [names.bucket_arn(kind), f"{names.bucket_arn(kind)}/*"]
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        for statement in stack.parse(policy["policy"])
    )


def test_lifecycle(stack: Stack, kind: BucketKind) -> None:
    keep = stack.environment.retention
    lifecycle = stack.of_bucket("aws_s3_bucket_lifecycle_configuration", stack.environment.names.bucket(kind))
    rules = {rule.pop("id"): rule for rule in (dict(rule) for rule in lifecycle["rule"])}
    assert all(rule["status"] == "Enabled" for rule in rules.values())
    assert rules["abort-multipart"]["abort_incomplete_multipart_upload"] == [{"days_after_initiation": 7}]
    expires = {"capture": keep.capture_days, "logs": keep.logs_days}
    assert ("expire" in rules) == (kind in expires), "only capture and logs may lose current objects"
    if kind in expires:
        assert rules["expire"]["expiration"] == [{"days": expires[kind]}]
    assert ("expire-noncurrent" in rules) == (kind != "ledger"), "release events are never deleted"
    if kind != "ledger":
        assert rules["expire-noncurrent"]["noncurrent_version_expiration"] == [
            {"noncurrent_days": keep.noncurrent_days}
        ]


def test_access_logs(stack: Stack) -> None:
    names = stack.environment.names
    logs = names.bucket("logs")
    logged = stack.all("aws_s3_bucket_logging").values()
    assert {entry["bucket"] for entry in logged} == {
        stack.bucket_id(names.bucket(kind)) for kind in BUCKET_KINDS if kind != "logs"
    }
    for entry in logged:
        assert entry["target_bucket"] == stack.bucket_id(logs)
        assert any(before.startswith("aws_s3_bucket_policy.") for before in entry["depends_on"])
    (delivery,) = [
        statement
        for statement in stack.parse(stack.of_bucket("aws_s3_bucket_policy", logs)["policy"])
        if statement["Effect"] == "Allow"
    ]
    assert delivery["Principal"] == {"Service": "logging.s3.amazonaws.com"}
    assert delivery["Condition"]["StringEquals"] == {"aws:SourceAccount": names.account}


def test_lake_sends_events(stack: Stack) -> None:
    notification = stack.one("aws_s3_bucket_notification")
    assert notification["bucket"] == stack.bucket_id(stack.environment.names.bucket("lake"))
    assert notification["eventbridge"] is True


def test_ledger_is_locked_and_create_only(stack: Stack) -> None:
    name, keep = stack.environment.names.bucket("ledger"), stack.environment.retention
    assert stack.where("aws_s3_bucket", bucket=name)["object_lock_enabled"] is True
    lock = stack.of_bucket("aws_s3_bucket_object_lock_configuration", name)
    assert lock["rule"]["default_retention"] == {"mode": keep.ledger_lock_mode, "days": keep.ledger_lock_days}
    denials = [
        statement
        for statement in stack.parse(stack.of_bucket("aws_s3_bucket_policy", name)["policy"])
        if statement.get("Action") == "s3:PutObject"
    ]
    assert [(denial["Effect"], denial["Condition"]["Null"]) for denial in denials] == [
        ("Deny", {"s3:if-none-match": "true"})
    ]


def test_changes_of_access_come_one_after_the_other(stack: Stack) -> None:
    for policy in stack.all("aws_s3_bucket_policy").values():
        assert [before.split(".")[0] for before in policy["depends_on"]] == ["aws_s3_bucket_public_access_block"]
    for ownership in stack.all("aws_s3_bucket_ownership_controls").values():
        assert [before.split(".")[0] for before in ownership["depends_on"]] == ["aws_s3_bucket_policy"]
