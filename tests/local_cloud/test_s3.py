"""S3: policies, owners, digests, preconditions, object lock, configuration."""

from __future__ import annotations

import base64
import hashlib
import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.support import DEV, STAGING, Server, new_bucket, new_role

TLS_ONLY = {
    "Effect": "Deny",
    "Principal": {"AWS": "*"},
    "Action": "s3:*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def put_policy(server: Server, bucket: str, *statements: dict[str, Any]) -> None:
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    document = {"Version": "2012-10-17", "Statement": [{"Resource": resources, **s} for s in statements]}
    server.client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))


def refused(code: str) -> Any:
    return pytest.raises(ClientError, match=rf"\({code}\)")


def sha256(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def test_a_tls_only_policy_lets_the_local_connection_through(server: Server) -> None:
    bucket, s3 = new_bucket(server), server.client("s3")
    put_policy(server, bucket, TLS_ONLY)
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["k"]


def test_a_denial_says_who_may_not_do_what(server: Server) -> None:
    bucket, s3 = new_bucket(server), server.client("s3")
    unencrypted = {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}
    put_policy(server, bucket, {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Condition": unencrypted})
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", ServerSideEncryption="aws:kms")
    with refused("AccessDenied") as caught:
        s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert f"arn:aws:iam::{DEV}:root is not authorized to perform: s3:PutObject" in str(caught.value)


def test_create_only_buckets_refuse_plain_writes(server: Server) -> None:
    bucket, s3 = new_bucket(server), server.client("s3")
    put_policy(
        server,
        bucket,
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Condition": {"Null": {"s3:if-none-match": "true"}},
        },
    )
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")
    with refused("AccessDenied"):
        s3.put_object(Bucket=bucket, Key="other", Body=b"1")


def test_of_many_deletions_each_is_answered_by_itself(server: Server) -> None:
    bucket, s3 = new_bucket(server), server.client("s3")
    for key in ("kept/1", "free/1"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    kept = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:DeleteObject",
        "Resource": f"arn:aws:s3:::{bucket}/kept/*",
    }
    put_policy(server, bucket, kept)
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "kept/1"}, {"Key": "free/1"}]})
    assert [deleted["Key"] for deleted in answer["Deleted"]] == ["free/1"]
    assert [(error["Key"], error["Code"]) for error in answer["Errors"]] == [("kept/1", "AccessDenied")]
    assert [found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["kept/1"]


def test_an_unknown_condition_operator_is_refused_when_put(server: Server) -> None:
    bucket = new_bucket(server)
    with refused("MalformedPolicy"):
        put_policy(server, bucket, {**TLS_ONLY, "Condition": {"Boolean": {"aws:SecureTransport": "false"}}})


def test_another_account_needs_the_bucket_policy(server: Server) -> None:
    bucket = new_bucket(server)
    server.client("s3").put_object(Bucket=bucket, Key="data/k", Body=b"1")
    role = new_role(server, STAGING, {"Principal": {"AWS": STAGING}})
    reader = server.client("s3", **server.assume(role, caller=STAGING))
    for call in (
        lambda: reader.get_object(Bucket=bucket, Key="data/k"),
        lambda: reader.list_objects_v2(Bucket=bucket),
        lambda: reader.put_object(Bucket=bucket, Key="data/new", Body=b"2"),
        lambda: reader.delete_object(Bucket=bucket, Key="data/k"),
    ):
        with refused("AccessDenied"):
            call()
    only_the_role = {"ArnEquals": {"aws:PrincipalArn": role}}
    put_policy(
        server,
        bucket,
        TLS_ONLY,
        {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{STAGING}:root"},
            "Action": ["s3:GetObject", "s3:ListBucket"],
            "Condition": only_the_role,
        },
    )
    assert reader.get_object(Bucket=bucket, Key="data/k")["Body"].read() == b"1"
    assert reader.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    with refused("AccessDenied"):
        reader.put_object(Bucket=bucket, Key="data/new", Body=b"2")
    with refused("AccessDenied"):
        server.client("s3", STAGING).get_object(Bucket=bucket, Key="data/k")
    target = new_bucket(server, STAGING)
    reader.copy_object(Bucket=target, Key="copy", CopySource={"Bucket": bucket, "Key": "data/k"})
    with refused("AccessDenied"):
        server.client("s3", STAGING).copy_object(
            Bucket=target, Key="copy2", CopySource={"Bucket": bucket, "Key": "data/k"}
        )


def test_a_bucket_of_another_owner_is_refused(server: Server) -> None:
    bucket, s3 = new_bucket(server), server.client("s3")
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", ExpectedBucketOwner=DEV)
    source = {"Bucket": bucket, "Key": "k"}
    s3.copy_object(Bucket=bucket, Key="c", CopySource=source, ExpectedBucketOwner=DEV, ExpectedSourceBucketOwner=DEV)
    for call in (
        lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"1", ExpectedBucketOwner=STAGING),
        lambda: s3.get_object(Bucket=bucket, Key="k", ExpectedBucketOwner=STAGING),
        lambda: s3.list_objects_v2(Bucket=bucket, ExpectedBucketOwner=STAGING),
        lambda: s3.copy_object(Bucket=bucket, Key="c", CopySource=source, ExpectedSourceBucketOwner=STAGING),
    ):
        with refused("AccessDenied"):
            call()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"ChecksumSHA256": sha256(b"other")}, "BadDigest"),
        ({"ChecksumSHA1": base64.b64encode(b"\0" * 20).decode()}, "BadDigest"),
        ({"ChecksumCRC32": "AAAAAA=="}, "BadDigest"),
        ({"ContentMD5": base64.b64encode(b"\0" * 16).decode()}, "BadDigest"),
        ({"ContentMD5": "short"}, "InvalidDigest"),
    ],
)
def test_a_wrong_digest_is_refused_and_nothing_is_stored(server: Server, arguments: dict[str, str], code: str) -> None:
    bucket, s3 = new_bucket(server), server.client("s3")
    with refused(code):
        s3.put_object(Bucket=bucket, Key="k", Body=b"content", **arguments)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_right_digest_is_kept(server: Server) -> None:
    bucket, s3, body = new_bucket(server), server.client("s3"), b"content"
    answer = s3.put_object(Bucket=bucket, Key="k", Body=body, ChecksumSHA256=sha256(body))
    assert answer["ChecksumSHA256"] == sha256(body)
    assert s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")["ChecksumSHA256"] == sha256(body)
    assert s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")["ChecksumSHA256"] == sha256(body)
    attributes = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["Checksum"])
    assert attributes["Checksum"]["ChecksumSHA256"] == sha256(body)


def test_an_algorithm_alone_is_enough(server: Server) -> None:
    bucket, s3, body = new_bucket(server), server.client("s3"), b"content" * 1000
    assert s3.put_object(Bucket=bucket, Key="k", Body=body, ChecksumAlgorithm="SHA256")["ChecksumSHA256"] == sha256(
        body
    )


def test_a_copy_gets_the_digest_that_was_asked_for(server: Server) -> None:
    bucket, s3, body = new_bucket(server), server.client("s3"), b"content"
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    copied = s3.copy_object(
        Bucket=bucket, Key="c", CopySource={"Bucket": bucket, "Key": "k"}, ChecksumAlgorithm="SHA256"
    )
    assert copied["CopyObjectResult"]["ChecksumSHA256"] == sha256(body)
    assert s3.head_object(Bucket=bucket, Key="c", ChecksumMode="ENABLED")["ChecksumSHA256"] == sha256(body)


def test_parts_are_checked_and_the_whole_has_a_composite_digest(server: Server) -> None:
    bucket, s3 = new_bucket(server), server.client("s3")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm="SHA256")["UploadId"]
    part = {"Bucket": bucket, "Key": "k", "UploadId": upload, "PartNumber": 1, "Body": b"part"}
    with refused("BadDigest"):
        s3.upload_part(**part, ChecksumSHA256=sha256(b"other"))
    etag = s3.upload_part(**part, ChecksumSHA256=sha256(b"part"))["ETag"]
    (listed,) = s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)["Parts"]
    assert (listed["PartNumber"], listed["Size"], listed["ChecksumSHA256"]) == (1, 4, sha256(b"part"))
    parts = [{"PartNumber": 1, "ETag": etag, "ChecksumSHA256": sha256(b"part")}]
    done = s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
    )
    composite = sha256(hashlib.sha256(b"part").digest()) + "-1"
    assert done["ChecksumSHA256"] == composite
    assert s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")["ChecksumSHA256"] == composite


def test_copies_honour_preconditions_on_both_sides(server: Server) -> None:
    bucket, s3 = new_bucket(server), server.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"first")
    s3.put_object(Bucket=bucket, Key="k", Body=b"second")
    pinned = {"Bucket": bucket, "Key": "k", "VersionId": first["VersionId"]}
    s3.copy_object(Bucket=bucket, Key="c", CopySource=pinned, CopySourceIfMatch=first["ETag"], IfNoneMatch="*")
    assert s3.get_object(Bucket=bucket, Key="c")["Body"].read() == b"first"
    with refused("PreconditionFailed") as caught:
        s3.copy_object(Bucket=bucket, Key="c", CopySource=pinned, IfNoneMatch="*")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    latest = {"Bucket": bucket, "Key": "k"}
    with refused("PreconditionFailed"):
        s3.copy_object(Bucket=bucket, Key="d", CopySource=latest, CopySourceIfMatch=first["ETag"])
    upload = s3.create_multipart_upload(Bucket=bucket, Key="e")["UploadId"]
    part = {"Bucket": bucket, "Key": "e", "UploadId": upload, "PartNumber": 1, "CopySource": latest}
    with refused("PreconditionFailed"):
        s3.upload_part_copy(**part, CopySourceIfMatch=first["ETag"])


def test_versions_and_delete_markers_are_listed_in_one_order(server: Server) -> None:
    """By key, and the newest first, as S3 does: what comes first of a key is what is visible of it."""
    s3, bucket = server.client("s3"), new_bucket(server)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    made = []
    for key, body in (("b", b"1"), ("a&b", b"2"), ("b", None), ("b", b"3"), ("a&b", None)):
        act = s3.delete_object if body is None else s3.put_object
        made.append((key, act(Bucket=bucket, Key=key, **({} if body is None else {"Body": body}))["VersionId"]))
    url = s3.generate_presigned_url("list_object_versions", {"Bucket": bucket})
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own server
        listed = ElementTree.fromstring(answer.read())  # noqa: S314 - what our own server says
    entries = [entry for entry in listed if entry.find("{*}VersionId") is not None]
    found = [(entry.findtext("{*}Key"), entry.findtext("{*}VersionId")) for entry in entries]
    assert found == [made[4], made[1], made[3], made[2], made[0]]
    assert [entry.tag.rpartition("}")[2] for entry in entries] == [
        *("DeleteMarker", "Version"),
        *("Version", "DeleteMarker", "Version"),
    ]
    assert [entry.findtext("{*}IsLatest") for entry in entries] == ["true", "false", "true", "false", "false"]


def test_a_bucket_is_emptied_version_by_version_when_versioning_is_suspended(server: Server) -> None:
    """What Terraform does to destroy a versioned bucket."""
    s3, bucket = server.client("s3"), new_bucket(server)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
    marker = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    second = s3.put_object(Bucket=bucket, Key="k", Body=b"2")["VersionId"]
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})

    def left() -> set[str]:
        listed = s3.list_object_versions(Bucket=bucket)
        return {one["VersionId"] for one in listed.get("Versions", []) + listed.get("DeleteMarkers", [])}

    s3.delete_object(Bucket=bucket, Key="k", VersionId=second)
    assert left() == {first, marker}
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k", "VersionId": marker}]})
    assert left() == {first}
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"
    s3.delete_object(Bucket=bucket, Key="k", VersionId=first)
    assert left() == set()
    s3.delete_bucket(Bucket=bucket)


def test_of_many_creators_exactly_one_wins(server: Server) -> None:
    bucket = new_bucket(server)
    clients = [server.client("s3") for _ in range(8)]
    clients[0].put_object(Bucket=bucket, Key="source", Body=b"1")

    def create(i: int) -> bool:
        try:
            if i % 2:
                clients[i % 8].put_object(Bucket=bucket, Key="k", Body=str(i).encode(), IfNoneMatch="*")
            else:
                source = {"Bucket": bucket, "Key": "source"}
                clients[i % 8].copy_object(Bucket=bucket, Key="k", CopySource=source, IfNoneMatch="*")
        except ClientError as exc:
            if exc.response["Error"]["Code"] == "PreconditionFailed":
                return False
            raise
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(create, range(32))) == 1


@pytest.fixture
def locked(server: Server) -> str:
    bucket = new_bucket(server, ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    server.client("s3").put_object_lock_configuration(
        Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    return bucket


def test_default_retention_locks_puts_and_copies(server: Server, locked: str) -> None:
    s3, body = server.client("s3"), b"event"
    put = s3.put_object(Bucket=locked, Key="k", Body=body, ChecksumSHA256=sha256(body), IfNoneMatch="*")
    copied = s3.copy_object(Bucket=locked, Key="c", CopySource={"Bucket": locked, "Key": "k"})
    assert s3.head_object(Bucket=locked, Key="c")["ObjectLockMode"] == "GOVERNANCE"
    for key, version in (("k", put["VersionId"]), ("c", copied["VersionId"])):
        with refused("AccessDenied"):
            s3.delete_object(Bucket=locked, Key=key, VersionId=version)
    s3.delete_object(Bucket=locked, Key="c", VersionId=copied["VersionId"], BypassGovernanceRetention=True)


def test_retention_can_be_made_longer_but_not_shorter(server: Server, locked: str) -> None:
    s3 = server.client("s3")
    s3.put_object(Bucket=locked, Key="k", Body=b"1")
    long, short = (datetime.now(UTC) + timedelta(days=days) for days in (30, 2))
    s3.put_object_retention(Bucket=locked, Key="k", Retention={"Mode": "COMPLIANCE", "RetainUntilDate": long})
    for retention in (
        {"Mode": "COMPLIANCE", "RetainUntilDate": short},
        {"Mode": "GOVERNANCE", "RetainUntilDate": long},
    ):
        with refused("AccessDenied"):
            s3.put_object_retention(Bucket=locked, Key="k", Retention=retention, BypassGovernanceRetention=True)


def test_the_default_retention_can_be_changed_while_objects_are_there(server: Server, locked: str) -> None:
    s3 = server.client("s3")
    s3.put_object(Bucket=locked, Key="k", Body=b"1")
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 2}}
    s3.put_object_lock_configuration(
        Bucket=locked, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    assert s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"]["Rule"] == rule


def test_lifecycle_and_notification_come_back_as_they_were_put(server: Server) -> None:
    bucket, s3 = new_bucket(server), server.client("s3")
    rules = [
        {
            "ID": "old",
            "Status": "Enabled",
            "Filter": {"And": {"Prefix": "a/", "ObjectSizeGreaterThan": 10}},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 7, "NewerNoncurrentVersions": 2},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3},
        }
    ]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    answer = s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    assert answer["Rules"] == rules
    assert answer["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    s3.delete_bucket_lifecycle(Bucket=bucket)
    with refused("NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}})
    assert s3.get_bucket_notification_configuration(Bucket=bucket)["EventBridgeConfiguration"] == {}


def test_access_logging_can_be_switched_on_for_the_logging_service_alone(server: Server) -> None:
    source, target, s3 = new_bucket(server), new_bucket(server), server.client("s3")
    enabled = {"LoggingEnabled": {"TargetBucket": target, "TargetPrefix": "logs/"}}
    with refused("InvalidTargetBucketForLogging"):
        s3.put_bucket_logging(Bucket=source, BucketLoggingStatus=enabled)
    delivery = {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{target}/logs/*",
        "Condition": {"StringEquals": {"aws:SourceAccount": DEV}},
    }
    put_policy(server, target, TLS_ONLY, delivery)
    s3.put_bucket_logging(Bucket=source, BucketLoggingStatus=enabled)
    assert s3.get_bucket_logging(Bucket=source)["LoggingEnabled"]["TargetBucket"] == target
