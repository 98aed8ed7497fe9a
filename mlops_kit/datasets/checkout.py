"""Write a commit's files to a local directory: each verified, each whole or not at all, only what is missing.

A directory that is not there yet appears as a whole: files go to a temporary directory beside it, and one rename makes
it visible. Into a directory that is there, everything is first brought to a temporary directory in it, then moved into
place file by file; files that are not of the commit are left alone, and a file that somebody edited is not overwritten.
Killed anywhere, a second run goes on with what the first has brought, after hashing it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops_kit.datasets import checkout_state
from mlops_kit.datasets.checkout_state import State
from mlops_kit.datasets.compare_local import Comparison, arrived, check_directories, compare, obsolete, remove
from mlops_kit.datasets.fetch import Fetched, fetch
from mlops_kit.datasets.file_cache import FileCache
from mlops_kit.datasets.listing import no_such_path, within
from mlops_kit.datasets.local_paths import OWN_PREFIX, STAGING_NAME, check, some
from mlops_kit.datasets.read import read_commit, read_files
from mlops_kit.datasets.records import FileEntry, FileList, path_of
from mlops_kit.errors import ConflictError, MlopsKitError, UsageError
from mlops_kit.objects import Store, sha256_bytes
from mlops_kit.progress import SILENT, Progress

DOWNLOADS_AT_ONCE = 64
BLOCK = 4096
"""What file systems hand out space in, in bytes, as a rule."""
MARGIN = 16 << 20
"""Free space, in bytes, that is left for directories and for everybody else."""


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class CheckedOut:
    """What a checkout did. ``downloaded`` and ``reused`` count files; ``downloaded_bytes`` is what travelled."""

    entries: Sequence[FileEntry]
    downloaded: int
    downloaded_bytes: int
    reused: int
    """Files that were there already, came from the cache, or had been brought by a run that was killed."""
    removed: int = 0
    restored_from_versions: tuple[str, ...] = ()
    """Paths whose object is broken in the bucket; `dataset verify --repair` mends it."""


@dataclass(frozen=True, slots=True)
class _Request:
    lake: Store
    dataset: str
    commit: str
    files: FileList
    wanted: Sequence[FileEntry]
    directories: list[str]
    cache: FileCache | None
    delete: bool
    force: bool
    at_once: int
    progress: Progress

    def fetch(self, items: Sequence[tuple[FileEntry, str]], root: Path, directories: Sequence[str] = ()) -> Fetched:
        """Bring files to paths below ``root``, in which the ``directories`` are made first, if there is the space."""
        try:
            for place in {root} if self.cache is None else {root, self.cache.root}:
                _check_space(place, [entry for entry, _ in items if not self._is_linked(entry, place)])
        except UsageError:
            with contextlib.suppress(OSError):  # not empty: a run that was killed had brought something
                root.rmdir()
            raise
        make(root, directories)
        return fetch(self.lake, self.dataset, items, cache=self.cache, at_once=self.at_once, progress=self.progress)

    def _is_linked(self, entry: FileEntry, place: Path) -> bool:
        """Whether a file takes no space of its own there."""
        if self.cache is None:
            return False
        if place == self.cache.root:
            return self.cache.path(entry.sha256).exists()
        return place.stat().st_dev == self.cache.root.stat().st_dev

    def done(self, fetched: Fetched, removed: int = 0) -> CheckedOut:
        return CheckedOut(
            entries=self.wanted,
            downloaded=fetched.downloaded,
            downloaded_bytes=fetched.downloaded_bytes,
            reused=len(self.wanted) - fetched.downloaded,
            removed=removed,
            restored_from_versions=fetched.restored,
        )


def checkout(
    lake: Store,
    dataset: str,
    commit: str,
    directory: Path,
    *,
    paths: Collection[str] = (),
    link: bool = False,
    delete: bool = False,
    force: bool = False,
    at_once: int = DOWNLOADS_AT_ONCE,
    progress: Progress = SILENT,
) -> CheckedOut:
    """Make ``directory`` hold the files of the commit, or those of them that ``paths`` (files, directories) name.

    With ``link``, files are read-only hard links into the user's cache. ``delete`` removes what an earlier checkout of
    this data set wrote and this commit lacks. ``force`` overwrites files that somebody edited.

    Raises:
        NotFoundError: no such commit, or nothing in it at one of ``paths``.
        UsageError: the directory cannot hold the files, has edited ones where they go, or its disk is full.
        ConflictError: another checkout into the directory is running.
        IntegrityError: a path would leave ``directory``, or no version of an object has the bytes any more.
    """
    files = read_files(lake, read_commit(lake, dataset, commit))
    wanted = select(files, paths, f"{dataset}@{commit[:12]}")
    directories = check([entry.path for entry in wanted], directory)
    cache = FileCache.of_user() if link else None
    request = _Request(lake, dataset, commit, files, wanted, directories, cache, delete, force, at_once, progress)
    try:
        return _into_existing(request, directory) if os.path.lexists(directory) else _into_new(request, directory)
    except (OSError, MlopsKitError) as exc:
        # A download says so by an error of its own, because it does not know what else has to be told.
        cause = exc if isinstance(exc, OSError) else exc.__cause__
        if not isinstance(cause, OSError) or cause.errno not in _FULL:
            raise
        raise UsageError(
            f"The disk became full while {dataset}@{commit[:12]} was checked out to {directory}. The "
            f"files have {sum(entry.size for entry in wanted)} bytes together. None is half written.",
            hint="Make room, then run it again: what has arrived is not downloaded a second time.",
        ) from exc


def select(files: FileList, paths: Collection[str], where: str) -> Sequence[FileEntry]:
    """The files at, below, or matched by any of ``paths``, in order; all of them without any.

    ``where`` is the commit, for errors.

    Raises:
        NotFoundError: there is nothing at one of the paths.
    """
    if not paths:
        return files
    found: dict[str, bytes] = {}
    for path in paths:
        lines = within(files, path).lines
        if not lines:
            raise no_such_path(files, path, where)
        found |= {path_of(line): line for line in lines}
    return FileList([found[path] for path in sorted(found)])


def _into_new(request: _Request, directory: Path) -> CheckedOut:
    directory = directory.absolute()
    directory.parent.mkdir(parents=True, exist_ok=True)
    # Named after what it becomes, so that a second run finds it.
    name = f"{OWN_PREFIX}-{request.commit[:12]}-{sha256_bytes(os.fsencode(directory))[:12]}"
    unfinished = directory.with_name(name)
    resumed = _exists_already(unfinished)
    with _alone(unfinished, directory):
        written = arrived(unfinished, {entry.path: entry for entry in request.wanted}) if resumed else {}
        items = [(entry, f"{unfinished}/{entry.path}") for entry in request.wanted if entry.path not in written]
        fetched = request.fetch(items, unfinished, request.directories)
        written |= {entry.path: one for (entry, _), one in zip(items, fetched.written, strict=True)}
        checkout_state.save(unfinished, request.dataset, State(request.commit, written))
        try:
            unfinished.rename(directory)
        except OSError as exc:
            if exc.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            raise ConflictError(
                f"Somebody made {directory} meanwhile.", hint="Look at it, then run the command again."
            ) from exc
    return request.done(fetched)


def _into_existing(request: _Request, directory: Path) -> CheckedOut:
    if not directory.is_dir():
        raise UsageError(f"{directory} is not a directory.", hint="Name another one, or one that does not exist yet.")
    directory = directory.resolve()
    with _alone(directory, directory):
        state = checkout_state.load(directory, request.dataset)
        removable, edited = obsolete(directory, request.files, state) if request.delete else ([], [])
        gone = {*removable, *edited}
        check_directories(directory, request.directories, gone)
        found = compare(directory, request.wanted, state, gone)
        if (kept := sorted([*found.edited, *edited])) and not request.force:
            raise UsageError(
                f"{len(kept)} files in {directory} are not as a checkout wrote them: {some(kept)}. "
                "Nothing was written.",
                hint="Commit them or move them away; --force overwrites them.",
            )
        fetched = _replace(request, directory, state, found, gone)
        state.files = {path: known for path, known in state.files.items() if path not in gone} | found.same
        state.commit, state.writing = request.commit, {}
        checkout_state.save(directory, request.dataset, state)
        shutil.rmtree(directory / STAGING_NAME, ignore_errors=True)
    return request.done(fetched, removed=len(gone))


def _replace(request: _Request, directory: Path, state: State, found: Comparison, gone: set[str]) -> Fetched:
    """Bring what is missing to the staging directory, then move it into place; ``found.same`` gets it."""
    if not found.missing:
        remove(directory, gone)
        return Fetched([], 0, 0, ())
    staging = directory / STAGING_NAME
    staged = {_staged_name(entry): entry for entry in found.missing}
    written = arrived(staging, staged) if _exists_already(staging) else {}
    items = [(entry, f"{staging}/{name}") for name, entry in staged.items() if name not in written]
    fetched = request.fetch(items, staging)
    written |= {_staged_name(entry): one for (entry, _), one in zip(items, fetched.written, strict=True)}

    if changed := found.changed(directory):
        raise ConflictError(
            f"Somebody wrote to {some(changed)} in {directory} during the checkout. Nothing was overwritten.",
            hint="Commit these files or move them away, then run it again.",
        )
    state.writing |= {entry.path: entry.sha256 for entry in found.missing}
    checkout_state.save(directory, request.dataset, state)
    remove(directory, gone)  # first: a name that is gone may be one of the new ones in other case
    make(directory, request.directories)
    for name, entry in staged.items():
        os.replace(f"{staging}/{name}", f"{directory}/{entry.path}")  # noqa: PTH105 - strings are cheaper than paths
        found.same[entry.path] = written[name]
    return fetched


def _staged_name(entry: FileEntry) -> str:
    return f"{entry.sha256}-{sha256_bytes(entry.path.encode())[:16]}"


def _exists_already(directory: Path) -> bool:
    """Make the directory; whether it was there, with whatever a run that was killed left in it."""
    if directory.is_symlink() or directory.is_file():  # not ours: what it leads to is not to be cleaned
        directory.unlink()
    try:
        directory.mkdir()
    except FileExistsError:
        return True
    return False


def make(root: Path, directories: Sequence[str]) -> None:
    for name in directories:
        with contextlib.suppress(FileExistsError):
            os.mkdir(f"{root}/{name}")  # noqa: PTH102 - strings are cheaper than paths


@contextlib.contextmanager
def _alone(directory: Path, target: Path) -> Iterator[None]:
    """Hold the directory for one checkout; what is held ends with the process, however it ends."""
    busy = ConflictError(
        f"Another checkout into {target} is running.", hint="Wait until it has ended, then run the command again."
    )
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError as exc:  # it was renamed: the other one is done
        raise busy from exc
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise busy from exc
        except OSError as exc:  # a network file system without locks
            if exc.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                raise
        if not directory.is_dir() or not os.path.samestat(directory.stat(), os.fstat(handle)):
            raise busy
        yield
    finally:
        os.close(handle)


def _check_space(place: Path, needed: Sequence[FileEntry]) -> None:
    """Raises:
    UsageError: the files do not fit.
    """
    size = sum(-(-entry.size // BLOCK) * BLOCK for entry in needed)
    free = shutil.disk_usage(place).free
    if size and size + MARGIN > free:
        raise UsageError(
            f"The files need {size + MARGIN} bytes (with {MARGIN} to spare) on the disk of {place}, which has {free}. "
            "Nothing was written.",
            hint=f"Make room for {size + MARGIN - free} bytes, or check out a part by naming paths.",
        )
