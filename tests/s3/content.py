"""The bytes of an object or a part: pieces that are shared, never copied, when objects are copied or put together."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

Buffer = bytes | bytearray | memoryview


class Content:
    """Bytes that do not change, as a sequence of buffers.

    A copy shares its source's content, a range copy takes views of it, and completing an upload strings its parts
    together: none of them moves a byte.
    """

    __slots__ = ("_sha256", "chunks", "size")

    def __init__(self, chunks: Iterable[Buffer]) -> None:
        self.chunks = tuple(chunk for chunk in chunks if len(chunk))
        self.size = sum(map(len, self.chunks))
        self._sha256: bytes | None = None

    def __bytes__(self) -> bytes:
        first = self.chunks[0] if len(self.chunks) == 1 else None
        return first if isinstance(first, bytes) else b"".join(self.chunks)

    def part(self, start: int, end: int) -> Content:
        """The bytes from ``start`` to before ``end``, as views."""
        if start == 0 and end >= self.size:
            return self
        found: list[Buffer] = []
        offset = 0
        for chunk in self.chunks:
            low, high = max(start - offset, 0), min(end - offset, len(chunk))
            if low < high:
                found.append(memoryview(chunk)[low:high])
            offset += len(chunk)
        return Content(found)

    def sha256(self) -> bytes:
        """The SHA-256 digest, computed once."""
        if self._sha256 is None:
            self._sha256 = self._hashed(hashlib.sha256())
        return self._sha256

    def sha1(self) -> bytes:
        return self._hashed(hashlib.sha1(usedforsecurity=False))

    def md5(self) -> bytes:
        return self._hashed(hashlib.md5(usedforsecurity=False))

    def _hashed(self, digest: hashlib._Hash) -> bytes:
        for chunk in self.chunks:
            digest.update(chunk)
        return digest.digest()


def joined(contents: Iterable[Content]) -> Content:
    """One content after the other, sharing their bytes."""
    return Content(chunk for content in contents for chunk in content.chunks)
