"""What of a data set is in use: every commit that a root leads to, and every file of these commits.

Roots are the branches, the tags, what the caller names (commits of releases), and whatever is young: a commit that no
branch names yet, a file list whose header is still to come. Where a root cannot be read, nothing is known to be unused,
so that is an error and not a root less.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter

from mlops_kit.datasets import pointers
from mlops_kit.datasets.ancestry import reachable
from mlops_kit.datasets.pointers import COMMIT_ID
from mlops_kit.datasets.records import LONGEST_LINE, Commit, FileList, entry_of
from mlops_kit.datasets.recovery import find_header, read_file_list
from mlops_kit.errors import IntegrityError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store, Version, each
from mlops_kit.objects.unpacking import gunzip_lines

LISTS_AT_ONCE = 4
"""Lists of a million files are read; each of them takes 150 MB."""
MOST_FILES = 20_000_000
"""Lines of a file list whose header is not there to say how many there are."""
_RECORD = re.compile(r"([0-9a-f]{64})(\.json|\.files\.jsonl\.gz)")


@dataclass(frozen=True, slots=True)
class Root:
    """Something that keeps a commit: ``refs/main``, ``tags/v1``, ``asked for``, ``young`` or ``in flight``."""

    name: str
    commit: str


@dataclass(frozen=True, slots=True)
class Records:
    """The versions of a commit's header and file list, newest first."""

    header: tuple[Version, ...] = ()
    files: tuple[Version, ...] = ()

    @property
    def visible(self) -> bool:
        return bool(self.header) and not self.header[0].deleted


@dataclass(frozen=True, slots=True)
class Reach:
    """What is in use."""

    roots: tuple[Root, ...]
    commits: dict[str, Commit]
    """All commits that are reached, by id."""
    hidden: tuple[str, ...]
    """Of these, the ones whose header is deleted, and has an older version that is right."""
    in_flight: frozenset[str]
    """Ids of commits that are young and whose header is not there."""
    unknown: tuple[str, ...]
    """What the caller named and this lake does not have."""
    records: dict[str, Records]
    """What is stored of each commit, reached or not, by id."""

    def uses(self, commit: str) -> bool:
        return commit in self.commits or commit in self.in_flight


def is_young(versions: Iterable[Version], cutoff: datetime) -> bool:
    """Whether any bytes among the versions were written after ``cutoff``. Delete markers have none."""
    return any(version.modified > cutoff for version in versions if not version.deleted)


def reach(lake: Store, dataset: str, extra_roots: Iterable[str], cutoff: datetime) -> Reach:
    """Find all that is in use.

    Raises:
        IntegrityError: a branch or tag, or a header they lead to, cannot be read; or one leads to nothing at all.
    """
    records = _records(lake, dataset)  # before the names: what is written from now on, a name may lead to
    named = [Root(ref.full_name, ref.commit) for ref in pointers.all_refs(lake, dataset)]
    asked = [Root("asked for", commit) for commit in sorted(set(extra_roots))]
    young = [
        Root("young", commit)
        for commit, found in records.items()
        if found.visible and is_young((*found.header, *found.files), cutoff)
    ]
    known = [root for root in asked if COMMIT_ID.fullmatch(root.commit)]
    commits, hidden = _with_ancestors(lake, dataset, {root.commit for root in (*named, *known, *young)}, records)
    if lost := [root for root in named if root.commit not in commits]:
        names = ", ".join(f"{root.name} names {root.commit[:12]}" for root in lost)
        raise IntegrityError(
            f"{dataset}: {names}, but {lake.bucket} has no such commit. What it uses is not known, "
            "so nothing is collected.",
            hint="Promote the commit again, or delete the name that leads nowhere.",
        )
    in_flight = {
        commit
        for commit, found in records.items()
        if commit not in commits and not found.visible and is_young((*found.header, *found.files), cutoff)
    }
    reached = {root.commit for root in (*named, *asked) if root.commit in commits}
    return Reach(
        roots=(
            *(root for root in (*named, *asked) if root.commit in commits),
            *(root for root in young if root.commit not in reached),
            *(Root("in flight", commit) for commit in sorted(in_flight)),
        ),
        commits=commits,
        hidden=tuple(sorted(hidden)),
        in_flight=frozenset(in_flight),
        unknown=tuple(root.commit for root in asked if root.commit not in commits),
        records=records,
    )


def _records(lake: Store, dataset: str) -> dict[str, Records]:
    prefix = DatasetKeys(dataset).commits_prefix
    found: dict[str, Records] = {}
    for key, group in groupby(lake.versions(prefix), attrgetter("key")):
        name = _RECORD.fullmatch(key.removeprefix(prefix))
        if name is None:
            continue  # not ours: neither used nor removed
        have, versions = found.get(name[1], Records()), tuple(group)
        found[name[1]] = Records(versions, have.files) if name[2] == ".json" else Records(have.header, versions)
    return found


def _with_ancestors(
    lake: Store, dataset: str, tips: Iterable[str], records: dict[str, Records]
) -> tuple[dict[str, Commit], set[str]]:
    """Headers by id, and which of them had to be taken from an older version."""
    found: dict[str, Commit] = {}
    hidden: set[str] = set()
    waiting = set(tips)
    while waiting:
        found |= reachable(lake, dataset, waiting)
        absent = waiting | {header.parent for header in found.values() if header.parent is not None}
        waiting = set()
        for commit in absent.difference(found):
            # An ancestor without any trace was never promoted to this lake.
            older = find_header(lake, dataset, commit) if records.get(commit, Records()).header else None
            if older is not None:
                found[commit] = header = older[1]
                hidden.add(commit)
                if header.parent is not None and header.parent not in found:
                    waiting.add(header.parent)
    return found, hidden


def file_keys(lake: Store, dataset: str, commits: Sequence[Commit], in_flight: Iterable[str]) -> set[str]:
    """The keys of all files of these commits, and of those whose file list is all there is of them yet.

    Raises:
        IntegrityError: a file list is missing or changed, with no older version that is right.
    """
    keys = DatasetKeys(dataset)
    lines: set[bytes] = set()

    def add(commit: Commit) -> None:
        lines.update(_file_list(lake, commit).lines)

    def add_unfinished(commit: str) -> None:
        body = lake.get(keys.file_list(commit))
        if body is not None:
            lines.update(_unpacked(lake, keys.file_list(commit), body))

    each(add, commits, at_once=LISTS_AT_ONCE)
    each(add_unfinished, in_flight, at_once=LISTS_AT_ONCE)
    return {keys.file(entry.path, entry.sha256) for entry in map(entry_of, lines)}


def _file_list(lake: Store, commit: Commit) -> FileList:
    found = read_file_list(lake, commit)
    if found is None:
        raise IntegrityError(
            f"The file list of commit {commit.id} of {commit.dataset}, which is in use, is missing or was changed. "
            "What it names is not known, so nothing is collected.",
            hint=f"`mlops-kit dataset verify {commit.dataset}@{commit.id[:12]}` says more.",
        )
    return found[0]


def _unpacked(lake: Store, key: str, body: bytes) -> list[bytes]:
    # Its header, which has its digest, is not there yet.
    try:
        return [line for lines in gunzip_lines(body, MOST_FILES, LONGEST_LINE) for line in lines]
    except ValueError as exc:
        raise IntegrityError(
            f"{lake.uri(key)} was written lately and cannot be unpacked. What it names is not known, so nothing is "
            f"collected: {exc}",
            hint="If no commit or promotion is running, delete it.",
        ) from exc
