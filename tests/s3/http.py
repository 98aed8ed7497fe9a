"""HTTP/1.1 by hand, one connection: requests in, answers out, and the ways in which a connection fails.

Written for speed: a body is received straight into the one buffer that then is the object's content, and sent from it
in pieces, each when the socket has taken the one before.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from enum import Enum, auto
from http import HTTPStatus
from typing import Protocol

from tests.s3 import chunked, faults
from tests.s3.content import Buffer, Content
from tests.s3.errors import S3Error
from tests.s3.faults import Fault
from tests.s3.messages import Answer, Call, Request, chunks_of, refusal, target

ROOM = 64 * 1024  # for the head of a request and what comes with it
PIECE = 1024 * 1024
REASONS = {status.value: status.phrase for status in HTTPStatus}
LINGER_NOT = struct.pack("ii", 1, 0)


class Service(Protocol):
    """What is behind the connections."""

    connections: set[Connection]
    latency: float

    @property
    def max_body(self) -> int: ...

    def arrived(self, request: Request) -> tuple[Call, Fault | None]:
        """Take note of a request: the record of it, and the fault that it meets."""

    def serve(self, call: Call, request: Request, fault: Fault | None) -> Answer:
        """Do what is asked for, as far as the fault lets it be done."""

    def common_headers(self) -> str:
        """Lines of the head of every answer."""


class State(Enum):
    HEAD = auto()  # waits for the head of a request
    BODY = auto()  # waits for the rest of a body of known length
    CHUNKS = auto()  # waits for the rest of a body in chunks
    DISCARD = auto()  # reads on over a body that is too large
    BUSY = auto()  # the request is here, the answer is not sent
    SILENT = auto()  # there will be no answer


class Connection(asyncio.BufferedProtocol):
    """One client's connection."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.transport: asyncio.Transport | None = None
        self.state = State.HEAD
        self.room = bytearray(ROOM)
        self.view = memoryview(self.room)
        self.filled = 0
        self.body = memoryview(b"")
        self.received = 0
        self.left = 0  # of a body that is discarded
        self.chunks = chunked.TransferChunks()
        self.request = Request("", "", "", {}, {})
        self.last = False  # the connection is closed after this answer
        self.pieces: Iterator[Buffer] = iter(())
        self.paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.service.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        self.pieces = iter(())
        self.service.connections.discard(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        if self.state is State.BODY:
            return self.body[self.received :]
        if self.state in (State.DISCARD, State.CHUNKS, State.SILENT):
            return self.view
        return self.view[self.filled :]

    def buffer_updated(self, nbytes: int) -> None:
        match self.state:
            case State.BODY:
                self.received += nbytes
                if self.received == len(self.body):
                    self._arrived(self.body)
            case State.HEAD:
                self.filled += nbytes
                self._read_head()
            case State.CHUNKS:
                self._feed(self.view[:nbytes])
            case State.DISCARD:
                self.left -= nbytes
                if self.left <= 0:
                    self._arrived(b"")
            case State.BUSY:
                self.filled += nbytes
                if self.filled == ROOM and self.transport is not None:
                    self.transport.pause_reading()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self._send_pieces()

    def close(self) -> None:
        """Cut the connection, whatever it does."""
        if self.transport is not None:
            self.transport.abort()

    def _read_head(self) -> None:
        end = self.room.find(b"\r\n\r\n", 0, self.filled)
        if end < 0:
            if self.filled == ROOM:
                self.close()
            return
        try:
            length = self._begin(bytes(self.view[:end]).decode("latin-1"))
        except ValueError:  # this is not HTTP
            self.last, self.state = True, State.BUSY
            self._send(refusal(S3Error("InvalidRequest"), None, "0"), "")
            return
        start, end = end + 4, self.filled
        if length is None:
            self.state, self.filled = State.CHUNKS, 0
            self.chunks = chunked.TransferChunks()
            self._feed(bytes(self.view[start:end]))
        elif length <= end - start:
            body = bytes(self.view[start : start + length])
            self._keep(self.view[start + length : end])
            self._arrived(body)
        else:
            self._expect_rest(length, self.view[start:end])

    def _begin(self, head: str) -> int | None:
        """Understand the head; the length of the body, None if it comes in chunks."""
        lines = head.split("\r\n")
        method, raw, version = lines[0].split(" ")
        headers: dict[str, str] = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        self.last = version == "HTTP/1.0" or headers.get("connection", "").lower() == "close"
        try:
            self.request = Request(method, *target(raw), headers)
        except S3Error as error:
            self.request = Request(method, "", "", {}, headers, error=error)
        if "expect" in headers and self.transport is not None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return None
        return int(headers.get("content-length", 0))

    def _expect_rest(self, length: int, begun: memoryview) -> None:
        self.filled = 0
        if length > self.service.max_body:
            self.state, self.left = State.DISCARD, length - len(begun)
            self.request.too_large = True
            return
        self.state, self.received = State.BODY, len(begun)
        self.body = memoryview(bytearray(length))
        self.body[: len(begun)] = begun

    def _feed(self, data: Buffer) -> None:
        try:
            length = self.chunks.feed(data)
        except S3Error:
            self.close()
            return
        if length is not None:
            rest = self.chunks.raw[length:]
            body = self.chunks.content(length)
            self.chunks = chunked.TransferChunks()
            self._keep(rest)
            self._arrived(body)

    def _keep(self, rest: Buffer) -> None:
        """What came behind this request is the beginning of the next one."""
        self.filled = len(rest)
        if rest:
            self.room[: len(rest)] = bytes(rest)

    def _arrived(self, body: Buffer) -> None:
        request, self.body = self.request, memoryview(b"")
        self.state = State.BUSY
        try:
            request.body = chunked.aws_chunked(body, request.headers) if _encoded(request) else Content([body])
        except S3Error as error:
            request.error = error
        call, fault = self.service.arrived(request)
        if self.service.latency:
            asyncio.get_running_loop().call_later(self.service.latency, self._serve, call, request, fault)
        else:
            self._serve(call, request, fault)

    def _serve(self, call: Call, request: Request, fault: Fault | None) -> None:
        try:
            answer = self.service.serve(call, request, fault)
        except Exception:  # a mistake of this server, which the loop's handler gets to know
            self.close()
            raise
        kind = fault.kind if fault else ""
        if kind in faults.SILENT:
            self.state = State.SILENT
        elif kind in faults.RESET:
            self._reset()
        else:
            self._send(answer, kind)

    def _reset(self) -> None:
        """Close in the way that makes the client's next read fail, instead of ending."""
        if self.transport is not None:
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
            self.transport.abort()

    def _send(self, answer: Answer, kind: str) -> None:
        if self.transport is None:
            return
        body = answer.body
        size = body.size if answer.size is None else answer.size
        if kind == "truncated":
            body, self.last = body.part(0, body.size // 2), True
        lines = [f"HTTP/1.1 {answer.status} {REASONS[answer.status]}\r\n", self.service.common_headers()]
        lines += [f"{name}: {value}\r\n" for name, value in answer.headers.items()]
        if answer.status not in (204, 304):
            lines.append(f"content-length: {size}\r\n")
        if self.last:
            lines.append("connection: close\r\n")
        lines.append("\r\n")
        head = "".join(lines).encode("latin-1")
        if body.size <= ROOM:
            self.transport.write(b"".join((head, *body.chunks)))
            self._sent()
        else:
            self.transport.write(head)
            self.pieces = iter(chunks_of(body.chunks, PIECE))
            self._send_pieces()

    def _send_pieces(self) -> None:
        if self.transport is None or self.state is not State.BUSY:
            return
        while not self.paused:
            piece = next(self.pieces, None)
            if piece is None:
                self._sent()
                return
            self.transport.write(piece)

    def _sent(self) -> None:
        assert self.transport is not None
        self.state, self.pieces = State.HEAD, iter(())
        if self.last:
            self.transport.close()
            return
        if self.filled:
            if not self.transport.is_reading():
                self.transport.resume_reading()
            asyncio.get_running_loop().call_soon(self._read_next)

    def _read_next(self) -> None:
        if self.state is State.HEAD and self.transport is not None:
            self._read_head()


def _encoded(request: Request) -> bool:
    return not request.too_large and chunked.is_aws_chunked(request.headers)
