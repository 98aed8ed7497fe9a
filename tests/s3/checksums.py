"""The checksums S3 keeps with an object: which one a request gave, whether it is right, and those of whole uploads.

CRC-32C and CRC-64/NVME have no implementation in the standard library. What clients send of them is kept unverified;
they are computed, a byte at a time and so slowly, only where S3 itself has to (a copy that asks for one).
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from tests.s3.content import Content
from tests.s3.errors import S3Error

COMPOSITE, FULL = "COMPOSITE", "FULL_OBJECT"
SIZES = {"crc32": 4, "crc32c": 4, "crc64nvme": 8, "sha1": 20, "sha256": 32}
HEADERS = {f"x-amz-checksum-{algorithm}": algorithm for algorithm in SIZES}


class Checksum(NamedTuple):
    """One checksum as S3 keeps it: ``value`` is base64, with ``-N`` behind it if it is of N parts' checksums."""

    algorithm: str
    value: str
    type: str = FULL

    @property
    def header(self) -> str:
        return f"x-amz-checksum-{self.algorithm}"

    @property
    def element(self) -> str:
        return f"Checksum{self.algorithm.upper()}"


def known(name: str) -> str:
    """The algorithm called ``name`` in a request, in lower case as in header names."""
    algorithm = name.lower()
    if algorithm not in SIZES:
        raise S3Error("InvalidRequest", "Checksum algorithm provided is unsupported.")
    return algorithm


def given(headers: Mapping[str, str]) -> Checksum | None:
    """The checksum that a request's headers or trailers carry."""
    found = [Checksum(HEADERS[name], value) for name, value in headers.items() if name in HEADERS]
    if len(found) > 1:
        raise S3Error("InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple types are not allowed.")
    return found[0] if found else None


def verify(content: Content, headers: Mapping[str, str]) -> Checksum | None:
    """Refuse a body that is not what its headers say; the checksum they gave, if any."""
    signed = headers.get("x-amz-content-sha256", "")
    if len(signed) == 64 and content.sha256().hex() != signed:
        raise S3Error("XAmzContentSHA256Mismatch")
    if md5 := headers.get("content-md5"):
        _compare(md5, 16, content.md5, "InvalidDigest", "The Content-MD5 you specified was invalid.")
    checksum = given(headers)
    if checksum is None:
        return None
    compute = DIGESTS[checksum.algorithm] if checksum.algorithm in VERIFIED else None
    message = f"Value for {checksum.header} header is invalid."
    _compare(
        checksum.value, SIZES[checksum.algorithm], compute and (lambda: compute(content)), "InvalidRequest", message
    )
    return checksum


def compute(algorithm: str, content: Content) -> Checksum:
    """The checksum of all of ``content``."""
    return Checksum(algorithm, _base64(DIGESTS[algorithm](content)))


def composite(checksums: Sequence[Checksum]) -> Checksum:
    """The checksum of parts' checksums.

    See https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
    """
    algorithm = checksums[0].algorithm
    digests = Content(base64.b64decode(checksum.value) for checksum in checksums)
    return Checksum(algorithm, f"{_base64(DIGESTS[algorithm](digests))}-{len(checksums)}", COMPOSITE)


def md5_of_md5s(etags: Sequence[str]) -> str:
    """The ETag of a multipart upload whose parts have these ETags."""
    return f"{hashlib.md5(b''.join(map(bytes.fromhex, etags)), usedforsecurity=False).hexdigest()}-{len(etags)}"


def _compare(value: str, size: int, compute: Callable[[], bytes] | None, invalid: str, message: str) -> None:
    try:
        digest = base64.b64decode(value, validate=True)
    except ValueError as error:
        raise S3Error(invalid, message) from error
    if len(digest) != size:
        raise S3Error(invalid, message)
    if compute is not None and compute() != digest:
        raise S3Error("BadDigest")


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def _crc32(content: Content) -> bytes:
    value = 0
    for chunk in content.chunks:
        value = zlib.crc32(chunk, value)
    return value.to_bytes(4, "big")


@cache
def _table(polynomial: int) -> tuple[int, ...]:
    def entry(value: int) -> int:
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)
        return value

    return tuple(map(entry, range(256)))


def _reflected(polynomial: int, size: int) -> Callable[[Content], bytes]:
    """A CRC of ``size`` bytes with reflected ``polynomial``, all ones at the start and inverted at the end."""

    def crc(content: Content) -> bytes:
        ones = (1 << 8 * size) - 1
        table, value = _table(polynomial), ones
        for chunk in content.chunks:
            for byte in chunk:
                value = table[(value ^ byte) & 0xFF] ^ value >> 8
        return (value ^ ones).to_bytes(size, "big")

    return crc


DIGESTS: Mapping[str, Callable[[Content], bytes]] = {
    "crc32": _crc32,
    "crc32c": _reflected(0x82F63B78, 4),
    "crc64nvme": _reflected(0x9A6C9329AC4BC9B5, 8),
    "sha1": Content.sha1,
    "sha256": Content.sha256,
}
VERIFIED = frozenset({"crc32", "sha1", "sha256"})
