"""The loopback S3 on the wire: bodies in every encoding, broken requests, its start and end, and its STS."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import zlib
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.s3 import Call, Fault, LoopbackS3
from tests.s3.clients import Wire, client

LAKE = "acme-dev-lake"
ROOT = Path(__file__).parents[2]
CRC = b64encode(zlib.crc32(b"hello world").to_bytes(4, "big")).decode()
SIGNED = b"5;chunk-signature=00\r\nhello\r\n6;chunk-signature=11\r\n world\r\n0;chunk-signature=22\r\n\r\n"
TRAILED = f"5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:{CRC}\r\n\r\n".encode()


@pytest.fixture
def s3() -> Iterator[LoopbackS3]:
    with LoopbackS3({LAKE: "111111111111"}) as server:
        yield server


@pytest.fixture
def wire(s3: LoopbackS3) -> Iterator[Wire]:
    with Wire(s3) as made:
        yield made


def stored(s3: LoopbackS3, key: str = "k") -> bytes:
    return s3.buckets[LAKE].version(key).data


def test_signed_chunks(s3: LoopbackS3, wire: Wire) -> None:
    streaming = {"x_amz_content_sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "x_amz_decoded_content_length": "11"}
    assert wire.ask("PUT", f"/{LAKE}/k", SIGNED, content_encoding="aws-chunked,gzip", **streaming)[0] == 200
    assert stored(s3) == b"hello world"
    assert wire.ask("GET", f"/{LAKE}/k")[1]["content-encoding"] == "gzip"
    status, _, body = wire.ask("PUT", f"/{LAKE}/k", SIGNED, **streaming | {"x_amz_decoded_content_length": "12"})
    assert (status, b"IncompleteBody" in body) == (400, True)


@pytest.mark.parametrize("encoded", [True, False], ids=["chunked twice", "of known length"])
def test_unsigned_chunks_with_a_checksum_behind(s3: LoopbackS3, wire: Wire, encoded: bool) -> None:
    streaming = {"x_amz_content_sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x_amz_trailer": "x-amz-checksum-crc32"}
    streaming["content_encoding"] = "aws-chunked"
    wrong = TRAILED.replace(b"world", b"earth")
    if encoded:
        streaming["transfer_encoding"] = "chunked"
        trailed, wrong = (b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) for body in (TRAILED, wrong))
    else:
        trailed = TRAILED
    status, headers, _ = wire.ask("PUT", f"/{LAKE}/k", trailed, **streaming)
    assert (status, headers["x-amz-checksum-crc32"]) == (200, CRC)
    assert stored(s3) == b"hello world"
    assert "content-encoding" not in wire.ask("GET", f"/{LAKE}/k")[1]
    status, _, body = wire.ask("PUT", f"/{LAKE}/k", wrong, **streaming)
    assert (status, b"BadDigest" in body) == (400, True)


def test_boto3_sends_streams_it_cannot_rewind(s3: LoopbackS3) -> None:
    with client(s3) as boto, open(os.devnull, "rb") as nothing:  # noqa: PTH123 - as a caller would
        boto.put_object(Bucket=LAKE, Key="k", Body=nothing)
    assert stored(s3) == b""


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_requests_may_come_in_any_pieces(s3: LoopbackS3, wire: Wire, size: int) -> None:
    body = b"6\r\nhello \r\n5;x=y\r\nworld\r\n0\r\nx: y\r\n\r\n"
    head = f"PUT /{LAKE}/k HTTP/1.1\r\nAuthorization: AWS\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    plain = f"PUT /{LAKE}/plain HTTP/1.1\r\nAuthorization: AWS\r\nContent-Length: 5\r\n\r\nplain".encode()
    wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sent = head + body + plain + plain
    for start in range(0, len(sent), size):
        wire.socket.sendall(sent[start : start + size])
    assert [wire.answer()[0] for _ in range(3)] == [200, 200, 200]
    assert (stored(s3), stored(s3, "plain")) == (b"hello world", b"plain")


def test_a_client_that_waits_for_100_is_told_to_go_on(s3: LoopbackS3, wire: Wire) -> None:
    wire.send("PUT", f"/{LAKE}/k", length=4, expect="100-continue")
    assert wire.answer()[0] == 100
    wire.socket.sendall(b"body")
    assert wire.answer()[0] == 200
    assert stored(s3) == b"body"


def test_many_requests_use_one_connection(s3: LoopbackS3, wire: Wire) -> None:
    for number in range(50):
        assert wire.ask("PUT", f"/{LAKE}/{number}", bytes(number))[0] == 200
    assert len(s3.connections) == 1
    assert wire.ask("GET", f"/{LAKE}/7", connection="close")[1]["connection"] == "close"
    assert wire.socket.recv(1) == b""


def test_a_client_that_reads_slowly_gets_everything(s3: LoopbackS3, wire: Wire) -> None:
    data = os.urandom(12_000_000)
    s3.buckets[LAKE].put("k", data)
    wire.send("GET", f"/{LAKE}/k")
    with Wire(s3) as other:  # while the first answer is stuck
        assert other.ask("PUT", f"/{LAKE}/other", b"1")[0] == 200
    waiting = [connection.transport.get_write_buffer_size() for connection in s3.connections if connection.transport]
    assert max(waiting) < 2_000_000  # the rest is not copied before it can be sent
    assert wire.answer()[2] == data
    assert wire.ask("HEAD", f"/{LAKE}/absent")[0] == 404


def test_what_is_no_request_is_refused(s3: LoopbackS3) -> None:
    with Wire(s3) as wire:
        wire.socket.sendall(b"nonsense\r\n\r\n")
        assert wire.answer()[0] == 400
    with Wire(s3) as wire:
        assert wire.ask("GET", "/", authorization="")[0] == 403
        status, _, body = wire.ask("PUT", f"/{LAKE}/{'k' * 1025}", b"1")
        assert (status, b"KeyTooLongError" in body) == (400, True)
        status, _, body = wire.ask("PUT", f"/{LAKE}/%FF", b"1")
        assert (status, b"InvalidURI" in body) == (400, True)
        assert wire.ask("PATCH", f"/{LAKE}/k")[0] == 501
        assert wire.ask("POST", f"/{LAKE}/k?uploadId=1", b"<not xml")[0] == 404
        assert wire.ask("PUT", f"/{LAKE}/{'k' * 1024}", b"1")[0] == 200
    with Wire(s3) as wire, pytest.raises(ConnectionError):
        wire.ask("GET", "/", x=("x" * 70_000))


def test_calls_are_recorded_in_order(s3: LoopbackS3) -> None:
    with client(s3) as boto:
        boto.put_object(Bucket=LAKE, Key="a/b", Body=b"")
        boto.list_objects_v2(Bucket=LAKE)
        with pytest.raises(ClientError):
            boto.get_object(Bucket=LAKE, Key="absent")
    assert s3.calls == [
        Call(0, "PutObject", LAKE, "a/b", 200),
        Call(1, "ListObjectsV2", LAKE, "", 200),
        Call(2, "GetObject", LAKE, "absent", 404),
    ]
    s3.forget()
    assert s3.calls == []


def test_sts_tells_accounts_apart(s3: LoopbackS3) -> None:
    with client(s3, "333333333333", service="sts") as sts:
        assert sts.get_caller_identity()["Account"] == "333333333333"
        role = {"RoleArn": "arn:aws:iam::444444444444:role/path/reader", "RoleSessionName": "me"}
        assumed = sts.assume_role(**role)
        assert assumed["Credentials"]["AccessKeyId"] == "444444444444"
        assert assumed["AssumedRoleUser"]["Arn"] == "arn:aws:sts::444444444444:assumed-role/reader/me"
        left = assumed["Credentials"]["Expiration"] - datetime.now(UTC)
        assert timedelta(minutes=50) < left <= timedelta(hours=1)
        with pytest.raises(ClientError, match="InvalidArgument"):
            sts.assume_role(RoleArn="arn:aws:iam::444444444444:user/me", RoleSessionName="me")
        with pytest.raises(ClientError, match="NotImplemented"):
            sts.get_session_token()
    with client(s3, "testing", service="sts") as sts:
        assert sts.get_caller_identity()["Account"] == "111111111111"


def test_it_leaves_no_thread_and_no_socket_behind() -> None:
    before = set(threading.enumerate())
    s3 = LoopbackS3({LAKE: "111111111111"})
    with s3, Wire(s3) as idle, Wire(s3) as hanging, Wire(s3) as reading:
        s3.buckets[LAKE].put("k", bytes(20_000_000))
        idle.ask("GET", "/")
        s3.faults.append(Fault("timeout", operation="ListBuckets"))
        hanging.send("GET", "/")
        reading.send("GET", f"/{LAKE}/k")
        reading.socket.recv(1)
        s3.stop()
        assert set(threading.enumerate()) == before
        with pytest.raises(OSError, match="refused"):
            Wire(s3)
        s3.stop()
    assert not s3.connections
    gc.collect()  # what was left open would warn, and warnings are errors


def test_it_starts_again_on_the_same_port_with_what_it_held() -> None:
    s3 = LoopbackS3({LAKE: "111111111111"})
    with s3, Wire(s3) as wire:
        wire.ask("PUT", f"/{LAKE}/k", b"1")
    url = s3.url
    with s3, Wire(s3) as wire:
        assert s3.url == url
        assert wire.ask("GET", f"/{LAKE}/k")[2] == b"1"
        with pytest.raises(OSError, match="in use"), LoopbackS3({}, port=s3.port):
            pass
        with pytest.raises(RuntimeError, match="runs already"):
            s3.start()


def test_a_mistake_of_the_server_is_not_hidden() -> None:
    def mistake(request: object) -> bool:
        raise ZeroDivisionError

    s3 = LoopbackS3({LAKE: "111111111111"})
    s3.faults.append(Fault("503", when=mistake))
    s3.start()
    with Wire(s3) as wire, pytest.raises(ConnectionError):
        wire.ask("GET", "/")
    with pytest.raises(ZeroDivisionError):
        s3.__exit__(None, None, None)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_as_a_process(ending: signal.Signals) -> None:
    command = [sys.executable, "-m", "tests.s3", "--bucket", f"{LAKE}:111111111111", "--latency", "0.001"]
    process: Any = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line.startswith("http://127.0.0.1:")
        elsewhere = LoopbackS3({}, port=int(line.rpartition(":")[2]))  # only for where it is
        with client(elsewhere) as boto:
            boto.put_object(Bucket=LAKE, Key="k", Body=b"1")
            assert boto.get_object(Bucket=LAKE, Key="k")["Body"].read() == b"1"
    finally:
        process.send_signal(ending)
        rest = process.communicate(timeout=60)[0]
    assert (process.returncode, rest) == (0, "")
