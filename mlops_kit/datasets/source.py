"""Where the files of a new commit come from: this machine (``local_source``), or S3 (``import_prefix``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from mlops_kit.datasets.records import FileEntry
from mlops_kit.datasets.transfer import AT_ONCE, Origin
from mlops_kit.errors import UsageError
from mlops_kit.objects import Store
from mlops_kit.progress import SILENT, Progress


class Surveyed(Origin, Protocol):
    """Files that are known by path, size and digest, and can be brought."""

    @property
    def entries(self) -> Sequence[FileEntry]: ...

    def local(self, path: str, to: Path) -> Path:
        """A local file with the bytes: where it is, or ``to``, if it had to be brought. KeyError: not one of these."""

    def discard(self) -> None:
        """Remove what the survey left behind. Does not fail."""


class Source(Protocol):
    """Files to commit, not yet looked at."""

    def survey(
        self, lake: Store, dataset: str, into: str, *, progress: Progress = SILENT, at_once: int = AT_ONCE
    ) -> Surveyed:
        """Find out what there is. ``into`` is empty, or the directory that it goes to, with a slash at its end.

        Raises:
            UsageError: nothing there, or something that a data set cannot hold; all problems at once.
        """


@dataclass(frozen=True, slots=True)
class Nothing:
    """The source of a commit that only removes files."""

    entries: tuple[FileEntry, ...] = ()

    def survey(
        self, lake: Store, dataset: str, into: str, *, progress: Progress = SILENT, at_once: int = AT_ONCE
    ) -> Nothing:
        return self

    def local(self, path: str, to: Path) -> Path:
        raise KeyError(path)

    def discard(self) -> None:
        pass

    def bring(self, target: Store, key: str, entry: FileEntry) -> None:
        raise KeyError(entry.path)

    def renew(self, target: Store, key: str, entry: FileEntry, etag: str) -> None:
        raise KeyError(entry.path)


def open_source(
    text: str | Path, lake: Store, owner: str | None = None, tell: Callable[[str], None] = lambda line: None
) -> Source:
    """A local path, or ``s3://bucket/prefix``.

    ``owner`` is the account that must own the bucket of a prefix; None: the one that owns the lake.
    """
    from mlops_kit.datasets.import_prefix import PrefixSource
    from mlops_kit.datasets.local_source import LocalSource

    if not str(text).startswith("s3://"):
        if owner is not None:
            raise UsageError(f"{text} is no S3 prefix: only the bucket of one has an owner.")
        return LocalSource.of(Path(text), tell)
    bucket, _, prefix = str(text).removeprefix("s3://").partition("/")
    if not bucket:
        raise UsageError(f"{text!r} is not the address of an S3 prefix.", hint="Write it like s3://bucket/raw/2026/.")
    return PrefixSource(replace(lake, bucket=bucket, owner=owner or lake.owner), prefix, tell)
