"""Buckets as S3 keeps them: every key a stack of versions, the newest on top, delete markers among them.

The tests look into it and tamper with it: ``put``, ``delete``, ``remove`` and ``overwrite`` go behind the protocol's
back. All of it is guarded by one lock, because the server works on it in a thread of its own.
"""

from __future__ import annotations

import os
import threading
import time
from bisect import insort
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from tests.s3.checksums import Checksum
from tests.s3.content import Buffer, Content
from tests.s3.errors import S3Error

Etags = Literal["md5", "random"]
NO_HEADERS: Mapping[str, str] = MappingProxyType({"content-type": "binary/octet-stream"})
FEW = 32  # so many new keys are inserted one by one; more are sorted in
PART_LIMIT = 10_000


@dataclass(slots=True)
class Version:
    """One version of a key. ``headers`` are what was stored with it: the content type, the user's metadata."""

    version_id: str
    content: Content | None  # None: this is a delete marker
    etag: str = ""  # without its quotes
    headers: Mapping[str, str] = field(default_factory=lambda: NO_HEADERS)
    checksum: Checksum | None = None
    parts: tuple[Part, ...] = ()  # those it was uploaded in
    modified: float = field(default_factory=time.time)  # seconds since the epoch

    @property
    def is_marker(self) -> bool:
        return self.content is None

    @property
    def body(self) -> Content:
        if self.content is None:
            raise ValueError("a delete marker has no content")
        return self.content

    @property
    def data(self) -> bytes:
        return bytes(self.body)

    @property
    def sha256(self) -> str:
        return self.body.sha256().hex()


@dataclass(slots=True, frozen=True)
class Part:
    """One uploaded part."""

    number: int
    content: Content
    etag: str
    checksum: Checksum | None
    modified: float = field(default_factory=time.time)


@dataclass(slots=True)
class Upload:
    """A multipart upload that is neither completed nor aborted."""

    upload_id: str
    key: str
    headers: Mapping[str, str]
    algorithm: str | None
    checksum_type: str | None
    parts: dict[int, Part] = field(default_factory=dict)
    initiated: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Limits:
    """What S3 refuses by size, in bytes, and how it makes ETags."""

    max_single: int = 5 * 1024**3
    min_part: int = 5 * 1024**2
    etags: Etags = "md5"

    def etag(self, content: Content) -> str:
        """An ETag for ``content``: its MD5, or, as with SSE-KMS, something that says nothing about it."""
        return content.md5().hex() if self.etags == "md5" else os.urandom(16).hex()


class Bucket:
    """A versioned bucket of the account ``owner``."""

    def __init__(self, name: str, owner: str, limits: Limits, lock: threading.RLock) -> None:
        self.name, self.owner, self.limits, self.lock = name, owner, limits, lock
        self.created = time.time()
        self.uploads: dict[str, Upload] = {}
        self._stacks: dict[str, list[Version]] = {}  # oldest first
        self._order: list[str] = []  # the keys, sorted, when nothing of the next two is pending
        self._added: list[str] = []
        self._removed = False

    def put(self, key: str, data: Buffer, headers: Mapping[str, str] = NO_HEADERS) -> Version:
        """A new version, as if a client had put it."""
        content = Content([data])
        return self.add(key, Version(new_id(), content, self.limits.etag(content), headers))

    def delete(self, key: str) -> Version:
        """A delete marker on top of ``key``."""
        return self.add(key, Version(new_id(), None))

    def overwrite(self, key: str, data: Buffer, version_id: str | None = None) -> None:
        """Rot: other bytes in a version (the current one), which keeps its ETag and its checksum."""
        with self.lock:
            self.version(key, version_id).content = Content([data])

    def remove(self, key: str, version_id: str | None = None) -> Version | None:
        """Really remove a version (all of them, without ``version_id``); the version that is gone."""
        with self.lock:
            stack = self._stacks.get(key, [])
            gone = None
            for version in list(stack):
                if version_id in (None, version.version_id):
                    stack.remove(version)
                    gone = version
            if gone is not None and not stack:
                del self._stacks[key]
                self._removed = True
            return gone

    def add(self, key: str, version: Version) -> Version:
        """Put ``version`` on top of ``key``."""
        with self.lock:
            stack = self._stacks.get(key)
            if stack is None:
                self._stacks[key] = [version]
                self._added.append(key)
            else:
                stack.append(version)
            return version

    def keys(self) -> list[str]:
        """Every key that has a version, in the order of listings: by code point is by UTF-8 byte.

        This is the list itself, not a copy, and is good until the next change.
        """
        with self.lock:
            if self._removed:
                self._order = sorted(self._stacks)
            elif len(self._added) > FEW:
                self._order += self._added
                self._order.sort()
            else:
                for key in self._added:
                    insort(self._order, key)
            self._added, self._removed = [], False
            return self._order

    def versions(self, key: str) -> list[Version]:
        """All versions of ``key``, newest first."""
        with self.lock:
            return self._stacks.get(key, [])[::-1]

    def newest(self, key: str) -> Version | None:
        """What is on top of ``key``, be it a delete marker."""
        stack = self._stacks.get(key)
        return stack[-1] if stack else None

    def current(self, key: str) -> Version | None:
        """What a reader of ``key`` sees."""
        newest = self.newest(key)
        return None if newest is None or newest.is_marker else newest

    def version(self, key: str, version_id: str | None = None) -> Version:
        """The version that a request names, or the newest one; it may be a delete marker."""
        if version_id is None:
            newest = self.newest(key)
            if newest is None:
                raise S3Error("NoSuchKey", detail={"Key": key})
            return newest
        for version in reversed(self._stacks.get(key, [])):
            if version.version_id == version_id:
                return version
        raise S3Error("NoSuchVersion", detail={"Key": key, "VersionId": version_id})

    def upload(self, key: str, upload_id: str) -> Upload:
        found = self.uploads.get(upload_id)
        if found is None or found.key != key:
            raise S3Error("NoSuchUpload", detail={"UploadId": upload_id})
        return found

    def save(self) -> Mapping[str, tuple[Version, ...]]:
        """All versions of every key, oldest first, to be given to ``restore``."""
        with self.lock:
            return {key: tuple(map(copy, stack)) for key, stack in self._stacks.items()}

    def restore(self, saved: Mapping[str, tuple[Version, ...]]) -> None:
        """Be as it was when that was saved; uploads that are under way are forgotten."""
        with self.lock:
            self._stacks = {key: [copy(version) for version in stack] for key, stack in saved.items()}
            self._order, self._added, self._removed = sorted(self._stacks), [], False
            self.uploads.clear()

    def snapshot(self) -> dict[str, str]:
        """SHA-256 of the bytes of every key that is visible."""
        with self.lock:
            found = ((key, self.current(key)) for key in self.keys())
            return {key: version.sha256 for key, version in found if version is not None}

    def snapshot_versions(self) -> dict[str, list[tuple[str, str | None]]]:
        """Version id and SHA-256 (None of a delete marker) of all versions of every key, newest first."""
        with self.lock:
            return {
                key: [(one.version_id, None if one.is_marker else one.sha256) for one in self.versions(key)]
                for key in self.keys()
            }


def new_id() -> str:
    """A version or upload id: 32 characters that say nothing."""
    return os.urandom(16).hex()


@dataclass
class Storage:
    """All buckets, whosever they are, and what the server assumes of a caller that does not say who it is."""

    buckets: dict[str, Bucket]
    limits: Limits
    lock: threading.RLock
    region: str = "us-east-1"
    account: str = "111111111111"
    sessions: dict[str, str] = field(default_factory=dict)  # session token -> ARN of who acts with it

    def bucket(self, name: str, expected_owner: str | None) -> Bucket:
        """The bucket that a request names, if it belongs to whom the request says."""
        found = self.buckets.get(name)
        if found is None:
            raise S3Error("NoSuchBucket", detail={"BucketName": name})
        if expected_owner is not None and expected_owner != found.owner:
            raise S3Error("AccessDenied")
        return found
