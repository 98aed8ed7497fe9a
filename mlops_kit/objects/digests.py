"""Digests: hex everywhere in the kit, base64 only where S3's API wants it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def canonical_json(value: Any) -> bytes:
    """One text per value: sorted keys, no spaces, UTF-8. What digests of JSON are taken over."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256_bytes(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def composite_sha256(parts: Sequence[str]) -> str:
    """What S3 calls the composite checksum of an object that came in parts: ``<hex>-<number of parts>``.

    The SHA-256 over the parts' binary SHA-256s. Source: S3 user guide, "Checking object integrity", "composite".
    """
    return f"{hashlib.sha256(b''.join(map(bytes.fromhex, parts))).hexdigest()}-{len(parts)}"


def to_base64(hex_digest: str) -> str:
    return base64.b64encode(bytes.fromhex(hex_digest)).decode()


def from_base64(digest: str) -> str:
    return base64.b64decode(digest).hex()
