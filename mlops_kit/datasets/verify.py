"""Is a commit whole: its records, every file there, of the right size, with the right bytes; and mend it.

All versions of all files are listed, a thousand a request, which tells presence and sizes. Digests: files are written
create-only and verified, and a commit's header after them. So a file with a single version that is no younger than the
header is what was verified. What has more versions was deleted, overwritten, restored, or written again by a later
commit that needs it too; it is asked for its digest. All dates are S3's own, so no clock is compared with another.
S3's answer is believed unless ``deep`` has every file read and hashed, which also finds rot that S3 does not know of.

Mending makes the right older version of an object current again, conditionally on what is current now. Nothing is ever
deleted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from mlops_kit.datasets import pointers
from mlops_kit.datasets.manifest import sagemaker_manifest
from mlops_kit.datasets.records import Commit, FileEntry, FileList
from mlops_kit.datasets.recovery import find_header, read_file_list, right_header
from mlops_kit.datasets.versions import find_version, recorded, versions_of
from mlops_kit.errors import IntegrityError, NotFoundError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store, Version, each
from mlops_kit.objects.checking import read_digest
from mlops_kit.progress import SILENT, Progress

HEADER, FILE_LIST, MANIFEST = "header", "file list", "SageMaker manifest"
READS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found, by the files' paths; ``records`` names the commit's own objects that are missing or changed."""

    commit: str
    files: int
    size: int
    hashed: int
    """Files that were read in full, because that was asked for or S3 knows no SHA-256 of them."""
    missing: tuple[str, ...] = ()
    wrong_size: tuple[str, ...] = ()
    wrong_digest: tuple[str, ...] = ()
    records: tuple[str, ...] = ()
    repaired: tuple[str, ...] = ()
    """Of all these, what is right again."""
    lost: tuple[str, ...] = ()
    """What could not be mended: no version has the bytes. Known only after a repair."""

    @property
    def damaged(self) -> tuple[str, ...]:
        """Everything that was not as it has to be."""
        return (*self.records, *self.missing, *self.wrong_size, *self.wrong_digest)

    @property
    def intact(self) -> bool:
        """Whether it is as it has to be now."""
        return set(self.damaged) == set(self.repaired)


@dataclass(frozen=True, slots=True)
class _Object:
    """The current version of a key, and how many there are, delete markers among them."""

    current: Version
    versions: int


@dataclass(slots=True)
class _Job:
    lake: Store
    dataset: str
    deep: bool
    repair: bool
    progress: Progress
    good: set[str]
    """Keys whose digest was found to be right, by this verification or one before it."""
    parents: dict[str, str | None] = field(default_factory=dict)
    hashed: list[str] = field(default_factory=list)
    records: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def keys(self) -> DatasetKeys:
        return DatasetKeys(self.dataset)

    def key(self, entry: FileEntry) -> str:
        return self.keys.file(entry.path, entry.sha256)

    def header(self, commit: str) -> Commit:
        key = self.keys.commit(commit)
        body = self.lake.get(key)
        header = None if body is None else right_header(body, self.dataset, commit)
        if header is not None:
            return header
        found = find_header(self.lake, self.dataset, commit)
        if found is not None:
            self._mend_record(HEADER, key, found[0].version)
            return found[1]
        if body is None:
            raise NotFoundError(f"{self.dataset} has no commit {commit} in {self.lake.bucket}.")
        raise IntegrityError(
            f"The header of commit {commit} of {self.dataset} was changed, and no older version of it is right.",
            hint="Promote the commit again from an environment that has it.",
        )

    def files(self, header: Commit) -> FileList:
        found = read_file_list(self.lake, header)
        if found is None:
            raise IntegrityError(
                f"The file list of commit {header.id} of {self.dataset} is missing or was changed, and no older "
                "version of it is right.",
                hint="Promote the commit again from an environment that has it.",
            )
        files, older = found
        if older is not None:
            self._mend_record(FILE_LIST, self.keys.file_list(header.id), older.version)
        return files

    def _mend_record(self, name: str, key: str, version: str) -> None:
        self.records.append(name)
        if self.repair:
            current = self.lake.head(key)
            self.lake.restore(key, version, None if current is None else current.etag)
            self.repaired.append(name)

    def manifest(self, header: Commit, files: FileList) -> None:
        key = self.keys.manifest(header.id)
        expected = sagemaker_manifest(self.lake, self.dataset, files)
        found = self.lake.get_with_etag(key)
        if found is not None and (found[0] == expected or _same_manifest(found[0], expected)):
            return
        self.records.append(MANIFEST)
        if self.repair:
            if found is None:
                self.lake.put_new(key, expected, "application/json")
            else:
                self.lake.replace(key, expected, found[1])
            self.repaired.append(MANIFEST)

    def visible_since(self, commit: str) -> datetime | None:
        """When the header was first written, on S3's clock; None if its versions do not go back that far."""
        written = [version.modified for version in versions_of(self.lake, self.keys.commit(commit))]
        return min(written, default=None)

    def is_right(self, entry: FileEntry, found: _Object, since: datetime | None) -> bool:
        key = self.key(entry)
        if not self.deep and found.versions == 1 and since is not None and found.current.modified <= since:
            right = True
        else:
            right = key in self.good or self.has_digest(entry, key)
            if right:
                self.good.add(key)
        self.progress.add(1)
        return right

    def has_digest(self, entry: FileEntry, key: str) -> bool:
        if not self.deep:
            known = recorded(self.lake.head(key), entry.sha256, entry.composite)
            if known is not None:
                return known
        self.hashed.append(entry.path)
        return read_digest(self.lake, key, None, lambda count: self.progress.add(bytes_=count)) == entry.sha256

    def mend(self, entry: FileEntry, found: _Object | None) -> None:
        key = self.key(entry)
        version = find_version(self.lake, key, entry.sha256, entry.size, composite=entry.composite, deep=self.deep)
        if version is None:
            self.lost.append(entry.path)
            return
        self.lake.restore(key, version.version, None if found is None else found.current.etag)
        self.repaired.append(entry.path)


def verify(
    lake: Store, dataset: str, commit: str, *, deep: bool = False, repair: bool = False, progress: Progress = SILENT
) -> Verification:
    """Check one commit; with ``deep``, read and hash every file; with ``repair``, mend what older versions allow.

    Raises:
        NotFoundError: no such commit, and no older version of its header.
        IntegrityError: its header or file list is broken, and no older version is right.
        ConflictError: somebody wrote to an object while it was mended.
    """
    return _verify(_Job(lake, dataset, deep, repair, progress, set()), commit, None)


def verify_all(
    lake: Store, dataset: str, *, deep: bool = False, repair: bool = False, progress: Progress = SILENT
) -> Iterator[Verification]:
    """Check every commit that a branch or a tag reaches. Files are listed once; one that commits share is read once.

    Raises:
        As :func:`verify`, for the first commit of which that is true.
    """
    good: set[str] = set()
    there = _list(lake, DatasetKeys(dataset).files_prefix, None)
    waiting = sorted({ref.commit for ref in pointers.all_refs(lake, dataset)})
    seen = set(waiting)
    while waiting:
        commit = waiting.pop()
        job = _Job(lake, dataset, deep, repair, progress, good)
        yield _verify(job, commit, there)
        parent = job.parents.get(commit)
        if parent is not None and parent not in seen and _was_here(lake, dataset, parent):
            seen.add(parent)
            waiting.append(parent)


def _was_here(lake: Store, dataset: str, commit: str) -> bool:
    """Not so of an ancestor that was never promoted to this lake, which is no damage."""
    return next(versions_of(lake, DatasetKeys(dataset).commit(commit)), None) is not None


def _verify(job: _Job, commit: str, there: dict[str, _Object] | None) -> Verification:
    header = job.header(commit)
    job.parents[commit] = header.parent
    files = job.files(header)
    job.manifest(header, files)
    keyed = {job.key(entry): entry for entry in files}
    if there is None:
        common = os.path.commonprefix([min(keyed), max(keyed)]) if keyed else ""  # noqa: RUF071 - of keys, not paths
        there = _list(job.lake, common, keyed) if keyed else {}
    missing = [entry for key, entry in keyed.items() if key not in there]
    wrong_size = [e for key, e in keyed.items() if key in there and there[key].current.size != e.size]
    sized = [(e, there[key]) for key, e in keyed.items() if key in there and there[key].current.size == e.size]

    since = None if job.deep else job.visible_since(commit)
    job.progress.start("verify", len(sized), sum(entry.size for entry, _ in sized) if job.deep else None)
    rights = each(lambda item: job.is_right(*item, since), sized, at_once=READS_AT_ONCE)
    job.progress.done()
    wrong_digest = [entry for (entry, _), right in zip(sized, rights, strict=True) if not right]
    if job.repair and (broken := [*missing, *wrong_size, *wrong_digest]):
        each(lambda entry: job.mend(entry, there.get(job.key(entry))), broken, at_once=READS_AT_ONCE)
        for entry in broken:  # so that another commit that shares it finds it as it is now
            there.pop(job.key(entry), None)
            there |= _list(job.lake, job.key(entry), {job.key(entry)})
    mended = set(job.repaired)
    return Verification(
        commit=commit,
        files=len(files),
        size=header.size,
        hashed=len(job.hashed),
        missing=_paths(missing),
        wrong_size=_paths(wrong_size),
        wrong_digest=_paths(wrong_digest),
        records=tuple(job.records),
        repaired=(*(name for name in job.records if name in mended), *sorted(mended.difference(job.records))),
        lost=tuple(sorted(job.lost)),
    )


def _list(lake: Store, prefix: str, wanted: Container[str] | None) -> dict[str, _Object]:
    """What is visible of the keys that are ``wanted`` (None: of all), by key."""
    found: dict[str, _Object] = {}
    hidden: set[str] = set()
    for version in lake.versions(prefix):
        key = version.key
        if key in found:
            found[key] = _Object(found[key].current, found[key].versions + 1)
        elif key not in hidden and (wanted is None or key in wanted):
            if version.deleted:
                hidden.add(key)
            else:
                found[key] = _Object(version, 1)
    return found


def _paths(entries: list[FileEntry]) -> tuple[str, ...]:
    return tuple(entry.path for entry in entries)


def _same_manifest(found: bytes, expected: bytes) -> bool:
    """The order of keys means nothing to SageMaker."""
    try:
        (prefix, *keys), (right_prefix, *right_keys) = json.loads(found), json.loads(expected)
        return bool(prefix == right_prefix and sorted(keys) == sorted(right_keys))
    except (ValueError, TypeError, RecursionError):
        return False
