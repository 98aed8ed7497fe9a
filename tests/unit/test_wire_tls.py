"""TLS and proxies: who is trusted is what boto3 would trust, and a proxy sees no more than it has to.

The certificates in ``tls/`` are of an authority of the tests' own, for ``localhost`` and ``*.s3.test``, and are good
for a hundred years.
"""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ProxyConnectionError, SSLError

from mlops_kit.wire import FileSlice, Wire
from mlops_kit.wire.receiving import PIECE
from tests.scripted import Handler, answer, answers, receive, serving

TLS = Path(__file__).parent / "tls"
AUTHORITY = str(TLS / "ca.pem")
BIG = os.urandom(20 * PIECE + 77)


@pytest.fixture(scope="module")
def context() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(TLS / "server.pem", TLS / "server.key")
    return made


def wire_to(port: int, host: str = "localhost", **options: Any) -> Wire:
    defaults: dict[str, Any] = {"verify": AUTHORITY, "attempts": 1, "read_timeout": 10.0, "sleep": lambda _: None}
    return Wire(f"https://{host}:{port}", "us-east-1", Credentials("a", "b"), **{**defaults, **options})


def get(wire: Wire) -> bytes:
    found = wire.request("GetObject", "GET", "bucket", "key")
    wire.close()
    return found.body


def test_a_long_answer_comes_over_tls(context: ssl.SSLContext) -> None:
    with serving(answers(answer(BIG)), tls=context) as port:
        assert get(wire_to(port)) == BIG


def test_a_file_goes_over_tls_whole_and_again(context: ssl.SSLContext, tmp_path: Path) -> None:
    received: list[bytes] = []

    def take(text: bytes) -> Handler:
        def handle(connection: socket.socket) -> None:
            received.append(receive(connection)[1])
            connection.sendall(text)

        return handle

    (tmp_path / "f").write_bytes(BIG)
    body = FileSlice(tmp_path / "f", 0, len(BIG), hashlib.sha256(BIG).hexdigest())
    failed = answer(b"", "500 Internal Server Error", "Connection: close")
    with serving(take(failed), take(answer()), tls=context) as port:
        wire = wire_to(port, attempts=2)
        wire.request("PutObject", "PUT", "bucket", "key", body=body)
        wire.close()
    assert received == [BIG, BIG]


def test_an_early_refusal_is_heard_over_tls(context: ssl.SSLContext) -> None:
    heard = threading.Event()

    def refuse(connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(answer(b"<Error><Code>BadDigest</Code></Error>", "400 Bad Request", "Connection: close"))
        heard.wait(30)

    with serving(refuse, tls=context) as port:
        wire = wire_to(port)
        with pytest.raises(ClientError, match="BadDigest"):
            wire.request("PutObject", "PUT", "bucket", "key", body=BIG)
        heard.set()


@pytest.mark.parametrize("verify", [True, AUTHORITY], ids=["nobody trusts it", "another name"])
def test_a_certificate_that_is_not_right_ends_it_at_the_first_attempt(context: ssl.SSLContext, verify: Any) -> None:
    host = "localhost" if verify is True else "127.0.0.1"
    with serving(answers(answer()), tls=context) as port, pytest.raises(SSLError):
        get(wire_to(port, host, verify=verify, attempts=5, sleep=never))


def never(seconds: float) -> None:
    raise AssertionError("waited for another attempt")


def test_certificates_can_be_ignored_as_in_boto3(context: ssl.SSLContext) -> None:
    with serving(answers(answer(b"1")), tls=context) as port:
        assert get(wire_to(port, "127.0.0.1", verify=False)) == b"1"


def proxy(seen: list[str], to: Callable[[], int]) -> Handler:
    """Lets one connection through to the port ``to()``, whatever host is asked for."""

    def pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            source.close()

    def handle(connection: socket.socket) -> None:
        seen.append(receive(connection)[0])
        with socket.create_connection(("127.0.0.1", to())) as target:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pump, args=(target, connection), daemon=True)
            back.start()
            pump(connection, target)
            back.join()

    return handle


def test_a_tunnel_leads_through_the_proxy_to_the_bucket_s_own_host(context: ssl.SSLContext) -> None:
    seen: list[str] = []
    with serving(answers(answer(b"1")), tls=context) as port, serving(proxy(seen, lambda: port)) as proxy_port:
        wire = wire_to(443, "s3.test", proxy=f"http://us%40er:pa%3Ass@127.0.0.1:{proxy_port}", path_style=False)
        assert get(wire) == b"1"
    (request,) = seen
    lines = request.split("\r\n")
    assert lines[0] == "CONNECT bucket.s3.test:443 HTTP/1.1"
    assert "proxy-authorization: Basic dXNAZXI6cGE6c3M=" in lines
    assert "Credential" not in request


def test_without_tls_the_proxy_is_given_the_request() -> None:
    seen: list[str] = []

    def handle(connection: socket.socket) -> None:
        seen.append(receive(connection)[0])
        connection.sendall(answer(b"1"))

    with serving(handle) as port:
        wire = Wire("http://s3.test", "us-east-1", Credentials("a", "b"), proxy=f"http://u:p@127.0.0.1:{port}")
        assert get(wire) == b"1"
    lines = seen[0].split("\r\n")
    assert lines[0] == "GET http://s3.test/bucket/key HTTP/1.1"
    assert "proxy-authorization: Basic dTpw" in lines
    assert not [line for line in lines if "proxy-authorization" in line and "SignedHeaders" in line]


@pytest.mark.parametrize(
    ("text", "attempts"),
    [(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", 1), (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", 2), (b"", 2)],
    ids=["refuses", "fails", "hangs up"],
)
def test_a_proxy_that_does_not_let_through_is_named_without_its_password(text: bytes, attempts: int) -> None:
    with serving(*[answers(text)] * attempts) as port:
        wire = wire_to(443, proxy=f"http://user:secret@127.0.0.1:{port}", attempts=2)
        with pytest.raises(ProxyConnectionError, match=f"http://127.0.0.1:{port}") as caught:
            get(wire)
    assert "secret" not in str(caught.value)


def test_a_proxy_that_is_not_there_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ProxyConnectionError, match=f":{port}"):
        get(wire_to(443, proxy=f"http://127.0.0.1:{port}"))
