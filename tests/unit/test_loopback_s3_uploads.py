"""Multipart uploads to the loopback S3: parts, copied parts, checksums of parts, and what completing refuses."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from tests.s3 import LoopbackS3
from tests.s3.clients import client

LAKE, PROD = "acme-dev-lake", "acme-prod-lake"


@pytest.fixture
def s3() -> Iterator[LoopbackS3]:
    with LoopbackS3({LAKE: "111111111111", PROD: "222222222222"}, min_part=10) as server:
        yield server


@pytest.fixture
def boto(s3: LoopbackS3) -> Iterator[Any]:
    with client(s3) as made:
        yield made


def code(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    found: str = caught.value.response["Error"]["Code"]
    return found


def b64sha256(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def begin(boto: Any, **arguments: Any) -> dict[str, str]:
    made = boto.create_multipart_upload(Bucket=LAKE, Key="k", ChecksumAlgorithm="SHA256", **arguments)
    return {"Bucket": LAKE, "Key": "k", "UploadId": made["UploadId"]}


def upload(boto: Any, which: dict[str, str], number: int, body: bytes) -> dict[str, Any]:
    """Upload a part; how the request to complete has to list it."""
    done = boto.upload_part(**which, PartNumber=number, Body=body, ChecksumSHA256=b64sha256(body))
    return {"PartNumber": number, "ETag": done["ETag"], "ChecksumSHA256": done["ChecksumSHA256"]}


def test_parts_become_one_object(s3: LoopbackS3, boto: Any) -> None:
    which = begin(boto, ContentType="text/plain", Metadata={"n": "1"})
    bodies = {1: b"0123456789", 3: b"abcdefghij", 7: b"end"}
    parts = [upload(boto, which, number, body) for number, body in bodies.items()]
    upload(boto, which, 9, b"dropped")
    done = boto.complete_multipart_upload(**which, MultipartUpload={"Parts": parts})
    digests = b"".join(hashlib.sha256(body).digest() for body in bodies.values())
    md5s = b"".join(hashlib.md5(body, usedforsecurity=False).digest() for body in bodies.values())
    assert done["ChecksumSHA256"] == f"{b64sha256(digests)}-3"
    assert done["ChecksumType"] == "COMPOSITE"
    assert done["ETag"] == f'"{hashlib.md5(md5s, usedforsecurity=False).hexdigest()}-3"'
    got = boto.get_object(Bucket=LAKE, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"0123456789abcdefghijend"
    assert (got["ETag"], got["ContentType"], got["Metadata"]) == (done["ETag"], "text/plain", {"n": "1"})
    assert got["ChecksumSHA256"] == done["ChecksumSHA256"]
    assert boto.get_object(Bucket=LAKE, Key="k", Range="bytes=8-21")["Body"].read() == b"89abcdefghijen"
    second = boto.get_object(Bucket=LAKE, Key="k", PartNumber=2)
    assert (second["Body"].read(), second["PartsCount"]) == (b"abcdefghij", 3)
    asked = {"ObjectAttributes": ["ObjectParts"], "MaxParts": 2}
    found = boto.get_object_attributes(Bucket=LAKE, Key="k", **asked)["ObjectParts"]
    assert (found["TotalPartsCount"], found["IsTruncated"], found["NextPartNumberMarker"]) == (3, True, 2)
    assert [part["Size"] for part in found["Parts"]] == [10, 10]
    assert code(boto.list_parts, **which) == "NoSuchUpload"
    assert s3.buckets[LAKE].uploads == {}


def test_a_copy_of_an_upload_is_in_one_piece(boto: Any) -> None:
    which = begin(boto)
    parts = [upload(boto, which, number, body) for number, body in {1: b"0123456789", 2: b"end"}.items()]
    boto.complete_multipart_upload(**which, MultipartUpload={"Parts": parts})
    copied = boto.copy_object(Bucket=PROD, Key="k", CopySource={"Bucket": LAKE, "Key": "k"})["CopyObjectResult"]
    assert copied["ChecksumSHA256"] == b64sha256(b"0123456789end")
    assert copied["ETag"] == f'"{hashlib.md5(b"0123456789end", usedforsecurity=False).hexdigest()}"'


def test_parts_can_be_copied(s3: LoopbackS3, boto: Any) -> None:
    etag = boto.put_object(Bucket=PROD, Key="a b", Body=b"0123456789abcdef")["ETag"]
    which = begin(boto)
    copy = which | {"CopySource": {"Bucket": PROD, "Key": "a b"}}
    ranges = {1: "bytes=0-9", 2: "bytes=10-15"}
    done = {
        number: boto.upload_part_copy(**copy, PartNumber=number, CopySourceRange=span, CopySourceIfMatch=etag)
        for number, span in ranges.items()
    }
    results = {number: answer["CopyPartResult"] for number, answer in done.items()}
    assert results[2]["ChecksumSHA256"] == b64sha256(b"abcdef")
    assert done[1]["CopySourceVersionId"] == s3.buckets[PROD].version("a b").version_id
    parts = [
        {"PartNumber": number, "ETag": result["ETag"], "ChecksumSHA256": result["ChecksumSHA256"]}
        for number, result in results.items()
    ]
    boto.complete_multipart_upload(**which, MultipartUpload={"Parts": parts})
    assert s3.buckets[LAKE].version("k").data == b"0123456789abcdef"
    again = begin(boto)
    other = again | {"CopySource": {"Bucket": PROD, "Key": "a b"}, "PartNumber": 1}
    assert code(boto.upload_part_copy, **other, CopySourceRange="bytes=10-16") == "InvalidArgument"
    assert code(boto.upload_part_copy, **other, CopySourceRange="bytes=10-") == "InvalidArgument"
    assert code(boto.upload_part_copy, **other, CopySourceIfMatch='"0"') == "PreconditionFailed"


def test_completing_refuses_what_does_not_fit(s3: LoopbackS3, boto: Any) -> None:
    which = begin(boto)
    first, second = upload(boto, which, 1, b"0123456789"), upload(boto, which, 2, b"short")
    third = upload(boto, which, 3, b"end")

    def completing(*parts: dict[str, Any], **arguments: Any) -> str:
        return code(boto.complete_multipart_upload, **which, MultipartUpload={"Parts": list(parts)}, **arguments)

    assert completing(first | {"ETag": '"0"'}) == "InvalidPart"
    assert completing(first, third | {"PartNumber": 4}) == "InvalidPart"
    assert completing(first | {"ChecksumSHA256": b64sha256(b"other")}) == "InvalidPart"
    assert completing({"PartNumber": 1, "ETag": first["ETag"]}) == "InvalidRequest"
    assert completing(third, first) == "InvalidPartOrder"
    assert completing(first, first) == "InvalidPartOrder"
    assert completing(first, second, third) == "EntityTooSmall"
    assert completing() == "MalformedXML"
    assert completing(first, third, ChecksumSHA256=b64sha256(b"other") + "-2") == "BadDigest"
    assert completing(first, third, MpuObjectSize=12) == "InvalidRequest"
    assert s3.snapshot_versions(LAKE) == {}
    boto.complete_multipart_upload(**which, MultipartUpload={"Parts": [first, third]}, MpuObjectSize=13)
    assert s3.buckets[LAKE].version("k").data == b"0123456789end"


def test_completing_has_conditions(s3: LoopbackS3, boto: Any) -> None:
    which = begin(boto)
    listed = {"MultipartUpload": {"Parts": [upload(boto, which, 1, b"new")]}}
    assert code(boto.complete_multipart_upload, **which, **listed, IfMatch='"0"') == "NoSuchKey"
    etag = boto.put_object(Bucket=LAKE, Key="k", Body=b"old")["ETag"]
    assert code(boto.complete_multipart_upload, **which, **listed, IfNoneMatch="*") == "PreconditionFailed"
    assert code(boto.complete_multipart_upload, **which, **listed, IfMatch='"0"') == "PreconditionFailed"
    assert s3.buckets[LAKE].version("k").data == b"old"
    boto.complete_multipart_upload(**which, **listed, IfMatch=etag)
    assert s3.buckets[LAKE].version("k").data == b"new"


def test_parts_have_to_bring_the_checksum_of_the_upload(boto: Any) -> None:
    which = begin(boto)
    crc = {"ChecksumAlgorithm": "CRC32"}
    assert code(boto.upload_part, **which, PartNumber=1, Body=b"x", **crc) == "InvalidRequest"
    wrong = {"ChecksumSHA256": b64sha256(b"other")}
    assert code(boto.upload_part, **which, PartNumber=1, Body=b"x", **wrong) == "BadDigest"
    assert code(boto.upload_part, **which, PartNumber=10_001, Body=b"x") == "InvalidArgument"
    kind = {"ChecksumAlgorithm": "SHA256", "ChecksumType": "FULL_OBJECT"}
    assert code(boto.create_multipart_upload, Bucket=LAKE, Key="k", **kind) == "InvalidRequest"


def test_uploads_under_way_are_listed_until_they_are_aborted(boto: Any) -> None:
    which = begin(boto)
    other = boto.create_multipart_upload(Bucket=LAKE, Key="a b")["UploadId"]
    parts = [upload(boto, which, number, b"0123456789") for number in (2, 1, 3)]
    found = boto.list_parts(**which, MaxParts=2)
    assert [(part["PartNumber"], part["Size"]) for part in found["Parts"]] == [(1, 10), (2, 10)]
    assert found["Parts"][1]["ETag"] == parts[0]["ETag"]
    assert found["Parts"][1]["ChecksumSHA256"] == b64sha256(b"0123456789")
    assert (found["IsTruncated"], found["NextPartNumberMarker"], found["ChecksumAlgorithm"]) == (True, 2, "SHA256")
    rest = boto.list_parts(**which, PartNumberMarker=2)
    assert [part["PartNumber"] for part in rest["Parts"]] == [3]
    listed = boto.list_multipart_uploads(Bucket=LAKE, MaxUploads=1)
    assert [(one["Key"], one["UploadId"]) for one in listed["Uploads"]] == [("a b", other)]
    marker = {"KeyMarker": listed["NextKeyMarker"], "UploadIdMarker": listed["NextUploadIdMarker"]}
    assert [one["Key"] for one in boto.list_multipart_uploads(Bucket=LAKE, **marker)["Uploads"]] == ["k"]
    assert [one["Key"] for one in boto.list_multipart_uploads(Bucket=LAKE, Prefix="k")["Uploads"]] == ["k"]
    boto.abort_multipart_upload(**which)
    assert code(boto.abort_multipart_upload, **which) == "NoSuchUpload"
    assert code(boto.upload_part, **which, PartNumber=1, Body=b"x") == "NoSuchUpload"
    boto.abort_multipart_upload(Bucket=LAKE, Key="a b", UploadId=other)
    assert "Uploads" not in boto.list_multipart_uploads(Bucket=LAKE)


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256", "SHA1"])
def test_the_transfer_manager_of_boto3(s3: LoopbackS3, boto: Any, tmp_path: Any, algorithm: str) -> None:
    (tmp_path / "sent").write_bytes(bytes(range(256)) * 50_000)
    parts = TransferConfig(multipart_threshold=5 * 1024**2, multipart_chunksize=5 * 1024**2, max_concurrency=4)
    boto.upload_file(tmp_path / "sent", LAKE, "k", Config=parts, ExtraArgs={"ChecksumAlgorithm": algorithm})
    boto.copy({"Bucket": LAKE, "Key": "k"}, PROD, "copy", Config=parts)
    boto.download_file(PROD, "copy", tmp_path / "got", Config=parts)
    assert (tmp_path / "got").read_bytes() == (tmp_path / "sent").read_bytes()
    assert {"UploadPart", "UploadPartCopy"} <= {call.operation for call in s3.calls}
    assert len(s3.buckets[LAKE].version("k").parts) == 3
