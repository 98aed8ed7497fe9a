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

from mlops_kit.wire.answers import Answer
from mlops_kit.wire.receiving import PIECE, Incoming, LostError, TimedOutError
from mlops_kit.wire.route import close
from mlops_kit.wire.transfer import FileSlice, Sink

_IDLE_CHECKED = 2.0
"""Seconds after which an idle connection is looked at before it is used again."""


class Connection:
    """Belongs to one thread at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._plain = not isinstance(sock, ssl.SSLSocket)
        self._incoming = Incoming(sock)
        self._idle_since = 0.0
        self.used = False
        """It has carried an answer before."""
        self.reusable = True

    @property
    def silent(self) -> bool:
        """Nothing came since the request was begun."""
        return self._incoming.silent

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
        self._incoming.silent = True
        try:
            answer = self._exchange(head, body, sink, bodiless)
        except BaseException:
            self.close()
            raise
        self.used = True
        if not self.reusable or self._incoming.last or self._incoming.pending:
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
                return self._incoming.answer(None, bodiless=bodiless)
            except (LostError, TimedOutError):
                self._incoming.silent = True
            raise
        return self._incoming.answer(sink, bodiless=bodiless)

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
            room = self._incoming.room[:size]
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
            self._incoming.look()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError as exc:
            raise LostError(str(exc)) from exc
        finally:
            self._sock.settimeout(timeout)
        return True


def _readable(sock: socket.socket) -> bool:
    watch = select.poll()  # select.select takes no descriptor over 1,023
    watch.register(sock, select.POLLIN)
    return bool(watch.poll(0))
