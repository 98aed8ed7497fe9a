"""Promotion of data: server-side copies of what the target lacks, nothing visible before all of it is there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from mlops_kit.config.dataset import Dataset
from mlops_kit.datasets import copy, pointers
from mlops_kit.datasets.commit import Committed, commit
from mlops_kit.datasets.read import read_commit, read_files
from mlops_kit.datasets.transfer import REFRESH_AFTER
from mlops_kit.errors import ConflictError, IntegrityError, NotFoundError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store, sha256_bytes
from mlops_kit.quality.record import read, record
from mlops_kit.quality.results import Report
from tests.lakes import KilledError, assert_whole, duplicates, killed, write_files, writes
from tests.s3 import Fault, LoopbackS3
from tests.stores import PART, SINGLE, race

NOW = datetime.now(UTC).replace(microsecond=0)
KEYS = DatasetKeys("pets")
FILES = {"a": "1", "b/c.csv": "22", "d": "333"}


def make(lake: Store, files: Path, dataset: str = "pets", message: str = "m") -> Committed:
    return commit(lake, dataset, files, message=message, author="me", now=NOW)


def promote(source: Store, target: Store, made: Committed, dataset: str = "pets", at_once: int = 8) -> copy.CopyPlan:
    planned = copy.plan(source, target, dataset, made.commit.id)
    copy.execute(planned, source, target, "me", NOW, at_once=at_once)
    return planned


def test_a_commit_arrives_under_the_same_id_without_a_head_and_without_bytes(
    s3: LoopbackS3, lake: Store, other_lake: Store, tmp_path: Path
) -> None:
    made = make(lake, write_files(tmp_path, FILES))
    s3.forget()
    planned = promote(lake, other_lake, made)
    assert (len(planned.missing), planned.size, planned.present, planned.done) == (3, 6, False, False)
    operations = [call.operation for call in s3.calls]
    assert operations.count("CopyObject") == 3
    assert operations.count("PutObject") == 4
    assert {call.key for call in s3.calls if call.operation == "HeadObject"} == {
        KEYS.commit(made.commit.id),
        KEYS.tag("main"),
    }
    assert assert_whole(s3, other_lake.bucket, "pets") == [made.commit.id]
    assert read_commit(other_lake, "pets", made.commit.id) == made.commit
    assert read_files(other_lake, made.commit) == read_files(lake, made.commit)
    manifest = s3.buckets[other_lake.bucket].version(KEYS.manifest(made.commit.id)).data
    assert other_lake.bucket.encode() in manifest
    assert lake.bucket.encode() not in manifest


def test_the_next_commit_copies_only_what_is_new_and_looks_at_nothing_else(
    s3: LoopbackS3, lake: Store, other_lake: Store, tmp_path: Path
) -> None:
    promote(lake, other_lake, make(lake, write_files(tmp_path, FILES)))
    second = make(lake, write_files(tmp_path, {"b/c.csv": "new", "e": "4"}))
    s3.forget()
    planned = promote(lake, other_lake, second)
    assert [entry.path for entry in planned.missing] == ["b/c.csv", "e"]
    assert writes(s3).count("CopyObject") == 2
    s3.forget()
    again = promote(lake, other_lake, second)
    assert (again.missing, again.done) == ((), True)
    assert writes(s3) == []


def test_a_target_goes_back_by_moving_its_ref_alone(
    s3: LoopbackS3, lake: Store, other_lake: Store, tmp_path: Path
) -> None:
    first = make(lake, write_files(tmp_path, FILES))
    promote(lake, other_lake, first)
    promote(lake, other_lake, make(lake, write_files(tmp_path, {"a": "2"})))
    s3.forget()
    planned = promote(lake, other_lake, first)
    assert (planned.kept, planned.missing, writes(s3)) == (True, (), ["PutObject"])
    assert pointers.read(other_lake, "pets", "main").commit == first.commit.id  # type: ignore[union-attr]


def test_planning_writes_nothing_and_an_unknown_commit_is_told(
    s3: LoopbackS3, lake: Store, other_lake: Store, tmp_path: Path
) -> None:
    made = make(lake, write_files(tmp_path, FILES))
    s3.forget()
    copy.plan(lake, other_lake, "pets", made.commit.id)
    assert writes(s3) == []
    with pytest.raises(NotFoundError):
        copy.plan(lake, other_lake, "pets", "0" * 64)


def test_killed_anywhere_a_second_run_finishes_it(
    s3: LoopbackS3, lake: Store, other_lake: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_files(tmp_path, FILES)
    for step in range(1, 3 + 4 + 1):
        for after in (False, True):
            dataset = f"pets-{step}-{'after' if after else 'before'}"
            made = make(lake, files, dataset)
            with killed(monkeypatch, step, after=after), pytest.raises(KilledError):
                promote(lake, other_lake, made, dataset)
            assert assert_whole(s3, other_lake.bucket, dataset) in ([], [made.commit.id])
            promote(lake, other_lake, made, dataset)
            assert assert_whole(s3, other_lake.bucket, dataset) == [made.commit.id]
            assert pointers.read(other_lake, dataset, "main").commit == made.commit.id  # type: ignore[union-attr]
    assert duplicates(s3, other_lake.bucket) == []


@pytest.mark.parametrize("kind", ["lost", "503", "500", "reset", "200-error"])
def test_a_response_that_is_lost_or_an_error_that_passes_changes_nothing(
    s3: LoopbackS3, lake: Store, other_lake: Store, tmp_path: Path, kind: str
) -> None:
    made = make(lake, write_files(tmp_path, FILES))
    s3.faults += [Fault(kind, nth=nth) for nth in range(1, 60, 2)]  # type: ignore[arg-type]
    promote(lake, other_lake, made)
    assert assert_whole(s3, other_lake.bucket, "pets") == [made.commit.id]
    assert duplicates(s3, other_lake.bucket) == []


def test_a_copy_that_is_denied_leaves_nothing_visible_and_a_second_run_copies_the_rest(
    s3: LoopbackS3, lake: Store, other_lake: Store, tmp_path: Path
) -> None:
    made = make(lake, write_files(tmp_path, {f"{number:02}": str(number) for number in range(20)}))
    s3.faults.append(Fault("denied", operation="CopyObject", nth=8, times=None))
    with pytest.raises(ClientError, match="AccessDenied"):
        promote(lake, other_lake, made, at_once=1)
    assert assert_whole(s3, other_lake.bucket, "pets") == []
    s3.faults.clear()
    s3.forget()
    planned = promote(lake, other_lake, made)
    assert (len(planned.missing), len(planned.arrivals.left)) == (13, 7)
    assert writes(s3).count("CopyObject") == 13
    assert assert_whole(s3, other_lake.bucket, "pets") == [made.commit.id]


@pytest.mark.parametrize("loss", ["deleted", "overwritten", "overwritten twice"])
def test_what_the_source_lost_is_copied_from_an_older_version(
    s3: LoopbackS3, lake: Store, other_lake: Store, tmp_path: Path, loss: str
) -> None:
    made = make(lake, write_files(tmp_path, FILES))
    key, bucket = KEYS.file("a", sha256_bytes(b"1")), s3.buckets[lake.bucket]
    if loss == "deleted":
        bucket.delete(key)
    else:
        bucket.put(key, b"2")
        if loss.endswith("twice"):
            bucket.put(key, b"longer")
    promote(lake, other_lake, made)
    assert assert_whole(s3, other_lake.bucket, "pets") == [made.commit.id]


@pytest.mark.parametrize("loss", ["gone", "rotten"])
def test_what_is_lost_for_good_is_told_and_nothing_becomes_visible(
    s3: LoopbackS3, lake: Store, other_lake: Store, tmp_path: Path, loss: str
) -> None:
    made = make(lake, write_files(tmp_path, FILES))
    key, bucket = KEYS.file("a", sha256_bytes(b"1")), s3.buckets[lake.bucket]
    bucket.remove(key)
    if loss == "rotten":
        bucket.put(key, b"2")
    with pytest.raises(IntegrityError, match="no older version of it has the right bytes") as refused:
        promote(lake, other_lake, made)
    assert "dataset verify" in str(refused.value.hint)
    assert assert_whole(s3, other_lake.bucket, "pets") == []
    assert key not in s3.snapshot(other_lake.bucket)


@pytest.mark.parametrize("other", [b"2", b"longer"])
def test_something_else_in_the_place_of_a_file_is_refused(
    s3: LoopbackS3, lake: Store, other_lake: Store, tmp_path: Path, other: bytes
) -> None:
    made = make(lake, write_files(tmp_path, FILES))
    s3.buckets[other_lake.bucket].put(KEYS.file("a", sha256_bytes(b"1")), other)
    with pytest.raises(IntegrityError, match="is in the way"):
        promote(lake, other_lake, made)
    assert assert_whole(s3, other_lake.bucket, "pets") == []


def test_what_a_run_left_long_ago_is_copied_again_so_that_it_is_not_collected(
    s3: LoopbackS3, lake: Store, other_lake: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(lake, write_files(tmp_path, FILES))
    with killed(monkeypatch, 7, after=False), pytest.raises(KilledError):
        promote(lake, other_lake, made)
    bucket = s3.buckets[other_lake.bucket]
    long_ago = (NOW - REFRESH_AFTER - timedelta(minutes=1)).timestamp()
    left = sorted(s3.snapshot(other_lake.bucket))
    assert len(left) == 3 + 3, "all but the ref, that is, a visible commit that nothing reaches"
    for key in left:
        bucket.version(key).modified = long_ago
    planned = promote(lake, other_lake, made)
    assert (planned.present, planned.kept, planned.missing) == (True, False, ())
    assert all(bucket.version(key).modified > long_ago + 3600 for key in left)
    assert assert_whole(s3, other_lake.bucket, "pets") == [made.commit.id]


def test_large_objects_are_copied_in_parts(s3: LoopbackS3, lake: Store, other_lake: Store, tmp_path: Path) -> None:
    body = bytes(range(256)) * ((SINGLE + PART // 2) // 256)
    made = make(lake, write_files(tmp_path, {"large.bin": body, "small": "1"}))
    s3.forget()
    promote(lake, other_lake, made)
    assert writes(s3).count("UploadPartCopy") == SINGLE // PART + 1
    assert writes(s3).count("CopyObject") == 1
    assert assert_whole(s3, other_lake.bucket, "pets") == [made.commit.id]


def test_of_two_promotions_to_one_ref_one_is_told(
    s3: LoopbackS3, lake: Store, other_lake: Store, tmp_path: Path
) -> None:
    commits = [make(lake, write_files(tmp_path, {"a": str(number)})) for number in range(2)]
    plans = [copy.plan(lake, other_lake, "pets", made.commit.id) for made in commits]
    outcomes = race(2, lambda number: copy.execute(plans[number], lake, other_lake, "me", NOW))
    (lost,) = [outcome for outcome in outcomes if isinstance(outcome, ConflictError)]
    number = outcomes.index(lost)
    assert commits[number].commit.id in f"{lost.message} {lost.hint}"
    assert len(assert_whole(s3, other_lake.bucket, "pets")) == 2
    promote(lake, other_lake, commits[number])
    assert pointers.read(other_lake, "pets", "main").commit == commits[number].commit.id  # type: ignore[union-attr]


def test_thirty_two_who_promote_the_same_all_succeed(
    s3: LoopbackS3, lake: Store, other_lake: Store, tmp_path: Path
) -> None:
    made = make(lake, write_files(tmp_path, FILES))
    outcomes = race(32, lambda _: promote(lake, other_lake, made, at_once=2))
    assert [outcome for outcome in outcomes if isinstance(outcome, Exception)] == []
    assert assert_whole(s3, other_lake.bucket, "pets") == [made.commit.id]
    assert duplicates(s3, other_lake.bucket) == []


CONSTRAINTS = Dataset.model_validate({"tables": [{"files": "*.csv"}]})


def test_results_of_data_tests_come_along_and_the_first_one_stands(
    s3: LoopbackS3, lake: Store, other_lake: Store, tmp_path: Path
) -> None:
    made = make(lake, write_files(tmp_path, FILES))
    result = record(lake, "pets", made.commit.id, CONSTRAINTS, Report((), {"*.csv": 1}), actor="me", now=NOW)
    assert promote(lake, other_lake, made).check_results == (result.constraints,)
    assert read(other_lake, "pets", made.commit.id, result.constraints) == result

    s3.forget()
    assert promote(lake, other_lake, made).done
    assert writes(s3) == []


def test_a_result_that_came_later_is_all_that_is_left_to_bring(
    s3: LoopbackS3, lake: Store, other_lake: Store, tmp_path: Path
) -> None:
    made = make(lake, write_files(tmp_path, FILES))
    promote(lake, other_lake, made)
    record(lake, "pets", made.commit.id, CONSTRAINTS, Report((), {}), actor="me", now=NOW)
    s3.forget()
    assert not promote(lake, other_lake, made).done
    assert writes(s3) == ["PutObject"]


def test_a_result_that_was_edited_is_refused(s3: LoopbackS3, lake: Store, other_lake: Store, tmp_path: Path) -> None:
    made = make(lake, write_files(tmp_path, FILES))
    lake.put_new(KEYS.check(made.commit.id, "0" * 64), b"{}")
    with pytest.raises(IntegrityError, match="cannot be read"):
        promote(lake, other_lake, made)
    assert pointers.read(other_lake, "pets", "main") is None
