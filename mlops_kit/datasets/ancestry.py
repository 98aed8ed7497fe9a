"""Walk from a commit to its ancestors without waiting for one header after the other.

Only a header tells who the parent is, so a history of a thousand commits would be a thousand round trips in a row. But
the bucket can be listed, and it was written in the order of the history, more or less: so headers are read ahead in
parallel, newest first, in windows that grow. What is read is only a guess at what will be needed; each header is
checked against its id when the walk gets to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from string import hexdigits

from mlops_kit.datasets.read import parse_header, read_commit
from mlops_kit.datasets.records import Commit
from mlops_kit.errors import IntegrityError, NotFoundError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store, each

HEADER = ".json"
FIRST_WINDOW, LAST_WINDOW = 16, 512


def commit_ids(lake: Store, dataset: str, start: str = "") -> list[str]:
    """The ids of all commits whose headers are here and begin with ``start``; the most recently written first."""
    prefix = DatasetKeys(dataset).commits_prefix
    # Ids are evenly spread, so by their first digit a long listing becomes sixteen short ones at the same time.
    starts = [start] if start else [digit for digit in hexdigits if not digit.isupper()]
    pages = each(lambda begin: [found for found in lake.listing(prefix + begin) if found.key.endswith(HEADER)], starts)
    newest = sorted((found for page in pages for found in page), key=lambda found: found.modified, reverse=True)
    return [found.key.removeprefix(prefix).removesuffix(HEADER) for found in newest]


def walk(lake: Store, dataset: str, commit: str) -> Iterator[Commit]:
    """The commit and its ancestors, newest first. Ends where there is no parent, or the parent is not in this lake.

    Raises:
        NotFoundError: the commit itself is not here.
        IntegrityError: a header was changed.
    """
    header = read_commit(lake, dataset, commit)
    yield header
    ahead: _ReadAhead | None = None
    while header.parent is not None:
        # A cycle would have to be a collision of SHA-256, so none is looked for: ids are checked as they are read.
        ahead = ahead or _ReadAhead(lake, dataset, known=commit)
        parent = ahead.take(header.parent)
        if parent is None:
            return
        header = parent
        yield header


def ancestor(lake: Store, dataset: str, commit: str, generations: int) -> str:
    """The id of the commit so many generations back; 0 is the commit itself.

    Raises:
        NotFoundError: the history does not go back that far, here.
    """
    steps, oldest = 0, commit
    for steps, header in enumerate(walk(lake, dataset, commit)):
        oldest = header.id
        if steps == generations:
            return oldest
    raise NotFoundError(
        f"{dataset}@{commit[:12]} has {steps} ancestor{'' if steps == 1 else 's'} in {lake.bucket}, not {generations}.",
        hint=f"The oldest one here is {oldest[:12]}: see `mlops-kit dataset log {dataset}@{commit[:12]}`.",
    )


def reachable(lake: Store, dataset: str, tips: Iterable[str]) -> dict[str, Commit]:
    """The headers of ``tips`` and all their ancestors, as far as they are in this lake, by id.

    Raises:
        IntegrityError: one of them was changed. Others, which no tip reaches, do not matter.
    """
    wanted = sorted(set(tips))
    if not wanted:
        return {}
    ahead = _ReadAhead(lake, dataset, window=None)
    found: dict[str, Commit] = {}
    while wanted:
        commit = wanted.pop()
        header = None if commit in found else ahead.take(commit)
        if header is not None:
            found[commit] = header
            if header.parent is not None:
                wanted.append(header.parent)
    return found


class _ReadAhead:
    """Headers, read before they are asked for. ``window`` is how many at first; None: all at once."""

    def __init__(self, lake: Store, dataset: str, known: str = "", window: int | None = FIRST_WINDOW) -> None:
        self._lake, self._dataset, self._keys = lake, dataset, DatasetKeys(dataset)
        newest = commit_ids(lake, dataset)
        start = newest.index(known) if known in newest else 0
        self._listed = chain(newest[start:], newest[:start])  # ancestors were written before it, as a rule
        self._asked = {known}
        self._bodies: dict[str, bytes | IntegrityError | None] = {}
        self._window = window

    def take(self, commit: str) -> Commit | None:
        """The header of a commit, or None if it is not in the lake. A header can be taken once."""
        if commit not in self._bodies:
            self._read(commit)
        body = self._bodies.pop(commit)
        if isinstance(body, IntegrityError):
            raise body
        return None if body is None else parse_header(body, self._dataset, commit)

    def _read(self, commit: str) -> None:
        self._asked.add(commit)
        batch = [commit, *islice((other for other in self._listed if other not in self._asked), self._window)]
        self._asked.update(batch)
        if self._window is not None:
            self._window = min(2 * self._window, LAST_WINDOW)
        self._bodies.update(zip(batch, each(self._get, batch), strict=True))

    def _get(self, commit: str) -> bytes | IntegrityError | None:
        try:
            return self._lake.get(self._keys.commit(commit))
        except IntegrityError as error:  # of interest only if the walk gets there
            return error
