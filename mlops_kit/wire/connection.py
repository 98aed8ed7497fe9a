"""One HTTP/1.1 connection: a request out, its answer in, kept for the next one.

A body is sent from memory or from a file, and an answer received into memory or into a sink, in both cases without
holding more than a piece of it.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import time
from collections.abc import Iterator

from mlops_kit.wire.answers import Answer
from mlops_kit.wire.route import close
from mlops_kit.wire.transfer import FileSlice, Sink

PIECE = 256 * 1024
"""Bytes that are sent or received at a time, and that each connection under way may hold."""
MAX_HEAD = 64 * 1024
"""Bytes of the head of an answer; S3 sends a few hundred."""
_RECEIVE = 16 * 1024
_IDLE_CHECKED = 2.0
"""Seconds after which an idle connection is looked at before it is used again."""


class LostError(Exception):
    """The connection ended or made no sense before the answer was complete."""


class TimedOutError(Exception):
    """Nothing came for as long as the read timeout allows."""


class Connection:
    """Belongs to one thread at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._plain = not isinstance(sock, ssl.SSLSocket)
        self._received = bytearray()
        self._room: memoryview | None = None
        self._idle_since = 0.0
        self.used = False
        """It has carried an answer before."""
        self.silent = True
        """Nothing came since the request was begun."""
        self.reusable = True

    def close(self) -> None:
        self.reusable = False
        close(self._sock)

    def __del__(self) -> None:
        close(self._sock)

    def rest(self) -> None:
        """From now on nobody uses it for a while."""
        self._idle_since = time.monotonic()

    def is_stale(self) -> bool:
        """Whether the other side ended it, or sent what nobody asked for, while it was idle."""
        if time.monotonic() - self._idle_since < _IDLE_CHECKED:
            return False
        return _readable(self._sock)

    def exchange(self, head: bytes, body: bytes | FileSlice, sink: Sink | None, *, bodiless: bool) -> Answer:
        """Send a request and receive its answer. Whatever is raised, the connection is closed.

        Raises:
            LostError, TimedOutError: there is no answer, or not all of it.
            OSError: a file that is sent from, or a sink, cannot be used.
        """
        self.silent = True
        try:
            answer = self._exchange(head, body, sink, bodiless)
        except BaseException:
            self.close()
            raise
        self.used = True
        if not self.reusable or self._received:
            self.close()
        return answer

    def _exchange(self, head: bytes, body: bytes | FileSlice, sink: Sink | None, bodiless: bool) -> Answer:
        try:
            if not self._send(head, body):
                self.reusable = False
        except (LostError, TimedOutError):
            # S3 refuses early and closes: its answer says more than the reset does.
            self.reusable = False
            try:
                return self._receive(None, bodiless)
            except (LostError, TimedOutError):
                self.silent = True
            raise
        return self._receive(sink, bodiless)

    # -- out

    def _send(self, head: bytes, body: bytes | FileSlice) -> bool:
        """Whether all was sent; if not, the answer is here already."""
        if isinstance(body, FileSlice):
            self._send_all(head)
            return self._send_file(body)
        if len(body) <= PIECE:
            self._send_all(head + body if body else head)
            return True
        self._send_all(head)
        view = memoryview(body)
        while view:
            if not self._takes_more():
                return False
            view = view[self._send_some(view[:PIECE]) :]
        return True

    def _send_file(self, part: FileSlice) -> bool:
        part.begin()
        sent = 0
        with part.path.open("rb", buffering=0) as file:
            while sent < part.size:
                if not self._takes_more():
                    return False
                count = self._send_piece(file.fileno(), part.offset + sent, min(PIECE, part.size - sent))
                if count == 0:
                    raise part.changed()
                sent += count
                part.sent(count)
        return True

    def _send_piece(self, file: int, offset: int, size: int) -> int:
        if not self._plain:
            room = self._get_room()[:size]
            count = os.preadv(file, [room], offset)
            self._send_all(room[:count])
            return count
        try:
            return os.sendfile(self._sock.fileno(), file, offset, size)
        except OSError as exc:
            raise LostError(str(exc)) from exc

    def _send_all(self, data: bytes | memoryview) -> None:
        try:
            self._sock.sendall(data)
        except TimeoutError as exc:
            raise TimedOutError from exc
        except OSError as exc:
            raise LostError(str(exc)) from exc

    def _send_some(self, data: memoryview) -> int:
        try:
            return self._sock.send(data)
        except TimeoutError as exc:
            raise TimedOutError from exc
        except OSError as exc:
            raise LostError(str(exc)) from exc

    def _takes_more(self) -> bool:
        """Wait until the other side can be sent more; False if it answers instead, and will not read the rest."""
        timeout = self._sock.gettimeout()
        watch = select.poll()
        watch.register(self._sock, select.POLLIN | select.POLLOUT)
        events = watch.poll(None if timeout is None else timeout * 1000)
        if not events:
            raise TimedOutError
        if events[0][1] & ~select.POLLOUT == 0:
            return True
        return not (self._plain or self._is_answered())

    def _is_answered(self) -> bool:
        """Whether what came is an answer; it may be no more than TLS's own, such as a session ticket."""
        timeout = self._sock.gettimeout()
        self._sock.setblocking(False)
        try:
            piece = self._sock.recv(_RECEIVE)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError as exc:
            raise LostError(str(exc)) from exc
        finally:
            self._sock.settimeout(timeout)
        self._received += piece
        self.silent = self.silent and not piece
        return True

    # -- in

    def _receive(self, sink: Sink | None, bodiless: bool) -> Answer:
        status, headers = self._receive_head()
        while status < 200:  # 100 Continue, 103 Early Hints
            status, headers = self._receive_head()
        if headers.get("connection", "").lower() == "close":
            self.reusable = False
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
            self.reusable = False
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
            self.reusable = False
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
        room = self._get_room() if size else memoryview(b"")
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

    def _get_room(self) -> memoryview:
        if self._room is None:
            self._room = memoryview(bytearray(PIECE))
        return self._room


def _readable(sock: socket.socket) -> bool:
    watch = select.poll()  # select.select takes no descriptor over 1,023
    watch.register(sock, select.POLLIN)
    return bool(watch.poll(0))
