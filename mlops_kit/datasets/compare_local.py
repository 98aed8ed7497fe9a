"""Compare a local directory with what a checkout is to make of it; reads only, apart from :func:`arrived`."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlops_kit.datasets.checkout_state import State, Written
from mlops_kit.datasets.local_paths import directories_of, is_safe, some
from mlops_kit.datasets.records import FileEntry, FileList
from mlops_kit.errors import UsageError
from mlops_kit.objects import each, sha256_file

HASHES_AT_ONCE = 4


@dataclass(slots=True)
class Comparison:
    """What is there of the files that are wanted."""

    same: dict[str, Written] = field(default_factory=dict)
    missing: list[FileEntry] = field(default_factory=list)
    """What has to be brought: nothing is there, or other bytes are."""
    edited: list[str] = field(default_factory=list)
    """Those of the missing ones where something is that no checkout wrote."""
    seen: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Size and time of what is there in place of the missing ones."""

    def changed(self, directory: Path) -> list[str]:
        """Missing ones where something else is now than was seen: somebody writes to the directory."""
        return [
            entry.path
            for entry in self.missing
            if _size_and_time(_look(f"{directory}/{entry.path}")) != self.seen.get(entry.path)
        ]


def check_directories(directory: Path, directories: Iterable[str], gone: Container[str]) -> None:
    """Raises:
    UsageError: where a directory has to be there is a link, which may lead anywhere, or a file that is not ``gone``.
    """
    links, files = [], []
    for name in directories:
        found = _look(f"{directory}/{name}")
        if found is not None and stat.S_ISLNK(found.st_mode):
            links.append(name)
        elif found is not None and not stat.S_ISDIR(found.st_mode) and name not in gone:
            files.append(name)
    if links:
        raise UsageError(
            f"In {directory} there are links where the commit has directories: {some(links)}. Nothing was written.",
            hint="Files would be written to where they lead. Replace them by directories.",
        )
    if files:
        raise UsageError(
            f"In {directory} there are files where the commit has directories: {some(files)}. Nothing was written.",
            hint="Move them away, or check out to another directory.",
        )


def compare(directory: Path, wanted: Iterable[FileEntry], state: State, gone: Container[str]) -> Comparison:
    """Hashes only what the state does not know by size and time. ``gone`` are files that will be removed before.

    Raises:
        UsageError: a directory is where a file has to be.
    """
    result, unknown, obstacles = Comparison(), [], []
    for entry in wanted:
        found = _look(f"{directory}/{entry.path}")
        if found is None:
            result.missing.append(entry)
            continue
        known = state.files.get(entry.path)
        if stat.S_ISDIR(found.st_mode):
            if _holds_only(directory, entry.path, gone):
                _miss(result, entry, found)
            else:
                obstacles.append(entry.path)
        elif stat.S_ISREG(found.st_mode) and known is not None and known.is_same(found):
            if known.sha256 == entry.sha256:
                result.same[entry.path] = known
            else:
                _miss(result, entry, found)
        elif stat.S_ISREG(found.st_mode) and (found.st_size == entry.size or state.knows(entry.path)):
            unknown.append((entry, found))
        else:
            result.edited.append(entry.path)
            _miss(result, entry, found)
    if obstacles:
        raise UsageError(
            f"In {directory} there are directories where the commit has files: {some(obstacles)}. Nothing was written.",
            hint="Move them away, or check out to another directory.",
        )
    digests = each(lambda item: sha256_file(directory / item[0].path), unknown, at_once=HASHES_AT_ONCE)
    for (entry, found), digest in zip(unknown, digests, strict=True):
        if digest == entry.sha256:
            result.same[entry.path] = Written(found.st_size, found.st_mtime_ns, digest)
            continue
        if not state.wrote(entry.path, digest):
            result.edited.append(entry.path)
        _miss(result, entry, found)
    return result


def _miss(result: Comparison, entry: FileEntry, found: os.stat_result) -> None:
    result.missing.append(entry)
    result.seen[entry.path] = (found.st_size, found.st_mtime_ns)


def obsolete(directory: Path, files: FileList, state: State) -> tuple[list[str], list[str]]:
    """What earlier checkouts wrote and the commit lacks: as it was written, and edited since."""
    keep = {entry.path for entry in files}
    gone = sorted(path for path in {*state.files, *state.writing} - keep if is_safe(path))
    links = {name for name in directories_of(gone) if (directory / name).is_symlink()}
    same_name = {path.casefold(): path for path in keep} if gone else {}
    removable, edited = [], []
    for path in gone:
        if not links.isdisjoint(directories_of([path])):  # what a link leads to is none of ours
            continue
        found = _look(f"{directory}/{path}")
        if found is None or stat.S_ISDIR(found.st_mode):
            continue
        other = same_name.get(path.casefold())
        if other is not None and (directory / other).exists() and (directory / other).samefile(directory / path):
            continue  # the file system folds case, and this is a file of the commit
        known = state.files.get(path)
        if not stat.S_ISREG(found.st_mode):
            edited.append(path)
        elif (known is not None and known.is_same(found)) or state.wrote(path, sha256_file(directory / path)):
            removable.append(path)
        else:
            edited.append(path)
    return removable, edited


def arrived(directory: Path, expected: Mapping[str, FileEntry]) -> dict[str, Written]:
    """What a run that was killed has brought, by its path below ``directory``, hashed; all else there is removed."""
    there: list[str] = []
    for above, names, files in os.walk(directory, topdown=False):
        for name in files:
            path = Path(above, name)
            relative = path.relative_to(directory).as_posix()
            if relative in expected and not path.is_symlink():
                there.append(relative)
            else:
                path.unlink()
        for name in names:
            path = Path(above, name)
            if path.is_symlink():
                path.unlink()
            else:
                with contextlib.suppress(OSError):  # there are files in it
                    path.rmdir()

    def hashed(relative: str) -> Written | None:
        path, entry = directory / relative, expected[relative]
        found = path.stat()
        if found.st_size == entry.size and sha256_file(path) == entry.sha256:
            return Written(entry.size, found.st_mtime_ns, entry.sha256)
        path.unlink()
        return None

    written = each(hashed, there, at_once=HASHES_AT_ONCE)
    return {relative: one for relative, one in zip(there, written, strict=True) if one is not None}


def remove(directory: Path, paths: Collection[str]) -> None:
    """Remove the files, and the directories that have become empty."""
    for path in paths:
        (directory / path).unlink(missing_ok=True)
    for name in reversed(directories_of(paths)):
        with contextlib.suppress(OSError):
            (directory / name).rmdir()


def _look(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _holds_only(directory: Path, name: str, gone: Container[str]) -> bool:
    """Whether a directory is empty once all that is ``gone`` is removed."""
    for above, names, files in os.walk(directory / name):
        below = Path(above).relative_to(directory)
        if any((below / file).as_posix() not in gone for file in files):
            return False
        if not names and not files:  # an empty one is nobody's to remove
            return False
    return True


def _size_and_time(found: os.stat_result | None) -> tuple[int, int] | None:
    return None if found is None else (found.st_size, found.st_mtime_ns)
