"""Whether an object holds the bytes that are on record."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from mlops_kit.errors import IntegrityError
from mlops_kit.objects import codes
from mlops_kit.wire.transfer import OnBytes

if TYPE_CHECKING:
    from mlops_kit.objects.store import Store

HINT = "The bytes are not the ones that were recorded. Do not use them; find out who wrote them."


def check(what: str, found: str, expected: str | None) -> None:
    if expected is not None and found != expected:
        raise IntegrityError(f"{what} has SHA-256 {found}, expected {expected}: it holds other bytes.", hint=HINT)


def check_size(what: str, found: int, expected: int | None) -> None:
    if expected is not None and found != expected:
        raise IntegrityError(f"{what} has {found} bytes, expected {expected}: it holds other bytes.", hint=HINT)


def verify(store: Store, key: str, sha256: str, *, size: int | None = None, composite: str | None = None) -> None:
    found = store.head(key)
    if found is None:
        raise IntegrityError(f"{store.uri(key)} is missing.")
    check_size(store.uri(key), found.size, size)
    if found.composite is not None and found.composite == composite:
        return
    # Another composite may be of the same bytes, cut in other places: only reading them tells.
    digest = found.sha256 or read_digest(store, key, found.version)
    check(store.uri(key), digest, sha256)


def seems_there(store: Store, key: str) -> bool:
    """Whether it is worth a look at what is there, before gigabytes travel in vain; False where nobody may know."""
    try:
        return store.head(key) is not None
    except ClientError as exc:
        if codes.of(exc) in codes.REFUSED:
            return False
        raise


def read_digest(store: Store, key: str, version: str | None = None, on_bytes: OnBytes | None = None) -> str:
    """The SHA-256 of an object, by reading it.

    Raises:
        IntegrityError: it is missing.
    """
    sink = HashingSink(on_bytes)
    try:
        store.request("GetObject", "GET", key, query={"versionId": version} if version else {}, sink=sink)
    except ClientError as exc:
        if store.is_absent(key, exc, version):
            raise IntegrityError(f"{store.uri(key)} is missing.") from exc
        raise
    return sink.digest.hexdigest()


class HashingSink:
    """Hashes what it is given; after a break, it asks for the rest of the same object."""

    def __init__(self, on_bytes: OnBytes | None = None) -> None:
        self.digest = hashlib.sha256()
        self.received = 0
        self.headers: Mapping[str, str] = {}
        self._on_bytes = on_bytes

    def asks(self) -> Mapping[str, str]:
        etag = self.headers.get("etag")
        if not self.received or not etag:
            return {}
        return {"range": f"bytes={self.received}-", "if-match": etag}

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        if status == 206 and headers.get("content-range", "").startswith(f"bytes {self.received}-"):
            return
        if self._on_bytes is not None and self.received:
            self._on_bytes(-self.received)
        self.digest = hashlib.sha256()
        self.received = 0
        self.headers = headers

    def write(self, piece: memoryview) -> None:
        self.digest.update(piece)
        self.received += len(piece)
        if self._on_bytes is not None:
            self._on_bytes(len(piece))
