"""Bring a commit's files to where they belong: sent, copied, or found there and checked.

What is in the bucket already, but not in a commit that the writer builds upon, was left by somebody: a run that was
killed, a commit that no ref reaches. It is taken over only after a look at its digest. And if it is old, ``gc`` may be
about to delete it, because nothing reaches it yet; so it is written again, which makes it too young for ``gc``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from mlops_kit.datasets.records import FileEntry
from mlops_kit.errors import ConflictError, IntegrityError, MlopsKitError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Listed, ObjectInfo, Store, each
from mlops_kit.progress import SILENT, Progress

REFRESH_AFTER = timedelta(hours=12)
"""What is older is written again before a new commit relies on it. Far below the shortest grace period of ``gc``."""

AT_ONCE = 64
"""Requests in flight, unless somebody says otherwise."""

_TRIES = 3


class Origin(Protocol):
    """Where the bytes come from."""

    def bring(self, target: Store, key: str, entry: FileEntry) -> None:
        """Write them to ``key``, unless it is taken; then it must hold the same.

        Raises:
            IntegrityError: they are not, or the key does not hold, what ``entry`` says.
        """

    def renew(self, target: Store, key: str, entry: FileEntry, etag: str) -> None:
        """Write them again over what has ``etag``.

        Raises:
            ConflictError, IntegrityError: there is something else by now, or nothing.
        """


@dataclass(frozen=True, slots=True)
class Left:
    """A file that was in the bucket before, though not in the commit that is built upon."""

    entry: FileEntry
    found: Listed


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The files of a commit that are not known to be in the bucket."""

    missing: tuple[FileEntry, ...] = ()
    left: tuple[Left, ...] = ()

    @property
    def size(self) -> int:
        """Bytes that have to be brought."""
        return sum(entry.size for entry in self.missing)


def look(target: Store, dataset: str, entries: Iterable[FileEntry]) -> Arrivals:
    """Which of ``entries`` are in ``target``. Only lists, and only around their keys."""
    keys = DatasetKeys(dataset)
    wanted = {keys.file(entry.path, entry.sha256): entry for entry in entries}
    found = target.present(sorted(wanted))
    return Arrivals(
        tuple(entry for key, entry in wanted.items() if key not in found),
        tuple(Left(entry, found[key]) for key, entry in wanted.items() if key in found),
    )


def transfer(
    target: Store,
    dataset: str,
    arrivals: Arrivals,
    origin: Origin,
    *,
    now: datetime,
    what: str,
    progress: Progress = SILENT,
    at_once: int = AT_ONCE,
) -> None:
    """Afterwards all of ``arrivals`` are in ``target``, with the bytes they are known by, and young enough.

    Raises:
        IntegrityError: something else lies where one of them belongs, or the bytes are not what they were.
    """
    keys = DatasetKeys(dataset)

    def bring(entry: FileEntry) -> None:
        origin.bring(target, keys.file(entry.path, entry.sha256), entry)
        progress.add(objects=1)

    def take_over(left: Left) -> None:
        _take_over(target, keys.file(left.entry.path, left.entry.sha256), left, origin, now)
        progress.add(objects=1)

    if arrivals.left:
        progress.start("check", len(arrivals.left))
        each(take_over, arrivals.left, at_once=at_once)
        progress.done()
    if arrivals.missing:
        progress.start(what, len(arrivals.missing), arrivals.size)
        each(bring, arrivals.missing, at_once=at_once)
        progress.done()


def _take_over(target: Store, key: str, left: Left, origin: Origin, now: datetime) -> None:
    entry = left.entry
    found: Listed | ObjectInfo | None = left.found
    failed: MlopsKitError | None = None
    for _ in range(_TRIES):
        if found is None:  # deleted since it was listed
            origin.bring(target, key, entry)
            return
        try:
            _verify(target, key, entry)
            if now - found.modified > REFRESH_AFTER:
                origin.renew(target, key, entry, found.etag)
            return
        except (ConflictError, IntegrityError) as exc:
            before, found, failed = found, target.head(key), exc
            if found is not None and found.etag == before.etag:
                raise  # nobody interfered: it is what it is
    raise ConflictError(f"{target.uri(key)} is being written by somebody else.", hint="Run it again.") from failed


def _verify(target: Store, key: str, entry: FileEntry) -> None:
    try:
        target.verify(key, entry.sha256, size=entry.size, composite=entry.composite)
    except IntegrityError as exc:
        raise IntegrityError(
            f"{target.uri(key)} is in the way: it is not the file whose digest is in its name. {exc.message}",
            hint="Find out who wrote it, delete it (its versions are kept), and run this again.",
        ) from exc
