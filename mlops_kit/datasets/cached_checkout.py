"""Checkouts in the user's cache: one directory a commit, made once, whole or not there, never edited unnoticed.

A commit's id says what is in it, so the directory belongs to the id, whichever environment it came from. A part of a
commit has a directory of its own: whoever reads all files of one has all that were asked for, and no others.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from mlops_kit.datasets.checkout import checkout, select
from mlops_kit.datasets.local_paths import OWN_PREFIX, STATE_NAME, some
from mlops_kit.datasets.read import read_commit, read_files
from mlops_kit.datasets.user_cache import user_cache
from mlops_kit.errors import UsageError
from mlops_kit.objects import Store, sha256_bytes
from mlops_kit.progress import SILENT, Progress


def cached_checkout(
    lake: Store,
    dataset: str,
    commit: str,
    *,
    paths: Iterable[str] = (),
    force: bool = False,
    progress: Progress = SILENT,
) -> Path:
    """The directory, with the files of the commit, or with those that ``paths`` name, as read-only links.

    Threads and processes that ask at the same time wait for the one that brings the files. ``force`` throws away what
    somebody changed there.

    Raises:
        NotFoundError: no such commit, or nothing in it at one of ``paths``.
        UsageError: files there were edited, or added; the message names them.
        IntegrityError: no version of an object has the bytes any more.
    """
    files = read_files(lake, read_commit(lake, dataset, commit))
    wanted = {entry.path for entry in select(files, list(paths), f"{dataset}@{commit[:12]}")}
    whole = len(wanted) == len(files)
    part = "" if whole else "-" + sha256_bytes("\n".join(sorted(wanted)).encode())[:12]
    directory = user_cache() / "checkouts" / dataset / f"{commit}{part}"
    directory.parent.mkdir(parents=True, exist_ok=True)
    with _alone(directory):
        added, writable = _look(directory, wanted)
        if writable:  # somebody made it so, to write: what is remembered of sizes and times is not enough
            (directory / STATE_NAME).unlink(missing_ok=True)
        if added:
            if not force:
                raise UsageError(
                    f"Somebody put files into a cached checkout, {directory}: {some(added)}.",
                    hint="Move them away, or throw them away with force=True. To work on the files, check out to a "
                    "directory of your own.",
                )
            shutil.rmtree(directory)
        checkout(
            lake, dataset, commit, directory, paths=() if whole else wanted, link=True, force=force, progress=progress
        )
    return directory


def _look(directory: Path, wanted: set[str]) -> tuple[list[str], bool]:
    """The files that are none of the commit's, and whether one that is can be written to."""
    added, writable = [], False
    for above, _, names in os.walk(directory):
        for name in names:
            file = Path(above, name)
            path = file.relative_to(directory).as_posix()
            if path in wanted:
                writable = writable or bool(file.lstat().st_mode & 0o222)
            elif not path.startswith(OWN_PREFIX):
                added.append(path)
    return sorted(added), writable


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Wait for whoever else makes the directory, in this process or another one."""
    with directory.with_name(f"{directory.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # ends with the file, however the process ends
        yield
