"""Make a commit on top of a branch, of a local file or directory, or of an S3 prefix.

Survey the source, plan by reading the lake, then write, in this order: the file list, the files that are not there, the
SageMaker manifest, the header, the branch. Each write is create-only or compare-and-set, so that nothing is visible
until all of it is there, and a run that was killed anywhere is finished by the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mlops_kit.datasets import pointers, tree
from mlops_kit.datasets.local_paths import is_safe
from mlops_kit.datasets.local_source import LocalSource
from mlops_kit.datasets.publish import announce, publish
from mlops_kit.datasets.read import read_commit, read_files
from mlops_kit.datasets.records import Commit, FileEntry, FileList, entry_of
from mlops_kit.datasets.source import Nothing, Source, Surveyed
from mlops_kit.datasets.transfer import AT_ONCE, Arrivals, look, transfer
from mlops_kit.errors import ConflictError, UsageError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store
from mlops_kit.progress import SILENT, Progress


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """What is asked for."""

    dataset: str
    source: Source
    message: str
    author: str
    ref: str = pointers.DEFAULT_REF
    """The branch to build upon."""
    move_ref: bool = True
    """Let the branch point to the commit. A commit that nothing points to is collected by ``gc`` in the end."""
    add: bool = False
    """Keep the parent's other files. Otherwise the commit holds what is in ``source`` and nothing else."""
    into: str = ""
    """The directory of the data set that the files go to; empty: its root."""
    remove: tuple[str, ...] = ()
    """Files, directories or globs of the parent that are not to be kept."""

    @property
    def directory(self) -> str:
        """``into`` with a slash at its end, if it is not empty."""
        return f"{self.into.rstrip('/')}/" if self.into else ""

    def check(self) -> None:
        """Raises:
        UsageError: a name is none, or options contradict each other.
        """
        pointers.check_name(self.dataset)
        pointers.check_branch(self.ref)
        if self.into and not is_safe(self.directory + "x"):
            raise UsageError(f"{self.into!r} is not a directory of a data set.", hint="Write it like images/2026.")
        if self.remove and not self.add:
            raise UsageError(
                "Only a commit that keeps the parent's files can leave out some of them.",
                hint="Say --add with --remove; a commit without --add holds what is in PATH and nothing else.",
            )


@dataclass(frozen=True, slots=True)
class CommitPlan:
    """What a commit would do."""

    request: CommitRequest
    commit: Commit
    files: FileList
    arrivals: Arrivals
    found: Surveyed
    seen: pointers.Ref | None
    now: datetime
    changed: bool
    """False: the data is what the branch points to already; ``commit`` is that one."""

    def local(self, lake: Store, entry: FileEntry, to: Path) -> Path:
        """One of ``files`` as a local file, before the plan is carried out: where it is, or brought to ``to``.

        Raises:
            IntegrityError: its bytes are not those that were planned.
        """
        try:
            return self.found.local(entry.path, to)
        except KeyError:  # the parent's
            lake.download(DatasetKeys(self.request.dataset).file(entry.path, entry.sha256), to, entry.sha256)
            return to


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit did. ``uploaded`` counts the files that were not stored before."""

    commit: Commit
    uploaded: int
    uploaded_bytes: int
    changed: bool
    """False: the data was already what the branch points to, and no commit was made."""


def commit(
    lake: Store,
    dataset: str,
    source: Path | Source | None,
    *,
    message: str,
    author: str,
    now: datetime,
    ref: str | None = pointers.DEFAULT_REF,
    add: bool = False,
    into: str = "",
    remove: Sequence[str] = (),
    progress: Progress = SILENT,
    at_once: int = AT_ONCE,
) -> Committed:
    """Plan and execute: store ``source`` as a new commit; only changed files travel.

    ``source`` may be None if ``remove`` says what to do; ``ref`` None builds upon the default branch and moves none.
    For the rest see :class:`CommitRequest`, and for the errors :func:`plan` and :func:`execute`.
    """
    if source is None:
        source = Nothing()
    elif isinstance(source, Path):
        source = LocalSource.of(source)
    asked = CommitRequest(
        dataset, source, message, author, ref or pointers.DEFAULT_REF, ref is not None, add, into, tuple(remove)
    )
    planned = plan(lake, asked, now, progress=progress, at_once=at_once)
    return execute(lake, planned, progress=progress, at_once=at_once)


def plan(
    lake: Store, asked: CommitRequest, now: datetime, *, progress: Progress = SILENT, at_once: int = AT_ONCE
) -> CommitPlan:
    """Look at the source and at the lake. Nothing is written, except what the survey of a prefix puts aside.

    Raises:
        UsageError: nothing there, something that a data set cannot hold, or a file that is a directory of another.
        NotFoundError: nothing matches what is to be removed.
        ConflictError: the branch does not exist, and a tag has its name.
    """
    asked.check()
    dataset = asked.dataset
    seen = pointers.read(lake, dataset, asked.ref)
    if seen is None and asked.move_ref and pointers.read(lake, dataset, asked.ref, "tag") is not None:
        raise ConflictError(f"{dataset} has a tag {asked.ref!r}; a branch of that name would be taken for it.")
    if isinstance(asked.source, Nothing) and not asked.remove:
        raise UsageError("There is nothing to commit: no path, and nothing to remove.")
    found = asked.source.survey(lake, dataset, asked.directory, progress=progress, at_once=at_once)
    try:
        return _plan(lake, asked, found, seen, now)
    except BaseException:
        found.discard()
        raise


def _plan(lake: Store, asked: CommitRequest, found: Surveyed, seen: pointers.Ref | None, now: datetime) -> CommitPlan:
    parent = read_commit(lake, asked.dataset, seen.commit) if seen else None
    before = read_files(lake, parent) if parent and asked.add else FileList([])
    files = tree.overlay(tree.without(before, asked.remove, asked.dataset), found.entries)
    if not files:
        raise UsageError(f"No files would be left in {asked.dataset}.")
    if parent is not None and files.digest == parent.file_list:
        return CommitPlan(asked, parent, files, Arrivals(), found, seen, now, changed=False)
    if parent is not None and not asked.add:
        before = read_files(lake, parent)
    known = set(before.lines)
    fresh = [entry for entry in found.entries if entry.to_line()[:-1] not in known]
    tree.refuse_clashes(files, fresh if asked.add else found.entries, fresh if asked.add else ())
    if parent is not None and asked.add:  # of a million entries, only what is different is looked into
        gone = known.difference(files.lines)
        size = parent.size + sum(entry.size for entry in fresh) - sum(entry_of(line).size for line in gone)
    else:
        size = sum(entry.size for entry in found.entries)
    header = Commit(
        dataset=asked.dataset,
        parent=parent.id if parent else None,
        author=asked.author,
        message=asked.message,
        time=now.isoformat(timespec="seconds"),
        files=len(files),
        size=size,
        file_list=files.digest,
    )
    return CommitPlan(asked, header, files, look(lake, asked.dataset, fresh), found, seen, now, changed=True)


def execute(lake: Store, planned: CommitPlan, *, progress: Progress = SILENT, at_once: int = AT_ONCE) -> Committed:
    """Carry out ``planned``. Killed anywhere, planning and executing again finishes it.

    Raises:
        ConflictError: somebody else moved the branch meanwhile; the commit is stored all the same.
        IntegrityError: a file is not what it was when it was planned.
    """
    try:
        if not planned.changed:
            return Committed(planned.commit, 0, 0, changed=False)
        _write(lake, planned, progress, at_once)
    finally:
        planned.found.discard()
    return Committed(planned.commit, len(planned.arrivals.missing), planned.arrivals.size, changed=True)


def _write(lake: Store, planned: CommitPlan, progress: Progress, at_once: int) -> None:
    asked, header, now = planned.request, planned.commit, planned.now
    announce(lake, header, planned.files, now)
    transfer(
        lake,
        asked.dataset,
        planned.arrivals,
        planned.found,
        now=now,
        what="upload" if isinstance(asked.source, LocalSource) else "copy",
        progress=progress,
        at_once=at_once,
    )
    publish(lake, header, planned.files, now)
    if asked.move_ref:
        pointers.move(lake, asked.dataset, asked.ref, header.id, planned.seen, asked.author, now)
