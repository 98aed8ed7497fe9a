"""Checkouts: what is written, what is refused before anything is, and what a killed or failed one leaves."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlops_kit.datasets import checkout as module
from mlops_kit.datasets import fetch, file_cache, local_paths
from mlops_kit.datasets.checkout import checkout
from mlops_kit.datasets.checkout_state import State, Written
from mlops_kit.datasets.checkout_state import save as save_state
from mlops_kit.datasets.local_paths import OWN_PREFIX, STAGING_NAME, STATE_NAME
from mlops_kit.datasets.publish import store
from mlops_kit.datasets.records import Commit, FileEntry, FileList
from mlops_kit.errors import ConflictError, IntegrityError, NotFoundError, UsageError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store, sha256_bytes
from tests.s3 import Fault, LoopbackS3

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEYS = DatasetKeys("churn")
FILES = {"a.csv": b"id,x\n1,2\n", "cats/001.jpg": b"jpg" * 50, "cats/deep/er.txt": b"", "z": os.urandom(3000)}


def put(lake: Store, files: Mapping[str, bytes], parent: str | None = None) -> str:
    """A commit of these files, written as records, so that its paths may be what no commit would take."""
    entries = [FileEntry(path, len(body), sha256_bytes(body)) for path, body in files.items()]
    listed = FileList.of(entries)
    for path, body in files.items():
        lake.put_new(KEYS.file(path, sha256_bytes(body)), body)
    size = sum(map(len, files.values()))
    header = Commit("churn", parent, "me", "m", NOW.isoformat(), len(entries), size, listed.digest)
    store(lake, header, listed)
    return header.id


def tree(directory: Path) -> dict[str, bytes]:
    """The files below, without what a checkout keeps for itself."""
    paths = (path for path in directory.rglob("*") if path.is_file())
    found = {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}
    return {path: body for path, body in found.items() if not path.startswith(OWN_PREFIX)}


def left_over(directory: Path) -> list[str]:
    """What runs left beside and in the directory, other than the data and the state file."""
    return sorted(path.name for path in directory.rglob(f"{OWN_PREFIX}*") if path.name != STATE_NAME) + sorted(
        path.name for path in directory.rglob("*.part")
    )


def gets(s3: LoopbackS3) -> int:
    return sum(call.operation == "GetObject" and "/files/" in call.key for call in s3.calls)


def key_of(path: str, body: bytes) -> str:
    return KEYS.file(path, sha256_bytes(body))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "work" / "data"


def test_a_new_directory_holds_exactly_the_files(lake: Store, target: Path) -> None:
    done = checkout(lake, "churn", put(lake, FILES), target)
    assert tree(target) == FILES
    assert (done.downloaded, done.downloaded_bytes, done.reused) == (4, sum(map(len, FILES.values())), 0)
    assert [entry.path for entry in done.entries] == sorted(FILES)
    assert done.restored_from_versions == ()
    assert left_over(target.parent) == []
    assert sorted(path.name for path in target.parent.iterdir()) == ["data"]


def test_files_get_the_mode_that_the_umask_says(lake: Store, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "SMALL", 1000)
    before = os.umask(0o027)
    try:
        checkout(lake, "churn", put(lake, FILES), target)
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in target.rglob("*") if path.is_file()} == {0o640}


def test_checking_out_again_asks_for_no_file(lake: Store, s3: LoopbackS3, target: Path) -> None:
    commit = put(lake, FILES)
    checkout(lake, "churn", commit, target)
    s3.forget()
    done = checkout(lake, "churn", commit, target)
    assert (done.downloaded, done.reused) == (0, 4)
    assert len(s3.calls) == 2, "the header and the file list"


def test_an_unchanged_checkout_does_not_hash(lake: Store, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = put(lake, FILES)
    checkout(lake, "churn", commit, target)

    def refuse(path: Path) -> str:
        raise AssertionError(f"{path} was hashed")

    monkeypatch.setattr("mlops_kit.datasets.compare_local.sha256_file", refuse)
    assert checkout(lake, "churn", commit, target).reused == 4


def test_without_the_state_file_equal_files_are_known_by_their_digest(lake: Store, target: Path) -> None:
    commit = put(lake, FILES)
    checkout(lake, "churn", commit, target)
    (target / STATE_NAME).write_text("{not json")
    assert checkout(lake, "churn", commit, target).downloaded == 0
    assert json.loads((target / STATE_NAME).read_text())["datasets"]["churn"]["commit"] == commit


def test_only_what_changed_is_brought_and_the_rest_is_left_alone(lake: Store, s3: LoopbackS3, target: Path) -> None:
    checkout(lake, "churn", put(lake, FILES), target)
    (target / "notes.txt").write_text("mine")
    untouched = (target / "z").stat()
    s3.forget()
    done = checkout(lake, "churn", put(lake, {**FILES, "a.csv": b"new"}), target)
    assert (done.downloaded, done.reused, gets(s3)) == (1, 3, 1)
    assert tree(target) == {**FILES, "a.csv": b"new", "notes.txt": b"mine"}
    assert (target / "z").stat().st_ino == untouched.st_ino
    assert left_over(target) == []


def test_an_edited_file_is_never_overwritten_silently(lake: Store, s3: LoopbackS3, target: Path) -> None:
    checkout(lake, "churn", put(lake, FILES), target)
    (target / "a.csv").write_bytes(b"my work\n")
    (target / "z").unlink()
    (target / "z").symlink_to("a.csv")
    newer = put(lake, {**FILES, "a.csv": b"id,x\n9,9\n", "z": b"new"})
    s3.forget()
    with pytest.raises(UsageError, match=r"2 files .* 'a\.csv', 'z'"):
        checkout(lake, "churn", newer, target)
    assert (target / "a.csv").read_bytes() == b"my work\n"
    assert gets(s3) == 0
    checkout(lake, "churn", newer, target, force=True)
    assert tree(target)["a.csv"] == b"id,x\n9,9\n"
    assert not (target / "z").is_symlink()
    assert (target / "z").read_bytes() == b"new"


def test_a_file_that_was_there_before_is_somebody_s_own(lake: Store, target: Path) -> None:
    target.mkdir(parents=True)
    (target / "a.csv").write_bytes(b"x" * len(FILES["a.csv"]))
    with pytest.raises(UsageError, match=r"a\.csv"):
        checkout(lake, "churn", put(lake, FILES), target)
    assert tree(target) == {"a.csv": b"x" * len(FILES["a.csv"])}


def test_a_file_that_was_only_touched_is_not_edited(lake: Store, target: Path) -> None:
    checkout(lake, "churn", put(lake, FILES), target)
    os.utime(target / "a.csv", ns=(1, 1))
    checkout(lake, "churn", put(lake, {**FILES, "a.csv": b"new"}), target)
    assert (target / "a.csv").read_bytes() == b"new"


def test_a_file_that_is_edited_during_the_checkout_is_kept(lake: Store, s3: LoopbackS3, target: Path) -> None:
    checkout(lake, "churn", put(lake, FILES), target)
    newer = put(lake, {**FILES, "a.csv": b"new"})

    def edit() -> None:
        (target / "a.csv").write_bytes(b"mine, meanwhile")

    s3.faults.append(Fault("after", operation="GetObject", when=lambda r: "/files/" in r.key, callback=edit))
    with pytest.raises(ConflictError, match=r"a\.csv"):
        checkout(lake, "churn", newer, target)
    assert (target / "a.csv").read_bytes() == b"mine, meanwhile"


def test_delete_removes_what_earlier_checkouts_wrote_and_nothing_else(lake: Store, target: Path) -> None:
    checkout(lake, "churn", put(lake, FILES), target)
    (target / "cats" / "mine.txt").write_text("mine")
    smaller = put(lake, {"a.csv": FILES["a.csv"]})
    kept = checkout(lake, "churn", smaller, target)
    assert kept.removed == 0
    assert set(tree(target)) == {*FILES, "cats/mine.txt"}
    done = checkout(lake, "churn", smaller, target, delete=True)
    assert done.removed == 3
    assert tree(target) == {"a.csv": FILES["a.csv"], "cats/mine.txt": b"mine"}
    assert not (target / "cats" / "deep").exists()


def test_delete_keeps_an_edited_file_unless_forced(lake: Store, target: Path) -> None:
    checkout(lake, "churn", put(lake, FILES), target)
    (target / "z").write_bytes(b"edited")
    smaller = put(lake, {"a.csv": FILES["a.csv"]})
    with pytest.raises(UsageError, match="'z'"):
        checkout(lake, "churn", smaller, target, delete=True)
    assert set(tree(target)) == set(FILES)
    checkout(lake, "churn", smaller, target, delete=True, force=True)
    assert tree(target) == {"a.csv": FILES["a.csv"]}


def test_delete_does_not_follow_a_state_file_or_a_link_out_of_the_directory(lake: Store, target: Path) -> None:
    outside = target.parent / "outside"
    outside.mkdir(parents=True)
    precious = outside / "precious"
    precious.write_bytes(b"p")
    commit = put(lake, {"a": b"1"})
    checkout(lake, "churn", commit, target)
    (target / "link").symlink_to(outside)
    known = Written(1, precious.stat().st_mtime_ns, sha256_bytes(b"p"))
    files = {"../outside/precious": known, "link/precious": known, str(precious): known}
    save_state(target, "churn", State(commit, files))
    assert checkout(lake, "churn", commit, target, delete=True).removed == 0
    assert precious.read_bytes() == b"p"


def test_with_delete_a_file_becomes_a_directory_and_back(lake: Store, target: Path) -> None:
    file, directory = {"x": b"1", "y": b"1"}, {"x/deep/er": b"1", "y": b"1"}
    checkout(lake, "churn", put(lake, file), target)
    with pytest.raises(UsageError, match="'x'"):
        checkout(lake, "churn", put(lake, directory), target)
    checkout(lake, "churn", put(lake, directory), target, delete=True)
    assert tree(target) == directory
    (target / "x" / "mine").write_bytes(b"mine")
    with pytest.raises(UsageError, match="'x'"):
        checkout(lake, "churn", put(lake, file), target, delete=True)
    assert tree(target) == {**directory, "x/mine": b"mine"}
    (target / "x" / "mine").unlink()
    checkout(lake, "churn", put(lake, file), target, delete=True)
    assert tree(target) == file


def test_own_files_that_are_links_are_not_followed(lake: Store, target: Path) -> None:
    outside = target.parent / "outside"
    outside.mkdir(parents=True)
    (outside / "precious").write_bytes(b"p")
    target.mkdir()
    (target / STAGING_NAME).symlink_to(outside)
    (target / f"{STATE_NAME}.part").symlink_to(outside / "precious")
    checkout(lake, "churn", put(lake, FILES), target)
    assert tree(outside) == {"precious": b"p"}
    assert tree(target) == FILES


def test_two_data_sets_share_a_directory(lake: Store, target: Path) -> None:
    checkout(lake, "churn", put(lake, FILES), target)
    state = json.loads((target / STATE_NAME).read_text())
    state["datasets"]["other"] = {"commit": "c", "files": {"o": [1, 1, "d"]}, "writing": {}}
    (target / STATE_NAME).write_text(json.dumps(state))
    checkout(lake, "churn", put(lake, {"a.csv": b"new"}), target, delete=True)
    assert json.loads((target / STATE_NAME).read_text())["datasets"]["other"] == state["datasets"]["other"]


def test_paths_choose_files_and_directories(lake: Store, target: Path) -> None:
    commit = put(lake, FILES)
    assert checkout(lake, "churn", commit, target, paths=["cats/deep", "z"]).downloaded == 2
    assert set(tree(target)) == {"cats/deep/er.txt", "z"}
    checkout(lake, "churn", commit, target, paths=["cats/"], delete=True)
    assert set(tree(target)) == {"cats/001.jpg", "cats/deep/er.txt", "z"}, "what the commit has is not removed"
    with pytest.raises(NotFoundError, match="dogs"):
        checkout(lake, "churn", commit, target, paths=["dogs"])


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "a/..", ".", "a//b", "a/./b", "a/", "x\0y"])
@pytest.mark.parametrize("there", [True, False])
def test_paths_that_leave_the_directory_are_refused(lake: Store, target: Path, path: str, there: bool) -> None:
    if there:
        target.mkdir(parents=True)
    digest = sha256_bytes(b"x")
    listed = FileList.of([FileEntry("good", 1, digest), FileEntry(path, 1, digest)])
    header = Commit("churn", None, "me", "m", NOW.isoformat(), 2, 2, listed.digest)
    store(lake, header, listed)
    with pytest.raises(IntegrityError, match="leave the directory"):
        checkout(lake, "churn", header.id, target)
    assert not target.exists() or list(target.iterdir()) == []


def test_the_names_of_a_checkout_s_own_files_are_refused(lake: Store, target: Path) -> None:
    with pytest.raises(IntegrityError, match="mlops-kit-checkout"):
        checkout(lake, "churn", put(lake, {STATE_NAME: b"{}"}), target)


def test_a_file_that_is_a_directory_as_well_is_refused(lake: Store, target: Path) -> None:
    with pytest.raises(UsageError, match="'a/b'"):
        checkout(lake, "churn", put(lake, {"a/b": b"1", "a/b/c": b"2"}), target)
    assert not target.exists()


def test_a_name_that_is_too_long_is_refused(lake: Store, target: Path) -> None:
    fits, too_long, deep = "é" * 127 + "x", "é" * 128, "/".join(["d" * 200] * 4)
    checkout(lake, "churn", put(lake, {fits: b"1", deep: b"2"}), target)
    assert set(tree(target)) == {fits, deep}
    with pytest.raises(UsageError, match="255 bytes"):
        checkout(lake, "churn", put(lake, {too_long: b"1"}), target.with_name("other"))
    assert not target.with_name("other").exists()


def test_a_directory_with_a_name_of_full_length_can_be_made(lake: Store, tmp_path: Path) -> None:
    checkout(lake, "churn", put(lake, FILES), tmp_path / ("n" * 255))
    assert tree(tmp_path / ("n" * 255)) == FILES


@pytest.mark.parametrize(
    ("files", "case", "unicode"),
    [
        ({"A.csv": b"1", "a.csv": b"2"}, True, False),
        ({"Cats/1": b"1", "cats/2": b"2"}, True, False),
        ({"\u00e9": b"1", "e\u0301": b"2"}, False, True),
        ({"\u00c9": b"1", "e\u0301": b"2"}, True, True),
    ],
)
def test_names_that_the_file_system_folds_are_refused(
    lake: Store,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, bytes],
    case: bool,
    unicode: bool,
) -> None:
    commit = put(lake, files)
    with monkeypatch.context() as patched:
        patched.setattr(local_paths, "probe", lambda _: (case, unicode))
        with pytest.raises(UsageError, match="same names"):
            checkout(lake, "churn", commit, target)
        assert not target.exists()
    assert local_paths.probe(target.parent.parent) == (False, False)
    checkout(lake, "churn", commit, target)
    assert tree(target) == files


def test_a_file_in_place_of_a_directory_is_refused(lake: Store, target: Path) -> None:
    target.mkdir(parents=True)
    (target / "cats").write_text("a file")
    with pytest.raises(UsageError, match="'cats'"):
        checkout(lake, "churn", put(lake, FILES), target, force=True)
    assert tree(target) == {"cats": b"a file"}


def test_a_directory_in_place_of_a_file_is_refused(lake: Store, target: Path) -> None:
    (target / "a.csv" / "b").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"'a\.csv'"):
        checkout(lake, "churn", put(lake, FILES), target, force=True)
    assert tree(target) == {}


def test_a_link_in_place_of_a_directory_is_refused(lake: Store, target: Path) -> None:
    outside = target.parent / "outside"
    outside.mkdir(parents=True)
    target.mkdir()
    (target / "cats").symlink_to(outside)
    with pytest.raises(UsageError, match="links"):
        checkout(lake, "churn", put(lake, FILES), target, force=True)
    assert list(outside.iterdir()) == []


def test_the_directory_itself_may_be_a_link_but_not_a_file(lake: Store, target: Path) -> None:
    (target.parent / "real").mkdir(parents=True)
    target.symlink_to("real")
    commit = put(lake, FILES)
    checkout(lake, "churn", commit, target)
    assert tree(target.parent / "real") == FILES
    target.with_name("file").write_text("x")
    with pytest.raises(UsageError, match="not a directory"):
        checkout(lake, "churn", commit, target.with_name("file"))


def test_too_little_space_is_told_before_anything_is_written(
    lake: Store, s3: LoopbackS3, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = put(lake, FILES)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=module.MARGIN + 4096))
    s3.forget()
    with pytest.raises(UsageError, match=r"need \d+ bytes .* which has \d+"):
        checkout(lake, "churn", commit, target)
    assert gets(s3) == 0
    assert list(target.parent.iterdir()) == []


def full_after(writes: int) -> Callable[[int, Any], int]:
    """An ``os.write`` of a disk that is full after so many calls, and halfway through one."""
    real, count = os.write, 0

    def write(handle: int, data: Any) -> int:
        nonlocal count
        count += 1
        if count <= writes:
            return real(handle, data)
        if count == writes + 1 and len(data) > 1:
            return real(handle, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    return write


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("small", [fetch.SMALL, 2])
def test_a_disk_that_becomes_full_leaves_nothing_half_written(
    lake: Store, s3: LoopbackS3, target: Path, monkeypatch: pytest.MonkeyPatch, there: bool, small: int
) -> None:
    monkeypatch.setattr(fetch, "SMALL", small)
    if there:
        target.mkdir(parents=True)
    files = {f"f{n}": os.urandom(1000) for n in range(6)}
    commit = put(lake, files)
    with monkeypatch.context() as patched:
        patched.setattr("mlops_kit.datasets.fetch.os.write", full_after(3))
        with pytest.raises(UsageError, match="became full"):
            checkout(lake, "churn", commit, target, at_once=1)
    assert target.exists() is there
    if there:
        assert tree(target) == {}
    s3.forget()
    assert checkout(lake, "churn", commit, target, at_once=1).downloaded == 3, "what had arrived is used"
    assert gets(s3) == 3
    assert tree(target) == files
    assert left_over(target.parent) == []


def test_nothing_is_left_of_a_file_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_kit.datasets.fetch.os.write", full_after(0))
    with pytest.raises(OSError, match="No space"):
        fetch.write_new(str(tmp_path / "f"), b"12345678")
    assert list(tmp_path.iterdir()) == []


def test_a_broken_object_comes_from_its_older_version(lake: Store, s3: LoopbackS3, target: Path) -> None:
    commit = put(lake, FILES)
    bucket = s3.buckets[lake.bucket]
    bucket.put(key_of("a.csv", FILES["a.csv"]), b"x" * len(FILES["a.csv"]))
    bucket.put(key_of("z", FILES["z"]), b"shorter")
    bucket.delete(key_of("cats/001.jpg", FILES["cats/001.jpg"]))
    done = checkout(lake, "churn", commit, target)
    assert tree(target) == FILES
    assert done.restored_from_versions == ("a.csv", "cats/001.jpg", "z")


@pytest.mark.parametrize("small", [fetch.SMALL, 2])
def test_bytes_that_were_changed_on_the_way_are_fetched_again(
    lake: Store, s3: LoopbackS3, target: Path, monkeypatch: pytest.MonkeyPatch, small: int
) -> None:
    monkeypatch.setattr(fetch, "SMALL", small)
    commit = put(lake, FILES)
    s3.faults.append(Fault("corrupt", operation="GetObject", when=lambda r: "/files/z" in r.key))
    done = checkout(lake, "churn", commit, target)
    assert tree(target) == FILES
    assert done.restored_from_versions == (), "the object is not broken"


def test_all_files_that_are_lost_are_named_at_once_and_nothing_appears(
    lake: Store, s3: LoopbackS3, target: Path
) -> None:
    commit = put(lake, FILES)
    bucket = s3.buckets[lake.bucket]
    bucket.remove(key_of("a.csv", FILES["a.csv"]))
    bucket.overwrite(key_of("z", FILES["z"]), b"\0" * 3000)
    with pytest.raises(IntegrityError, match=r"lost 2 files of churn: 'a\.csv', 'z'"):
        checkout(lake, "churn", commit, target)
    assert not target.exists()


def test_lost_files_leave_an_existing_directory_as_it_was(lake: Store, s3: LoopbackS3, target: Path) -> None:
    checkout(lake, "churn", put(lake, FILES), target)
    newer = put(lake, {"a.csv": b"new", "z": b"lost"})
    s3.buckets[lake.bucket].remove(key_of("z", b"lost"))
    with pytest.raises(IntegrityError, match="'z'"):
        checkout(lake, "churn", newer, target)
    assert tree(target) == FILES


def test_a_second_checkout_into_the_directory_is_told_to_wait(lake: Store, target: Path) -> None:
    commit = put(lake, FILES)
    target.mkdir(parents=True)
    handle = os.open(target, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(ConflictError, match="Another checkout"):
            checkout(lake, "churn", commit, target)
    finally:
        os.close(handle)
    checkout(lake, "churn", commit, target)
    assert tree(target) == FILES


def test_somebody_who_made_the_directory_meanwhile_keeps_it(lake: Store, s3: LoopbackS3, target: Path) -> None:
    commit = put(lake, FILES)

    def make() -> None:
        target.mkdir()
        (target / "mine").write_text("mine")

    s3.faults.append(Fault("after", operation="GetObject", when=lambda r: "/files/z" in r.key, callback=make))
    with pytest.raises(ConflictError, match="meanwhile"):
        checkout(lake, "churn", commit, target)
    assert tree(target) == {"mine": b"mine"}


KILLED = """
import sys, os
from pathlib import Path
sys.path.insert(0, os.getcwd())
from tests.s3.clients import boto3
from mlops_kit.datasets import fetch
from mlops_kit.datasets.checkout import checkout
from mlops_kit.objects import Store
from mlops_kit.wire import Wire
url, bucket, commit, target, small, link = sys.argv[1:]
fetch.SMALL = int(small)
s3 = boto3.client("s3", endpoint_url=url, aws_access_key_id="111111111111", aws_secret_access_key="x",
                  region_name="us-east-1")
checkout(Store(Wire.of(s3), bucket, "111111111111"), "churn", commit, Path(target), at_once=1, link=bool(link))
"""


@pytest.mark.parametrize(("there", "link"), [(False, ""), (True, ""), (False, "link")])
def test_killed_at_every_request_it_goes_on_where_it_was(
    lake: Store, s3: LoopbackS3, target: Path, there: bool, link: str
) -> None:
    files = {f"d{n % 2}/f{n}": os.urandom(2000 * n) for n in range(4)}
    commit = put(lake, files)
    if there:
        checkout(lake, "churn", put(lake, {"d0/f0": b"old", "d1/f1": b"old"}), target)
    before = tree(target) if there else {}
    outcomes = []
    for nth in range(1, 10):
        child = [sys.executable, "-c", KILLED, s3.url, lake.bucket, commit, str(target), "3000", link]
        process = subprocess.Popen(child, stderr=subprocess.DEVNULL)
        fault = Fault("crash-after", nth=nth, callback=process.kill)
        s3.faults.append(fault)
        process.wait(60)
        s3.faults.remove(fault)
        outcomes.append(process.returncode)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        assert tree(target) == before, "nothing of an unfinished checkout is visible"
        assert target.exists() is there
    assert outcomes[-1] == 0
    assert len(outcomes) > 3
    assert tree(target) == files
    assert left_over(target.parent) == []


def test_half_a_file_of_a_run_that_was_killed_is_never_taken_for_data(lake: Store, target: Path) -> None:
    commit = put(lake, FILES)
    target.parent.mkdir()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module.checkout_state, "save", interrupt)
        with pytest.raises(KeyboardInterrupt):
            checkout(lake, "churn", commit, target)
    (unfinished,) = target.parent.iterdir()
    assert tree(unfinished) == FILES
    (unfinished / "z").write_bytes(b"\0" * len(FILES["z"]))
    (unfinished / "a.csv").write_bytes(FILES["a.csv"][:3])
    (unfinished / ".mlops-kit-0123.part").write_bytes(b"half")
    (unfinished / "cats" / "junk").mkdir()
    (unfinished / "cats" / "link").symlink_to("/etc/passwd")
    done = checkout(lake, "churn", commit, target)
    assert (done.downloaded, done.reused) == (2, 2)
    assert tree(target) == FILES
    assert sorted(path.name for path in target.rglob("*")) == sorted(
        [STATE_NAME, "a.csv", "cats", "001.jpg", "deep", "er.txt", "z"]
    )


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_killed_while_files_are_moved_into_place_they_are_known_as_written(
    lake: Store, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout(lake, "churn", put(lake, {"a": b"1", "b": b"1", "c": b"1"}), target)
    second, third = put(lake, {"a": b"2", "b": b"2", "c": b"2"}), put(lake, {"a": b"3", "b": b"3"})
    real, moved = os.replace, 0

    def replace(source: str, to: str) -> None:
        nonlocal moved
        moved += STAGING_NAME in str(source)
        if moved == 2:
            raise KeyboardInterrupt
        real(source, to)

    with monkeypatch.context() as patched:
        patched.setattr(module.os, "replace", replace)
        with pytest.raises(KeyboardInterrupt):
            checkout(lake, "churn", second, target)
    assert sorted(tree(target).values()) == [b"1", b"1", b"2"]
    checkout(lake, "churn", third, target, delete=True)
    assert tree(target) == {"a": b"3", "b": b"3"}
    assert not (target / STAGING_NAME).exists()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mlops-kit" / "files"


def test_links_share_the_file_of_the_cache(lake: Store, s3: LoopbackS3, target: Path, cache: Path) -> None:
    commit = put(lake, FILES)
    assert checkout(lake, "churn", commit, target, link=True).downloaded == 4
    s3.forget()
    done = checkout(lake, "churn", commit, target.with_name("other"), link=True)
    assert (done.downloaded, done.reused, gets(s3)) == (0, 4, 0)
    digest = sha256_bytes(FILES["z"])
    found = [path.stat() for path in (target / "z", target.with_name("other") / "z", cache / digest[:2] / digest[2:])]
    assert len({one.st_ino for one in found}) == 1
    assert stat.S_IMODE(found[0].st_mode) == 0o444
    assert list((cache / "tmp").iterdir()) == []
    assert tree(target) == FILES == tree(target.with_name("other"))


def test_a_cached_file_that_somebody_changed_is_fetched_again(lake: Store, target: Path, cache: Path) -> None:
    commit = put(lake, FILES)
    checkout(lake, "churn", commit, target, link=True)
    (target / "z").chmod(0o644)
    (target / "z").write_bytes(b"\0" * len(FILES["z"]))
    done = checkout(lake, "churn", commit, target.with_name("other"), link=True)
    assert done.downloaded == 1
    assert tree(target.with_name("other")) == FILES
    with pytest.raises(UsageError, match="'z'"):
        checkout(lake, "churn", commit, target, link=True)
    checkout(lake, "churn", commit, target, link=True, force=True)
    assert tree(target) == FILES


def test_new_content_does_not_go_through_a_link(lake: Store, target: Path, cache: Path) -> None:
    first, second = put(lake, FILES), put(lake, {**FILES, "z": b"new"})
    checkout(lake, "churn", first, target, link=True)
    checkout(lake, "churn", second, target)
    assert tree(target)["z"] == b"new"
    checkout(lake, "churn", first, target.with_name("other"), link=True)
    assert tree(target.with_name("other")) == FILES


@pytest.mark.parametrize("clone", [True, False])
def test_where_links_cannot_be_made_files_are_copied(
    lake: Store, target: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, clone: bool
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(file_cache.os, "link", refuse)
    if not clone:
        monkeypatch.setattr(file_cache.os, "copy_file_range", refuse)
    checkout(lake, "churn", put(lake, FILES), target, link=True)
    assert tree(target) == FILES
    assert (target / "z").stat().st_nlink == 1


def test_old_unfinished_files_of_the_cache_are_cleaned(lake: Store, target: Path, cache: Path) -> None:
    (cache / "tmp").mkdir(parents=True)
    for name, age in (("old", 2 * file_cache.STALE_SECONDS), ("new", 0)):
        (cache / "tmp" / name).write_bytes(b"half")
        stamp = (cache / "tmp" / name).stat().st_mtime - age
        os.utime(cache / "tmp" / name, (stamp, stamp))
    checkout(lake, "churn", put(lake, FILES), target, link=True)
    assert [path.name for path in (cache / "tmp").iterdir()] == ["new"]


def test_progress_counts_what_travels(lake: Store, target: Path) -> None:
    told: list[tuple[str, int, int]] = []

    class Told:
        def start(self, what: str, objects: int | None = None, bytes_: int | None = None) -> None:
            told.append((what, objects or 0, bytes_ or 0))

        def add(self, objects: int = 0, bytes_: int = 0) -> None:
            told.append(("add", objects, bytes_))

        def done(self) -> None:
            told.append(("done", 0, 0))

    checkout(lake, "churn", put(lake, FILES), target, progress=Told())
    size = sum(map(len, FILES.values()))
    assert told[0] == ("checkout", 4, size)
    assert told[-1] == ("done", 0, 0)
    assert (sum(one[1] for one in told[1:]), sum(one[2] for one in told[1:])) == (4, size)
