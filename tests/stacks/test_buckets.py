"""Every bucket is versioned, encrypted, private and TLS-only, and keeps what it has to keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from mlops_kit.local.overlay import conditions
from mlops_kit.naming import BUCKET_KINDS, STAGING_PREFIX, BucketKind, DatasetKeys
from tests.stacks.conftest import Synthesized
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
    assert ("expire-scratch" in rules) == (kind == "lake"), "nothing else is emptied by prefix"


def test_only_what_imports_left_is_emptied(stack: Stack) -> None:
    """For good: the copies, after a few days, and a day later what versioning keeps of them. Commits are elsewhere."""
    lake = stack.environment.names.bucket("lake")
    rules = stack.of_bucket("aws_s3_bucket_lifecycle_configuration", lake)["rule"]
    (scratch,) = [rule for rule in rules if rule["filter"] != [{"prefix": ""}]]
    assert scratch["filter"] == [{"prefix": STAGING_PREFIX}]
    assert (scratch["expiration"], scratch["noncurrent_version_expiration"]) == (
        [{"days": 3}],
        [{"noncurrent_days": 1}],
    )
    keys = DatasetKeys("payments")
    assert keys.staging_prefix.startswith(STAGING_PREFIX)
    assert not keys.root.startswith(STAGING_PREFIX)


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


def test_sends_events(stack: Stack, kind: BucketKind) -> None:
    notification = stack.of_bucket("aws_s3_bucket_notification", stack.environment.names.bucket(kind))
    assert notification["eventbridge"] is True


def test_ledger_is_locked_and_create_only(stack: Stack) -> None:
    name, keep = stack.environment.names.bucket("ledger"), stack.environment.retention
    assert stack.where("aws_s3_bucket", bucket=name)["object_lock_enabled"] is True
    lock = stack.of_bucket("aws_s3_bucket_object_lock_configuration", name)
    assert lock["rule"]["default_retention"] == {"mode": keep.ledger_lock_mode, "days": keep.ledger_lock_days}
    (refusal,) = [s for s in statements(stack, name) if s["Sid"] == "RefuseOverwrite"]
    assert (refusal["Effect"], refusal["Action"]) == ("Deny", "s3:PutObject")
    assert refusal["Condition"]["Null"] == {"s3:if-none-match": "true"}


def statements(stack: Stack, bucket: str) -> list[dict[str, Any]]:
    return stack.parse(stack.of_bucket("aws_s3_bucket_policy", bucket)["policy"])


@dataclass(frozen=True)
class Put:
    """A PutObject with these headers, as conditions see it."""

    sse: str | None = None
    key: str | None = None
    customer: str | None = None

    def refused_by(self, policy: list[dict[str, Any]]) -> bool:
        """Evaluated with the kit's own emulation of IAM's conditions."""
        given = {
            "s3:x-amz-server-side-encryption": self.sse,
            "s3:x-amz-server-side-encryption-aws-kms-key-id": self.key,
            "s3:x-amz-server-side-encryption-customer-algorithm": self.customer,
        }
        context = {name: value for name, value in given.items() if value is not None}
        return any(
            conditions.holds(statement["Condition"], context)
            for statement in policy
            if statement["Effect"] == "Deny" and statement["Sid"] in ("RefuseOtherEncryption", "RefuseCallersKeys")
        )


def test_nothing_is_stored_with_another_key(secure: Stack, kind: BucketKind) -> None:
    names = secure.environment.names
    name = names.bucket(kind)
    policy = statements(secure, name)
    (rule,) = secure.of_bucket("aws_s3_bucket_server_side_encryption_configuration", name)["rule"]
    own = rule["apply_server_side_encryption_by_default"].get("kms_master_key_id")
    other = "arn:aws:kms:us-east-1:777777777777:key/0a1b2c3d-0000-0000-0000-000000000000"
    assert not Put().refused_by(policy), "the bucket's default encryption does it"
    assert Put(customer="AES256").refused_by(policy)
    assert Put("aws:kms").refused_by(policy), "would be the account's AWS-managed key"
    assert Put("aws:kms", other).refused_by(policy)
    assert Put("aws:kms", "alias/aws/s3").refused_by(policy)
    if kind == "logs":
        assert not Put("AES256").refused_by(policy)
        return
    assert Put("AES256").refused_by(policy)
    for named in (own, names.key_alias, names.arn("kms", names.key_alias)):
        assert not Put("aws:kms", named).refused_by(policy), named


@pytest.mark.parametrize("name", ["sandbox", "secure"])
def test_what_grows_is_moved_to_cheaper_storage(synthesized: Synthesized, name: str, kind: BucketKind) -> None:
    stack = synthesized.gallery[name]
    rules = stack.of_bucket("aws_s3_bucket_lifecycle_configuration", stack.environment.names.bucket(kind))["rule"]
    moved = [rule["transition"] for rule in rules if "transition" in rule]
    wanted = [[{"days": 30, "storage_class": "INTELLIGENT_TIERING"}]]
    assert moved == (wanted if name == "secure" and kind in ("lake", "artifacts") else []), "the sandbox has it off"


def test_inventory_goes_to_the_logs_bucket(sandbox: Stack) -> None:
    names = sandbox.environment.names
    listed = sandbox.all("aws_s3_bucket_inventory").values()
    assert {inventory["bucket"] for inventory in listed} == {
        sandbox.bucket_id(names.bucket("lake")),
        sandbox.bucket_id(names.bucket("artifacts")),
    }
    for inventory in listed:
        assert inventory["schedule"] == {"frequency": "Weekly"}
        destination = inventory["destination"]["bucket"]
        assert destination["bucket_arn"] == names.bucket_arn("logs")
        assert destination["account_id"] == sandbox.environment.account
    (delivery,) = [s for s in statements(sandbox, names.bucket("logs")) if s["Sid"] == "DeliverInventory"]
    assert delivery["Principal"] == {"Service": "s3.amazonaws.com"}
    assert delivery["Resource"] == f"{names.bucket_arn('logs')}/inventory/*"
    assert delivery["Condition"] == {
        "StringEquals": {"aws:SourceAccount": sandbox.environment.account},
        "ArnLike": {"aws:SourceArn": [names.bucket_arn("lake"), names.bucket_arn("artifacts")]},
    }


def test_no_inventory_unless_asked_for(secure: Stack) -> None:
    assert not secure.all("aws_s3_bucket_inventory")
    assert all(s["Sid"] != "DeliverInventory" for s in statements(secure, secure.environment.names.bucket("logs")))


def test_the_next_stage_reads_data_and_models_and_nothing_else(sandbox: Stack) -> None:
    names = sandbox.environment.names
    promoter = {"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::777777777777:role/gallery-secure-promoter"}}
    below = {"lake": "datasets/", "artifacts": "models/"}
    for kind in BUCKET_KINDS:
        granted = [
            s for s in statements(sandbox, names.bucket(kind)) if "AWS" in s["Principal"] and s["Effect"] == "Allow"
        ]
        if kind not in below:
            assert granted == [], f"{kind} is nobody else's"
            continue
        arn, prefix = names.bucket_arn(kind), below[kind]
        reads, lists, locates = granted
        assert all(s["Principal"] == {"AWS": "arn:aws:iam::777777777777:root"} for s in granted)
        assert (reads["Resource"], reads["Condition"]) == (f"{arn}/{prefix}*", promoter)
        assert not any(action.startswith(("s3:Put", "s3:Delete")) for action in reads["Action"])
        assert {"s3:GetObject", "s3:GetObjectVersion"} <= set(reads["Action"]), "also what a commit's file was before"
        assert lists["Action"] == ["s3:ListBucket", "s3:ListBucketVersions"]
        assert lists["Condition"] == promoter | {"StringLike": {"s3:prefix": f"{prefix}*"}}
        assert (locates["Action"], locates["Condition"]) == (["s3:GetBucketLocation"], promoter)


def test_the_last_stage_is_read_by_nobody(adopted: Stack) -> None:
    for kind in BUCKET_KINDS:
        granted = [s for s in statements(adopted, adopted.environment.names.bucket(kind)) if s["Effect"] == "Allow"]
        assert all(set(s["Principal"]) == {"Service"} for s in granted), kind


def test_changes_of_access_come_one_after_the_other(stack: Stack) -> None:
    for policy in stack.all("aws_s3_bucket_policy").values():
        assert [before.split(".")[0] for before in policy["depends_on"]] == ["aws_s3_bucket_public_access_block"]
    for ownership in stack.all("aws_s3_bucket_ownership_controls").values():
        assert [before.split(".")[0] for before in ownership["depends_on"]] == ["aws_s3_bucket_policy"]
