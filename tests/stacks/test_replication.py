"""The copies in a second region: as private as the originals, written by S3 alone, and with another key."""

from __future__ import annotations

from typing import Any

import pytest

from mlops_kit.naming import REPLICATED_KINDS, ReplicatedKind
from tests.stacks.stack import Stack


@pytest.fixture(params=REPLICATED_KINDS)
def kind(request: pytest.FixtureRequest) -> ReplicatedKind:
    found: ReplicatedKind = request.param
    return found


def test_the_second_provider_is_the_same_account_in_the_other_region(secure: Stack) -> None:
    here, there = secure.content["provider"]["aws"]
    assert (there["alias"], there["region"]) == ("replica", "us-west-2")
    assert "alias" not in here
    assert there["allowed_account_ids"] == here["allowed_account_ids"]
    assert there["default_tags"] == here["default_tags"]


def test_nothing_is_copied_unless_asked_for(sandbox: Stack) -> None:
    assert len(sandbox.content["provider"]["aws"]) == 1
    assert not sandbox.all("aws_s3_bucket_replication_configuration")
    assert len(sandbox.all("aws_s3_bucket")) == 5


def test_each_copy_is_as_well_kept_as_its_original(secure: Stack, kind: ReplicatedKind) -> None:
    """The same configuration, but for names, key, region and what only the original needs."""
    names = secure.environment.names
    original, copy = names.bucket(kind), names.replica_bucket(kind)
    for resource in (
        "aws_s3_bucket_versioning",
        "aws_s3_bucket_public_access_block",
        "aws_s3_bucket_ownership_controls",
        "aws_s3_bucket_lifecycle_configuration",
        "aws_s3_bucket_notification",
        *(["aws_s3_bucket_object_lock_configuration"] if kind == "ledger" else []),
    ):
        of_copy = secure.of_bucket(resource, copy)
        assert of_copy["provider"] == "aws.replica", resource
        assert settings(of_copy) == settings(secure.of_bucket(resource, original)), resource
    encryption = secure.of_bucket("aws_s3_bucket_server_side_encryption_configuration", copy)["rule"][0]
    key = encryption["apply_server_side_encryption_by_default"]["kms_master_key_id"]
    assert "replication_encryption" in key, "with the key of its own region"
    statements = {s["Sid"]: s for s in secure.parse(secure.of_bucket("aws_s3_bucket_policy", copy)["policy"])}
    assert set(statements) == {"RefuseWithoutTls", "RefuseOtherEncryption", "RefuseCallersKeys"}, "no one else's"
    accepted = statements["RefuseOtherEncryption"]["Condition"]["StringNotEquals"].popitem()[1]
    assert accepted == [
        key,
        names.replica_key_alias,
        f"arn:aws:kms:us-west-2:{names.account}:{names.replica_key_alias}",
    ]


def settings(resource: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name not in ("//", "bucket", "depends_on", "provider")}


def test_access_to_the_copies_is_logged_beside_them(secure: Stack, kind: ReplicatedKind) -> None:
    names = secure.environment.names
    logged = secure.of_bucket("aws_s3_bucket_logging", names.replica_bucket(kind))
    assert logged["target_bucket"] == secure.bucket_id(names.replica_bucket("logs")), "S3 logs within a region only"
    policy = secure.parse(secure.of_bucket("aws_s3_bucket_policy", names.replica_bucket("logs"))["policy"])
    (delivery,) = [s for s in policy if s["Effect"] == "Allow"]
    assert names.replica_bucket_arn(kind) in delivery["Condition"]["ArnLike"]["aws:SourceArn"]
    assert delivery["Condition"]["StringEquals"] == {"aws:SourceAccount": names.account}


def test_encrypted_objects_are_copied_and_deletions_are_not(secure: Stack, kind: ReplicatedKind) -> None:
    names = secure.environment.names
    replication = secure.of_bucket("aws_s3_bucket_replication_configuration", names.bucket(kind))
    assert "provider" not in replication, "it belongs to the original"
    (rule,) = replication["rule"]
    assert rule["status"] == "Enabled"
    assert rule["filter"] == {"prefix": ""}, "all of it"
    assert rule["source_selection_criteria"] == {"sse_kms_encrypted_objects": {"status": "Enabled"}}
    assert rule["delete_marker_replication"] == {"status": "Disabled"}
    assert rule["destination"]["bucket"] == names.replica_bucket_arn(kind)
    assert "replication_encryption" in rule["destination"]["encryption_configuration"]["replica_kms_key_id"]
    before = {name.split(".")[0] for name in replication["depends_on"]}
    assert {"aws_iam_role_policy", "aws_s3_bucket_versioning"} <= before


def test_the_role_reads_here_and_writes_there(secure: Stack) -> None:
    names = secure.environment.names
    role = secure.where("aws_iam_role", name=names.role("replication"))
    assert role["permissions_boundary"] == names.boundary_arn
    (trust,) = secure.parse(role["assume_role_policy"])
    assert trust["Principal"] == {"Service": "s3.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": names.account}
    (policy,) = [p for p in secure.all("aws_iam_role_policy").values() if p["name"] == "replication"]
    for statement in secure.parse(policy["policy"]):
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        writes = any(action.startswith("s3:Replicate") for action in statement["Action"])
        for resource in resources:
            if resource.startswith("arn:aws:s3"):
                assert resource.removesuffix("/*").endswith("-replica") is writes, statement["Sid"]
        if statement["Sid"] in ("DecryptHere", "EncryptThere"):
            region = "us-east-1" if statement["Sid"] == "DecryptHere" else "us-west-2"
            assert statement["Condition"]["StringEquals"] == {"kms:ViaService": [f"s3.{region}.amazonaws.com"]}
            assert statement["Condition"]["ArnLike"]["kms:EncryptionContext:aws:s3:arn"]
    actions = {action for s in secure.parse(policy["policy"]) for action in s["Action"]}
    assert not actions & {"s3:ReplicateDelete", "s3:PutObject", "s3:DeleteObject", "s3:GetObject"}
