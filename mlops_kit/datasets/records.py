"""The records a data set is made of, and their one serialized form.

A commit's id is the SHA-256 of its canonical header, which names the SHA-256 of the canonical file list. So equal
commits have equal ids in every environment, and nobody can change a commit without changing its id. Nothing that
differs between environments (buckets, version ids) is part of either.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from mlops_kit.errors import IntegrityError
from mlops_kit.objects import canonical_json, sha256_bytes

FORMAT = 1


@dataclass(frozen=True, slots=True, order=True)
class FileEntry:
    """One file of a commit: its path inside the data set ("/" between parts), size in bytes, SHA-256 in hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit's header. ``time`` is UTC in ISO 8601; ``parent`` is None for the first commit."""

    dataset: str
    parent: str | None
    author: str
    message: str
    time: str
    files: int
    size: int
    """Bytes of all files together."""
    file_list: str
    """SHA-256 of the uncompressed file list."""
    format: int = FORMAT

    @property
    def id(self) -> str:
        return sha256_bytes(self.to_json())

    def to_json(self) -> bytes:
        return canonical_json(asdict(self))


def parse_commit(body: bytes, commit: str) -> Commit:
    """Read a header back; refuses one whose digest is not its id."""
    if sha256_bytes(body) != commit:
        raise IntegrityError(f"The header of commit {commit} was changed: its digest is {sha256_bytes(body)}.")
    data = _object(body, f"commit {commit}")
    if data.get("format") != FORMAT:
        raise IntegrityError(
            f"Commit {commit} has format {data.get('format')}; this version reads format {FORMAT}.",
            hint="Upgrade mlops-kit.",
        )
    return Commit(**data)


def dump_files(files: Iterable[FileEntry]) -> bytes:
    """The canonical file list: one JSON object a line, in the order of the paths."""
    return b"".join(canonical_json(asdict(entry)) + b"\n" for entry in sorted(files))


def compress(listing: bytes) -> bytes:
    # No time stamp in the gzip header: the same list has to be the same bytes.
    return gzip.compress(listing, mtime=0)


def parse_files(compressed: bytes, commit: Commit) -> tuple[FileEntry, ...]:
    """Read a file list back; refuses one whose digest is not the one the header names."""
    try:
        listing = gzip.decompress(compressed)
    except (OSError, EOFError) as exc:
        raise IntegrityError(f"The file list of commit {commit.id} cannot be unpacked: {exc}") from exc
    if sha256_bytes(listing) != commit.file_list:
        raise IntegrityError(f"The file list of commit {commit.id} was changed: its digest is not the header's.")
    return tuple(FileEntry(**_object(line, f"commit {commit.id}")) for line in listing.splitlines())


def _object(body: bytes, what: str) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except ValueError as exc:
        raise IntegrityError(f"{what} is not valid JSON: {exc}") from exc
    if not isinstance(data, dict):
        raise IntegrityError(f"{what} is not a JSON object.")
    return data
