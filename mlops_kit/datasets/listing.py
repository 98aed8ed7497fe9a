"""What is in a commit, as ``ls`` shows it; and which data sets there are."""

from __future__ import annotations

import fnmatch
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from mlops_kit.datasets.read import read_commit, read_files
from mlops_kit.datasets.records import FileList, path_of, size_of
from mlops_kit.errors import NotFoundError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store
from mlops_kit.objects.listing import page

_ROOT = DatasetKeys("").root.removesuffix("/")
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory with the totals of all that is below it. ``path`` ends with a slash."""

    path: str
    files: int
    size: int


@dataclass(frozen=True, slots=True)
class Listing:
    """The content of a directory of a commit; both in the order of their paths."""

    directories: tuple[Directory, ...]
    files: FileList


def ls(lake: Store, dataset: str, commit: str, path: str = "", *, recursive: bool = False) -> Listing:
    """The directory or file ``path`` of a commit.

    Raises:
        NotFoundError: there is no such commit, or nothing of that path in it.
    """
    files = read_files(lake, read_commit(lake, dataset, commit))
    found = within(files, path)
    if path and not found:
        raise no_such_path(files, path, f"{dataset}@{commit[:12]}")
    return content(found, path, recursive=recursive)


def content(found: FileList, path: str, *, recursive: bool = False) -> Listing:
    """The files :func:`within` ``path``, those in its directories summed up unless ``recursive``."""
    if recursive or _GLOB.search(path):
        return Listing((), found)
    directory = f"{cleaned(path)}/" if cleaned(path) else ""
    own: list[bytes] = []
    totals: dict[str, tuple[int, int]] = {}
    for line in found.lines:
        name, slash, _ = path_of(line)[len(directory) :].partition("/")
        if slash:
            files, size = totals.get(name, (0, 0))
            totals[name] = (files + 1, size + size_of(line))
        else:
            own.append(line)
    below = (Directory(f"{directory}{name}/", files, size) for name, (files, size) in totals.items())
    return Listing(tuple(sorted(below, key=lambda one: one.path)), FileList(own))


def within(files: FileList, path: str) -> FileList:
    """The file ``path``, or the files below the directory ``path``, or those that the pattern ``path`` matches.

    A pattern has any of ``*``, ``?`` and ``[…]``, and ``*`` also matches slashes, as in the paths that git takes. A
    path with such characters in it can be named as it is, too.
    """
    path = cleaned(path)
    if not path:
        return files
    lines = files.lines
    at = bisect_left(lines, path, key=path_of)
    own = lines[at : at + 1] if at < len(lines) and path_of(lines[at]) == path else []
    # "0" comes after "/": this is where the paths that begin with the directory end.
    first, end = (bisect_left(lines, path + mark, key=path_of) for mark in "/0")
    found = own + lines[first:end]
    if not found and _GLOB.search(path):
        matches = re.compile(fnmatch.translate(path)).match
        found = [line for line in lines if matches(path_of(line))]
    return FileList(found)


def cleaned(path: str) -> str:
    """Without what people type around a path."""
    path = path.rstrip("/")
    return "" if path == "." else path.removeprefix("./")


def no_such_path(files: FileList, path: str, where: str) -> NotFoundError:
    """To be raised; says what comes close."""
    path = cleaned(path)
    directory = path.rpartition("/")[0]
    beside = content(within(files, directory), directory)
    names = [entry.path for entry in beside.files[:10_000]] + [one.path.rstrip("/") for one in beside.directories]
    close = get_close_matches(path, names, n=1)
    return NotFoundError(
        f"There is no {path!r} in {where}." + (f" Did you mean {close[0]!r}?" if close else ""),
        hint=f"See `mlops-kit dataset ls {where}{f' {directory}' if directory and names else ''}`.",
    )


def datasets(lake: Store) -> Iterator[str]:
    """The names of all data sets in the lake."""
    after: str | None = None
    while found := page(lake, _ROOT, after=after, most=1).found:
        name = found[0].key.removeprefix(_ROOT).partition("/")[0]
        yield name
        after = f"{_ROOT}{name}0"  # "0" comes after "/": the first key of the next one
