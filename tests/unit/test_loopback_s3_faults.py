"""Each fault of the loopback S3: what its client sees, and what is done all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    FlexibleChecksumError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from tests.s3 import Fault, LoopbackS3
from tests.s3.clients import Wire, client
from tests.s3.faults import Kind

LAKE = "acme-dev-lake"


@pytest.fixture
def s3() -> Iterator[LoopbackS3]:
    with LoopbackS3({LAKE: "111111111111"}) as server:
        yield server


@pytest.fixture
def boto(s3: LoopbackS3) -> Iterator[Any]:
    with client(s3) as made:
        yield made


def copying(boto: Any) -> Any:
    return boto.copy_object(Bucket=LAKE, Key="copy", CopySource={"Bucket": LAKE, "Key": "k"})


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("503", 503, "SlowDown"),
        ("500", 500, "InternalError"),
        ("409", 409, "ConditionalRequestConflict"),
        ("expired", 400, "ExpiredToken"),
        ("denied", 403, "AccessDenied"),
    ],
)
def test_errors_do_nothing(s3: LoopbackS3, boto: Any, kind: Kind, status: int, code: str) -> None:
    s3.faults.append(Fault(kind))
    with pytest.raises(ClientError) as caught:
        boto.put_object(Bucket=LAKE, Key="k", Body=b"1")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert caught.value.response["Error"]["Code"] == code
    assert s3.snapshot(LAKE) == {}
    assert [call.status for call in s3.calls] == [status]
    boto.put_object(Bucket=LAKE, Key="k", Body=b"1")


def test_an_error_can_come_with_status_200(s3: LoopbackS3, boto: Any) -> None:
    s3.faults.append(Fault("200-error"))
    boto.put_object(Bucket=LAKE, Key="k", Body=b"1")
    with pytest.raises(ClientError, match="InternalError"):
        copying(boto)
    assert (s3.calls[-1].operation, s3.calls[-1].status) == ("CopyObject", 200)
    assert list(s3.snapshot(LAKE)) == ["k"]
    upload = boto.create_multipart_upload(Bucket=LAKE, Key="parts")["UploadId"]
    which = {"Bucket": LAKE, "Key": "parts", "UploadId": upload}
    part = boto.upload_part(**which, PartNumber=1, Body=b"1")
    listed = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"], "ChecksumCRC32": part["ChecksumCRC32"]}]}
    s3.faults.append(Fault("200-error"))
    with pytest.raises(ClientError, match="InternalError"):
        boto.complete_multipart_upload(**which, MultipartUpload=listed)
    boto.complete_multipart_upload(**which, MultipartUpload=listed)


@pytest.mark.parametrize(
    ("kind", "error", "done"),
    [
        ("timeout", ReadTimeoutError, False),
        ("timeout-after", ReadTimeoutError, True),
        ("reset", ConnectionClosedError, False),
        ("lost", ConnectionClosedError, True),
        ("crash-before", ConnectionClosedError, False),
        ("crash-after", ConnectionClosedError, True),
    ],
)
def test_no_answer(s3: LoopbackS3, kind: Kind, error: type[BotoCoreError], done: bool) -> None:
    seen: list[dict[str, str]] = []
    s3.faults.append(Fault(kind, callback=lambda: seen.append(s3.snapshot(LAKE))))
    with client(s3, timeout=0.5) as boto, pytest.raises(error):
        boto.put_object(Bucket=LAKE, Key="k", Body=b"1")
    assert list(s3.snapshot(LAKE)) == (["k"] if done else [])
    assert [(call.operation, call.status) for call in s3.calls] == [("PutObject", None)]
    assert [list(keys) for keys in seen] == ([["k"] if done else []] if kind.startswith("crash") else [])


def test_a_reset_is_one(s3: LoopbackS3) -> None:
    s3.faults.append(Fault("reset"))
    with Wire(s3) as wire, pytest.raises(ConnectionResetError):
        wire.ask("GET", "/")


@pytest.mark.parametrize("size", [100, 3_000_000])
def test_a_body_can_end_early(s3: LoopbackS3, boto: Any, size: int) -> None:
    s3.buckets[LAKE].put("k", bytes(size))
    s3.faults.append(Fault("truncated"))
    body = boto.get_object(Bucket=LAKE, Key="k")["Body"]
    with pytest.raises(ResponseStreamingError):
        body.read()
    assert boto.get_object(Bucket=LAKE, Key="k")["Body"].read() == bytes(size)


def test_a_body_can_be_wrong_in_one_byte(s3: LoopbackS3, boto: Any) -> None:
    boto.put_object(Bucket=LAKE, Key="k", Body=bytes(100), ChecksumAlgorithm="SHA256")
    s3.faults.append(Fault("corrupt", times=2))
    with client(s3) as other:
        plain = other.get_object(Bucket=LAKE, Key="k", Range="bytes=0-99")["Body"].read()
    assert [byte for byte in plain if byte] == [1]
    assert len(plain) == 100
    with pytest.raises(FlexibleChecksumError):
        boto.get_object(Bucket=LAKE, Key="k", ChecksumMode="ENABLED")["Body"].read()
    assert boto.get_object(Bucket=LAKE, Key="k")["Body"].read() == bytes(100)


def test_somebody_else_can_be_faster(s3: LoopbackS3, boto: Any) -> None:
    s3.faults.append(Fault("before", operation="PutObject", callback=lambda: s3.buckets[LAKE].put("k", b"theirs")))
    with pytest.raises(ClientError, match="PreconditionFailed"):
        boto.put_object(Bucket=LAKE, Key="k", Body=b"mine", IfNoneMatch="*")
    assert s3.buckets[LAKE].version("k").data == b"theirs"
    s3.faults.append(Fault("after", operation="PutObject", callback=lambda: s3.buckets[LAKE].overwrite("k", b"rot")))
    boto.put_object(Bucket=LAKE, Key="k", Body=b"mine")
    with pytest.raises(FlexibleChecksumError):
        boto.get_object(Bucket=LAKE, Key="k")["Body"].read()


def outcomes(count: int, call: Callable[[int], object]) -> list[bool]:
    """Whether each of ``count`` calls came through."""
    found = []
    for number in range(count):
        try:
            call(number)
            found.append(True)
        except ClientError:
            found.append(False)
    return found


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault("503"), [False, True, True, True, True]),
        (Fault("503", nth=3), [True, True, False, True, True]),
        (Fault("503", nth=2, times=2), [True, False, False, True, True]),
        (Fault("503", nth=2, times=None), [True, False, False, False, False]),
        (Fault("503", operation="GetObject"), [True] * 5),
        (Fault("503", operation="PutObject", nth=5), [True, True, True, True, False]),
        (Fault("503", when=lambda request: request.key in "13", times=None), [True, False, True, False, True]),
        (Fault("503", when=lambda request: request.key in "13", nth=2), [True, True, True, False, True]),
    ],
    ids=["first", "third", "second and third", "from second", "other operation", "operation", "when", "second when"],
)
def test_which_calls_meet_a_fault(s3: LoopbackS3, boto: Any, fault: Fault, expected: list[bool]) -> None:
    s3.faults.append(fault)
    assert outcomes(5, lambda number: boto.put_object(Bucket=LAKE, Key=str(number), Body=b"")) == expected
    assert fault.struck == expected.count(False)
    assert sorted(s3.snapshot(LAKE)) == [str(number) for number, ok in enumerate(expected) if ok]


def test_each_fault_counts_for_itself(s3: LoopbackS3, boto: Any) -> None:
    s3.faults += [Fault("503", nth=1), Fault("503", nth=3)]
    assert outcomes(4, lambda _: boto.put_object(Bucket=LAKE, Key="k", Body=b"")) == [False, True, False, True]


def test_a_client_that_tries_again_comes_through(s3: LoopbackS3) -> None:
    s3.faults += [Fault("lost", nth=1), Fault("500", nth=2)]
    with client(s3, attempts=3) as boto:
        boto.put_object(Bucket=LAKE, Key="k", Body=b"1")
    assert [call.status for call in s3.calls] == [None, 500, 200]
    assert len(s3.buckets[LAKE].versions("k")) == 2


def test_a_hanging_call_holds_up_nobody_else(s3: LoopbackS3, boto: Any) -> None:
    s3.faults.append(Fault("timeout", operation="ListBuckets"))
    with Wire(s3) as wire:
        wire.send("GET", "/")
        boto.put_object(Bucket=LAKE, Key="k", Body=b"1")
        boto.head_object(Bucket=LAKE, Key="k")
        found = {call.operation: call.status for call in s3.calls}
    assert found == {"ListBuckets": None, "PutObject": 200, "HeadObject": 200}


def test_latency_is_waited_for_side_by_side() -> None:
    arrived: list[int] = []
    with LoopbackS3({LAKE: "111111111111"}, latency=1.0) as s3:
        s3.faults.append(Fault("after", callback=lambda: arrived.extend([len(s3.calls)])))
        with Wire(s3) as one, Wire(s3) as two:
            one.send("GET", "/")
            two.send("GET", "/")
            assert (one.answer()[0], two.answer()[0]) == (200, 200)
    assert arrived == [2]
