"""Garbage collection: what goes, what stays, and that nothing in use is lost whoever does what at the same time."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops_kit.datasets import branch, copy, pointers, tag
from mlops_kit.datasets.checkout import checkout
from mlops_kit.datasets.commit import commit as make_commit
from mlops_kit.datasets.gc import Collected, GcPlan, execute, plan
from mlops_kit.datasets.publish import announce
from mlops_kit.datasets.read import exists, read_commit, read_files
from mlops_kit.datasets.records import Commit, FileEntry, FileList
from mlops_kit.datasets.verify import verify
from mlops_kit.errors import IntegrityError, NotFoundError, UsageError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store, sha256_bytes
from tests.s3 import Fault, LoopbackS3
from tests.s3.model import Bucket

KEYS = DatasetKeys("churn")
OLD = timedelta(days=30)


@pytest.fixture
def bucket(s3: LoopbackS3, lake: Store) -> Bucket:
    return s3.buckets[lake.bucket]


def age(bucket: Bucket, by: timedelta = OLD, below: str = "") -> None:
    """Make all that is there older."""
    with bucket.lock:
        for name in bucket.snapshot_versions():
            for version in bucket.versions(name):
                if name.startswith(below):
                    version.modified -= by.total_seconds()


def now() -> datetime:
    return datetime.now(UTC)


class Source:
    """Commits of one local directory."""

    def __init__(self, lake: Store, directory: Path) -> None:
        self.lake, self.directory = lake, directory
        self.contents: dict[str, dict[str, bytes]] = {}

    def commit(self, files: Mapping[str, bytes], ref: str | None = "main") -> str:
        directory = self.directory / f"{len(self.contents)}"
        for path, body in files.items():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_bytes(body)
        done = make_commit(self.lake, "churn", directory, message="m", author="me", now=now(), ref=ref)
        self.contents[done.commit.id] = dict(files)
        return done.commit.id

    def branch(self, name: str, commit: str) -> None:
        branch.create(self.lake, "churn", name, commit, actor="me", now=now())

    def is_whole(self, commit: str) -> bool:
        """Checks it out, bit for bit."""
        directory = self.directory / f"out-{len(list(self.directory.iterdir()))}"
        checkout(self.lake, "churn", commit, directory)
        found = {path: (directory / path).read_bytes() for path in self.contents[commit]}
        return found == self.contents[commit] and verify(self.lake, "churn", commit).intact


@pytest.fixture
def source(lake: Store, tmp_path: Path) -> Source:
    (tmp_path / "source").mkdir()
    return Source(lake, tmp_path / "source")


@pytest.fixture
def orphan(source: Source, bucket: Bucket) -> str:
    """Two commits on main, and an old one on top that only a branch that is gone led to."""
    first = source.commit({"shared": b"s", "a": b"1"})
    source.commit({"shared": b"s", "a": b"2"})
    source.branch("side", first)
    commit = source.commit({"shared": b"s", "only/here": b"x" * 100}, ref="side")
    bucket.delete(KEYS.ref("side"))
    age(bucket)
    return commit


def collect(lake: Store, **options: object) -> Collected:
    return execute(plan(lake, "churn", now=now(), **options), lake)  # type: ignore[arg-type]


def keys_of(lake: Store, commit: str) -> set[str]:
    files = read_files(lake, read_commit(lake, "churn", commit))
    records = {KEYS.commit(commit), KEYS.file_list(commit), KEYS.manifest(commit)}
    return {KEYS.file(entry.path, entry.sha256) for entry in files} | records


def test_with_nothing_unused_nothing_is_planned_and_nothing_written(
    lake: Store, s3: LoopbackS3, source: Source, bucket: Bucket
) -> None:
    commits = [source.commit({"a": b"1", "b": b"1"}), source.commit({"a": b"2"})]
    age(bucket)
    before = bucket.snapshot_versions()
    found = plan(lake, "churn", now=now())
    assert (found.objects, found.commits, found.hidden) == (0, (), ())
    assert found.kept_commits == set(commits)
    assert found.kept_files == 3
    assert [(root.name, root.commit) for root in found.roots] == [("refs/main", commits[1])]
    assert execute(found, lake).objects == 0
    assert bucket.snapshot_versions() == before


def test_a_plan_only_reads(lake: Store, source: Source, bucket: Bucket, orphan: str) -> None:
    before = bucket.snapshot_versions()
    found = plan(lake, "churn", now=now())
    assert found.commits == (orphan,)
    assert {kind: len(versions) for kind, versions in found.garbage.items()} == {
        "files": 1,
        "checks": 0,
        "manifests": 1,
        "staging": 0,
        "file lists": 1,
        "headers": 1,
    }
    assert found.size == sum(version.size for versions in found.garbage.values() for version in versions) > 100
    assert bucket.snapshot_versions() == before


def test_what_nothing_leads_to_goes_and_all_else_stays(
    lake: Store, source: Source, bucket: Bucket, orphan: str
) -> None:
    kept = {key: found for key, found in bucket.snapshot_versions().items() if key not in keys_of(lake, orphan)}
    shared = KEYS.file("shared", sha256_bytes(b"s"))
    kept[shared] = bucket.snapshot_versions()[shared]
    found = plan(lake, "churn", now=now())
    done = execute(found, lake)
    assert (done.commits, done.size, done.kept_back) == (1, found.size, ())
    assert bucket.snapshot_versions() == kept, "no version and no delete marker of it is left"
    assert all(source.is_whole(commit) for commit in source.contents if commit != orphan)
    assert plan(lake, "churn", now=now()).objects == 0


@pytest.mark.parametrize("keep", ["branch", "tag", "release"])
def test_a_name_or_a_release_keeps_a_commit_and_its_ancestors(
    lake: Store, source: Source, bucket: Bucket, orphan: str, keep: str
) -> None:
    source.branch("again", orphan)
    above = source.commit({"shared": b"s", "above": b"y"}, ref="again")
    bucket.delete(KEYS.ref("again"))
    if keep == "branch":
        source.branch("kept", above)
    elif keep == "tag":
        tag.create(lake, "churn", "v1", above, actor="me", now=now())
    age(bucket)
    roots = [above] if keep == "release" else []
    found = plan(lake, "churn", now=now(), extra_roots=roots)
    assert found.objects == 0
    assert {orphan, above} <= found.kept_commits
    assert {"branch": "refs/kept", "tag": "tags/v1", "release": "asked for"}[keep] in {r.name for r in found.roots}
    execute(found, lake)
    assert source.is_whole(orphan)


def test_a_release_of_data_that_is_not_here_is_told(lake: Store, source: Source, orphan: str) -> None:
    elsewhere, junk = "ab" * 32, "not a commit"
    found = plan(lake, "churn", now=now(), extra_roots=[elsewhere, junk])
    assert found.unknown_roots == (elsewhere, junk)
    assert found.commits == (orphan,)


def test_nothing_younger_than_the_grace_period_goes(lake: Store, source: Source, bucket: Bucket, orphan: str) -> None:
    assert plan(lake, "churn", now=now(), grace=OLD + timedelta(days=1)).objects == 0
    assert plan(lake, "churn", now=now(), grace=OLD - timedelta(days=1)).commits == (orphan,)
    with pytest.raises(UsageError, match="too short"):
        plan(lake, "churn", now=now(), grace=timedelta(hours=1))
    plan(lake, "churn", now=now(), grace=timedelta(0), min_grace=timedelta(0))


def test_a_young_commit_without_a_name_keeps_its_old_files(
    lake: Store, source: Source, bucket: Bucket, orphan: str
) -> None:
    unnamed = source.commit({"shared": b"s", "a": b"1", "new": b"n"}, ref=None)
    age(bucket, OLD, KEYS.files_prefix)
    found = plan(lake, "churn", now=now())
    assert ("young", unnamed) in {(root.name, root.commit) for root in found.roots}
    assert found.commits == (orphan,)
    execute(found, lake)
    assert source.is_whole(unnamed)


def test_a_promotion_in_flight_is_kept(lake: Store, source: Source, bucket: Bucket, orphan: str) -> None:
    entries = [FileEntry("p", 1, sha256_bytes(b"p")), FileEntry("shared", 1, sha256_bytes(b"s"))]
    listed = FileList.of(entries)
    header = Commit("churn", None, "me", "m", now().isoformat(), 2, 2, listed.digest)
    lake.put_new(KEYS.file("p", sha256_bytes(b"p")), b"p")
    age(bucket)
    announce(lake, header, listed, now())
    found = plan(lake, "churn", now=now())
    assert ("in flight", header.id) in {(root.name, root.commit) for root in found.roots}
    assert found.commits == (orphan,)
    execute(found, lake)
    assert KEYS.file("p", sha256_bytes(b"p")) in bucket.snapshot()
    age(bucket)
    assert plan(lake, "churn", now=now()).commits == (header.id,), "abandoned"
    collect(lake)
    assert KEYS.file("p", sha256_bytes(b"p")) not in bucket.snapshot_versions()


def test_results_of_checks_and_staging_leftovers_go_with_their_commits(
    lake: Store, source: Source, bucket: Bucket, orphan: str
) -> None:
    (kept,) = {ref.commit for ref in pointers.branches(lake, "churn")}
    names = {
        KEYS.check(orphan, "c" * 64): False,
        KEYS.check(kept, "c" * 64): True,
        f"{KEYS.staging_prefix}0123/x": False,
        KEYS.imported("d" * 64): True,
        f"{KEYS.root}README": True,
        f"{KEYS.commits_prefix}notes.txt": True,
    }
    for name in names:
        bucket.put(name, b"{}")
    age(bucket)
    bucket.put(f"{KEYS.staging_prefix}4567/young", b"1")
    collect(lake)
    there = bucket.snapshot_versions()
    assert {name: name in there for name in names} == names
    assert f"{KEYS.staging_prefix}4567/young" in there


def test_older_versions_of_what_is_in_use_stay(lake: Store, source: Source, bucket: Bucket, orphan: str) -> None:
    """What somebody overwrote or deleted can still be repaired afterwards."""
    (kept,) = {ref.commit for ref in pointers.branches(lake, "churn")}
    bucket.put(KEYS.file("a", sha256_bytes(b"2")), b"?")
    bucket.delete(KEYS.file("shared", sha256_bytes(b"s")))
    bucket.delete(KEYS.file_list(kept))
    age(bucket)
    collect(lake)
    assert verify(lake, "churn", kept, repair=True).intact
    assert source.is_whole(kept)


@pytest.mark.parametrize("what", ["denied", "junk", "dangling", "tampered", "no list", "junk list", "list denied"])
def test_where_roots_are_uncertain_nothing_is_deleted(
    lake: Store, s3: LoopbackS3, source: Source, bucket: Bucket, orphan: str, what: str
) -> None:
    (main,) = {ref.commit for ref in pointers.branches(lake, "churn")}
    expected: type[Exception] = IntegrityError
    if what == "denied":
        expected = ClientError
        s3.faults.append(Fault("denied", when=lambda r: r.key == KEYS.ref("main"), times=None))
    elif what == "list denied":
        expected = ClientError
        s3.faults.append(Fault("denied", operation="ListObjectsV2", times=None))
    elif what == "junk":
        bucket.put(KEYS.tag("v1"), b"{}")
    elif what == "dangling":
        bucket.put(KEYS.tag("v1"), b'{"commit": "%s"}' % (b"ab" * 32))
    elif what == "junk list":
        bucket.put(KEYS.file_list("ab" * 32), b"in flight, and not even gzip")
    elif what == "tampered":
        bucket.put(KEYS.commit(main), b"{}")
    else:
        bucket.remove(KEYS.file_list(main))
    before = bucket.snapshot_versions()
    with pytest.raises(expected):
        plan(lake, "churn", now=now())
    assert bucket.snapshot_versions() == before


def test_roots_that_become_uncertain_stop_it_before_anything_is_deleted(
    lake: Store, source: Source, bucket: Bucket, orphan: str
) -> None:
    found = plan(lake, "churn", now=now())
    bucket.put(KEYS.tag("v1"), b"junk")
    before = bucket.snapshot_versions()
    with pytest.raises(IntegrityError):
        execute(found, lake)
    assert bucket.snapshot_versions() == before


def test_a_data_set_whose_names_are_all_gone_is_not_removed(lake: Store, bucket: Bucket, orphan: str) -> None:
    bucket.delete(KEYS.ref("main"))
    with pytest.raises(UsageError, match="all of it"):
        plan(lake, "churn", now=now())
    assert plan(lake, "never-there", now=now()).objects == 0


def name_it(bucket: Bucket, commit: str, name: str = "v1") -> Callable[[], object]:
    """What somebody else's tag command writes, at a moment of our choice."""
    return lambda: bucket.put(KEYS.tag(name), b'{"by": "them", "commit": "%s", "time": ""}' % commit.encode())


def test_a_tag_made_between_plan_and_execution_keeps_the_commit(
    lake: Store, source: Source, bucket: Bucket, orphan: str
) -> None:
    found = plan(lake, "churn", now=now())
    tag.create(lake, "churn", "v1", orphan, actor="me", now=now())
    before = bucket.snapshot_versions()
    done = execute(found, lake)
    assert (done.objects, done.kept_back) == (0, (orphan,))
    assert bucket.snapshot_versions() == before
    assert source.is_whole(orphan)


def test_a_tag_made_while_headers_are_hidden_puts_the_commit_back(
    lake: Store, s3: LoopbackS3, source: Source, bucket: Bucket, orphan: str
) -> None:
    """It was decided upon before, and written after."""
    found = plan(lake, "churn", now=now())
    s3.faults.append(Fault("after", operation="DeleteObjects", callback=name_it(bucket, orphan)))
    done = execute(found, lake)
    assert (done.objects, done.kept_back) == (0, (orphan,))
    assert source.is_whole(orphan)
    assert plan(lake, "churn", now=now()).objects == 0


def test_an_ancestor_whose_header_somebody_deleted_keeps_its_files_and_is_put_back(
    lake: Store, source: Source, bucket: Bucket, orphan: str
) -> None:
    first = next(iter(source.contents))
    bucket.delete(KEYS.commit(first))
    bucket.delete(KEYS.file_list(first))
    age(bucket)
    found = plan(lake, "churn", now=now())
    assert (found.hidden, found.commits) == ((first,), (orphan,))
    execute(found, lake)
    assert exists(lake, "churn", first)
    assert verify(lake, "churn", first, repair=True).intact
    assert source.is_whole(first)


def test_a_tag_of_a_hidden_commit_is_refused(
    lake: Store, s3: LoopbackS3, source: Source, bucket: Bucket, orphan: str
) -> None:
    lake.delete(KEYS.commit(orphan))
    with pytest.raises(NotFoundError):
        tag.create(lake, "churn", "v1", orphan, actor="me", now=now())


def test_a_release_made_between_plan_and_execution_keeps_the_commit(
    lake: Store, source: Source, bucket: Bucket, orphan: str
) -> None:
    found = plan(lake, "churn", now=now())
    done = execute(found, lake, extra_roots=lambda: [orphan])
    assert done.kept_back == (orphan,)
    assert source.is_whole(orphan)


@contextmanager
def around_delete(lake: Store, nth: int, when: str, action: Callable[[], object]) -> Iterator[None]:
    """Somebody else's whole command, before or after the nth DeleteObjects of ours."""
    real, count = lake.wire.request, 0

    def request(operation: str, *args: Any, **options: Any) -> Any:
        nonlocal count
        count += operation == "DeleteObjects"
        struck = operation == "DeleteObjects" and count == nth
        if struck and when == "before":
            action()
        answer = real(operation, *args, **options)
        if struck and when == "after":
            action()
        return answer

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(lake.wire), "request", lambda _, *args, **options: request(*args, **options))
        yield
    assert count >= nth, "there are not so many requests"


# Hide headers, delete files, manifests, file lists, headers, delete markers.
MOMENTS = [(nth, when) for nth in range(1, 7) for when in ("before", "after")]


@pytest.mark.parametrize(("nth", "when"), MOMENTS)
def test_a_commit_that_uses_unused_files_again_has_them_at_every_moment(
    lake: Store, source: Source, orphan: str, nth: int, when: str
) -> None:
    found = plan(lake, "churn", now=now())
    again: list[str] = []
    files = {"shared": b"s", "only/here": b"x" * 100, "more": b"m"}
    with around_delete(lake, nth, when, lambda: again.append(source.commit(files))):
        execute(found, lake)
    assert source.is_whole(again[0])
    assert not exists(lake, "churn", orphan)


@pytest.mark.parametrize(("nth", "when"), MOMENTS)
def test_a_commit_that_is_promoted_again_is_whole_at_every_moment(
    lake: Store, other_lake: Store, source: Source, orphan: str, nth: int, when: str
) -> None:
    """It comes back under the id that is being removed."""
    store_all(lake, other_lake, orphan)
    found = plan(lake, "churn", now=now())

    def promote() -> None:
        copy.execute(copy.plan(other_lake, lake, "churn", orphan), other_lake, lake, "them", now())

    with around_delete(lake, nth, when, promote):
        execute(found, lake)
    assert {ref.commit for ref in pointers.branches(lake, "churn")} == {orphan}
    assert source.is_whole(orphan)
    assert orphan in plan(lake, "churn", now=now()).kept_commits


def store_all(source: Store, target: Store, commit: str) -> None:
    copy.execute(copy.plan(source, target, "churn", commit), source, target, "me", now())


KILLED = """
import os, sys
from datetime import UTC, datetime
sys.path.insert(0, os.getcwd())
from botocore.credentials import Credentials
from mlops_kit.datasets.gc import execute, plan
from mlops_kit.objects import Store
from mlops_kit.wire import Wire
url, bucket = sys.argv[1:]
lake = Store(Wire(url, "us-east-1", Credentials("111111111111", "x")), bucket, "111111111111")
execute(plan(lake, "churn", now=datetime.now(UTC)), lake)
"""


@pytest.mark.parametrize("kind", ["crash-before", "crash-after"])
def test_killed_at_every_request_that_deletes_the_next_run_finishes_it(
    lake: Store, s3: LoopbackS3, source: Source, bucket: Bucket, orphan: str, kind: str
) -> None:
    gone = keys_of(lake, orphan) - {KEYS.file("shared", sha256_bytes(b"s"))}
    outcomes = []
    for _ in range(12):
        process = subprocess.Popen([sys.executable, "-c", KILLED, s3.url, lake.bucket])
        fault = Fault(kind, nth=1 + len(outcomes) // 2, operation="DeleteObjects", callback=process.kill)  # type: ignore[arg-type]
        s3.faults.append(fault)
        process.wait(60)
        s3.faults.remove(fault)
        outcomes.append(process.returncode)
        assert all(source.is_whole(commit) for commit in source.contents if commit != orphan)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
    assert outcomes[-1] == 0
    assert len(outcomes) > 2
    assert not gone & bucket.snapshot().keys()
    collect(lake)
    age(bucket)
    collect(lake)
    assert not gone & bucket.snapshot_versions().keys()


@pytest.mark.parametrize("nth", range(1, 8))
def test_failed_at_every_delete_it_says_so_and_a_second_run_finishes(
    lake: Store, s3: LoopbackS3, source: Source, bucket: Bucket, orphan: str, nth: int
) -> None:
    """One delete request for each kind: hidden headers, files, manifests, lists, headers, their markers."""
    gone = keys_of(lake, orphan) - {KEYS.file("shared", sha256_bytes(b"s"))}
    found = plan(lake, "churn", now=now())
    fault = Fault("denied", nth=nth, operation="DeleteObjects", times=None)
    s3.faults.append(fault)
    if nth <= 6:
        with pytest.raises(ClientError):
            execute(found, lake)
    else:
        execute(found, lake)
    s3.faults.remove(fault)
    assert not exists(lake, "churn", orphan) or nth == 1, "hidden until the very end"
    collect(lake)
    assert not gone & bucket.snapshot_versions().keys()
    assert all(source.is_whole(commit) for commit in source.contents if commit != orphan)


def test_a_tag_that_a_killed_run_left_without_its_commit_gets_it_back(
    lake: Store, s3: LoopbackS3, source: Source, bucket: Bucket, orphan: str
) -> None:
    found = plan(lake, "churn", now=now())
    tagged = Fault("after", operation="DeleteObjects", callback=name_it(bucket, orphan))
    killed = Fault("denied", operation="ListObjectVersions", nth=2, times=None)
    s3.faults += [tagged, killed]
    with pytest.raises(ClientError):
        execute(found, lake)
    s3.faults.clear()
    assert not exists(lake, "churn", orphan)
    again: GcPlan = plan(lake, "churn", now=now())
    assert (again.hidden, again.objects) == ((orphan,), 0)
    execute(again, lake)
    assert source.is_whole(orphan)


def test_many_objects_go_in_few_requests(lake: Store, s3: LoopbackS3, source: Source, bucket: Bucket) -> None:
    source.commit({"a": b"1"})
    for number in range(2500):
        bucket.put(f"{KEYS.files_prefix}junk/{number}~abc", b"1")
    age(bucket)
    s3.forget()
    done = collect(lake)
    assert (done.objects, done.commits) == (2500, 0)
    operations = [call.operation for call in s3.calls]
    assert operations.count("DeleteObjects") == 3
    assert len(operations) < 60, "a few for each look at what leads where"
