"""Bring files of a commit to local paths: in parallel, each verified, and from an older version where one is broken.

The paths are of a directory that nobody reads yet. A file that is not whole may be left there by a kill, never by an
error; whoever finds files there hashes them before they become part of anything.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlops_kit.datasets.checkout_state import Written
from mlops_kit.datasets.file_cache import FileCache
from mlops_kit.datasets.local_paths import TOLD, some
from mlops_kit.datasets.records import FileEntry
from mlops_kit.datasets.versions import versions_of
from mlops_kit.datasets.write_slots import WriteSlots
from mlops_kit.errors import IntegrityError, NotFoundError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store, each, sha256_bytes
from mlops_kit.progress import Progress

SMALL = 1 << 20
"""Files up to this size, in bytes, are received in one piece and written with one call."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of the files. ``written`` is in the order they were asked for."""

    written: list[Written]
    downloaded: int
    downloaded_bytes: int
    restored: tuple[str, ...]
    """Paths whose object is missing or holds other bytes now, and that came from an older version of it."""


@dataclass(slots=True)
class _Job:
    lake: Store
    keys: DatasetKeys
    cache: FileCache | None
    progress: Progress
    slots: WriteSlots
    downloaded: list[int] = field(default_factory=list)  # sizes; appending is atomic
    restored: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def bring(self, item: tuple[FileEntry, str]) -> Written | None:
        entry, to = item
        if len(self.lost) >= TOLD:  # enough to tell; the rest would fail as well, slowly
            return None
        if self.cache is None:
            return self._download(entry, to)
        if self.cache.has(entry.sha256, entry.size):
            self.progress.add(1, entry.size)
        else:
            unfinished = self.cache.temporary()
            try:
                if self._download(entry, str(unfinished)) is None:
                    return None
                self.cache.take(unfinished, entry.sha256)
            finally:
                unfinished.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(to)  # noqa: PTH108 - once a file: strings are cheaper than paths
        self.cache.place(entry.sha256, to)
        found = os.stat(to)  # noqa: PTH116
        return Written(entry.size, found.st_mtime_ns, entry.sha256)

    def _download(self, entry: FileEntry, to: str) -> Written | None:
        key = self.keys.file(entry.path, entry.sha256)
        written: Written | None
        try:
            written = self._get(key, entry, to, None)
        except (NotFoundError, IntegrityError):
            written = self._older(key, entry, to)
            if written is None:
                self.lost.append(entry.path)
                return None
        self.downloaded.append(entry.size)
        self.progress.add(1)
        return written

    def _older(self, key: str, entry: FileEntry, to: str) -> Written | None:
        # The current version is among them: what failed may have been the way here.
        for version in versions_of(self.lake, key, entry.size):
            with contextlib.suppress(NotFoundError, IntegrityError):
                written = self._get(key, entry, to, version.version)
                if not version.latest:
                    self.restored.append(entry.path)
                return written
        return None

    def _get(self, key: str, entry: FileEntry, to: str, version: str | None) -> Written:
        if entry.size > SMALL:
            self.lake.download(
                key,
                Path(to),
                entry.sha256,
                size=entry.size,
                version=version,
                on_bytes=lambda count: self.progress.add(bytes_=count),
            )
            return Written(entry.size, os.stat(to).st_mtime_ns, entry.sha256)  # noqa: PTH116
        body = self.lake.get(key, version)
        if body is None or len(body) != entry.size or sha256_bytes(body) != entry.sha256:
            raise IntegrityError(f"{self.lake.uri(key)} does not hold the bytes that were recorded.")
        self.progress.add(bytes_=entry.size)
        with self.slots.slot():
            return Written(entry.size, write_new(to, body), entry.sha256)


def fetch(
    lake: Store,
    dataset: str,
    items: Sequence[tuple[FileEntry, str]],
    *,
    cache: FileCache | None,
    at_once: int,
    progress: Progress,
    what: str = "checkout",
) -> Fetched:
    """Bring each file to its path, whose directory exists. ``what`` is shown as the operation in progress.

    Raises:
        IntegrityError: of some files no version has the bytes any more; names up to ten of them.
    """
    job = _Job(lake, DatasetKeys(dataset), cache, progress, WriteSlots(at_once))
    progress.start(what, len(items), sum(entry.size for entry, _ in items))
    written = each(job.bring, items, at_once=at_once)
    if job.lost:
        raise IntegrityError(
            f"{lake.bucket} has lost {'at least ' if len(job.lost) >= TOLD else ''}{len(job.lost)} files of {dataset}: "
            f"{some(sorted(job.lost))} are missing or hold other bytes, and no older version has the right ones.",
            hint=f"Another environment may still have them: `mlops-kit dataset verify {dataset}@REV` there, then "
            "promote again, or commit the original files again.",
        )
    progress.done()
    return Fetched(
        [one for one in written if one is not None],
        len(job.downloaded),
        sum(job.downloaded),
        tuple(sorted(job.restored)),
    )


def write_new(to: str, body: bytes) -> int:
    """Write a file that was not there, or is replaced by a new one; its modification time in nanoseconds.

    Nothing is left of it if it cannot be written in full.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        handle = os.open(to, flags, 0o666)
    except FileExistsError:
        # Not truncated: it may be a hard link to a file of the cache.
        os.unlink(to)  # noqa: PTH108 - once a file: strings are cheaper than paths
        handle = os.open(to, flags, 0o666)
    try:
        left = memoryview(body)
        while left:
            left = left[os.write(handle, left) :]
        return os.fstat(handle).st_mtime_ns
    except BaseException:
        os.unlink(to)  # noqa: PTH108
        raise
    finally:
        os.close(handle)
