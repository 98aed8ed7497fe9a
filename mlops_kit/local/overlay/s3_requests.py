"""The one place where S3 requests are looked at before moto handles them.

moto's S3 handlers are one long method for keys and one for buckets. The other ``s3_*`` rooms register a check here
instead of wrapping those methods one around the other. A check raises an S3 error or returns. Everything that changes
an object runs under a lock for its key, from the checks to the end: of many conditional writers, exactly one wins.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse
from xml.etree import ElementTree

from moto.s3.exceptions import S3ClientError
from moto.s3.models import s3_backends
from moto.s3.responses import S3Response

from mlops_kit.local.overlay import accounts, guard, principals

STRIPES = 256


@dataclass(frozen=True, slots=True)
class S3Request:
    """One request, before anything was done about it. ``bucket`` is None when there is no such bucket."""

    response: Any
    method: str
    query: Mapping[str, list[str]]
    headers: Any
    caller: principals.Caller
    bucket_name: str
    bucket: Any | None
    key: str | None

    @property
    def copy_source(self) -> CopySource | None:
        text = self.headers.get("x-amz-copy-source")
        return CopySource.parse(text) if text and self.method == "PUT" and self.key else None

    @property
    def subresource(self) -> bool:
        """About something of the object other than its content."""
        return bool({"acl", "tagging", "retention", "legal-hold", "torrent"} & self.query.keys())

    @property
    def writes_content(self) -> bool:
        return self.method == "PUT" and self.key is not None and not self.subresource


@dataclass(frozen=True, slots=True)
class CopySource:
    """``x-amz-copy-source``: bucket, key and version."""

    bucket: str
    key: str
    version: str | None

    @classmethod
    def parse(cls, text: str) -> CopySource:
        parsed = urlparse(text)
        bucket, _, key = unquote(parsed.path).lstrip("/").partition("/")
        return cls(bucket, key, next(iter(parse_qs(parsed.query).get("versionId", [])), None))

    def object(self, response: Any) -> Any | None:
        """moto's object, if it exists."""
        try:
            return response.backend.get_object(self.bucket, self.key, version_id=self.version)
        except S3ClientError:
            return None


Check = Callable[[S3Request], None]
_checks: list[Check] = []
_locks = [threading.RLock() for _ in range(STRIPES)]


def register(check: Check, *, first: bool = False) -> None:
    """Have ``check`` called for every request, in the order of registration, or before all others."""
    _checks.insert(0 if first else len(_checks), check)


def find_bucket(name: str) -> Any | None:
    """A bucket by its name, whoever owns it."""
    found = s3_backends.bucket_accounts.get(name)
    if found is None:
        return None
    partition, account = found
    return s3_backends[account][partition].buckets.get(name)


def body_xml(request: S3Request) -> ElementTree.Element:
    """The request's body.

    Raises:
        S3ClientError: MalformedXML.
    """
    try:
        return ElementTree.fromstring(request.response.body)  # noqa: S314  # from this machine's own clients
    except ElementTree.ParseError as exc:
        raise error("MalformedXML", "The XML you provided was not well-formed.") from exc


def error(code: str, message: str) -> Exception:
    made: Exception = S3ClientError(code, message)
    return made


def install() -> None:
    key_response = guard.original(S3Response, "_key_response", "self", "request", "full_url")
    bucket_response = guard.original(S3Response, "_bucket_response", "self", "request", "full_url")

    def _key_response(self: Any, request: Any, full_url: str) -> Any:
        incoming = _describe(self, request, full_url, self.parse_key_name())
        with _holding(incoming):
            for check in _checks:
                check(incoming)
            return key_response(self, request, full_url)

    def _bucket_response(self: Any, request: Any, full_url: str) -> Any:
        incoming = _describe(self, request, full_url, None)
        for check in _checks:
            check(incoming)
        return bucket_response(self, request, full_url)

    guard.replace(S3Response, "_key_response", _key_response)
    guard.replace(S3Response, "_bucket_response", _bucket_response)


def _describe(response: Any, request: Any, full_url: str, key: str | None) -> S3Request:
    name = str(response.parse_bucket_name_from_url(request, full_url) or "")
    return S3Request(
        response=response,
        method=str(request.method),
        query=parse_qs(urlparse(full_url).query, keep_blank_values=True),
        headers=request.headers,
        caller=accounts.caller_of(response),
        bucket_name=name,
        bucket=find_bucket(name) if name else None,
        key=key,
    )


@contextlib.contextmanager
def _holding(request: S3Request) -> Iterator[None]:
    if request.method in ("GET", "HEAD"):
        yield
        return
    with _locks[hash((request.bucket_name, request.key)) % STRIPES]:
        yield
