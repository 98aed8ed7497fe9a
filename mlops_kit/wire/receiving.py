"""The receiving side of an HTTP/1.1 connection: heads, and bodies of a known length, in chunks, or up to the end."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from mlops_kit.wire.answers import Answer
from mlops_kit.wire.transfer import Sink

PIECE = 256 * 1024
"""Bytes that are sent or received at a time, and that each connection under way may hold."""
MAX_HEAD = 64 * 1024
"""Bytes of the head of an answer; S3 sends a few hundred."""
_RECEIVE = 16 * 1024


class LostError(Exception):
    """The connection ended or made no sense before the answer was complete."""


class TimedOutError(Exception):
    """Nothing came for as long as the read timeout allows."""


class Incoming:
    """What comes through one connection, into memory or into a sink, without holding more than a piece of a sink's."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._received = bytearray()
        self._room: memoryview | None = None
        self.silent = True
        """Nothing came since this was set."""
        self.last = False
        """The other side ends the connection with this answer."""

    @property
    def pending(self) -> bool:
        """Whether something came that is no part of the answer."""
        return bool(self._received)

    @property
    def room(self) -> memoryview:
        """Memory for a piece, used again and again."""
        if self._room is None:
            self._room = memoryview(bytearray(PIECE))
        return self._room

    def look(self) -> None:
        """Take what is there without waiting, in the middle of sending.

        Raises:
            LostError: the connection is broken.
            OSError: nothing is there yet, as the socket says that.
        """
        piece = self._sock.recv(_RECEIVE)
        self._received += piece
        self.silent = self.silent and not piece

    def answer(self, sink: Sink | None, *, bodiless: bool) -> Answer:
        """Receive one.

        Raises:
            LostError, TimedOutError: there is none, or not all of it.
        """
        status, headers = self._receive_head()
        while status < 200:  # 100 Continue, 103 Early Hints
            status, headers = self._receive_head()
        if headers.get("connection", "").lower() == "close":
            self.last = True
        if bodiless or status in (204, 304):
            return Answer(status, headers, b"")
        pieces = self._pieces(headers)
        if sink is None or status >= 300:
            if isinstance(pieces, int):
                return Answer(status, headers, self._receive_exactly(pieces))
            return Answer(status, headers, b"".join(map(bytes, pieces)))
        sink.begin(status, headers)
        for piece in self._known(pieces) if isinstance(pieces, int) else pieces:
            sink.write(piece)
        return Answer(status, headers, b"")

    def _receive_head(self) -> tuple[int, dict[str, str]]:
        received = self._received
        while (end := received.find(b"\r\n\r\n")) < 0:
            if len(received) > MAX_HEAD:
                raise LostError("the head of the answer does not end")
            received += self._more()
        lines = received[:end].decode("latin-1").split("\r\n")
        del received[: end + 4]
        version, _, rest = lines[0].partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdecimal() or len(rest) < 3:
            raise LostError("the answer is not HTTP")
        if version == "HTTP/1.0":
            self.last = True
        headers: dict[str, str] = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return int(rest[:3]), headers

    def _pieces(self, headers: dict[str, str]) -> int | Iterator[memoryview]:
        """The length of the body, or its pieces if only its end tells it."""
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._chunks()
        length = headers.get("content-length")
        if length is None:
            self.last = True
            return self._until_closed()
        if not length.isdecimal():
            raise LostError(f"the answer's length is {length!r}")
        return int(length)

    def _receive_exactly(self, size: int) -> bytes:
        received = self._received
        if len(received) >= size:
            body = bytes(received[:size])
            del received[:size]
            return body
        whole = bytearray(size)
        view = memoryview(whole)
        position = len(received)
        view[:position] = received
        received.clear()
        while position < size:
            position += self._more_into(view[position:])
        view.release()
        return bytes(whole)

    def _known(self, size: int) -> Iterator[memoryview]:
        """``size`` bytes, in pieces of the room."""
        while size and self._received:
            piece = bytes(self._received[: min(size, PIECE)])
            del self._received[: len(piece)]
            size -= len(piece)
            yield memoryview(piece)
        room = self.room if size else memoryview(b"")
        while size:
            wanted = min(size, len(room))
            filled = 0
            try:
                while filled < wanted:  # TLS gives 16 KiB at a time: a piece is filled before it is handed on
                    filled += self._more_into(room[filled:wanted])
            except (LostError, TimedOutError):
                if filled:
                    yield room[:filled]  # what did come need not come again
                raise
            size -= filled
            yield room[:filled]

    def _chunks(self) -> Iterator[memoryview]:
        """See RFC 9112, 7.1, Chunked transfer coding."""
        while True:
            text = self._line().partition(b";")[0].strip()
            try:
                size = int(text, 16)
            except ValueError:
                raise LostError(f"a chunk's length is {text!r}") from None
            if size == 0:
                break
            yield from self._known(size)
            if self._line():
                raise LostError("a chunk is longer than it said")
        while self._line():  # trailers
            pass

    def _until_closed(self) -> Iterator[memoryview]:
        while True:
            if self._received:
                piece = bytes(self._received)
                self._received.clear()
                yield memoryview(piece)
            more = self._some()
            if not more:
                return
            self._received += more

    def _line(self) -> bytes:
        received = self._received
        while (end := received.find(b"\r\n")) < 0:
            if len(received) > MAX_HEAD:
                raise LostError("a line of the answer does not end")
            received += self._more()
        line = bytes(received[:end])
        del received[: end + 2]
        return line

    def _more(self) -> bytes:
        data = self._some()
        if not data:
            raise LostError("the other side closed the connection")
        self.silent = False
        return data

    def _some(self) -> bytes:
        """What comes next; nothing if the other side has closed the connection."""
        try:
            return self._sock.recv(_RECEIVE)
        except TimeoutError as exc:
            raise TimedOutError from exc
        except OSError as exc:
            raise LostError(str(exc)) from exc

    def _more_into(self, view: memoryview) -> int:
        try:
            count = self._sock.recv_into(view)
        except TimeoutError as exc:
            raise TimedOutError from exc
        except OSError as exc:
            raise LostError(str(exc)) from exc
        if not count:
            raise LostError("the other side closed the connection")
        self.silent = False
        return count
