"""What led to a commit (``log``), and all that branches and tags reach, as a graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from mlops_kit.datasets import pointers
from mlops_kit.datasets.ancestry import reachable, walk
from mlops_kit.datasets.pointers import Ref
from mlops_kit.datasets.read import exists
from mlops_kit.datasets.records import Commit
from mlops_kit.errors import IntegrityError
from mlops_kit.objects import Store


@dataclass(frozen=True, slots=True)
class Log:
    """Commits, newest first."""

    commits: tuple[Commit, ...]
    more: bool
    """There are older ones here, which were not asked for."""
    absent: str | None
    """The parent of the oldest one, if it is not in this lake: the history goes on in the source environment."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Commits, newest first and every one before its parent, and what points to them."""

    commits: tuple[Commit, ...]
    refs: Mapping[str, tuple[Ref, ...]]
    """By commit id: branches, then tags."""
    absent: frozenset[str]
    """Parents that are not in this lake: there the history goes on in the source environment."""
    dangling: tuple[Ref, ...]
    """Branches and tags whose commit is not in this lake."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a drawn graph. ``commit`` is None where lines only come together."""

    drawing: str
    commit: str | None = None
    below: str = ""
    """What stands in front of further lines about the same commit."""


def log(lake: Store, dataset: str, commit: str, limit: int | None = None) -> Log:
    """The commit and its ancestors, at most ``limit`` of them.

    Raises:
        NotFoundError: the commit itself is not here.
        IntegrityError: a header was changed.
    """
    found: list[Commit] = []
    for header in walk(lake, dataset, commit):
        found.append(header)
        if len(found) == limit:
            break
    rest = found[-1].parent
    # The walk ends where the parent is absent, and only if it was cut off there may be one.
    more = rest is not None and len(found) == limit and exists(lake, dataset, rest)
    return Log(tuple(found), more, None if more else rest)


def graph(lake: Store, dataset: str) -> Graph:
    """Everything that a branch or a tag reaches.

    Raises:
        IntegrityError: a branch, a tag, or a header that they reach was changed.
    """
    refs = pointers.all_refs(lake, dataset)
    found = reachable(lake, dataset, (ref.commit for ref in refs))
    parents = {commit: header.parent for commit, header in found.items()}
    times = {commit: header.time for commit, header in found.items()}
    return Graph(
        commits=tuple(found[commit] for commit in newest_first(parents, times)),
        refs=by_commit(refs),
        absent=frozenset(parent for parent in parents.values() if parent is not None and parent not in found),
        dangling=tuple(ref for ref in refs if ref.commit not in found),
    )


def by_commit(refs: Iterable[Ref]) -> dict[str, tuple[Ref, ...]]:
    """What points to a commit, by its id."""
    found: dict[str, tuple[Ref, ...]] = {}
    for ref in refs:
        found[ref.commit] = (*found.get(ref.commit, ()), ref)
    return found


def newest_first(parents: Mapping[str, str | None], times: Mapping[str, str]) -> list[str]:
    """Commits in an order in which each is before its parent; otherwise by their time.

    Clocks differ between writers, so a child can be older than its parent by its time, but never stands below it.

    Raises:
        IntegrityError: a commit is its own ancestor.
    """
    children = dict.fromkeys(parents, 0)
    for parent in parents.values():
        if parent in children:
            children[parent] += 1
    ready = [(_Descending(times[commit]), commit) for commit, count in children.items() if count == 0]
    heapify(ready)
    order: list[str] = []
    while ready:
        commit = heappop(ready)[1]
        order.append(commit)
        parent = parents[commit]
        if parent is not None and parent in children:
            children[parent] -= 1
            if children[parent] == 0:
                heappush(ready, (_Descending(times[parent]), parent))
    if len(order) < len(parents):
        circle = min(set(parents).difference(order))
        raise IntegrityError(f"Commit {circle} is its own ancestor: the headers were not written by mlops-kit.")
    return order


class _Descending(str):
    """A time that sorts the other way around."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)


def draw(commits: Sequence[str], parents: Mapping[str, str | None]) -> Iterator[Line]:
    """The graph as ``git log --graph`` draws it, for commits in the order of :func:`newest_first`.

    A commit has one parent at most, so lines part only downwards in time: above a commit that has several children
    they come together (``|/``), and nothing ever needs a ``\\``. A parent that is not among the commits ends its line.
    """
    shown = set(commits)
    waiting: list[str] = []  # by column: the commit that its line leads to
    for commit in commits:
        while waiting.count(commit) > 1:
            yield from _join(waiting, commit)
        if commit not in waiting:
            waiting.append(commit)
        own = waiting.index(commit)
        parent = parents[commit]
        left, right = "| " * own, " |" * (len(waiting) - own - 1)
        if parent in shown:
            yield Line(f"{left}*{right}", commit, f"{left}|{right}")
            waiting[own] = parent
        else:
            yield Line(f"{left}*{right}", commit, f"{left} {right}".rstrip())
            del waiting[own]
            if right:
                yield Line(left + right.replace("|", "/"))


def _join(waiting: list[str], commit: str) -> Iterator[Line]:
    """Lead the last line to ``commit`` into the one before it, a column at a time; what is right of it moves up."""
    *_, target, last = (column for column, leads_to in enumerate(waiting) if leads_to == commit)
    yield Line(" ".join("|" * last) + "/" + " /" * (len(waiting) - last - 1))
    del waiting[last]
    bars = " ".join("|" * len(waiting))
    for column in range(last - 1, target, -1):
        yield Line(f"{bars[: 2 * column - 1]}/{bars[2 * column :]}")
