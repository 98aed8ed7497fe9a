"""boto3 clients of a loopback S3, for the tests; the server itself does not need boto3."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config

from tests.s3.server import LoopbackS3

AUTHORIZATION = "Credential=111111111111/20260101/us-east-1/s3/aws4_request"


@contextmanager
def client(
    s3: LoopbackS3, account: str = "111111111111", *, service: str = "s3", attempts: int = 1, timeout: float = 60
) -> Iterator[Any]:
    """A client of ``account``, closed in the end; ``timeout`` is in seconds, of a read."""
    config = Config(
        retries={"total_max_attempts": attempts, "mode": "standard"},
        read_timeout=timeout,
        s3={"addressing_style": "path"},
    )
    make: Any = boto3.client  # its stubs want a literal
    made = make(
        service,
        endpoint_url=s3.url,
        aws_access_key_id=account,
        aws_secret_access_key="x",
        region_name="us-east-1",
        config=config,
    )
    try:
        yield made
    finally:
        made.close()


class Wire:
    """A connection on which requests are written by hand."""

    def __init__(self, s3: LoopbackS3) -> None:
        self.socket = socket.create_connection(("127.0.0.1", s3.port), timeout=30)
        self._read = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, method: str, path: str, body: bytes = b"", length: int | None = None, **headers: str) -> None:
        """One request, signed unless ``authorization`` is empty; ``_`` in names of headers stands for ``-``."""
        named = {"host": "s3", "authorization": AUTHORIZATION} | headers
        if "transfer_encoding" not in named:
            named["content-length"] = str(len(body) if length is None else length)
        lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items() if value]
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode() + body)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next answer, which has to have a length."""
        head = self._until(b"\r\n\r\n").decode()
        status, *lines = head.split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        length = int(headers.get("content-length", 0))
        while len(self._read) < length:
            self._more()
        body, self._read = self._read[:length], self._read[length:]
        return int(status.split(" ")[1]), headers, body

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
        self.send(method, path, body, None, **headers)
        return self.answer()

    def _until(self, end: bytes) -> bytes:
        while end not in self._read:
            self._more()
        found, _, self._read = self._read.partition(end)
        return found

    def _more(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._read += data
