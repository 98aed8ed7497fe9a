"""What the server hands to its socket, and when."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from werkzeug.serving import make_server

from mlops_kit.local.request_handler import RequestHandler

PATIENCE = 30.0
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
Converse = Callable[[int], tuple[socket.socket, list[bytes]]]


class Recording(socket.socket):
    """Remembers every piece that was sent."""

    sent: list[bytes]

    def send(self, data: Any, flags: int = 0) -> int:
        self.sent.append(bytes(data))
        return super().send(data, flags)

    def sendall(self, data: Any, flags: int = 0) -> None:
        self.sent.append(bytes(data))
        super().sendall(data, flags)


@pytest.fixture
def converse() -> Iterator[Converse]:
    """Starts a conversation with an application that reads the request and answers with so many bytes."""
    opened: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def begin(length: int) -> tuple[socket.socket, list[bytes]]:
        def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            start_response("200 OK", [("Content-Length", str(length))])
            return [b"x" * length]

        client, end = socket.socketpair()
        client.settimeout(PATIENCE)
        served = Recording(fileno=end.detach())
        served.sent = []
        opened.extend((client, served))

        def serve() -> None:
            with make_server("127.0.0.1", 0, app, threaded=True, request_handler=RequestHandler) as server:
                RequestHandler(served, ("127.0.0.1", 0), server)
            served.close()

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return client, served.sent

    yield begin
    for connection in opened[::2]:
        connection.close()
    for thread in threads:
        thread.join(PATIENCE)
    for connection in opened:
        connection.close()


def answer(client: socket.socket) -> bytes:
    found = b""
    while data := client.recv(65536):
        found += data
    return found


def test_head_and_body_go_out_together(converse: Converse) -> None:
    """Between two pieces, Go's client may give up on an answer whose head has come."""
    client, sent = converse(300)
    client.sendall(POST + b"\r\n{}")
    found = answer(client)
    assert sent == [found]
    assert found.startswith(b"HTTP/1.1 200 OK\r\n")
    assert found.endswith(b"\r\n\r\n" + b"x" * 300)


def test_an_answer_that_exceeds_the_buffer_is_whole(converse: Converse) -> None:
    client, _ = converse(RequestHandler.wbufsize * 3 + 1)
    client.sendall(POST + b"\r\n{}")
    head, _, body = answer(client).partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head.splitlines()
    assert body == b"x" * (RequestHandler.wbufsize * 3 + 1)


def test_a_client_that_waits_is_told_to_go_on(converse: Converse) -> None:
    """SDKs send ``Expect: 100-continue`` with objects, and hold the body back until they hear."""
    client, _ = converse(1)
    client.sendall(POST + b"Expect: 100-continue\r\n\r\n")
    assert client.recv(65536).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
    client.sendall(b"{}")
    assert answer(client).endswith(b"\r\n\r\nx")


def test_a_client_that_left_is_no_error(converse: Converse, capfd: pytest.CaptureFixture[str]) -> None:
    client, sent = converse(300)
    client.sendall(POST + b"\r\n{")
    client.close()  # the application reads until the end of what there is, and answers nobody
    for thread in threading.enumerate():
        if thread.name.endswith("(serve)"):
            thread.join(PATIENCE)
    assert sent
    assert capfd.readouterr().err == ""
