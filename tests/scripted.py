"""A server that does with each connection what a test says, down to the byte."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Handler = Callable[[socket.socket], None]


@contextmanager
def serving(*handlers: Handler, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server: the first connection goes to the first handler, and so on; then nobody is let in.

    A handler's own failure is raised in the end.
    """
    failures: list[BaseException] = []
    held: list[socket.socket] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def handle(handler: Handler, connection: socket.socket) -> None:
        try:
            if tls is not None:
                connection = tls.wrap_socket(connection, server_side=True)
            held.append(connection)
            handler(connection)
        except (ssl.SSLError, ConnectionError):
            pass  # the client went away, or does not trust the server: its test looks at that
        except BaseException as exc:
            failures.append(exc)
        finally:
            connection.close()

    def accept() -> None:
        threads: list[threading.Thread] = []
        for handler in handlers:
            try:
                connection, _ = listener.accept()
            except OSError:  # the test is over
                break
            connection.settimeout(30)
            held.append(connection)
            threads.append(threading.Thread(target=handle, args=(handler, connection), daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        if thread.is_alive():
            for connection in tuple(held):
                shut(connection)
            shut(listener)  # wakes who waits in accept
        listener.close()
        thread.join(30)
    if failures:
        raise failures[0]


def shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def receive(connection: socket.socket) -> tuple[str, bytes]:
    """Head and body of the next request; nothing if there is none."""
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        if not more:
            return "", b""
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    text = head.decode("latin-1")
    lengths = [line.partition(":")[2] for line in text.lower().split("\r\n") if line.startswith("content-length:")]
    while len(body) < int((lengths or ["0"])[0]):
        body += connection.recv(65536)
    return text, body


def answer(body: bytes = b"", status: str = "200 OK", *headers: str) -> bytes:
    lines = "".join(f"{header}\r\n" for header in (*headers, f"Content-Length: {len(body)}"))
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def answers(*texts: bytes) -> Handler:
    """Answer each request with the next of ``texts``, then close."""

    def handle(connection: socket.socket) -> None:
        for text in texts:
            receive(connection)
            connection.sendall(text)

    return handle


def reset(connection: socket.socket) -> None:
    """Close so that the other side is told of an error."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
