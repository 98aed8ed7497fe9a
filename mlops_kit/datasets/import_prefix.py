"""An S3 prefix as the source of a commit: objects become files of the data set, and no bytes pass through this machine.

What a commit needs and a listing does not tell is SHA-256. So every new object is copied, pinned to the ETag that was
listed, to a staging key, because S3 computes the digest of what it copies; from there it is copied to the key that has
the digest in its name. An index by ETag remembers the digests, so that the next import copies only what is new; an
index that is lost, or wrong, costs copies, or is refused by S3 when a copy turns out to have another digest.

The exception are objects over what one CopyObject takes (5 GiB): S3 does not compute the digest of those, so they are
read once, through this machine, pinned to their version; then copied in parts, server-side.
"""

from __future__ import annotations

import secrets
from bisect import bisect_left
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from mlops_kit.datasets.digest_cache import part_size
from mlops_kit.datasets.local_files import Problems, room_for_paths, unfit
from mlops_kit.datasets.local_paths import is_safe
from mlops_kit.datasets.records import LONGEST_LINE, FileEntry, compress
from mlops_kit.datasets.transfer import AT_ONCE
from mlops_kit.errors import ConflictError, IntegrityError, MlopsKitError, NotFoundError, UsageError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import (
    Listed,
    ObjectInfo,
    Store,
    canonical_json,
    codes,
    composite_sha256,
    each,
    sha256_bytes,
)
from mlops_kit.objects.digests import hash_in_parts
from mlops_kit.objects.strict_json import read_json
from mlops_kit.objects.unpacking import gunzip_lines
from mlops_kit.progress import SILENT, Progress


@dataclass(frozen=True, slots=True)
class Digest:
    """Of an object: all of it, and of its parts if it has to be copied in parts."""

    sha256: str
    composite: str | None = None


MOST_NOTES = 100_000
"""Lines of an index that are read for nothing: a prefix may have had more objects than it has."""

Index = dict[tuple[str, str, int], Digest]
"""By key, ETag and size."""


@dataclass(frozen=True, slots=True)
class PrefixSource:
    """The objects of ``store`` below ``prefix``; a ``Source``.

    A prefix without a slash at its end is an object, or a directory of that name.
    """

    store: Store
    prefix: str
    tell: Callable[[str], None] = lambda line: None

    def survey(
        self, lake: Store, dataset: str, into: str, *, progress: Progress = SILENT, at_once: int = AT_ONCE
    ) -> Prefix:
        """Raises:
        ConflictError: an object changed since it was listed.
        """
        found = _find(lake, dataset, self.store, self.prefix, into)
        index_key = DatasetKeys(dataset).imported(sha256_bytes(self.store.uri(self.prefix).encode()))
        index = read_index(lake, index_key, MOST_NOTES + 2 * len(found))
        staging = _Staging(lake, dataset, self.store, self.tell)
        new = [item for item in found.values() if _identity(item) not in index]
        try:
            if new:
                progress.start("hash", len(new), sum(item.size for item in new))
                digests = each(lambda item: staging.digest(item, progress), new, at_once=at_once)
                progress.done()
                index.update(zip(map(_identity, new), digests, strict=True))
                kept = {_identity(item): index[_identity(item)] for item in found.values()}
                lake.put(index_key, _dump_index(kept), "application/gzip")
        except BaseException:
            staging.clean()
            raise
        entries = []
        for path, item in sorted(found.items()):
            digest = index[_identity(item)]
            entries.append(FileEntry(path, item.size, digest.sha256, digest.composite))
        return Prefix(entries, self.store, found, index_key, staging, progress)


def _find(lake: Store, dataset: str, source: Store, prefix: str, into: str) -> dict[str, Listed]:
    """The objects below ``prefix``, by path in the data set."""
    own = DatasetKeys(dataset).root
    directory = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
    if source.bucket == lake.bucket and (own.startswith(directory) or directory.startswith(own)):
        raise UsageError(f"{source.uri(prefix)} holds {dataset} itself: it cannot be imported into itself.")
    listed = [(item.key.removeprefix(directory), item) for item in source.listing(directory)]
    if directory != prefix and (alone := source.head(prefix)) is not None:
        listed.append((prefix.rpartition("/")[2], Listed(alone.key, alone.size, alone.etag, alone.modified)))
    problems, room = Problems(), room_for_paths(dataset)
    found: dict[str, Listed] = {}
    for below, item in listed:
        if item.size == 0 and (item.key.endswith("/") or not below):
            continue  # what consoles make to show a folder
        path = into + below
        problem = unfit(path, room) if is_safe(path) else f"{item.key!r}: not a path that a file can have"
        if problem is not None:
            problems.add(problem)
        found[path] = item
    problems.refuse(
        f"{source.uri(prefix)} has keys that cannot be paths of a data set",
        "Rename those objects, or import prefixes that leave them out.",
    )
    if not found:
        raise UsageError(f"There are no objects below {source.uri(prefix)}.")
    return found


def _identity(item: Listed) -> tuple[str, str, int]:
    return item.key, item.etag, item.size


def read_index(lake: Store, key: str, most: int = MOST_NOTES) -> Index:
    """What an earlier import found out; empty if there was none, or its notes cannot be read, or are over ``most``."""
    body = lake.get(key)
    if body is None:
        return {}
    try:
        lines = [read_json(line) for some in gunzip_lines(body, most, LONGEST_LINE) for line in some]
        return {
            (line["key"], line["etag"], line["size"]): Digest(line["sha256"], line.get("composite")) for line in lines
        }
    except (ValueError, KeyError, TypeError):
        return {}


def _dump_index(index: Index) -> bytes:
    lines = []
    for (key, etag, size), digest in index.items():
        line = {"key": key, "etag": etag, "size": size, "sha256": digest.sha256}
        lines.append(canonical_json(line | ({"composite": digest.composite} if digest.composite else {})))
    return compress(b"\n".join([*lines, b""]))


@dataclass(frozen=True, slots=True)
class _Staging:
    """Copies that were made to learn digests. Left behind by a run that is killed; a lifecycle rule removes those."""

    lake: Store
    dataset: str
    source: Store
    tell: Callable[[str], None]
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    copies: dict[str, ObjectInfo] = field(default_factory=dict)
    """By key of the source."""

    def digest(self, item: Listed, progress: Progress) -> Digest:
        """What an object's bytes are, provided that it still has the ETag that was listed."""
        try:
            if item.size > self.lake.limits.single:
                return self._read(item, progress)
            name = sha256_bytes(item.key.encode())[:32]
            key = f"{DatasetKeys(self.dataset).staging_prefix}{self.name}/{name}"
            sha256, copied = self.lake.copy_hash(key, self.source, item.key, etag=item.etag, size=item.size)
        except (ConflictError, NotFoundError) as exc:
            raise _changed(self.source, item) from exc
        except ClientError as exc:
            if codes.of(exc) in codes.EXISTS | codes.OTHER_VERSION:
                raise _changed(self.source, item) from exc
            raise
        self.copies[item.key] = copied
        progress.add(objects=1, bytes_=item.size)
        return Digest(sha256)

    def _read(self, item: Listed, progress: Progress) -> Digest:
        found = self.source.head(item.key)
        if found is None or found.etag != item.etag:
            raise _changed(self.source, item)
        with self.source.open(item.key, found.version) as body:
            sha256, parts, _ = hash_in_parts(
                body.read, part_size(item.size, self.lake.limits), lambda count: progress.add(bytes_=count)
            )
        progress.add(objects=1)
        return Digest(sha256, composite_sha256(parts) if parts else None)

    def clean(self) -> None:
        """Really delete the copies, by version: a delete marker would keep the bytes."""
        copies = list(self.copies.values())
        if not copies:
            return
        try:
            self.lake.delete_many((copy.key, copy.version) for copy in copies)
        except (ClientError, BotoCoreError, MlopsKitError) as exc:
            self.tell(f"{len(copies)} temporary objects in staging could not be deleted ({exc}); they expire")


def _changed(source: Store, item: Listed) -> ConflictError:
    return ConflictError(
        f"{source.uri(item.key)} was changed or deleted after it was listed.",
        hint="Run it again when nobody writes there; what was not changed is not copied again.",
    )


@dataclass(frozen=True, slots=True)
class Prefix:
    """The objects of a prefix with their digests; ``Surveyed``. Copied from staging, if they are there."""

    entries: list[FileEntry]
    source: Store
    found: dict[str, Listed]
    index_key: str
    staging: _Staging
    progress: Progress

    def local(self, path: str, to: Path) -> Path:
        item = self.found[path]
        digest = self.entries[bisect_left(self.entries, path, key=attrgetter("path"))].sha256
        self.source.download(item.key, to, digest, size=item.size)
        return to

    def discard(self) -> None:
        self.staging.clean()

    def bring(self, target: Store, key: str, entry: FileEntry) -> None:
        self._copy(target, key, entry, None)

    def renew(self, target: Store, key: str, entry: FileEntry, etag: str) -> None:
        self._copy(target, key, entry, etag)

    def _copy(self, target: Store, key: str, entry: FileEntry, over: str | None) -> None:
        item = self.found[entry.path]
        staged = self.staging.copies.get(item.key)
        store, at, etag = (target, staged.key, staged.etag) if staged else (self.source, item.key, item.etag)
        try:
            target.copy_known(
                key,
                store,
                at,
                sha256=entry.sha256,
                size=entry.size,
                composite=entry.composite,
                etag=etag,
                replaces=over,
            )
        except NotFoundError as exc:
            raise _changed(self.source, item) from exc
        except IntegrityError:
            with suppress(ClientError):  # a role may lack the permission; this failure is what has to be heard
                target.delete(self.index_key)  # what it remembers is not true
            raise
        self.progress.add(bytes_=entry.size)
