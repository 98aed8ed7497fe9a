"""Which paths of a commit a local directory can hold: decided before anything is written.

A commit may come from anybody and from any file system. Paths that would leave the directory are refused wherever it
is; what is too long, or the same name to this file system, is refused where that is so.
"""

from __future__ import annotations

import os
import re
import tempfile
import unicodedata
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from mlops_kit.errors import IntegrityError, UsageError

OWN_PREFIX = ".mlops-kit-checkout"
"""What a checkout keeps in the directory for itself begins like this; it is no part of the data."""
STATE_NAME = f"{OWN_PREFIX}.json"
STAGING_NAME = f"{OWN_PREFIX}.tmp"

ROOM = 64
"""Bytes of a path that are left for what comes between and behind, and for the name of an unfinished directory."""
TOLD = 10
"""So many paths are named in an error."""

_LEAVES = re.compile(r"\0|(?:^|/)\.{0,2}(?:/|$)")  # a part that is empty, "." or "..", at either end too


def is_safe(path: str) -> bool:
    """Whether a path stays below the directory it is joined to, and says what it means."""
    return not _LEAVES.search(path) and not path.startswith(OWN_PREFIX)


def directories_of(paths: Iterable[str]) -> list[str]:
    """Every directory that the paths need, parents first."""
    found: set[str] = set()
    for path in paths:
        parent = path.rpartition("/")[0]
        while parent and parent not in found:
            found.add(parent)
            parent = parent.rpartition("/")[0]
    return sorted(found)


def check(paths: Collection[str], root: Path) -> list[str]:
    """The directories that the paths need, parents first, if ``root`` (which may not exist yet) can hold them all.

    Raises:
        IntegrityError: a path leaves the directory, or is none: no honest commit has it.
        UsageError: this file system cannot hold a path, or not beside another one.
    """
    if unsafe := [path for path in paths if not is_safe(path)]:
        raise IntegrityError(
            f"The commit holds paths that leave the directory, or that no file can have: {some(unsafe)}. "
            "Nothing was written.",
            hint="Find out who made this commit. `mlops-kit dataset cat` reads single files of it.",
        )
    directories = directories_of(paths)
    if both := sorted(set(directories).intersection(paths)):
        raise UsageError(
            f"The commit holds files that are directories of others as well: {some(both)}. Nothing was written.",
            hint="S3 has room for both, a file system has not. Check out a part of it: name the paths.",
        )
    there = _existing(root)
    _check_lengths(paths, root, there)
    _check_folding([*directories, *paths], there)
    return directories


def _check_lengths(paths: Iterable[str], root: Path, there: Path) -> None:
    longest = os.pathconf(there, "PC_NAME_MAX")
    whole = os.pathconf(there, "PC_PATH_MAX") - len(os.fsencode(root.absolute())) - ROOM
    bad = []
    for path in paths:
        try:
            length = len(path) if path.isascii() else len(path.encode())
        except UnicodeEncodeError:
            bad.append(path)
            continue
        if length > min(longest, whole) and (
            length > whole or any(len(part.encode()) > longest for part in path.split("/"))
        ):
            bad.append(path)
    if bad:
        raise UsageError(
            f"{root} cannot hold these paths, whose parts may have {longest} bytes and which may have {whole} bytes: "
            f"{some(bad)}. Nothing was written.",
            hint="Check out a part of the commit by naming paths, or read single files with `mlops-kit dataset cat`.",
        )


def _check_folding(names: list[str], there: Path) -> None:
    if not _collisions(names, _fold_all):
        return
    case, unicode = probe(there)
    if not case and not unicode:
        return
    fold = _fold_all if case and unicode else str.casefold if case else _normalize
    if same := _collisions(names, fold):
        raise UsageError(
            f"To the file system of {there} these are the same names: {some(same)}. Nothing was written.",
            hint="Check out to a file system that tells them apart, or a part of the commit by naming paths.",
        )


def _collisions(names: list[str], fold: Callable[[str], str]) -> list[str]:
    if len(set(map(fold, names))) == len(names):
        return []
    first: dict[str, str] = {}
    found: set[str] = set()
    for name in names:
        other = first.setdefault(fold(name), name)
        if other != name:
            found |= {other, name}
    return sorted(found)


def _normalize(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _fold_all(name: str) -> str:
    return name.lower() if name.isascii() else _normalize(_normalize(name).casefold())


def probe(directory: Path) -> tuple[bool, bool]:
    """Whether names that differ in case only, or in how they compose accents, are one name here."""
    with tempfile.TemporaryDirectory(dir=directory, prefix=".mlops-kit-probe-") as name:
        there = Path(name)
        (there / "a").touch()
        (there / "\u00e9").touch()
        return (there / "A").exists(), (there / "e\u0301").exists()


def _existing(path: Path) -> Path:
    """The path, or the nearest directory above it that exists."""
    return next(above for above in (path, *path.absolute().parents) if above.is_dir())


def some(paths: Collection[str]) -> str:
    """Up to ten of the paths, for an error."""
    shown = ", ".join(repr(path if len(path) <= 120 else f"{path[:100]}…") for path in list(paths)[:TOLD])
    return shown if len(paths) <= TOLD else f"{shown} and {len(paths) - TOLD} more"
