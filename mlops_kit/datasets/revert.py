"""Go back to what a data set was, by going on: a new commit with the content of an older one. No file travels."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from mlops_kit.datasets import pointers
from mlops_kit.datasets.ancestry import reachable, walk
from mlops_kit.datasets.publish import store
from mlops_kit.datasets.read import read_commit, read_files
from mlops_kit.datasets.records import Commit, FileList
from mlops_kit.errors import IntegrityError, UsageError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store

CHECKED_AT_ONCE = 100_000
"""Files whose presence is looked up in one go: bounds the memory for what the listing finds."""


@dataclass(frozen=True, slots=True)
class Reverted:
    """What a revert did."""

    commit: Commit
    changed: bool
    """False: the branch had this content already, and no commit was made."""


def revert(
    lake: Store, dataset: str, ref: str, to_commit: str, *, message: str, author: str, now: datetime
) -> Reverted:
    """Commit the content of ``to_commit`` on top of a branch.

    Raises:
        NotFoundError: there is no such branch or commit.
        UsageError: no branch or tag reaches ``to_commit``, so that its files may go away at any time.
        IntegrityError: files of it are missing.
        ConflictError: somebody else moved the branch meanwhile.
    """
    seen = pointers.read(lake, dataset, ref)
    if seen is None:
        raise pointers.no_such(lake, dataset, ref, "branch")
    current, target = read_commit(lake, dataset, seen.commit), read_commit(lake, dataset, to_commit)
    if current.file_list == target.file_list:
        return Reverted(current, changed=False)
    _refuse_unreachable(lake, dataset, seen.commit, to_commit)
    files = read_files(lake, target)
    _check_present(lake, target, files)
    header = Commit(
        dataset=dataset,
        parent=current.id,
        author=author,
        message=message,
        time=now.isoformat(timespec="seconds"),
        files=target.files,
        size=target.size,
        file_list=target.file_list,
    )
    store(lake, header, files)
    pointers.move(lake, dataset, ref, header.id, seen, author, now)
    return Reverted(header, changed=True)


def _refuse_unreachable(lake: Store, dataset: str, tip: str, commit: str) -> None:
    """What nothing reaches can be collected as garbage while we look at it."""
    if any(header.id == commit for header in walk(lake, dataset, tip)):
        return
    if commit not in reachable(lake, dataset, (one.commit for one in pointers.all_refs(lake, dataset))):
        raise UsageError(
            f"No branch or tag of {dataset} reaches commit {commit}: its files may be collected as garbage.",
            hint=f"Keep it first: `mlops-kit dataset tag {dataset} TAG {commit[:12]}`.",
        )


def _check_present(lake: Store, commit: Commit, files: FileList) -> None:
    keys = DatasetKeys(commit.dataset)
    wanted = iter(sorted((keys.file(entry.path, entry.sha256), entry.size) for entry in files))
    missing: list[str] = []
    while batch := list(islice(wanted, CHECKED_AT_ONCE)):
        there = lake.present([key for key, _ in batch])
        missing += [key for key, size in batch if key not in there or there[key].size != size]
    if missing:
        shown = "".join(f"\n  {lake.uri(key)}" for key in missing[:10])
        more = f"\n  and {len(missing) - 10} more" if len(missing) > 10 else ""
        raise IntegrityError(
            f"{len(missing)} of the {len(files)} files of commit {commit.id} are missing or have another size:"
            f"{shown}{more}",
            hint=f"`mlops-kit dataset verify {commit.dataset}@{commit.id[:12]} --repair` restores what S3 still has.",
        )
