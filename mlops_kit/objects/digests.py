"""Digests: hex everywhere in the kit, base64 only where S3's API wants it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

BUFFER = 1 << 20
"""Bytes that are read at a time to be hashed."""


def canonical_json(value: Any) -> bytes:
    """One text per value: sorted keys, no spaces, UTF-8. What digests of JSON are taken over."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256_bytes(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_in_parts(
    read: Callable[[int], bytes | memoryview], part: int, on_bytes: Callable[[int], object] = lambda _: None
) -> tuple[str, list[str], int]:
    """SHA-256 of all that ``read`` gives, those of its parts of ``part`` bytes (0: it has none), and its size.

    ``read`` is given how much to read at most, and gives nothing at the end, as that of files does.
    """
    whole, current = hashlib.sha256(), hashlib.sha256()
    parts: list[str] = []
    total = in_part = 0
    while chunk := read(min(BUFFER, part - in_part) if part else BUFFER):
        count = len(chunk)
        whole.update(chunk)
        total += count
        on_bytes(count)
        if part:
            current.update(chunk)
            in_part += count
            if in_part == part:
                parts.append(current.hexdigest())
                current, in_part = hashlib.sha256(), 0
    if in_part:
        parts.append(current.hexdigest())
    return whole.hexdigest(), parts, total


def composite_sha256(parts: Sequence[str]) -> str:
    """What S3 calls the composite checksum of an object that came in parts: ``<hex>-<number of parts>``.

    The SHA-256 over the parts' binary SHA-256s. Source: S3 user guide, "Checking object integrity", "composite".
    """
    return f"{hashlib.sha256(b''.join(map(bytes.fromhex, parts))).hexdigest()}-{len(parts)}"


def to_base64(hex_digest: str) -> str:
    return base64.b64encode(bytes.fromhex(hex_digest)).decode()


def from_base64(digest: str) -> str:
    return base64.b64decode(digest).hex()
