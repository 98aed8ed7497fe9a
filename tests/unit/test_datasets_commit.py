"""Commits of local files: what travels, what is written in which order, and what happens when something goes wrong."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from mlops_kit.datasets import commit as verb
from mlops_kit.datasets import pointers
from mlops_kit.datasets.commit import CommitRequest, Committed, commit
from mlops_kit.datasets.digest_cache import DigestCache
from mlops_kit.datasets.local_source import LocalSource
from mlops_kit.datasets.read import read_commit, read_files
from mlops_kit.datasets.transfer import REFRESH_AFTER
from mlops_kit.errors import ConflictError, IntegrityError, NotFoundError, UsageError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store, sha256_bytes
from tests.lakes import KilledError, assert_whole, duplicates, files_of, killed, write_files, writes
from tests.s3 import Fault, LoopbackS3
from tests.stores import IMPATIENT, PART, SINGLE, race, store_of

NOW = datetime.now(UTC).replace(microsecond=0)
KEYS = DatasetKeys("pets")
Make = Callable[..., Committed]


@pytest.fixture
def make(lake: Store) -> Make:
    def make(source: Path | None, message: str = "m", **options: object) -> Committed:
        return commit(lake, "pets", source, **{"message": message, "author": "me", "now": NOW, **options})  # type: ignore[arg-type]

    return make


def paths(s3: LoopbackS3, lake: Store, made: Committed) -> dict[str, str]:
    """Path -> digest of a commit."""
    return {line["path"]: line["sha256"] for line in files_of(s3, lake.bucket, "pets", made.commit.id)}


def test_a_commit_holds_the_files_and_only_changed_ones_travel(
    s3: LoopbackS3, lake: Store, make: Make, tmp_path: Path
) -> None:
    write_files(tmp_path, {"a/b.csv": "1", "a/c": "22", "d.jpg": b"\xff" * 10, "empty": ""})
    first = make(tmp_path, "first")
    assert (first.uploaded, first.uploaded_bytes, first.changed) == (4, 13, True)
    assert (first.commit.files, first.commit.size, first.commit.parent) == (4, 13, None)
    assert s3.snapshot(lake.bucket)[KEYS.file("a/c", sha256_bytes(b"22"))] == sha256_bytes(b"22")

    write_files(tmp_path, {"a/c": "other"})
    (tmp_path / "d.jpg").unlink()
    s3.forget()
    second = make(tmp_path, "second")
    assert (second.uploaded, second.uploaded_bytes) == (1, 5)
    assert (second.commit.parent, second.commit.size) == (first.commit.id, 6)
    assert list(paths(s3, lake, second)) == ["a/b.csv", "a/c", "empty"]
    assert writes(s3) == ["PutObject"] * 5, "a file, the list, the manifest, the header, the ref"
    assert assert_whole(s3, lake.bucket, "pets")
    assert pointers.read(lake, "pets", "main").commit == second.commit.id  # type: ignore[union-attr]


def test_the_order_of_writes_keeps_a_commit_invisible_until_it_is_whole(
    s3: LoopbackS3, lake: Store, make: Make, tmp_path: Path
) -> None:
    made = make(write_files(tmp_path, {"a": "1", "b": "2"})).commit
    keys = [call.key for call in s3.calls if call.operation == "PutObject"]
    assert keys[0] == KEYS.file_list(made.id)
    assert sorted(keys[1:3]) == sorted(KEYS.file(name, sha256_bytes(text)) for name, text in (("a", b"1"), ("b", b"2")))
    assert keys[3:] == [KEYS.manifest(made.id), KEYS.commit(made.id), KEYS.ref("main")]


def test_nothing_new_is_no_commit_and_three_small_reads(
    s3: LoopbackS3, lake: Store, make: Make, tmp_path: Path
) -> None:
    first = make(write_files(tmp_path, {str(number): str(number) for number in range(50)}))
    s3.forget()
    again = make(tmp_path, "again", now=NOW + timedelta(hours=1))
    assert (again.changed, again.uploaded, again.commit) == (False, 0, first.commit)
    assert [call.operation for call in s3.calls] == ["GetObject"] * 2, "the ref and its commit's header"


def test_going_back_to_old_content_sends_nothing_but_checks_what_is_taken_over(
    s3: LoopbackS3, lake: Store, make: Make, tmp_path: Path
) -> None:
    make(write_files(tmp_path, {"a": "1"}))
    make(write_files(tmp_path, {"a": "2"}))
    s3.forget()
    back = make(write_files(tmp_path, {"a": "1"}))
    assert (back.uploaded, back.changed) == (0, True)
    assert [call.key for call in s3.calls if call.operation == "HeadObject"] == [KEYS.file("a", sha256_bytes(b"1"))]
    assert duplicates(s3, lake.bucket) == [KEYS.ref("main")]


def test_adding_keeps_what_is_there(s3: LoopbackS3, lake: Store, make: Make, tmp_path: Path) -> None:
    make(write_files(tmp_path / "one", {"a": "1", "b/c": "2", "z": "3"}))
    s3.forget()
    added = make(write_files(tmp_path / "two", {"c": "22", "a": "changed"}), add=True, into="b")
    assert added.uploaded == 2
    assert list(paths(s3, lake, added)) == ["a", "b/a", "b/c", "z"]
    assert (added.commit.files, added.commit.size) == (4, 1 + 7 + 2 + 1)
    again = make(tmp_path / "two", add=True, into="b/")
    assert not again.changed
    assert read_files(lake, added.commit).digest == added.commit.file_list


def test_a_single_file_is_added_under_its_name(s3: LoopbackS3, lake: Store, make: Make, tmp_path: Path) -> None:
    write_files(tmp_path, {"x/a.csv": "1", "y/b.csv": "2"})
    make(tmp_path / "x" / "a.csv")
    assert list(paths(s3, lake, make(tmp_path / "y" / "b.csv", add=True))) == ["a.csv", "b.csv"]
    assert list(paths(s3, lake, make(tmp_path / "y" / "b.csv"))) == ["b.csv"]


def test_files_directories_and_globs_of_the_parent_are_removed(
    s3: LoopbackS3, lake: Store, make: Make, tmp_path: Path
) -> None:
    names = ["a.csv", "b/c.csv", "b/d.jpg", "b2/e.jpg", "f[1].csv", "g/h/i.tmp"]
    first = make(write_files(tmp_path / "in", dict.fromkeys(names, "12")))
    for pattern, left in (
        ("a.csv", ["b/c.csv", "b/d.jpg", "b2/e.jpg", "f[1].csv", "g/h/i.tmp"]),
        ("b", ["b2/e.jpg", "f[1].csv", "g/h/i.tmp"]),
        ("f[1].csv", ["b2/e.jpg", "g/h/i.tmp"]),
        ("*.tmp", ["b2/e.jpg"]),
    ):
        made = make(None, add=True, remove=[pattern])
        assert list(paths(s3, lake, made)) == left
        assert (made.uploaded, made.commit.size) == (0, 2 * len(left))
    with pytest.raises(UsageError, match="No files would be left"):
        make(None, add=True, remove=["b2/"])
    with pytest.raises(NotFoundError, match="matches 'nope/\\*'"):
        make(None, add=True, remove=["b2/*", "nope/*"])
    replaced = make(write_files(tmp_path / "new", {"new": "1"}), add=True, remove=["b2/"])
    assert list(paths(s3, lake, replaced)) == ["new"]
    assert read_commit(lake, "pets", first.commit.id) == first.commit


def test_what_contradicts_itself_is_refused(lake: Store, make: Make, s3: LoopbackS3, tmp_path: Path) -> None:
    write_files(tmp_path, {"a": "1"})
    for options, expected in (
        ({"remove": ["a"]}, "--add with --remove|keeps the parent's files"),
        ({"into": "../x"}, "not a directory of a data set"),
        ({"into": "/x"}, "not a directory of a data set"),
        ({"ref": "Not A Name"}, "not a branch name"),
    ):
        with pytest.raises(UsageError, match=expected):
            make(tmp_path, **options)
    with pytest.raises(UsageError, match="nothing to commit"):
        make(None)
    with pytest.raises(UsageError, match="data set name"):
        commit(lake, "No!", tmp_path, message="m", author="me", now=NOW)
    assert writes(s3) == []


@pytest.mark.parametrize(("before", "added"), [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a"), ("a", "a/b/c")])
def test_a_file_cannot_be_a_directory_of_another(make: Make, tmp_path: Path, before: str, added: str) -> None:
    make(write_files(tmp_path / "one", {before: "1", "other": "2"}))
    with pytest.raises(UsageError, match="directories of other files: 'a'"):
        make(write_files(tmp_path / "two", {added: "2"}), add=True)
    replaced = make(tmp_path / "two", add=True, remove=[before])
    assert replaced.commit.files == 2


def test_a_commit_without_a_ref_is_stored_and_moves_nothing(
    s3: LoopbackS3, lake: Store, make: Make, tmp_path: Path
) -> None:
    first = make(write_files(tmp_path, {"a": "1"}))
    loose = make(write_files(tmp_path, {"a": "2"}), ref=None)
    assert (loose.changed, loose.commit.parent) == (True, first.commit.id)
    assert set(assert_whole(s3, lake.bucket, "pets")) == {first.commit.id, loose.commit.id}
    assert pointers.read(lake, "pets", "main").commit == first.commit.id  # type: ignore[union-attr]


def test_another_branch_begins_its_own_history_unless_there_is_a_tag_of_its_name(
    lake: Store, make: Make, tmp_path: Path
) -> None:
    write_files(tmp_path, {"a": "1"})
    main = make(tmp_path)
    pointers.create(lake, "pets", "v1", main.commit.id, "tag", actor="me", now=NOW)
    other = make(write_files(tmp_path, {"a": "2"}), ref="experiment")
    assert other.commit.parent is None
    assert pointers.read(lake, "pets", "main").commit == main.commit.id  # type: ignore[union-attr]
    with pytest.raises(ConflictError, match="has a tag 'v1'"):
        make(tmp_path, ref="v1")


def test_a_second_run_sends_only_what_is_missing(s3: LoopbackS3, lake: Store, make: Make, tmp_path: Path) -> None:
    write_files(tmp_path, {f"{number:02}": str(number) for number in range(20)})
    s3.faults.append(Fault("denied", operation="PutObject", nth=8, times=None))
    with pytest.raises(Exception, match="AccessDenied"):
        make(tmp_path, at_once=1)
    assert assert_whole(s3, lake.bucket, "pets") == []
    s3.faults.clear()
    s3.forget()
    done = make(tmp_path)
    assert done.uploaded == 14, "the first write was the list, six files followed"
    operations = [call.operation for call in s3.calls]
    assert operations.count("PutObject") == 14 + 4
    assert operations.count("HeadObject") == 6 + 1 + 1, "what was left, the list, and no tag in the way"
    assert duplicates(s3, lake.bucket) == []


def test_killed_anywhere_a_second_run_finishes_the_same_commit(
    s3: LoopbackS3, lake: Store, other_lake: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_files(tmp_path, {"a": "1", "b/c": "22", "d": "333"})

    def make(store: Store, dataset: str) -> Committed:
        return commit(store, dataset, files, message="m", author="me", now=NOW, at_once=2)

    s3.forget()
    make(other_lake, "pets")
    steps = len(writes(s3))
    assert steps == 3 + 4
    for step in range(1, steps + 1):
        for after in (False, True):
            dataset = f"pets-{step}-{'after' if after else 'before'}"
            expected = make(other_lake, dataset).commit.id
            with killed(monkeypatch, step, after=after), pytest.raises(KilledError):
                make(lake, dataset)
            assert assert_whole(s3, lake.bucket, dataset) in ([], [expected])
            assert make(lake, dataset).commit.id == expected
            assert assert_whole(s3, lake.bucket, dataset) == [expected]
            assert pointers.read(lake, dataset, "main").commit == expected  # type: ignore[union-attr]
    assert duplicates(s3, lake.bucket) == []


@pytest.mark.parametrize("kind", ["lost", "503", "500", "409", "reset"])
def test_a_response_that_is_lost_or_an_error_that_passes_changes_nothing(
    s3: LoopbackS3, lake: Store, other_lake: Store, tmp_path: Path, kind: str
) -> None:
    files = write_files(tmp_path, {"a": "1", "b": "22"})
    expected = commit(other_lake, "pets", files, message="m", author="me", now=NOW)
    calls = len(s3.calls)
    only = "PutObject" if kind == "409" else None  # S3 says so of conditional writes
    s3.faults += [Fault(kind, nth=nth, operation=only) for nth in range(1, 2 * calls, 2)]  # type: ignore[arg-type]
    done = commit(lake, "pets", files, message="m", author="me", now=NOW)
    assert done == expected
    assert assert_whole(s3, lake.bucket, "pets") == [expected.commit.id]
    assert duplicates(s3, lake.bucket) == []


@pytest.mark.parametrize("kind", ["timeout", "timeout-after"])
def test_a_server_that_falls_silent_is_asked_again(
    s3: LoopbackS3, other_lake: Store, tmp_path: Path, kind: str
) -> None:
    files = write_files(tmp_path, {"a": "1"})
    expected = commit(other_lake, "pets", files, message="m", author="me", now=NOW)
    impatient = store_of(s3, read_timeout=IMPATIENT)
    s3.faults += [
        Fault(kind, operation="PutObject", nth=nth)  # type: ignore[arg-type]
        for nth in (1, 3, 5)
    ]
    assert commit(impatient, "pets", files, message="m", author="me", now=NOW) == expected
    assert assert_whole(s3, impatient.bucket, "pets") == [expected.commit.id]
    assert duplicates(s3, impatient.bucket) == []
    impatient.wire.close()


@pytest.mark.parametrize("kind", ["denied", "expired"])
def test_an_error_that_stays_leaves_nothing_visible_at_any_call(
    s3: LoopbackS3, lake: Store, tmp_path: Path, kind: str
) -> None:
    files = write_files(tmp_path, {"a": "1", "b": "22"})
    calls = 0
    while True:
        s3.faults[:] = [Fault(kind, nth=calls + 1, times=None)]  # type: ignore[arg-type]
        try:
            made = commit(lake, "pets", files, message="m", author="me", now=NOW, at_once=1)
        except ClientError:
            assert len(assert_whole(s3, lake.bucket, "pets")) <= 1
            calls += 1
            s3.forget()
            continue
        break
    s3.faults.clear()
    assert calls > 8
    assert assert_whole(s3, lake.bucket, "pets") == [made.commit.id]
    assert duplicates(s3, lake.bucket) == []


def test_a_file_that_changes_between_hashing_and_sending_is_not_stored(
    s3: LoopbackS3, lake: Store, tmp_path: Path
) -> None:
    files = write_files(tmp_path, {"a": "1", "b": "22"})
    cache = DigestCache(None)
    planned = verb.plan(lake, CommitRequest("pets", LocalSource(files, cache), "m", "me"), NOW)
    (files / "a").write_text("2")
    with pytest.raises(IntegrityError, match=r"a could not be stored under its digest.*changed"):
        verb.execute(lake, planned)
    assert assert_whole(s3, lake.bucket, "pets") == []
    assert KEYS.file("a", sha256_bytes(b"1")) not in s3.snapshot(lake.bucket)
    assert commit(lake, "pets", files, message="m", author="me", now=NOW).changed
    assert len(assert_whole(s3, lake.bucket, "pets")) == 1


@pytest.mark.parametrize("change", ["longer", "shorter", "gone", "directory"])
def test_a_file_that_is_another_or_gone_when_it_is_sent_is_told(lake: Store, tmp_path: Path, change: str) -> None:
    files = write_files(tmp_path, {"a": "123", "b": "22"})
    planned = verb.plan(lake, CommitRequest("pets", LocalSource(files, DigestCache(None)), "m", "me"), NOW)
    (files / "a").unlink()
    if change == "directory":
        (files / "a").mkdir()
    elif change != "gone":
        (files / "a").write_text("1234" if change == "longer" else "12")
    with pytest.raises((IntegrityError, UsageError), match=f"{files}/a"):
        verb.execute(lake, planned)


def test_a_wrong_digest_in_the_cache_is_found_out_and_forgotten(s3: LoopbackS3, lake: Store, tmp_path: Path) -> None:
    files = write_files(tmp_path / "in", {"a": "1", "b": "2"})
    later = lambda: (files / "a").stat().st_mtime_ns + 10**10  # noqa: E731
    source = LocalSource(files, DigestCache(tmp_path / "digests.sqlite", now=later))
    verb.plan(lake, CommitRequest("pets", source, "m", "me"), NOW)
    wrong = hashlib.sha256(b"wrong").digest()
    with closing(sqlite3.connect(tmp_path / "digests.sqlite")) as database, database:
        assert (
            database.execute("UPDATE digests SET sha256 = ? WHERE CAST(location AS TEXT) LIKE '%/a'", [wrong]).rowcount
            == 1
        )
    with pytest.raises(IntegrityError, match="could not be stored under its digest") as refused:
        commit(lake, "pets", source, message="m", author="me", now=NOW)
    assert "forgotten" in str(refused.value.hint)
    assert assert_whole(s3, lake.bucket, "pets") == []
    made = commit(lake, "pets", source, message="m", author="me", now=NOW)
    assert paths(s3, lake, made) == {"a": sha256_bytes(b"1"), "b": sha256_bytes(b"2")}


def test_something_else_in_the_place_of_a_file_is_refused(
    s3: LoopbackS3, lake: Store, make: Make, tmp_path: Path
) -> None:
    write_files(tmp_path, {"a": "1"})
    key = KEYS.file("a", sha256_bytes(b"1"))
    for other in (b"2", b"longer"):
        s3.buckets[lake.bucket].put(key, other)
        with pytest.raises(IntegrityError, match="is in the way"):
            make(tmp_path)
        assert assert_whole(s3, lake.bucket, "pets") == []


def test_what_somebody_left_long_ago_is_written_again_so_that_it_is_not_collected(
    s3: LoopbackS3, lake: Store, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path, {"a": "1", "b": "2"})
    with killed(monkeypatch, 5, after=False), pytest.raises(KilledError):
        make(tmp_path)
    old, young = KEYS.file("a", sha256_bytes(b"1")), KEYS.file("b", sha256_bytes(b"2"))
    long_ago = (NOW - REFRESH_AFTER - timedelta(minutes=1)).timestamp()
    the_list = next(key for key in s3.snapshot(lake.bucket) if key.endswith(".gz"))
    for key in (old, the_list):
        s3.buckets[lake.bucket].version(key).modified = long_ago
    done = make(tmp_path)
    assert done.uploaded == 0
    assert sorted(duplicates(s3, lake.bucket)) == sorted([old, the_list])
    for key in (old, young, the_list):
        assert s3.buckets[lake.bucket].version(key).modified > long_ago + 3600
    assert assert_whole(s3, lake.bucket, "pets") == [done.commit.id]


def test_what_somebody_left_and_deletes_while_we_look_is_sent(
    s3: LoopbackS3, lake: Store, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path, {"a": "1"})
    with killed(monkeypatch, 3, after=False), pytest.raises(KilledError):
        make(tmp_path)
    key = KEYS.file("a", sha256_bytes(b"1"))
    bucket = s3.buckets[lake.bucket]
    bucket.version(key).modified = (NOW - timedelta(days=9)).timestamp()
    s3.faults.append(
        Fault("before", operation="HeadObject", when=lambda r: r.key == key, callback=lambda: bucket.remove(key))
    )
    done = make(tmp_path)
    assert assert_whole(s3, lake.bucket, "pets") == [done.commit.id]


@pytest.mark.parametrize("writers", [2, 32])
def test_of_many_writers_one_wins_and_the_others_are_told_how_to_go_on(
    s3: LoopbackS3, lake: Store, make: Make, tmp_path: Path, writers: int
) -> None:
    first = make(write_files(tmp_path / "first", {"a": "0"})).commit.id
    plans = []
    for number in range(writers):
        files = write_files(tmp_path / str(number), {"a": f"by {number}"})
        plans.append(verb.plan(lake, CommitRequest("pets", LocalSource(files, DigestCache(None)), "m", "me"), NOW))
    outcomes = race(writers, lambda number: verb.execute(lake, plans[number]).commit.id)
    won = [outcome for outcome in outcomes if isinstance(outcome, str)]
    lost = [outcome for outcome in outcomes if isinstance(outcome, ConflictError)]
    assert (len(won), len(lost)) == (1, writers - 1)
    assert pointers.read(lake, "pets", "main").commit == won[0]  # type: ignore[union-attr]
    ids = set(assert_whole(s3, lake.bucket, "pets"))
    assert len(ids) == writers + 1, "nothing is lost: every commit is stored"
    told = {next(commit for commit in ids if commit in f"{exc.message} {exc.hint}") for exc in lost}
    assert told == ids - {first, won[0]}, "each is told its own commit"
    assert all("dataset log pets@main" in str(exc.hint) for exc in lost)
    again = make(tmp_path / str(next(number for number, outcome in enumerate(outcomes) if outcome in lost)))
    assert again.commit.parent == won[0]


def test_two_who_commit_the_same_at_the_same_time_both_succeed(s3: LoopbackS3, lake: Store, tmp_path: Path) -> None:
    files = write_files(tmp_path, {"a": "1"})
    plans = [
        verb.plan(lake, CommitRequest("pets", LocalSource(files, DigestCache(None)), "m", "me"), NOW) for _ in range(2)
    ]
    assert [verb.execute(lake, planned).commit.id for planned in plans] == [plans[0].commit.id] * 2
    assert duplicates(s3, lake.bucket) == []


def test_large_files_are_sent_in_parts_and_known_by_both_digests(s3: LoopbackS3, lake: Store, tmp_path: Path) -> None:
    body = bytes(range(256)) * ((SINGLE + PART // 2) // 256)
    files = write_files(tmp_path, {"large.bin": body, "small": "1"})
    made = commit(lake, "pets", files, message="m", author="me", now=NOW)
    (large, little) = files_of(s3, lake.bucket, "pets", made.commit.id)
    assert large["sha256"] == sha256_bytes(body)
    assert large["composite"].endswith(f"-{SINGLE // PART + 1}")
    assert "composite" not in little
    head = lake.head(KEYS.file("large.bin", sha256_bytes(body)))
    assert head is not None
    assert head.composite == large["composite"]
    assert not commit(lake, "pets", files, message="m", author="me", now=NOW).changed


def test_files_can_be_read_before_the_commit_is_made(lake: Store, make: Make, tmp_path: Path) -> None:
    make(write_files(tmp_path / "one", {"a": "1", "b": "2"}))
    source = LocalSource(write_files(tmp_path / "two", {"b": "3"}), DigestCache(None))
    planned = verb.plan(lake, CommitRequest("pets", source, "m", "me", add=True), NOW)
    kept, own = (planned.local(lake, entry, tmp_path / entry.path) for entry in planned.files)
    assert (kept, kept.read_text()) == (tmp_path / "a", "1")
    assert own == tmp_path / "two" / "b"


def test_progress_counts_what_is_hashed_and_sent(lake: Store, tmp_path: Path) -> None:
    class Counted:
        def __init__(self) -> None:
            self.steps: list[list[object]] = []
            self.lock = threading.Lock()

        def start(self, what: str, objects: int | None = None, bytes_: int | None = None) -> None:
            self.steps.append([what, objects, bytes_, 0, 0, False])

        def add(self, objects: int = 0, bytes_: int = 0) -> None:
            with self.lock:
                self.steps[-1][3] += objects  # type: ignore[operator]
                self.steps[-1][4] += bytes_  # type: ignore[operator]

        def done(self) -> None:
            self.steps[-1][5] = True

    counted = Counted()
    files = write_files(tmp_path, {"a": "1", "b": "22"})
    commit(lake, "pets", files, message="m", author="me", now=NOW, progress=counted)
    assert counted.steps == [["hash", 2, 3, 2, 3, True], ["upload", 2, 3, 2, 3, True]]


def test_the_header_and_the_ref_say_who_and_when(s3: LoopbackS3, lake: Store, make: Make, tmp_path: Path) -> None:
    made = make(write_files(tmp_path, {"a": "1"}), "why", author="arn:me")
    header = json.loads(s3.buckets[lake.bucket].version(KEYS.commit(made.commit.id)).data)
    assert (header["author"], header["message"], header["time"]) == ("arn:me", "why", NOW.isoformat())
    ref = json.loads(s3.buckets[lake.bucket].version(KEYS.ref("main")).data)
    assert ref == {"by": "arn:me", "commit": made.commit.id, "time": NOW.isoformat()}
