"""The records a data set is made of, and their one serialized form.

A commit's id is the SHA-256 of its canonical header, which names the SHA-256 of the canonical file list. So equal
commits have equal ids in every environment, and nobody can change a commit without changing its id. Nothing that
differs between environments (buckets, version ids) is part of either. The format is specified in ``docs/datasets.md``.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from operator import attrgetter
from typing import Any

from mlops_kit.errors import IntegrityError
from mlops_kit.objects.digests import canonical_json, sha256_bytes
from mlops_kit.objects.strict_json import read_json
from mlops_kit.objects.unpacking import gunzip_lines

FORMAT = 1
LONGEST_LINE = 8 * 1024
"""Of a file list, in bytes: S3 takes keys of 1,024, and JSON makes at most six of one."""


_LINE = re.compile(
    rb'\{(?:"composite":"[0-9a-f]{64}-[1-9][0-9]{0,5}",)?'
    rb'"path":"(?:[^"\\\x00-\x1f]++|\\(?:["\\bfnrt]|u00[01][0-9a-f]))*+",'
    rb'"sha256":"[0-9a-f]{64}","size":(?:0|[1-9][0-9]{0,18})\}'
)
"""An entry and nothing else: no key twice, which one reader would take and another would not."""


@dataclass(frozen=True, slots=True, order=True)
class FileEntry:
    """One file of a commit: its path inside the data set ("/" between parts), size in bytes, SHA-256 in hex.

    ``composite`` is there for files that S3 takes in parts only: the SHA-256 over the parts' SHA-256s in hex, a hyphen,
    and the number of parts, which is what S3 stores and can compare for such an object.
    """

    path: str
    size: int
    sha256: str
    composite: str | None = None

    def to_line(self) -> bytes:
        """The entry's line in the file list, with the line feed."""
        # Written by hand, because a million of these are; a test holds it equal to canonical_json.
        composite = "" if self.composite is None else f'"composite":"{self.composite}",'
        path = json.dumps(self.path, ensure_ascii=False)
        return f'{{{composite}"path":{path},"sha256":"{self.sha256}","size":{self.size}}}\n'.encode()


class FileList(Sequence[FileEntry]):
    """The files of a commit in the order of their paths; as lean as a million of them have to be.

    Held are the lines of the canonical form. An entry is made of its line when it is asked for.
    """

    def __init__(self, lines: list[bytes]) -> None:
        """``lines`` are canonical, without line feeds, in the order of the paths: see :meth:`of` and :meth:`parse`."""
        self._lines = lines

    @classmethod
    def of(cls, entries: Iterable[FileEntry]) -> FileList:
        # By a key, because comparing a million dataclasses takes ten seconds.
        return cls([entry.to_line()[:-1] for entry in sorted(entries, key=attrgetter("path"))])

    @classmethod
    def parse(cls, compressed: bytes, commit: Commit) -> FileList:
        """Read a file list back.

        Raises:
            IntegrityError: it is not the list whose digest the header names, or no writer of this format made it.
        """
        lines: list[bytes] = []
        digest = hashlib.sha256()
        try:
            # The header says how many files there are, so a list that unpacks to more is not unpacked to its end.
            for some in gunzip_lines(compressed, commit.files, LONGEST_LINE):
                lines += some
                if some:
                    digest.update(b"\n".join([*some, b""]))
        except ValueError as exc:
            raise IntegrityError(f"The file list of commit {commit.id} cannot be unpacked: {exc}") from exc
        if digest.hexdigest() != commit.file_list:
            raise IntegrityError(f"The file list of commit {commit.id} was changed: its digest is not the header's.")
        if len(lines) != commit.files:
            raise IntegrityError(f"The file list of commit {commit.id} has {len(lines)} files, not {commit.files}.")
        return cls(lines)

    def dump(self) -> bytes:
        """The canonical file list: one canonical JSON object a line, each line ended by a line feed."""
        return b"\n".join([*self._lines, b""])

    @cached_property
    def digest(self) -> str:
        return sha256_bytes(self.dump())

    @property
    def lines(self) -> list[bytes]:
        """The lines themselves, to be compared in bulk. Not to be changed."""
        return self._lines

    def find(self, path: str) -> FileEntry | None:
        position = bisect_left(self._lines, path, key=path_of)
        if position < len(self._lines) and path_of(self._lines[position]) == path:
            return entry_of(self._lines[position])
        return None

    def below(self, directory: str) -> Iterator[FileEntry]:
        """The entries whose path starts with ``directory`` (which ends with a slash, or is empty)."""
        for position in range(bisect_left(self._lines, directory, key=path_of), len(self._lines)):
            if not path_of(self._lines[position]).startswith(directory):
                return
            yield self[position]

    def check_order(self) -> None:
        """Raises:
        IntegrityError: a path is there twice, or out of order: no writer of this format made that.
        """
        for before, after in pairwise(map(path_of, self._lines)):
            if before >= after:
                raise IntegrityError(f"The file list has {after!r} after {before!r}: it was not written by mlops-kit.")

    def __repr__(self) -> str:
        return f"<FileList of {len(self._lines)}>"

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[FileEntry]:
        return map(entry_of, self._lines)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return FileList(self._lines[index])
        return entry_of(self._lines[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileList) and self._lines == other._lines

    __hash__ = None  # type: ignore[assignment]  # lists are compared, not looked up


def path_of(line: bytes) -> str:
    """The path of an entry's line, without reading the rest of it."""
    # In canonical JSON nothing but the fixed-length digest and the size stands behind the path.
    try:
        start = line.index(b'"path":"') + 8 if line.startswith(b'{"composite"') else 9
        raw = line[start : line.rindex(b'","sha256":"')]
        return str(json.loads(b'"' + raw + b'"')) if b"\\" in raw else raw.decode()
    except ValueError as exc:
        raise IntegrityError(f"A line of a file list is not an entry: {line[:80]!r}") from exc


def sha256_of(line: bytes) -> bytes:
    """The digest of an entry's line, in hex."""
    start = line.rindex(b'"sha256":"') + 10
    return line[start : start + 64]


def size_of(line: bytes) -> int:
    """The size of an entry's line, in bytes."""
    return int(line[line.rindex(b":") + 1 : -1])


def entry_of(line: bytes) -> FileEntry:
    """Raises:
    IntegrityError: the line is not an entry in its canonical form.
    """
    if not _LINE.fullmatch(line):
        raise IntegrityError(f"A line of a file list is not an entry: {line[:80]!r}")
    try:
        return FileEntry(**json.loads(line))
    except (ValueError, TypeError) as exc:
        raise IntegrityError(f"A line of a file list is not an entry: {line[:80]!r}") from exc


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
    try:
        made = Commit(**data)
    except TypeError as exc:
        raise IntegrityError(f"The header of commit {commit} has other fields than format {FORMAT} has.") from exc
    if not _is_header(data):
        raise IntegrityError(f"The header of commit {commit} has fields of another kind than format {FORMAT} has.")
    if made.id != commit:
        raise IntegrityError(f"The header of commit {commit} is not in its canonical form.")
    return made


def _is_header(data: dict[str, Any]) -> bool:
    """Whether every field is what it should be; whoever made the header may have been anybody."""
    texts = all(isinstance(data.get(name), str) for name in ("dataset", "author", "message", "time", "file_list"))
    numbers = all(type(data.get(name)) is int and data[name] >= 0 for name in ("files", "size"))
    return texts and numbers and isinstance(data.get("parent"), str | None)


def compress(listing: bytes) -> bytes:
    """Gzip for what is stored; no time stamp in the header, so that the same list is the same bytes."""
    # Level 1: digests do not compress, and at a million entries the higher levels take seconds for a few per cent.
    return gzip.compress(listing, compresslevel=1, mtime=0)


def _object(body: bytes, what: str) -> dict[str, Any]:
    try:
        data = read_json(body)
    except ValueError as exc:
        raise IntegrityError(f"{what} is not valid JSON: {exc}") from exc
    if not isinstance(data, dict):
        raise IntegrityError(f"{what} is not a JSON object.")
    return data
