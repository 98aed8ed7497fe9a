"""The S3 that other tests trust, held against what S3 does: objects, versions, conditions, checksums, copies."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.s3 import LoopbackS3
from tests.s3.checksums import compute
from tests.s3.clients import Wire, client
from tests.s3.content import Content

LAKE, PROD = "acme-dev-lake", "acme-prod-lake"
OWNER, OTHER = "111111111111", "222222222222"


@pytest.fixture
def s3() -> Iterator[LoopbackS3]:
    with LoopbackS3({LAKE: OWNER, PROD: OTHER}) as server:
        yield server


@pytest.fixture
def boto(s3: LoopbackS3) -> Iterator[Any]:
    with client(s3) as made:
        yield made


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[int, str]:
    """Status and code of the refusal that the call has to end with."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def b64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def sha256(data: bytes) -> str:
    return b64(hashlib.sha256(data).digest())


def test_an_object_comes_back_as_it_was_put(s3: LoopbackS3, boto: Any) -> None:
    key = "a b/+&<é>'\"~%2F?#.txt"
    put = boto.put_object(
        Bucket=LAKE, Key=key, Body=b"content", ContentType="text/plain", Metadata={"who": "me"}, CacheControl="no-store"
    )
    got = boto.get_object(Bucket=LAKE, Key=key)
    head = boto.head_object(Bucket=LAKE, Key=key)
    assert got["Body"].read() == b"content"
    for answer in (got, head):
        assert answer["ContentType"] == "text/plain"
        assert answer["CacheControl"] == "no-store"
        assert answer["Metadata"] == {"who": "me"}
        assert answer["ContentLength"] == 7
        assert answer["VersionId"] == put["VersionId"]
        assert answer["ETag"] == put["ETag"] == f'"{hashlib.md5(b"content", usedforsecurity=False).hexdigest()}"'
        assert abs(answer["LastModified"] - datetime.now(UTC)) < timedelta(hours=1)
    assert s3.snapshot(LAKE) == {key: hashlib.sha256(b"content").hexdigest()}
    boto.put_object(Bucket=LAKE, Key="plain", Body=b"")
    assert boto.head_object(Bucket=LAKE, Key="plain")["ContentType"] == "binary/octet-stream"
    assert boto.get_object(Bucket=LAKE, Key="plain")["Body"].read() == b""


def test_large_bodies_arrive_whole(s3: LoopbackS3, boto: Any) -> None:
    data = bytes(range(256)) * 40_000
    boto.put_object(Bucket=LAKE, Key="large", Body=data)
    assert boto.get_object(Bucket=LAKE, Key="large")["Body"].read() == data
    assert s3.buckets[LAKE].version("large").data == data


@pytest.mark.parametrize(
    ("asked", "status", "body", "content_range"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=-20", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=4-2", 200, b"0123456789", ""),
        ("pages=1-2", 200, b"0123456789", ""),
    ],
)
def test_ranges(boto: Any, asked: str, status: int, body: bytes, content_range: str) -> None:
    boto.put_object(Bucket=LAKE, Key="k", Body=b"0123456789")
    got = boto.get_object(Bucket=LAKE, Key="k", Range=asked)
    assert got["ResponseMetadata"]["HTTPStatusCode"] == status
    assert got["Body"].read() == body
    assert got.get("ContentRange", "") == content_range
    assert boto.head_object(Bucket=LAKE, Key="k", Range=asked)["ContentLength"] == len(body)


def test_a_range_behind_the_end_is_refused(boto: Any) -> None:
    boto.put_object(Bucket=LAKE, Key="k", Body=b"0123456789")
    for asked in ("bytes=10-", "bytes=10-12", "bytes=-0"):
        assert refused(boto.get_object, Bucket=LAKE, Key="k", Range=asked) == (416, "InvalidRange")


def test_reads_have_conditions(boto: Any) -> None:
    etag = boto.put_object(Bucket=LAKE, Key="k", Body=b"x")["ETag"]
    now = datetime.now(UTC)
    assert boto.get_object(Bucket=LAKE, Key="k", IfMatch=etag)["Body"].read() == b"x"
    assert boto.get_object(Bucket=LAKE, Key="k", IfNoneMatch='"other"')["Body"].read() == b"x"
    boto.get_object(Bucket=LAKE, Key="k", IfUnmodifiedSince=now + timedelta(hours=1))
    assert refused(boto.get_object, Bucket=LAKE, Key="k", IfMatch='"other"') == (412, "PreconditionFailed")
    assert refused(boto.get_object, Bucket=LAKE, Key="k", IfNoneMatch=etag)[0] == 304
    assert refused(boto.head_object, Bucket=LAKE, Key="k", IfMatch='"other"')[0] == 412
    later, earlier = {"IfModifiedSince": now + timedelta(hours=1)}, {"IfUnmodifiedSince": now - timedelta(hours=1)}
    assert refused(boto.get_object, Bucket=LAKE, Key="k", **later)[0] == 304
    assert refused(boto.get_object, Bucket=LAKE, Key="k", **earlier)[0] == 412


def test_writes_have_conditions(s3: LoopbackS3, boto: Any) -> None:
    first = boto.put_object(Bucket=LAKE, Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    assert refused(boto.put_object, Bucket=LAKE, Key="k", Body=b"2", IfNoneMatch="*") == (412, "PreconditionFailed")
    assert refused(boto.put_object, Bucket=LAKE, Key="k", Body=b"2", IfNoneMatch=first) == (501, "NotImplemented")
    assert refused(boto.put_object, Bucket=LAKE, Key="k", Body=b"2", IfMatch='"0"') == (412, "PreconditionFailed")
    assert refused(boto.put_object, Bucket=LAKE, Key="absent", Body=b"2", IfMatch=first) == (404, "NoSuchKey")
    boto.put_object(Bucket=LAKE, Key="k", Body=b"2", IfMatch=first)
    boto.delete_object(Bucket=LAKE, Key="k")
    assert refused(boto.put_object, Bucket=LAKE, Key="k", Body=b"3", IfMatch=first) == (404, "NoSuchKey")
    boto.put_object(Bucket=LAKE, Key="k", Body=b"3", IfNoneMatch="*")
    assert [None if v.is_marker else v.data for v in s3.buckets[LAKE].versions("k")] == [b"3", None, b"2", b"1"]


def test_deleting_hides_and_deleting_a_version_removes(s3: LoopbackS3, boto: Any) -> None:
    put = boto.put_object(Bucket=LAKE, Key="k", Body=b"1")
    marker = boto.delete_object(Bucket=LAKE, Key="k")
    assert marker["DeleteMarker"] is True
    with pytest.raises(ClientError) as caught:
        boto.get_object(Bucket=LAKE, Key="k")
    assert caught.value.response["Error"]["Code"] == "NoSuchKey"
    headers = caught.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amz-delete-marker"] == "true"
    assert headers["x-amz-version-id"] == marker["VersionId"]
    assert refused(boto.get_object, Bucket=LAKE, Key="k", VersionId=marker["VersionId"]) == (405, "MethodNotAllowed")
    assert refused(boto.get_object, Bucket=LAKE, Key="k", VersionId="0" * 32) == (404, "NoSuchVersion")
    assert refused(boto.head_object, Bucket=LAKE, Key="k") == (404, "404")
    assert boto.get_object(Bucket=LAKE, Key="k", VersionId=put["VersionId"])["Body"].read() == b"1"
    assert s3.snapshot(LAKE) == {}
    one = hashlib.sha256(b"1").hexdigest()
    assert s3.snapshot_versions(LAKE) == {"k": [(marker["VersionId"], None), (put["VersionId"], one)]}
    assert boto.delete_object(Bucket=LAKE, Key="k", VersionId=marker["VersionId"])["DeleteMarker"] is True
    assert boto.get_object(Bucket=LAKE, Key="k")["Body"].read() == b"1"
    assert "DeleteMarker" not in boto.delete_object(Bucket=LAKE, Key="k", VersionId=put["VersionId"])
    assert s3.snapshot_versions(LAKE) == {}
    assert boto.delete_object(Bucket=LAKE, Key="never")["DeleteMarker"] is True


def test_deletes_have_conditions(boto: Any) -> None:
    etag = boto.put_object(Bucket=LAKE, Key="k", Body=b"1")["ETag"]
    assert refused(boto.delete_object, Bucket=LAKE, Key="k", IfMatch='"0"') == (412, "PreconditionFailed")
    answer = boto.delete_objects(Bucket=LAKE, Delete={"Objects": [{"Key": "k", "ETag": '"0"'}]})
    assert [error["Code"] for error in answer["Errors"]] == ["PreconditionFailed"]
    boto.delete_object(Bucket=LAKE, Key="k", IfMatch=etag)


def test_many_are_deleted_at_once(s3: LoopbackS3, boto: Any) -> None:
    version = boto.put_object(Bucket=LAKE, Key="a&b", Body=b"1")["VersionId"]
    wanted = [{"Key": "a&b", "VersionId": version}, {"Key": "absent"}]
    answer = boto.delete_objects(Bucket=LAKE, Delete={"Objects": wanted})
    gone, marked = answer["Deleted"]
    assert gone == {"Key": "a&b", "VersionId": version}
    assert (marked["Key"], marked["DeleteMarker"]) == ("absent", True)
    assert marked["DeleteMarkerVersionId"] == s3.buckets[LAKE].version("absent").version_id
    quiet = boto.delete_objects(Bucket=LAKE, Delete={"Objects": [{"Key": "other"}], "Quiet": True})
    assert "Deleted" not in quiet
    many = {"Objects": [{"Key": str(number)} for number in range(1001)]}
    assert refused(boto.delete_objects, Bucket=LAKE, Delete=many) == (400, "MalformedXML")
    with Wire(s3) as wire:
        status, _, body = wire.ask("POST", f"/{LAKE}?delete", b"<Delete><Object><Key>k</Key></Object></Delete>")
    assert status == 400
    assert b"Content-MD5" in body


def test_a_bucket_of_somebody_else_is_refused(boto: Any) -> None:
    boto.put_object(Bucket=LAKE, Key="k", Body=b"1", ExpectedBucketOwner=OWNER)
    assert refused(boto.get_object, Bucket=LAKE, Key="k", ExpectedBucketOwner=OTHER) == (403, "AccessDenied")
    assert refused(boto.list_objects_v2, Bucket=LAKE, ExpectedBucketOwner=OTHER) == (403, "AccessDenied")
    copy = {"Bucket": PROD, "Key": "k", "CopySource": {"Bucket": LAKE, "Key": "k"}, "ExpectedBucketOwner": OTHER}
    assert refused(boto.copy_object, **copy, ExpectedSourceBucketOwner=OTHER) == (403, "AccessDenied")
    boto.copy_object(**copy, ExpectedSourceBucketOwner=OWNER)


def test_checksums_are_verified_kept_and_told_when_asked(boto: Any) -> None:
    digest = sha256(b"content")
    put = boto.put_object(Bucket=LAKE, Key="k", Body=b"content", ChecksumSHA256=digest)
    assert put["ChecksumSHA256"] == digest
    assert "ChecksumSHA256" not in boto.head_object(Bucket=LAKE, Key="k")
    head = boto.head_object(Bucket=LAKE, Key="k", ChecksumMode="ENABLED")
    assert (head["ChecksumSHA256"], head["ChecksumType"]) == (digest, "FULL_OBJECT")
    part = boto.get_object(Bucket=LAKE, Key="k", Range="bytes=0-1", ChecksumMode="ENABLED")
    assert (part["Body"].read(), "ChecksumSHA256" in part) == (b"co", False)
    wrong = {
        "ChecksumSHA256": sha256(b"other"),
        "ChecksumSHA1": b64(hashlib.sha1(b"other", usedforsecurity=False).digest()),
        "ChecksumCRC32": b64(zlib.crc32(b"other").to_bytes(4, "big")),
        "ContentMD5": b64(hashlib.md5(b"other", usedforsecurity=False).digest()),
    }
    for name, value in wrong.items():
        said = refused(boto.put_object, Bucket=LAKE, Key="bad", Body=b"content", **{name: value})
        assert said == (400, "BadDigest"), name
    malformed = refused(boto.put_object, Bucket=LAKE, Key="bad", Body=b"content", ChecksumSHA256="AAAA")
    assert malformed == (400, "InvalidRequest")
    assert refused(boto.head_object, Bucket=LAKE, Key="bad")[0] == 404
    kept = b64(bytes(8))
    boto.put_object(Bucket=LAKE, Key="crc64", Body=b"content", ChecksumCRC64NVME=kept)
    assert boto.head_object(Bucket=LAKE, Key="crc64", ChecksumMode="ENABLED")["ChecksumCRC64NVME"] == kept


def test_a_body_other_than_the_signed_one_is_refused(s3: LoopbackS3) -> None:
    signed = hashlib.sha256(b"signed").hexdigest()
    with Wire(s3) as wire:
        status, _, body = wire.ask("PUT", f"/{LAKE}/k", b"sent", x_amz_content_sha256=signed)
        assert (status, b"<Code>XAmzContentSHA256Mismatch</Code>" in body) == (400, True)
        assert wire.ask("PUT", f"/{LAKE}/k", b"signed", x_amz_content_sha256=signed)[0] == 200
    assert s3.snapshot(LAKE) == {"k": signed}


@pytest.mark.parametrize(
    ("algorithm", "checksum"),  # the check values of these algorithms, see https://reveng.sourceforge.io/crc-catalogue/
    [("crc32", "cbf43926"), ("crc32c", "e3069283"), ("crc64nvme", "ae8b14860a799888")],
)
def test_the_checksums_that_a_copy_computes(algorithm: str, checksum: str) -> None:
    assert base64.b64decode(compute(algorithm, Content([b"1234", b"56789"])).value).hex() == checksum


def test_a_copy_shares_its_bytes_and_takes_what_describes_them(s3: LoopbackS3, boto: Any) -> None:
    source = boto.put_object(
        Bucket=LAKE,
        Key="a +é?.txt",
        Body=b"1",
        ContentType="text/csv",
        Metadata={"n": "1"},
        ChecksumSHA256=sha256(b"1"),
    )
    boto.put_object(Bucket=LAKE, Key="a +é?.txt", Body=b"2")
    named = {"Bucket": LAKE, "Key": "a +é?.txt", "VersionId": source["VersionId"]}
    copied = boto.copy_object(Bucket=PROD, Key="copy", CopySource=named)
    assert copied["CopyObjectResult"]["ETag"] == source["ETag"]
    assert copied["CopyObjectResult"]["ChecksumSHA256"] == sha256(b"1")
    assert copied["CopySourceVersionId"] == source["VersionId"]
    head = boto.head_object(Bucket=PROD, Key="copy", ChecksumMode="ENABLED")
    assert (head["ContentType"], head["Metadata"], head["ChecksumSHA256"]) == ("text/csv", {"n": "1"}, sha256(b"1"))
    assert head["VersionId"] == copied["VersionId"]
    of_source = s3.buckets[LAKE].version("a +é?.txt", source["VersionId"])
    assert s3.buckets[PROD].version("copy").content is of_source.content
    newest = boto.copy_object(Bucket=PROD, Key="copy", CopySource={"Bucket": LAKE, "Key": "a +é?.txt"})
    assert newest["CopySourceVersionId"] != source["VersionId"]
    assert boto.get_object(Bucket=PROD, Key="copy")["Body"].read() == b"2"


def test_a_copy_can_be_described_and_summed_anew(boto: Any) -> None:
    boto.put_object(Bucket=LAKE, Key="k", Body=b"1", Metadata={"n": "1"})
    named = {"Bucket": LAKE, "Key": "k"}
    anew = {"MetadataDirective": "REPLACE", "Metadata": {"n": "2"}, "ChecksumAlgorithm": "SHA256"}
    copied = boto.copy_object(Bucket=PROD, Key="k", CopySource=named, **anew)
    assert copied["CopyObjectResult"]["ChecksumSHA256"] == sha256(b"1")
    assert boto.head_object(Bucket=PROD, Key="k")["Metadata"] == {"n": "2"}
    assert refused(boto.copy_object, Bucket=LAKE, Key="k", CopySource=named) == (400, "InvalidRequest")
    boto.copy_object(Bucket=LAKE, Key="k", CopySource=named, MetadataDirective="REPLACE")


def test_copies_have_conditions(boto: Any) -> None:
    etag = boto.put_object(Bucket=LAKE, Key="k", Body=b"1")["ETag"]
    copy = {"Bucket": PROD, "Key": "k", "CopySource": {"Bucket": LAKE, "Key": "k"}}
    failed = (412, "PreconditionFailed")
    assert refused(boto.copy_object, **copy, CopySourceIfMatch='"0"') == failed
    assert refused(boto.copy_object, **copy, CopySourceIfNoneMatch=etag) == failed
    assert refused(boto.copy_object, **copy, IfMatch=etag) == (404, "NoSuchKey")
    boto.copy_object(**copy, CopySourceIfMatch=etag, IfNoneMatch="*")
    assert refused(boto.copy_object, **copy, IfNoneMatch="*") == failed
    assert refused(boto.copy_object, **copy, IfMatch='"0"') == failed
    boto.copy_object(**copy, IfMatch=etag)
    absent = copy | {"CopySource": {"Bucket": LAKE, "Key": "absent"}}
    assert refused(boto.copy_object, **absent) == (404, "NoSuchKey")
    marker = boto.delete_object(Bucket=LAKE, Key="k")["VersionId"]
    assert refused(boto.copy_object, **copy) == (404, "NoSuchKey")
    of_marker = copy | {"CopySource": {"Bucket": LAKE, "Key": "k", "VersionId": marker}}
    assert refused(boto.copy_object, **of_marker) == (400, "InvalidRequest")


def test_what_is_too_large_is_refused() -> None:
    with LoopbackS3({LAKE: OWNER}, max_single=1000) as s3, client(s3) as boto:
        boto.put_object(Bucket=LAKE, Key="fits", Body=bytes(1000))
        assert refused(boto.put_object, Bucket=LAKE, Key="large", Body=bytes(1001)) == (400, "EntityTooLarge")
        assert refused(boto.put_object, Bucket=LAKE, Key="huge", Body=bytes(500_000)) == (400, "EntityTooLarge")
        s3.buckets[LAKE].put("large", bytes(1001))
        copy = {"Bucket": LAKE, "Key": "copy", "CopySource": {"Bucket": LAKE, "Key": "large"}}
        assert refused(boto.copy_object, **copy) == (400, "InvalidRequest")
        boto.copy_object(**copy | {"CopySource": {"Bucket": LAKE, "Key": "fits"}})
        assert sorted(s3.snapshot(LAKE)) == ["copy", "fits", "large"]


def test_etags_can_say_nothing() -> None:
    with LoopbackS3({LAKE: OWNER}, etags="random") as s3, client(s3) as boto:
        one, two = (boto.put_object(Bucket=LAKE, Key="k", Body=b"same")["ETag"] for _ in range(2))
        copy = boto.copy_object(Bucket=LAKE, Key="copy", CopySource={"Bucket": LAKE, "Key": "k"})
        assert len({one, two, copy["CopyObjectResult"]["ETag"]}) == 3
        assert boto.get_object(Bucket=LAKE, Key="k", IfMatch=two)["Body"].read() == b"same"


def test_what_can_be_asked_of_buckets(s3: LoopbackS3, boto: Any) -> None:
    assert [bucket["Name"] for bucket in boto.list_buckets()["Buckets"]] == [LAKE, PROD]
    assert boto.head_bucket(Bucket=LAKE)["BucketRegion"] == "us-east-1"
    assert boto.get_bucket_location(Bucket=LAKE)["LocationConstraint"] is None
    assert boto.get_bucket_versioning(Bucket=LAKE)["Status"] == "Enabled"
    assert refused(boto.head_bucket, Bucket="absent")[0] == 404
    assert refused(boto.list_objects_v2, Bucket="absent") == (404, "NoSuchBucket")
    assert refused(boto.get_bucket_acl, Bucket=LAKE) == (501, "NotImplemented")
    boto.put_object(Bucket=LAKE, Key="k", Body=b"1")
    assert refused(boto.get_object_acl, Bucket=LAKE, Key="k") == (501, "NotImplemented")
    assert boto.get_object_tagging(Bucket=LAKE, Key="k")["TagSet"] == []


def test_attributes(boto: Any) -> None:
    put = boto.put_object(Bucket=LAKE, Key="k", Body=b"12", ChecksumSHA256=sha256(b"12"))
    wanted = ["ETag", "Checksum", "ObjectSize", "StorageClass", "ObjectParts"]
    found = boto.get_object_attributes(Bucket=LAKE, Key="k", ObjectAttributes=wanted)
    assert found["ETag"] == put["ETag"].strip('"')
    assert found["Checksum"] == {"ChecksumSHA256": sha256(b"12"), "ChecksumType": "FULL_OBJECT"}
    assert (found["ObjectSize"], found["StorageClass"], found["VersionId"]) == (2, "STANDARD", put["VersionId"])
    assert "ObjectParts" not in found


def test_the_buckets_can_be_tampered_with(s3: LoopbackS3, boto: Any) -> None:
    lake = s3.buckets[LAKE]
    lake.put("k", b"behind its back")
    etag = boto.head_object(Bucket=LAKE, Key="k")["ETag"]
    lake.overwrite("k", b"rotten")
    got = boto.get_object(Bucket=LAKE, Key="k")
    assert (got["ETag"], got["Body"].read()) == (etag, b"rotten")
    lake.delete("k")
    assert refused(boto.head_object, Bucket=LAKE, Key="k")[0] == 404
    lake.remove("k")
    assert lake.versions("k") == []
    assert "Versions" not in boto.list_object_versions(Bucket=LAKE)
