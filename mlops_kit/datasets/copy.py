"""Copy a commit from one environment's lake to another's: files, then records, then the ref.

Server-side copies only. The commit keeps its id; its SageMaker manifest is made anew, because it names the bucket.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from mlops_kit.datasets import refs
from mlops_kit.datasets.commit import store
from mlops_kit.datasets.read import exists, read_commit, read_files
from mlops_kit.datasets.records import Commit, FileEntry, dump_files
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store

COPIES_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """What promoting a commit would do. ``missing`` are the files that the target lacks."""

    commit: Commit
    files: tuple[FileEntry, ...]
    missing: tuple[FileEntry, ...]
    present: bool
    """The target already has this commit."""
    ref: str
    target_ref: refs.Ref | None

    @property
    def size(self) -> int:
        """Bytes that have to be copied."""
        return sum(entry.size for entry in self.missing)

    @property
    def done(self) -> bool:
        return self.present and self.target_ref is not None and self.target_ref.commit == self.commit.id


def plan(source: Store, target: Store, dataset: str, commit: str, ref: str = refs.DEFAULT_REF) -> CopyPlan:
    """Read both sides; writes nothing."""
    header = read_commit(source, dataset, commit)
    files = read_files(source, header)
    keys = DatasetKeys(dataset)
    there = set(target.keys(keys.files_prefix))
    missing = tuple(entry for entry in files if keys.file(entry.path, entry.sha256) not in there)
    return CopyPlan(header, files, missing, exists(target, dataset, commit), ref, refs.read(target, dataset, ref))


def execute(
    plan: CopyPlan, source: Store, target: Store, actor: str, now: datetime, on_file: Callable[[], None] = lambda: None
) -> None:
    """Carry out ``plan``. Killed anywhere, planning and executing again finishes it."""
    keys = DatasetKeys(plan.commit.dataset)

    def copy(entry: FileEntry) -> None:
        key = keys.file(entry.path, entry.sha256)
        target.copy_new(key, source, key, entry.sha256)
        on_file()

    with ThreadPoolExecutor(COPIES_AT_ONCE) as pool:
        list(pool.map(copy, plan.missing))
    if not plan.present:
        store(target, plan.commit, plan.files, dump_files(plan.files))
    if not plan.done:
        refs.move(target, plan.commit.dataset, plan.ref, plan.commit.id, plan.target_ref, actor, now)
