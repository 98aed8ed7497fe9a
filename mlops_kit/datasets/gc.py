"""Collect garbage: remove what no branch, no tag, no release and nothing young leads to.

``plan`` reads and says what would go; ``execute`` removes it. Others commit, tag and promote at the same time, and
either may be killed, so the order matters:

1. What leads where is read again. The headers of commits that nothing leads to are hidden by a delete marker: from now
   on nobody finds these commits, and their headers can still be put back.
2. What leads where is read once more. Whoever made a tag looks for the header after writing it; whoever hides a header
   looks for tags after hiding it; so one of the two sees the other. A commit that a new name leads to is put back.
3. Files go, then SageMaker's manifests and results of checks, file lists, and headers last.

Only versions that were listed go, each by its id, and only if all bytes at their key are older than the grace period.
So what somebody writes or writes again meanwhile stays. A run that was killed leaves hidden headers and what comes
after them in this order; the next one removes that, or puts a header back that something leads to.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Literal

from mlops_kit.datasets.reach import Reach, Root, file_keys, is_young, reach
from mlops_kit.datasets.recovery import find_header
from mlops_kit.errors import ConflictError, UsageError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store, Version
from mlops_kit.progress import SILENT, Progress

GRACE = timedelta(days=7)
MIN_GRACE = timedelta(hours=24)
"""Longer than a commit or a promotion takes to use a file that it found there: see REFRESH_AFTER in ``transfer``."""
BATCH = 1000

Kind = Literal["files", "checks", "manifests", "staging", "file lists", "headers"]
OF_COMMITS: tuple[Kind, ...] = ("checks", "manifests", "file lists", "headers")
ORDER: tuple[Kind, ...] = ("files", "checks", "manifests", "staging", "file lists", "headers")
"""In which they are removed."""


@dataclass(frozen=True, slots=True)
class GcPlan:
    """What would be removed of a data set, and what keeps the rest."""

    dataset: str
    cutoff: datetime
    """What was written later is never removed."""
    extra_roots: tuple[str, ...]
    roots: tuple[Root, ...]
    unknown_roots: tuple[str, ...]
    """Commits that the caller named and that this lake does not have, such as those of data never promoted here."""
    kept_commits: frozenset[str]
    kept_files: int
    hidden: tuple[str, ...]
    """Commits in use whose header is deleted; it is put back."""
    commits: tuple[str, ...]
    """Commits to be removed."""
    garbage: Mapping[Kind, tuple[Version, ...]]
    """Versions to be removed, delete markers among them."""

    @property
    def objects(self) -> int:
        return sum(map(len, self.garbage.values()))

    @property
    def size(self) -> int:
        """Bytes that are set free."""
        return sum(version.size for versions in self.garbage.values() for version in versions)


@dataclass(frozen=True, slots=True)
class Collected:
    """What was removed. ``kept_back`` are planned commits that something led to by then."""

    commits: int
    objects: int
    size: int
    kept_back: tuple[str, ...] = ()


def plan(
    lake: Store,
    dataset: str,
    *,
    now: datetime,
    extra_roots: Iterable[str] = (),
    grace: timedelta = GRACE,
    min_grace: timedelta = MIN_GRACE,
) -> GcPlan:
    """Read what is there; writes nothing. ``extra_roots``: commits that releases and registered versions name.

    Raises:
        UsageError: the grace period is too short, or nothing at all leads to any commit.
        IntegrityError: a branch, a tag, or a record they lead to cannot be read; then nothing is known to be garbage.
    """
    if grace < min_grace:
        raise UsageError(
            f"A grace period of {grace} is too short: commits and promotions may take that long.",
            hint=f"Give at least {min_grace}.",
        )
    cutoff, extra_roots = now - grace, tuple(extra_roots)
    found = reach(lake, dataset, extra_roots, cutoff)
    used = file_keys(lake, dataset, list(found.commits.values()), found.in_flight)
    unused = {commit: records for commit, records in found.records.items() if not found.uses(commit)}
    if not found.roots and any(records.visible for records in unused.values()):
        raise UsageError(
            f"{dataset} has commits in {lake.bucket}, but no branch, no tag and no release leads to any of them: all "
            "of it would be removed.",
            hint=f"If that is meant, keep one commit with a tag: `mlops-kit dataset tag {dataset} TAG COMMIT`.",
        )
    garbage: dict[Kind, tuple[Version, ...]] = {
        "files": _old(lake, DatasetKeys(dataset).files_prefix, cutoff, lambda key: key in used),
        "checks": _old(lake, DatasetKeys(dataset).checks_prefix, cutoff, lambda key: found.uses(_commit_of(key))),
        "manifests": _old(lake, DatasetKeys(dataset).manifests_prefix, cutoff, lambda key: found.uses(_commit_of(key))),
        "staging": _old(lake, DatasetKeys(dataset).staging_prefix, cutoff, lambda _: False),
        "file lists": tuple(version for records in unused.values() for version in records.files),
        "headers": tuple(version for records in unused.values() for version in records.header),
    }
    return GcPlan(
        dataset=dataset,
        cutoff=cutoff,
        extra_roots=extra_roots,
        roots=found.roots,
        unknown_roots=found.unknown,
        kept_commits=frozenset(found.commits),
        kept_files=len(used),
        hidden=found.hidden,
        commits=tuple(sorted(unused)),
        garbage=garbage,
    )


def execute(
    plan: GcPlan,
    lake: Store,
    *,
    extra_roots: Callable[[], Iterable[str]] | None = None,
    progress: Progress = SILENT,
) -> Collected:
    """Remove what is planned and still is garbage. ``extra_roots`` reads again what the caller named.

    Killed anywhere, planning and executing again finishes it.
    """
    keys = DatasetKeys(plan.dataset)

    def look() -> Reach:
        again = plan.extra_roots if extra_roots is None else extra_roots()
        return reach(lake, plan.dataset, {*plan.extra_roots, *again}, plan.cutoff)

    found = look()
    doomed = [commit for commit in plan.commits if not found.uses(commit)]
    if visible := [commit for commit in doomed if commit in found.records and found.records[commit].visible]:
        lake.delete_many((keys.commit(commit), None) for commit in visible)
        found = look()
    for commit in found.hidden:
        put_back(lake, plan.dataset, commit)
    doomed = [commit for commit in doomed if not found.uses(commit)]

    newly_used = [header for commit, header in found.commits.items() if commit not in plan.kept_commits]
    used = file_keys(lake, plan.dataset, newly_used, found.in_flight)
    gone: dict[Kind, list[Version]] = {
        "files": [version for version in plan.garbage["files"] if version.key not in used],
        "staging": list(plan.garbage["staging"]),
        **{
            kind: [version for version in plan.garbage[kind] if not found.uses(_commit_of(version.key))]
            for kind in OF_COMMITS
        },
    }
    markers = [
        version
        for commit in doomed
        if commit in found.records
        for version in found.records[commit].header
        if version.deleted
    ]
    # While a marker is there, what is below it cannot be seen: so the markers go after all else.
    planned = {(version.key, version.version) for version in markers}
    gone["headers"] = [version for version in gone["headers"] if (version.key, version.version) not in planned]
    steps: Sequence[Sequence[Version]] = [*(gone[kind] for kind in ORDER), markers]
    total = [version for step in steps for version in step]
    progress.start("gc", len(total), sum(version.size for version in total))
    for step in steps:
        for start in range(0, len(step), BATCH):
            batch = step[start : start + BATCH]
            lake.delete_many((version.key, version.version) for version in batch)
            progress.add(len(batch), sum(version.size for version in batch))
    progress.done()
    return Collected(
        commits=len(doomed),
        objects=len(total) - len(set(visible).intersection(doomed)),  # the markers that this run made do not count
        size=sum(version.size for version in total),
        kept_back=tuple(commit for commit in plan.commits if found.uses(commit)),
    )


def put_back(lake: Store, dataset: str, commit: str) -> None:
    """Make the right version of a header the current one again."""
    key = DatasetKeys(dataset).commit(commit)
    right = find_header(lake, dataset, commit)
    current = lake.head(key)
    if right is None or (current is not None and current.version == right[0].version):
        return
    with contextlib.suppress(ConflictError):  # somebody else was faster
        lake.restore(key, right[0].version, None if current is None else current.etag)


def _old(lake: Store, prefix: str, cutoff: datetime, used: Callable[[str], bool]) -> tuple[Version, ...]:
    """All versions of the keys that are not used and hold nothing young."""
    found: list[Version] = []
    for key, group in groupby(lake.versions(prefix), attrgetter("key")):
        if not used(key) and not is_young(versions := tuple(group), cutoff):
            found += versions
    return tuple(found)


def _commit_of(key: str) -> str:
    """The commit that a record belongs to: the part of its key after the record's kind, up to a dot or slash."""
    return key.split("/")[3].partition(".")[0]
