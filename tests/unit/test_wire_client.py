"""Addresses, retries and errors: as boto3 has them, with waits that nobody has to sit through."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch
from xml.etree.ElementTree import ParseError

import boto3
import pytest
from botocore.config import Config
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    NoCredentialsError,
    ReadTimeoutError,
)

from mlops_kit import __version__
from mlops_kit.wire import Wire, parse_xml
from tests.s3 import Fault, LoopbackS3
from tests.scripted import answer, answers, receive, serving
from tests.stores import IMPATIENT, LAKE, wire_of

KEYS = Credentials("a", "b")


def head(wire: Wire) -> Any:
    return wire.request("HeadObject", "HEAD", LAKE, "k")


def put(wire: Wire, body: bytes = b"body") -> Any:
    return wire.request("PutObject", "PUT", LAKE, "k", body=body)


@pytest.mark.parametrize(
    ("endpoint", "bucket", "host", "path"),
    [
        ("https://s3.eu-central-1.amazonaws.com", "lake", "lake.s3.eu-central-1.amazonaws.com", "/a/b"),
        ("https://s3.amazonaws.com", "lake", "lake.s3.amazonaws.com", "/a/b"),
        ("https://s3.cn-north-1.amazonaws.com.cn", "lake", "lake.s3.cn-north-1.amazonaws.com.cn", "/a/b"),
        ("https://s3.us-east-1.amazonaws.com", "dotted.lake", "s3.us-east-1.amazonaws.com", "/dotted.lake/a/b"),
        ("http://127.0.0.1:5000", "lake", "127.0.0.1:5000", "/lake/a/b"),
        ("http://localhost:80", "lake", "localhost", "/lake/a/b"),
        ("https://minio.example.com:9000", "lake", "minio.example.com:9000", "/lake/a/b"),
        ("http://[::1]:9000", "lake", "[::1]:9000", "/lake/a/b"),
        ("https://amazonaws.com.example.com", "lake", "amazonaws.com.example.com", "/lake/a/b"),
    ],
)
def test_buckets_are_in_the_host_name_at_aws_and_in_the_path_elsewhere(
    endpoint: str, bucket: str, host: str, path: str
) -> None:
    sent: list[str] = []

    def dial(self: Any, name: str) -> socket.socket:
        ours, theirs = socket.socketpair()
        theirs.sendall(answer())
        peers.append(theirs)
        return ours

    peers: list[socket.socket] = []
    with patch("mlops_kit.wire.route.Route.dial", dial):
        wire = Wire(endpoint, "us-east-1", KEYS)
        wire.request("GetObject", "GET", bucket, "a/b")
        sent = receive(peers[0])[0].split("\r\n")
        wire.close()
        peers[0].close()
    assert sent[0] == f"GET {path} HTTP/1.1"
    assert f"host:{host}" in sent
    assert f"user-agent: mlops-kit/{__version__}" in sent


def test_what_a_boto3_client_resolved_is_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:pass@proxy.example.com:3128")
    config = Config(
        connect_timeout=3, read_timeout=4, retries={"total_max_attempts": 2}, s3={"addressing_style": "path"}
    )
    s3: Any = boto3.client("s3", region_name="eu-west-1", config=config, verify=False)
    wire = Wire.of(s3)
    s3.close()
    assert wire.attempts == 2
    assert wire._signer.region == "eu-west-1"
    assert wire._route.proxy == "http://user:pass@proxy.example.com:3128"
    assert (wire._route.connect_timeout, wire._route.read_timeout) == (3, 4)
    assert wire._route.tls is not None
    assert not wire._route.tls.check_hostname
    assert wire._address("lake", "k")[1] == "/lake/k"


def test_who_needs_no_proxy_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com:3128")
    monkeypatch.setenv("NO_PROXY", ".amazonaws.com")
    s3: Any = boto3.client("s3", region_name="eu-west-1")
    assert Wire.of(s3)._route.proxy is None
    s3.close()


@pytest.mark.parametrize("kind", ["503", "500", "409", "reset", "timeout"])
def test_what_may_pass_is_tried_five_times_with_growing_random_waits(s3: LoopbackS3, kind: Any) -> None:
    waits: list[float] = []
    fault = Fault(kind, times=4)
    s3.faults.append(fault)
    wire = wire_of(s3, sleep=waits.append, jitter=lambda: 0.5, read_timeout=IMPATIENT)
    put(wire)
    assert waits == [0.5, 1.0, 2.0, 4.0]
    assert len(s3.calls) == 5
    assert s3.buckets[LAKE].current("k") is not None

    wire.close()  # a reset on a connection that was used before is not counted
    s3.forget()
    s3.faults.append(Fault(kind, times=None))
    with pytest.raises((ClientError, ConnectionClosedError, ReadTimeoutError)):
        put(wire)
    assert len(s3.calls) == 5
    wire.close()


def test_waits_end_at_twenty_seconds(s3: LoopbackS3) -> None:
    waits: list[float] = []
    s3.faults.append(Fault("503", times=None))
    wire = wire_of(s3, sleep=waits.append, jitter=lambda: 1.0, attempts=8)
    with pytest.raises(ClientError) as caught:
        put(wire)
    assert waits == [1, 2, 4, 8, 16, 20, 20]
    assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 7
    wire.close()


@pytest.mark.parametrize(("kind", "code"), [("expired", "ExpiredToken"), ("denied", "AccessDenied")])
def test_what_would_not_pass_is_not_repeated(s3: LoopbackS3, kind: Any, code: str) -> None:
    s3.faults.append(Fault(kind, times=None))
    wire = wire_of(s3)
    with pytest.raises(ClientError) as caught:
        put(wire)
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.operation_name == "PutObject"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)
    assert len(s3.calls) == 1
    wire.close()


@pytest.mark.parametrize(
    "body",
    [
        b"<Error><Code>SlowDown</Code></Error>",
        b"   \n<?xml version='1.0'?><Error><Code>InternalError</Code></Error>",
        b"",
        b"   ",
        b"<CopyObjectResult><ETag>",
    ],
)
def test_a_failure_after_status_200_is_a_failure(body: bytes) -> None:
    done = b"  <?xml version='1.0' ?>\n<CopyObjectResult><ETag>x</ETag></CopyObjectResult>\n"
    with serving(answers(answer(body), answer(done))) as port:
        wire = Wire(f"http://127.0.0.1:{port}", "us-east-1", KEYS, sleep=lambda _: None)
        found = wire.request("CopyObject", "PUT", "b", "k")
        wire.close()
    assert parse_xml(found.body).findtext("ETag") == "x"


@pytest.mark.parametrize(
    ("status", "code"), [("404 Not Found", "404"), ("403 Forbidden", "403"), ("412 Precondition Failed", "412")]
)
def test_head_gives_the_bare_status_as_code(status: str, code: str) -> None:
    with serving(answers(f"HTTP/1.1 {status}\r\ncontent-length: 300\r\n\r\n".encode())) as port:
        wire = Wire(f"http://127.0.0.1:{port}", "us-east-1", KEYS)
        with pytest.raises(ClientError) as caught:
            head(wire)
        wire.close()
    assert caught.value.response["Error"] == {"Code": code, "Message": status[4:]}


def test_a_page_of_something_else_is_an_error_with_its_status() -> None:
    page = b"<!DOCTYPE html><html><Error><Code>NoSuchKey</Code></Error></html>"
    with serving(answers(answer(page, "404 Not Found"))) as port:
        wire = Wire(f"http://127.0.0.1:{port}", "us-east-1", KEYS)
        with pytest.raises(ClientError) as caught:
            put(wire)
        wire.close()
    assert caught.value.response["Error"]["Code"] == "404"


@pytest.mark.parametrize("text", ['<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "<a>", "", "<a/>\0"])
def test_documents_that_s3_does_not_send_are_refused(text: str) -> None:
    with pytest.raises(ParseError):
        parse_xml(text.encode())
    with pytest.raises(ParseError):
        parse_xml(text.encode("utf-16"))


def test_credentials_are_asked_for_with_each_attempt(s3: LoopbackS3) -> None:
    class Rotating:
        count = 0

        def get_frozen_credentials(self) -> ReadOnlyCredentials:
            self.count += 1
            return ReadOnlyCredentials(f"{self.count:012d}", "secret", f"token {self.count}")

    seen: list[tuple[str, str]] = []

    def look(request: Any) -> bool:
        seen.append((request.account, request.headers["x-amz-security-token"]))
        return True

    s3.faults.append(Fault("500", times=1, when=look))
    wire = Wire(s3.url, "us-east-1", Rotating(), sleep=lambda _: None)
    put(wire)
    wire.close()
    assert seen == [("000000000001", "token 1"), ("000000000002", "token 2")]


def test_nobody_s_credentials_are_an_error() -> None:
    with pytest.raises(NoCredentialsError):
        put(Wire("http://127.0.0.1:1", "us-east-1", None))


def test_a_host_that_does_not_let_in_is_a_connect_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(address: Any, timeout: float) -> socket.socket:
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", never)
    with pytest.raises(ConnectTimeoutError):
        put(Wire("http://127.0.0.1:1", "us-east-1", KEYS, sleep=lambda _: None))


def test_a_wire_that_is_no_longer_used_closes_its_connections(s3: LoopbackS3) -> None:
    wire = wire_of(s3)
    put(wire)
    (connection,) = wire._idle["127.0.0.1"]
    del wire
    assert connection._sock.fileno() == -1


def test_idle_connections_that_were_closed_are_noticed_before_they_are_used(s3: LoopbackS3, clock: Any) -> None:
    wire = wire_of(s3)
    put(wire)
    (connection,) = wire._idle["127.0.0.1"]
    s3.stop()
    s3.start()
    clock(time.monotonic() + 60)
    put(wire)
    assert connection._sock.fileno() == -1
    assert connection not in wire._idle["127.0.0.1"]
    wire.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time that connections go by."""

    def set_to(now: float) -> None:
        monkeypatch.setattr("mlops_kit.wire.connection.time.monotonic", lambda: now)

    return set_to
