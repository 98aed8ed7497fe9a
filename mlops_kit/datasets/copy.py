"""Copy a commit from one environment's lake to another's: files, then records, then the ref.

Server-side copies only, of what the target lacks. The commit keeps its id; its SageMaker manifest is made anew, because
it names the bucket. Written, in this order: the file list, the files, the manifest, the header, results of data
tests, the ref; so nothing is visible until all of it is there, and a run that was killed is finished by the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mlops_kit.datasets import check_results, pointers
from mlops_kit.datasets.ancestry import walk
from mlops_kit.datasets.publish import announce, publish
from mlops_kit.datasets.read import exists, find_commit, read_commit, read_files
from mlops_kit.datasets.records import Commit, FileEntry, FileList, entry_of
from mlops_kit.datasets.transfer import AT_ONCE, Arrivals, look, transfer
from mlops_kit.datasets.versions import find_version
from mlops_kit.errors import IntegrityError, NotFoundError
from mlops_kit.objects import Store
from mlops_kit.progress import SILENT, Progress


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """What promoting a commit would do."""

    commit: Commit
    files: FileList
    arrivals: Arrivals
    present: bool
    """The target already has this commit."""
    kept: bool
    """The target's ref reaches it there, so that all of it is known to be there."""
    ref: str
    target_ref: pointers.Ref | None
    check_results: tuple[str, ...] = ()
    """Results of data tests that the target lacks, each by the SHA-256 of its constraints."""

    @property
    def missing(self) -> tuple[FileEntry, ...]:
        """The files that the target lacks."""
        return self.arrivals.missing

    @property
    def size(self) -> int:
        """Bytes that have to be copied."""
        return self.arrivals.size

    @property
    def pointed(self) -> bool:
        """The target's ref is at this commit."""
        return self.target_ref is not None and self.target_ref.commit == self.commit.id

    @property
    def done(self) -> bool:
        return self.present and self.pointed and not self.check_results


def plan(source: Store, target: Store, dataset: str, commit: str, ref: str = pointers.DEFAULT_REF) -> CopyPlan:
    """Read both sides; writes nothing.

    Raises:
        NotFoundError: the source has no such commit.
        IntegrityError: its records were changed.
    """
    header = read_commit(source, dataset, commit)
    files = read_files(source, header)
    seen = pointers.read(target, dataset, ref)
    present = exists(target, dataset, commit)
    results = check_results.lacking(source, target, dataset, commit)
    kept = present and seen is not None and any(one.id == commit for one in walk(target, dataset, seen.commit))
    if kept:
        return CopyPlan(header, files, Arrivals(), present, kept, ref, seen, results)
    base = find_commit(target, dataset, seen.commit) if seen else None
    known = set(read_files(target, base).lines) if base else set()
    arrivals = look(target, dataset, (entry_of(line) for line in files.lines if line not in known))
    return CopyPlan(header, files, arrivals, present, kept, ref, seen, results)


def execute(
    plan: CopyPlan,
    source: Store,
    target: Store,
    actor: str,
    now: datetime,
    *,
    progress: Progress = SILENT,
    at_once: int = AT_ONCE,
) -> None:
    """Carry out ``plan``. Killed anywhere, planning and executing again finishes it.

    Raises:
        ConflictError: somebody else moved the target's ref meanwhile; the commit is there all the same.
        IntegrityError: a file of the source is missing or not what the commit says, and so are its older versions; or
            something else lies where it belongs.
    """
    header = plan.commit
    if not plan.kept:
        announce(target, header, plan.files, now)
        transfer(
            target,
            header.dataset,
            plan.arrivals,
            _Lake(source, progress),
            now=now,
            what="copy",
            progress=progress,
            at_once=at_once,
        )
        publish(target, header, plan.files, now)
    check_results.bring(source, target, header.dataset, header.id, plan.check_results)
    if not plan.pointed:
        pointers.move(target, header.dataset, plan.ref, header.id, plan.target_ref, actor, now)


@dataclass(frozen=True, slots=True)
class _Lake:
    """The files of another lake, under the same keys; an ``Origin``."""

    source: Store
    progress: Progress

    def bring(self, target: Store, key: str, entry: FileEntry) -> None:
        self._copy(target, key, entry, None)

    def renew(self, target: Store, key: str, entry: FileEntry, etag: str) -> None:
        self._copy(target, key, entry, etag)

    def _copy(self, target: Store, key: str, entry: FileEntry, over: str | None) -> None:
        try:
            self._copy_version(target, key, entry, over, None)
        except (NotFoundError, IntegrityError) as exc:
            # Deleted or overwritten there; S3 keeps what it was.
            version = find_version(self.source, key, entry.sha256, entry.size, composite=entry.composite)
            if version is None:
                raise IntegrityError(
                    f"{self.source.uri(key)} cannot be copied, and no older version of it has the right bytes: "
                    f"{exc.message}",
                    hint="Nothing became visible in the target. See `mlops-kit dataset verify` in the source.",
                ) from exc
            self._copy_version(target, key, entry, over, version.version)
        self.progress.add(bytes_=entry.size)

    def _copy_version(self, target: Store, key: str, entry: FileEntry, over: str | None, version: str | None) -> None:
        target.copy_known(
            key,
            self.source,
            key,
            sha256=entry.sha256,
            size=entry.size,
            composite=entry.composite,
            version=version,
            replaces=over,
        )
