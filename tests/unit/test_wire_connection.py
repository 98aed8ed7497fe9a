"""HTTP/1.1 as it may come over the wire: in any framing, in any pieces, too early, too late, or not to its end."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from mlops_kit.errors import IntegrityError
from mlops_kit.wire import Answer, FileSlice, Wire
from mlops_kit.wire.receiving import MAX_HEAD, PIECE
from tests.scripted import answer, answers, receive, reset, serving
from tests.stores import IMPATIENT

REFUSED = b"<Error><Code>PreconditionFailed</Code><Message>no</Message><Condition>If-None-Match</Condition></Error>"
BIG = os.urandom(40 * PIECE + 77)  # more than any socket buffers


@pytest.fixture
def to() -> Iterator[Any]:
    """Makes wires to a port that try once and wait shortly, and closes them."""
    made: list[Wire] = []

    def make(port: int, **options: Any) -> Wire:
        defaults: dict[str, Any] = {"attempts": 1, "read_timeout": 10.0, "sleep": lambda _: None}
        url = f"http://127.0.0.1:{port}"
        made.append(Wire(url, "us-east-1", Credentials("a", "b"), **{**defaults, **options}))
        return made[-1]

    yield make
    for wire in made:
        wire.close()


def get(wire: Wire, **options: Any) -> Answer:
    return wire.request("GetObject", "GET", "bucket", "key", **options)


def put(wire: Wire, body: bytes | FileSlice) -> Answer:
    return wire.request("PutObject", "PUT", "bucket", "key", body=body)


class Collecting:
    """A sink that starts anew with every attempt."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.begun = 0

    def asks(self) -> Mapping[str, str]:
        return {}

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.begun += 1
        self.pieces.clear()

    def write(self, piece: memoryview) -> None:
        self.pieces.append(bytes(piece))

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)


def in_chunks(body: bytes, *sizes: int) -> bytes:
    """``body`` in chunks of these sizes, the last one of what is left, with an extension and a trailer."""
    framed, start = b"", 0
    for size in (*sizes, len(body) - sum(sizes)):
        framed += f"{size:X};name=value\r\n".encode() + body[start : start + size] + b"\r\n"
        start += size
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\nx-trailer: 1\r\n\r\n"


@pytest.mark.parametrize(
    "text",
    [
        answer(b"body of it"),
        in_chunks(b"body of it", 1, 4),
        b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"body of it"),
        b"HTTP/1.1 200 OK\r\n\r\nbody of it",
        b"HTTP/1.0 200 OK\r\ncontent-length: 10\r\n\r\nbody of it",
    ],
    ids=["length", "chunks", "continue", "until closed", "old"],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["memory", "sink"])
@pytest.mark.parametrize("torn", [False, True], ids=["whole", "byte by byte"])
def test_every_framing_is_understood(text: bytes, streamed: bool, torn: bool, to: Any) -> None:
    def handle(connection: socket.socket) -> None:
        receive(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(len(text)) if torn else [0]:
            connection.sendall(text[start : start + 1] if torn else text)

    with serving(handle) as port:
        sink = Collecting()
        found = get(to(port), sink=sink if streamed else None)
    assert (found.status, sink.body if streamed else found.body) == (200, b"body of it")


@pytest.mark.parametrize("streamed", [False, True], ids=["memory", "sink"])
@pytest.mark.parametrize("text", [answer(BIG), in_chunks(BIG, 1, PIECE, 3 * PIECE + 1)], ids=["length", "chunks"])
def test_long_answers_come_in_pieces_no_longer_than_the_room(text: bytes, streamed: bool, to: Any) -> None:
    with serving(answers(text)) as port:
        sink = Collecting()
        found = get(to(port), sink=sink if streamed else None)
    assert (sink.body if streamed else found.body) == BIG
    assert all(len(piece) <= PIECE for piece in sink.pieces)


def test_a_connection_carries_one_request_after_the_other(to: Any) -> None:
    with serving(answers(answer(b"1"), in_chunks(b"22"), answer(b"333"))) as port:
        wire = to(port)
        assert [get(wire).body for _ in range(3)] == [b"1", b"22", b"333"]


def test_a_connection_that_is_announced_to_close_is_not_used_again(to: Any) -> None:
    closing = answer(b"1", "200 OK", "Connection: close")
    with serving(answers(closing, b"never sent"), answers(answer(b"2"))) as port:
        wire = to(port)
        assert [get(wire).body, get(wire).body] == [b"1", b"2"]


@pytest.mark.parametrize("how", [reset, socket.socket.close])
def test_a_connection_that_went_stale_is_replaced_at_once(how: Any, to: Any) -> None:
    def once(connection: socket.socket) -> None:
        receive(connection)
        connection.sendall(answer(b"1"))
        how(connection)

    with serving(once, answers(answer(b"2"))) as port:
        wire = to(port, attempts=1)
        assert [get(wire).body, get(wire).body] == [b"1", b"2"]


def test_more_than_was_asked_for_ends_the_connection(to: Any) -> None:
    with serving(answers(answer(b"1") + answer(b"smuggled")), answers(answer(b"2"))) as port:
        wire = to(port)
        assert [get(wire).body, get(wire).body] == [b"1", b"2"]


@pytest.mark.parametrize(
    "text",
    [
        answer(b"body")[:-1],
        in_chunks(b"body")[:-1],
        in_chunks(b"body").replace(b"4;name", b"3;name"),
        in_chunks(b"body").replace(b"4;name", b"x;name"),
        answer(b"")[:-1],
        b"",
        b"SSH-2.0\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"x" * MAX_HEAD + b"x" * 32768,
    ],
    ids=["body", "chunk", "chunk size", "no size", "head", "nothing", "other", "status", "length", "endless head"],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["memory", "sink"])
def test_an_answer_that_breaks_off_or_makes_no_sense_is_no_answer(text: bytes, streamed: bool, to: Any) -> None:
    with serving(answers(text)) as port, pytest.raises(ConnectionClosedError):
        get(to(port), sink=Collecting() if streamed else None)


def test_a_sink_is_begun_again_with_each_attempt(to: Any) -> None:
    sink = Collecting()
    with serving(
        answers(answer(b"body")[:-1]), answers(answer(b"", "503 Slow Down")), answers(answer(b"body"))
    ) as port:
        get(to(port, attempts=3), sink=sink)
    assert (sink.begun, sink.body) == (2, b"body")


def test_silence_ends_with_the_read_timeout(to: Any) -> None:
    with serving(receive_until_closed) as port, pytest.raises(ReadTimeoutError):
        get(to(port, read_timeout=IMPATIENT))


def test_nobody_there_is_an_endpoint_that_cannot_be_reached(to: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(EndpointConnectionError):
        get(to(port))


def big_file(path: Path) -> FileSlice:
    path.write_bytes(BIG)
    return FileSlice(path, 0, len(BIG), hashlib.sha256(BIG).hexdigest())


@pytest.mark.parametrize("from_file", [False, True], ids=["memory", "file"])
@pytest.mark.parametrize("waits", [False, True], ids=["cuts", "stops reading"])
def test_a_refusal_that_comes_before_the_body_is_read_is_heard(
    from_file: bool, waits: bool, to: Any, tmp_path: Path
) -> None:
    heard = threading.Event()

    def refuse(connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(answer(REFUSED, "412 Precondition Failed", "Connection: close"))
        if waits:
            heard.wait(30)
        reset(connection)

    body = big_file(tmp_path / "f") if from_file else BIG
    with serving(refuse) as port:
        with pytest.raises(ClientError) as caught:
            put(to(port), body)
        heard.set()
    assert caught.value.response["Error"]["Code"] == "PreconditionFailed"


@pytest.mark.parametrize("from_file", [False, True], ids=["memory", "file"])
def test_a_long_body_arrives_and_again_from_its_start(from_file: bool, to: Any, tmp_path: Path) -> None:
    received: list[bytes] = []

    def take(text: bytes) -> Any:
        def handle(connection: socket.socket) -> None:
            received.append(receive(connection)[1])
            connection.sendall(text)

        return handle

    told: list[int] = []
    body: bytes | FileSlice = BIG
    if from_file:
        body = big_file(tmp_path / "f")
        body.on_bytes = told.append
    with serving(take(answer(b"", "500 Internal Server Error", "Connection: close")), take(answer())) as port:
        put(to(port, attempts=2), body)
    assert received == [BIG, BIG]
    assert sum(told) == (len(BIG) if from_file else 0), "what had to travel again was taken back"


def test_a_part_of_a_file_is_sent_as_that_part(to: Any, tmp_path: Path) -> None:
    received: list[bytes] = []

    def handle(connection: socket.socket) -> None:
        received.append(receive(connection)[1])
        connection.sendall(answer())

    big_file(tmp_path / "f")
    part = BIG[1000 : 1000 + PIECE + 5]
    with serving(handle) as port:
        put(to(port), FileSlice(tmp_path / "f", 1000, len(part), hashlib.sha256(part).hexdigest()))
    assert received == [part]


def test_a_file_that_became_shorter_is_not_waited_for(to: Any, tmp_path: Path) -> None:
    body = big_file(tmp_path / "f")
    (tmp_path / "f").write_bytes(BIG[:-1])
    with serving(receive_until_closed) as port, pytest.raises(IntegrityError, match="changed while it was being read"):
        put(to(port), body)


def receive_until_closed(connection: socket.socket) -> None:
    while connection.recv(PIECE):
        pass
