"""The files of a new commit: its parent's, less some, and new ones. Quick where a million files stay as they are."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from fnmatch import translate

from mlops_kit.datasets.local_paths import directories_of, some
from mlops_kit.datasets.records import FileEntry, FileList, path_of
from mlops_kit.errors import NotFoundError, UsageError

_WILD = re.compile(r"[*?[]")


def without(files: FileList, patterns: Sequence[str], dataset: str) -> FileList:
    """``files`` less what ``patterns`` name: files, directories, or as in git, globs whose ``*`` takes slashes too."""
    if not patterns:
        return files
    gone: set[str] = set()
    for pattern in patterns:
        if files.find(pattern) is not None:
            found = {pattern}
        else:
            found = {entry.path for entry in files.below(f"{pattern.rstrip('/')}/")}
        if not found and _WILD.search(pattern):
            matches = re.compile(translate(pattern)).match
            found = {path for path in map(path_of, files.lines) if matches(path)}
        if not found:
            raise NotFoundError(
                f"No file of {dataset} is, or is in, or matches {pattern!r}.",
                hint=f"See `mlops-kit dataset ls {dataset}`.",
            )
        gone |= found
    return FileList([line for line in files.lines if path_of(line) not in gone])


def overlay(files: FileList, entries: Iterable[FileEntry]) -> FileList:
    """``files`` with ``entries`` added, or put in the place of those of the same path."""
    if not files:
        return FileList.of(entries)
    lines: list[bytes] = []
    last = 0
    for entry in sorted(entries, key=lambda entry: entry.path):
        position = _position(files.lines, entry.path, last)
        lines += files.lines[last:position]
        lines.append(entry.to_line()[:-1])
        same = position < len(files) and path_of(files.lines[position]) == entry.path
        last = position + 1 if same else position
    lines += files.lines[last:]
    return FileList(lines)


def _position(lines: list[bytes], path: str, start: int) -> int:
    return bisect_left(lines, path, lo=start, key=path_of)


def refuse_clashes(files: FileList, entries: Iterable[FileEntry], added: Iterable[FileEntry]) -> None:
    """No checkout could write both a file ``a`` and a file ``a/b``.

    Looked at are the directories of ``entries``, and whether one of ``added`` is a directory of what was there before.
    """
    clashes = [path for path in directories_of(entry.path for entry in entries) if files.find(path) is not None]
    clashes += [entry.path for entry in added if next(files.below(f"{entry.path}/"), None) is not None]
    if clashes:
        raise UsageError(
            f"These would be files, and directories of other files: {some(sorted(set(clashes)))}.",
            hint="No file system has room for both. Remove or rename one.",
        )
