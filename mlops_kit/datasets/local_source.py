"""Files of this machine as the source of a commit: found, hashed, and sent.

S3 checks the digest of every file as it arrives, so that one which changes on the way is refused, not stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlops_kit.datasets import local_files
from mlops_kit.datasets.digest_cache import DigestCache, default_path
from mlops_kit.datasets.local_files import LocalFile
from mlops_kit.datasets.records import FileEntry
from mlops_kit.datasets.transfer import AT_ONCE
from mlops_kit.errors import IntegrityError, UsageError
from mlops_kit.objects import Store
from mlops_kit.progress import SILENT, Progress


@dataclass(frozen=True, slots=True)
class LocalSource:
    """A file or a directory, whose digests ``cache`` remembers; a ``Source``."""

    path: Path
    cache: DigestCache

    @classmethod
    def of(cls, path: Path, tell: Callable[[str], None] = lambda line: None) -> LocalSource:
        return cls(path, DigestCache(default_path(), tell=tell))

    def survey(
        self, lake: Store, dataset: str, into: str, *, progress: Progress = SILENT, at_once: int = AT_ONCE
    ) -> Disk:
        found = local_files.find(self.path, dataset, into)
        entries = self.cache.entries(found, lake.limits, progress)
        return Disk(entries, found.files, self.cache, progress)


@dataclass(frozen=True, slots=True)
class Disk:
    """Files of this machine with their digests; ``Surveyed``."""

    entries: list[FileEntry]
    files: dict[str, LocalFile]
    cache: DigestCache
    progress: Progress

    def local(self, path: str, to: Path | None = None) -> Path:
        return Path(self.files[path].location)

    def discard(self) -> None:
        pass

    def bring(self, target: Store, key: str, entry: FileEntry) -> None:
        location = self.local(entry.path)

        def count(sent: int) -> None:
            self.progress.add(bytes_=sent)

        try:
            target.put_new_file(key, location, entry.sha256, size=entry.size, composite=entry.composite, on_bytes=count)
        except (IntegrityError, OSError) as exc:
            raise self._changed(location, exc) from exc

    def renew(self, target: Store, key: str, entry: FileEntry, etag: str) -> None:
        location = self.local(entry.path)
        try:
            target.refresh_file(key, location, entry.sha256, etag, size=entry.size, composite=entry.composite)
        except (IntegrityError, OSError) as exc:
            raise self._changed(location, exc) from exc

    def _changed(self, location: Path, exc: IntegrityError | OSError) -> IntegrityError | UsageError:
        """The error to raise; the file is hashed again next time."""
        self.cache.forget([str(location)])
        if isinstance(exc, OSError):
            return UsageError(
                f"{location} can no longer be read: {exc.strerror}.", hint="Nothing became visible. Run it again."
            )
        return IntegrityError(
            f"{location} could not be stored under its digest: {exc.message}",
            hint="Nothing became visible, and what was remembered of the file is forgotten. Run it again, while nobody "
            "writes to it.",
        )
