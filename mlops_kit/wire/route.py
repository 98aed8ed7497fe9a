"""The way to a host: TCP, through a proxy if there is one, with TLS if it is asked for; as boto3 would go it."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from botocore.httpsession import get_cert_path

_MAX_HEAD = 64 * 1024


class DialError(Exception):
    """There is no way to the host; the cause is what the operating system said."""


class ProxyError(DialError):
    """The proxy is not there, or refused. ``final``: it would refuse again."""

    def __init__(self, message: str, *, final: bool) -> None:
        super().__init__(message)
        self.final = final


def tls_context(verify: bool | str) -> ssl.SSLContext:
    """Certificates are held to what boto3's ``verify`` says: its own bundle (True), a bundle's path, or nothing."""
    if verify is False:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    return ssl.create_default_context(cafile=_bundle(verify))


def _bundle(verify: bool | str) -> str:
    return str(get_cert_path(verify))  # type: ignore[arg-type]  # the stub knows no paths


@dataclass(frozen=True, slots=True)
class Route:
    """How hosts are reached. Timeouts are in seconds; ``proxy`` is a URL, with credentials if it wants some."""

    tls: ssl.SSLContext | None
    port: int
    proxy: str | None = field(default=None, repr=False)
    connect_timeout: float = 10.0
    read_timeout: float = 70.0

    def dial(self, host: str) -> socket.socket:
        """Raises:
        DialError: no connection.
        ssl.SSLError: none that can be trusted.
        """
        name = host.strip("[]")
        proxy = urlsplit(self.proxy) if self.proxy else None
        try:
            address = (proxy.hostname or "", proxy.port or 80) if proxy else (name, self.port)
            sock = socket.create_connection(address, self.connect_timeout)
        except OSError as exc:
            if proxy:
                raise ProxyError(f"the proxy cannot be reached: {exc}", final=False) from exc
            raise DialError(str(exc)) from exc
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if proxy and self.tls:
                _tunnel(sock, host, self.port, _proxy_authorization(self.proxy or ""))
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_hostname=name)
            sock.settimeout(self.read_timeout)
        except BaseException as exc:
            sock.close()
            if isinstance(exc, OSError) and not isinstance(exc, ssl.SSLError):
                raise DialError(str(exc)) from exc
            raise
        return sock

    @property
    def forwards(self) -> bool:
        """Whether requests are given to the proxy itself, because nothing is encrypted."""
        return self.proxy is not None and self.tls is None

    def proxy_header(self) -> str:
        """The line by which a request is let through; empty if there is nothing to say."""
        return _proxy_authorization(self.proxy or "") if self.forwards else ""


def _tunnel(sock: socket.socket, host: str, port: int, authorization: str) -> None:
    """See RFC 9110, 9.3.6, CONNECT."""
    sock.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nhost: {host}:{port}\r\n{authorization}\r\n".encode("latin-1"))
    answer = b""
    while b"\r\n\r\n" not in answer:
        # One byte at a time at its end would be TLS already; before TLS has begun, the far side has nothing to say.
        more = sock.recv(4096)
        if not more or len(answer) > _MAX_HEAD:
            raise ProxyError("the proxy closed the connection", final=False)
        answer += more
    status = answer[:12].rpartition(b" ")[2]
    if not status.startswith(b"2"):
        line = answer.partition(b"\r\n")[0].decode("latin-1")
        raise ProxyError(f"the proxy refused: {line}", final=status.startswith(b"4"))


def _proxy_authorization(proxy: str) -> str:
    url = urlsplit(proxy)
    if url.username is None or url.password is None:
        return ""
    pair = f"{unquote(url.username)}:{unquote(url.password)}"
    return f"proxy-authorization: Basic {base64.b64encode(pair.encode()).decode()}\r\n"


def close(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.close()
