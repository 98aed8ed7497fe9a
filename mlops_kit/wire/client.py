"""Requests to S3 from many threads: addresses, signatures, a pool of connections, and retries.

Retries are those of botocore's standard mode: up to five attempts, with a random wait of at most 1, 2, 4, ... 20
seconds between them. Repeated is what may pass: trouble on the way, answers that break off, 429, 5xx, throttling,
409 ConditionalRequestConflict, and failures in the body of an answer that began with 200. An effect whose answer was
lost shows as a refused precondition on the next attempt; what that means is for the caller to find out.
"""

from __future__ import annotations

import hashlib
import random
import re
import ssl
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)

from mlops_kit import __version__
from mlops_kit.wire.answers import Answer, refusal
from mlops_kit.wire.connection import Connection
from mlops_kit.wire.receiving import LostError, TimedOutError
from mlops_kit.wire.route import DialError, ProxyError, Route, tls_context
from mlops_kit.wire.signing import EMPTY_SHA256, Signer, encode_path, encode_query
from mlops_kit.wire.transfer import FileSlice, Sink

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

USER_AGENT = f"user-agent: mlops-kit/{__version__}\r\n"
LONGEST_WAIT = 20.0
_AWS = re.compile(r"\.amazonaws\.com(\.cn)?$")
_NOTHING: Mapping[str, str] = {}


class Credentials(Protocol):
    """botocore's, which refresh themselves when they are asked."""

    def get_frozen_credentials(self) -> ReadOnlyCredentials: ...


class Wire:
    """S3 at one endpoint, with one set of credentials. Thread-safe."""

    def __init__(
        self,
        endpoint_url: str,
        region: str,
        credentials: Credentials | None,
        *,
        verify: bool | str = True,
        proxy: str | None = None,
        connect_timeout: float = 10.0,
        read_timeout: float = 70.0,
        attempts: int = 5,
        path_style: bool | None = None,
        sleep: Callable[[float], object] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Timeouts are in seconds. ``verify`` is boto3's: whose certificates are trusted.

        Buckets are part of the host name at AWS, of the path elsewhere, unless ``path_style`` says it.
        """
        url = urlsplit(endpoint_url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"{url.scheme}://{url.hostname or ''} is not an endpoint")
        self.endpoint_url = endpoint_url
        self.attempts = attempts
        host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
        secure = url.scheme == "https"
        standard = 443 if secure else 80
        port = url.port or standard
        self._host, self._port_suffix = host, "" if port == standard else f":{port}"
        self._path_style = not _AWS.search(host) if path_style is None else path_style
        self._secure = secure
        context = tls_context(verify) if secure else None
        self._route = Route(context, port, proxy, connect_timeout, read_timeout)
        self._proxy_header = self._route.proxy_header()
        self._signer = Signer(region)
        self._credentials = credentials
        self._sleep, self._jitter = sleep, jitter
        self._idle: dict[str, deque[Connection]] = {}
        self._lock = threading.Lock()
        weakref.finalize(self, _close_all, self._idle)

    @classmethod
    def of(cls, client: S3Client, **overrides: Any) -> Wire:
        """With the endpoint, credentials, certificates, proxy, timeouts and attempts of a boto3 client of S3."""
        # botocore has no public way to ask a client for what it resolved from its session and the environment.
        internals: Any = client
        http = internals._endpoint.http_session
        config: Any = client.meta.config
        endpoint_url = client.meta.endpoint_url
        style = (config.s3 or {}).get("addressing_style")
        found: dict[str, Any] = {
            "verify": True if http._verify is None else http._verify,
            "proxy": http._proxy_config.proxy_url_for(endpoint_url),
            "connect_timeout": config.connect_timeout,
            "read_timeout": config.read_timeout,
            "attempts": (config.retries or {}).get("total_max_attempts", 5),
            "path_style": {"path": True, "virtual": False}.get(str(style)),
        }
        credentials = internals._request_signer._credentials
        return cls(endpoint_url, client.meta.region_name, credentials, **{**found, **overrides})

    def close(self) -> None:
        """Close the connections that are not in use."""
        _close_all(self._idle)

    def request(
        self,
        operation: str,
        method: str,
        bucket: str,
        key: str = "",
        *,
        query: Mapping[str, str] = _NOTHING,
        headers: Mapping[str, str] = _NOTHING,
        body: bytes | FileSlice = b"",
        sha256: str | None = None,
        sink: Sink | None = None,
    ) -> Answer:
        """One operation of S3, repeated as long as that may help.

        ``operation`` is its name in the API, for errors; ``headers`` have lower-case names; ``sha256`` is the body's
        digest in hex, where it is known already.

        Raises:
            ClientError: S3 refused.
            BotoCoreError: S3 could not be reached, or did not answer.
            IntegrityError: the file that is the body is shorter than it was.
        """
        host, path = self._address(bucket, encode_path(key))
        question = encode_query(query)
        payload = _payload(body, sha256)
        try:
            return self._persist(operation, method, host, path, question, headers, payload, body, sink)
        except BaseException:
            if isinstance(body, FileSlice):
                body.begin()
            raise

    def _persist(
        self,
        operation: str,
        method: str,
        host: str,
        path: str,
        question: str,
        headers: Mapping[str, str],
        payload: str,
        body: bytes | FileSlice,
        sink: Sink | None,
    ) -> Answer:
        attempt = 0
        while True:
            attempt += 1
            asked = {**headers, **sink.asks()} if sink is not None else dict(headers)
            asked["host"] = host + self._port_suffix
            try:
                answer = self._attempt(method, host, path, question, asked, payload, body, sink)
            except (LostError, TimedOutError, DialError, ssl.SSLError) as exc:
                if attempt >= self.attempts or _is_final(exc):
                    raise self._trouble(exc) from exc
            else:
                refused = refusal(answer, operation, attempt)
                if refused is None:
                    return answer
                error, passing = refused
                if attempt >= self.attempts or not passing:
                    raise error
            self._sleep(self._jitter() * min(LONGEST_WAIT, 2.0 ** (attempt - 1)))

    def _address(self, bucket: str, path: str) -> tuple[str, str]:
        # Certificates of *.s3.<region>.amazonaws.com do not cover names with dots of their own.
        if self._path_style or (self._secure and "." in bucket):
            return self._host, f"/{bucket}/{path}" if path else f"/{bucket}"
        return f"{bucket}.{self._host}", f"/{path}"

    def _attempt(
        self,
        method: str,
        host: str,
        path: str,
        question: str,
        headers: dict[str, str],
        payload: str,
        body: bytes | FileSlice,
        sink: Sink | None,
    ) -> Answer:
        if self._credentials is None:
            raise NoCredentialsError
        credentials = self._credentials.get_frozen_credentials()
        signed = self._signer.sign(method, path, question, headers, payload, credentials, time.time())
        target = f"{path}?{question}" if question else path
        if self._route.forwards:
            target = f"http://{headers['host']}{target}"
        size = body.size if isinstance(body, FileSlice) else len(body)
        length = f"content-length: {size}\r\n" if size or method in ("PUT", "POST") else ""
        text = f"{method} {target} HTTP/1.1\r\n{signed}{USER_AGENT}{self._proxy_header}{length}\r\n"
        return self._exchange(host, text.encode("latin-1"), body, sink, method == "HEAD")

    def _exchange(self, host: str, head: bytes, body: bytes | FileSlice, sink: Sink | None, bodiless: bool) -> Answer:
        connection = self._take(host)
        try:
            answer = connection.exchange(head, body, sink, bodiless=bodiless)
        except LostError:
            if not (connection.used and connection.silent):
                raise
            # It was closed while it was idle, which is no failure of S3's.
            connection = Connection(self._route.dial(host))
            answer = connection.exchange(head, body, sink, bodiless=bodiless)
        if connection.reusable:
            connection.rest()
            self._idle[host].append(connection)
        return answer

    def _take(self, host: str) -> Connection:
        """The connection that was used last, or a new one."""
        idle = self._idle.get(host)
        if idle is None:
            with self._lock:
                idle = self._idle.setdefault(host, deque())
        while (connection := _pop(idle)) is not None:
            if not connection.is_stale():
                return connection
            connection.close()
        return Connection(self._route.dial(host))

    def _trouble(self, exc: Exception) -> BotoCoreError:
        """What botocore calls it."""
        url = f"{'https' if self._secure else 'http'}://{self._host}{self._port_suffix}"  # no password, no query
        if isinstance(exc, ssl.SSLError):
            return SSLError(endpoint_url=url, error=exc)
        if isinstance(exc, ProxyError):
            proxy = urlsplit(self._route.proxy or "")
            return ProxyConnectionError(proxy_url=f"{proxy.scheme}://{proxy.hostname}:{proxy.port or 80}", error=exc)
        if isinstance(exc, DialError):
            if isinstance(exc.__cause__, TimeoutError):
                return ConnectTimeoutError(endpoint_url=url, error=exc)
            return EndpointConnectionError(endpoint_url=url, error=exc)
        if isinstance(exc, TimedOutError):
            return ReadTimeoutError(endpoint_url=url, error=exc)
        return ConnectionClosedError(endpoint_url=url, error=exc)


def _is_final(exc: Exception) -> bool:
    return isinstance(exc, ssl.SSLCertVerificationError) or (isinstance(exc, ProxyError) and exc.final)


def _payload(body: bytes | FileSlice, sha256: str | None) -> str:
    if isinstance(body, FileSlice):
        return body.sha256
    if sha256 is not None:
        return sha256
    return hashlib.sha256(body).hexdigest() if body else EMPTY_SHA256


def _pop(idle: deque[Connection]) -> Connection | None:
    try:
        return idle.pop()
    except IndexError:  # another thread may have taken the last one just now
        return None


def _close_all(idle: dict[str, deque[Connection]]) -> None:
    for connections in tuple(idle.values()):
        while (connection := _pop(connections)) is not None:
            connection.close()
