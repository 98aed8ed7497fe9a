"""What S3 says about objects: found by HEAD, listed, as versions; and the sizes at which one request is not enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from mlops_kit.objects.digests import from_base64

UNKNOWN_TIME = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes. Tests lower them."""

    single: int = 5 * 1024**3
    """What one PutObject or CopyObject takes at most."""
    least_part: int = 64 * 1024**2
    most_parts: int = 10_000

    def part(self, size: int) -> int:
        """The part size of an object of ``size`` bytes: ``least_part``, doubled until there are few enough parts."""
        found = self.least_part
        while found * self.most_parts < size:
            found *= 2
        return found

    def ranges(self, size: int) -> list[tuple[int, int, int]]:
        """Number (from 1), offset and length of each part."""
        step = self.part(size)
        return [
            (number, start, min(step, size - start)) for number, start in enumerate(range(0, max(size, 1), step), 1)
        ]


AWS_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What HEAD says.

    ``sha256`` is None for an object that was not written with a full SHA-256; ``composite`` is ``<hex>-<parts>`` for
    one that was written in parts with a SHA-256 each. ``etag`` is in its quotes.
    """

    key: str
    size: int
    etag: str
    version: str | None
    sha256: str | None
    composite: str | None = None
    modified: datetime = UNKNOWN_TIME
    content_type: str | None = None

    @classmethod
    def of(cls, key: str, headers: Mapping[str, str]) -> ObjectInfo:
        digest, _, parts = headers.get("x-amz-checksum-sha256", "").partition("-")
        hex_digest = from_base64(digest) if digest else None
        modified = headers.get("last-modified")
        return cls(
            key=key,
            size=int(headers.get("content-length", "0")),
            etag=headers.get("etag", ""),
            version=version_of(headers),
            sha256=None if parts else hex_digest,  # a composite checksum is a digest of digests
            composite=f"{hex_digest}-{parts}" if parts else None,
            modified=_time(modified) if modified else UNKNOWN_TIME,
            content_type=headers.get("content-type"),
        )


@lru_cache(maxsize=256)  # objects that were written together were written in the same second
def _time(text: str) -> datetime:
    return parsedate_to_datetime(text)


@dataclass(frozen=True, slots=True)
class Listed:
    """An object in a listing. ``etag`` is in its quotes."""

    key: str
    size: int
    etag: str
    modified: datetime


@dataclass(frozen=True, slots=True)
class Version:
    """A version of an object, or a delete marker (``deleted``); ``latest``: it is the current one."""

    key: str
    version: str
    etag: str
    size: int
    modified: datetime
    latest: bool
    deleted: bool


def version_of(headers: Mapping[str, str]) -> str | None:
    """The version id; None where the bucket keeps no versions."""
    found = headers.get("x-amz-version-id")
    return None if found == "null" else found
