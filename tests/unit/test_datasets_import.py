"""Commits of an S3 prefix: S3 copies and hashes, no bytes come here, and what did not change costs nothing."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from mlops_kit.datasets import commit as verb
from mlops_kit.datasets.commit import CommitRequest, Committed, commit
from mlops_kit.datasets.import_prefix import PrefixSource
from mlops_kit.datasets.local_source import LocalSource
from mlops_kit.datasets.source import open_source
from mlops_kit.datasets.transfer import REFRESH_AFTER
from mlops_kit.errors import ConflictError, IntegrityError, UsageError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store, sha256_bytes
from tests.lakes import KilledError, assert_whole, duplicates, files_of, killed, write_files, writes
from tests.s3 import Fault, LoopbackS3
from tests.stores import OTHER_ACCOUNT, OTHER_LAKE, PART, SINGLE

NOW = datetime.now(UTC).replace(microsecond=0)
KEYS = DatasetKeys("pets")
RAW = {"raw/a.csv": b"1", "raw/b/c": b"22", "raw/b/d.jpg": b"333"}


@pytest.fixture
def raw(s3: LoopbackS3) -> LoopbackS3:
    """A bucket of another account with some objects that came without a SHA-256."""
    for key, body in RAW.items():
        s3.buckets[OTHER_LAKE].put(key, body)
    return s3


def make(lake: Store, uri: str = f"s3://{OTHER_LAKE}/raw/", dataset: str = "pets", **options: object) -> Committed:
    source = open_source(uri, lake, OTHER_ACCOUNT if OTHER_LAKE in uri else None)
    asked = {"message": "m", "author": "me", "now": NOW, **options}
    return commit(lake, dataset, source, **asked)  # type: ignore[arg-type]


def paths(s3: LoopbackS3, lake: Store, made: Committed) -> dict[str, str]:
    return {line["path"]: line["sha256"] for line in files_of(s3, lake.bucket, made.commit.dataset, made.commit.id)}


def staging(s3: LoopbackS3, lake: Store) -> list[str]:
    return [key for key in s3.snapshot_versions(lake.bucket) if key.startswith("staging/")]


def test_objects_become_files_and_no_bytes_come_here(raw: LoopbackS3, lake: Store) -> None:
    made = make(lake)
    assert (made.uploaded, made.uploaded_bytes, made.commit.size) == (3, 6, 6)
    assert paths(raw, lake, made) == {key.removeprefix("raw/"): sha256_bytes(body) for key, body in RAW.items()}
    assert assert_whole(raw, lake.bucket, "pets") == [made.commit.id]
    read = [call for call in raw.calls if call.operation == "GetObject" and "/files/" not in call.key]
    assert not [
        call for call in raw.calls if call.bucket == OTHER_LAKE and call.operation in ("GetObject", "HeadObject")
    ]
    assert all(call.bucket == lake.bucket for call in read)
    assert staging(raw, lake) == [], "not even a version is left"


def test_it_is_the_same_commit_as_of_the_same_files_from_here(raw: LoopbackS3, lake: Store, tmp_path: Path) -> None:
    files = write_files(tmp_path, {key.removeprefix("raw/"): body for key, body in RAW.items()})
    local = commit(lake, "dogs", files, message="m", author="me", now=NOW)
    assert make(lake, dataset="dogs").commit == local.commit
    assert not make(lake, dataset="dogs").changed


def test_what_did_not_change_costs_nothing(raw: LoopbackS3, lake: Store) -> None:
    first = make(lake)
    raw.forget()
    again = make(lake, now=NOW + timedelta(hours=1))
    assert (again.changed, again.commit) == (False, first.commit)
    assert writes(raw) == []
    assert len(raw.calls) <= 4, "the ref, the listing, the index, the header"

    raw.buckets[OTHER_LAKE].put("raw/a.csv", b"changed")
    raw.buckets[OTHER_LAKE].delete("raw/b/c")
    raw.forget()
    second = make(lake)
    assert (second.uploaded, second.commit.parent) == (1, first.commit.id)
    assert paths(raw, lake, second) == {"a.csv": sha256_bytes(b"changed"), "b/d.jpg": sha256_bytes(b"333")}
    assert writes(raw).count("CopyObject") == 2, "one to learn the digest, one to where it belongs"
    assert staging(raw, lake) == []


def test_a_prefix_is_a_directory_or_an_object_and_not_the_start_of_a_name(raw: LoopbackS3, lake: Store) -> None:
    raw.buckets[OTHER_LAKE].put("raw-old/x", b"no")
    assert list(paths(raw, lake, make(lake, f"s3://{OTHER_LAKE}/raw"))) == ["a.csv", "b/c", "b/d.jpg"]
    assert list(paths(raw, lake, make(lake, f"s3://{OTHER_LAKE}/raw/b"))) == ["c", "d.jpg"]
    assert list(paths(raw, lake, make(lake, f"s3://{OTHER_LAKE}/raw/a.csv"))) == ["a.csv"]
    whole = make(lake, f"s3://{OTHER_LAKE}", into="all", add=True, remove=["a.csv"])
    assert list(paths(raw, lake, whole)) == ["all/raw-old/x", "all/raw/a.csv", "all/raw/b/c", "all/raw/b/d.jpg"]
    with pytest.raises(UsageError, match="no objects below"):
        make(lake, f"s3://{OTHER_LAKE}/ra")


def test_objects_of_the_lake_itself_can_be_imported_but_not_the_data_set(raw: LoopbackS3, lake: Store) -> None:
    raw.buckets[lake.bucket].put("raw/x", b"1")
    raw.buckets[lake.bucket].put("d", b"2")
    assert list(paths(raw, lake, make(lake, f"s3://{lake.bucket}/raw/"))) == ["x"]
    assert list(paths(raw, lake, make(lake, f"s3://{lake.bucket}/d"))) == ["d"]
    for prefix in ("", "datasets", "datasets/pets/", "datasets/pets/files/"):
        with pytest.raises(UsageError, match="imported into itself"):
            make(lake, f"s3://{lake.bucket}/{prefix}")


def test_folder_markers_are_left_out_and_keys_that_are_no_paths_are_refused(raw: LoopbackS3, lake: Store) -> None:
    bucket = raw.buckets[OTHER_LAKE]
    for marker in ("raw/", "raw/b/", "raw/empty/"):
        bucket.put(marker, b"")
    bucket.put("raw/no-bytes", b"")
    assert list(paths(raw, lake, make(lake))) == ["a.csv", "b/c", "b/d.jpg", "no-bytes"]
    bad = ["raw//a", "raw/b/../c", "raw/./d", "raw/e/", "raw/f\x01", "raw/" + "x" * 1000]
    for key in bad:
        bucket.put(key, b"1")
    raw.forget()
    with pytest.raises(UsageError) as refused:
        make(lake)
    for key in bad[:4]:
        assert repr(key) in refused.value.message
    assert "control character" in refused.value.message
    assert "1000 bytes" in refused.value.message
    assert writes(raw) == []


def test_a_file_cannot_be_a_directory_of_another(raw: LoopbackS3, lake: Store) -> None:
    raw.buckets[OTHER_LAKE].put("raw/b", b"1")
    with pytest.raises(UsageError, match="directories of other files: 'b'"):
        make(lake)
    assert assert_whole(raw, lake.bucket, "pets") == []
    assert staging(raw, lake) == []
    raw.buckets[OTHER_LAKE].remove("raw/b")
    make(lake)
    raw.buckets[OTHER_LAKE].put("raw/b", b"1")
    with pytest.raises(UsageError, match="directories of other files: 'b'"):
        make(lake)


def test_the_bucket_must_belong_to_whom_the_caller_says(raw: LoopbackS3, lake: Store) -> None:
    source = open_source(f"s3://{OTHER_LAKE}/raw/", lake)
    with pytest.raises(ClientError, match="AccessDenied"):
        commit(lake, "pets", source, message="m", author="me", now=NOW)
    assert isinstance(open_source("raw/x", lake), LocalSource)
    with pytest.raises(UsageError, match="only the bucket of one has an owner"):
        open_source("raw/x", lake, OTHER_ACCOUNT)
    with pytest.raises(UsageError, match="not the address"):
        open_source("s3:///x", lake)


@pytest.mark.parametrize("step", ["CopyObject", "PutObject"])
def test_an_object_that_changes_after_it_was_listed_is_told(raw: LoopbackS3, lake: Store, step: str) -> None:
    make(lake, dataset="dogs")  # so that "pets" has to copy from the source as well as from staging
    bucket = raw.buckets[OTHER_LAKE]
    change = Fault("before", operation=step, callback=lambda: bucket.put("raw/b/c", b"other"))
    raw.faults.append(change)
    if step == "CopyObject":
        with pytest.raises(ConflictError, match="raw/b/c was changed or deleted after it was listed"):
            make(lake, at_once=1)
        assert assert_whole(raw, lake.bucket, "pets") == []
        assert staging(raw, lake) == []
    else:  # its bytes are safe in staging by then
        assert paths(raw, lake, make(lake))["b/c"] == sha256_bytes(b"22")
    assert paths(raw, lake, make(lake))["b/c"] == sha256_bytes(b"other")


def test_an_object_that_changes_before_a_known_one_is_copied_is_told(raw: LoopbackS3, lake: Store) -> None:
    make(lake)
    for key in [key for key in raw.snapshot(lake.bucket) if "/imports/" not in key]:
        raw.buckets[lake.bucket].remove(key)  # only the index is left: objects are copied without staging
    planned = verb.plan(lake, CommitRequest("pets", source(lake), "m", "me"), NOW)
    raw.buckets[OTHER_LAKE].put("raw/b/c", b"other")
    with pytest.raises(ConflictError, match="raw/b/c changed"):
        verb.execute(lake, planned)
    raw.buckets[OTHER_LAKE].delete("raw/b/c")
    with pytest.raises(ConflictError, match="raw/b/c was changed or deleted"):
        verb.execute(lake, planned)
    assert paths(raw, lake, make(lake)).keys() == {"a.csv", "b/d.jpg"}


def source(lake: Store) -> PrefixSource:
    found = open_source(f"s3://{OTHER_LAKE}/raw/", lake, OTHER_ACCOUNT)
    assert isinstance(found, PrefixSource)
    return found


def test_known_objects_are_copied_straight_to_where_they_belong(raw: LoopbackS3, lake: Store) -> None:
    made = make(lake)
    for key in [key for key in raw.snapshot(lake.bucket) if "/imports/" not in key]:
        raw.buckets[lake.bucket].remove(key)
    raw.forget()
    assert make(lake).commit == made.commit
    assert writes(raw) == ["PutObject", *["CopyObject"] * 3, *["PutObject"] * 3]


@pytest.mark.parametrize("ruin", ["not gzip", "not JSON", "other lines", "gone"])
def test_an_index_that_cannot_be_read_costs_copies_and_nothing_else(raw: LoopbackS3, lake: Store, ruin: str) -> None:
    made = make(lake)
    (key,) = [key for key in raw.snapshot(lake.bucket) if "/imports/" in key]
    bodies = {"not gzip": b"x", "not JSON": gzip.compress(b"x\n"), "other lines": gzip.compress(b"[]\n{}\n")}
    if ruin == "gone":
        raw.buckets[lake.bucket].remove(key)
    else:
        raw.buckets[lake.bucket].put(key, bodies[ruin])
    raw.forget()
    again = make(lake)
    assert (again.changed, again.commit) == (False, made.commit)
    assert writes(raw).count("CopyObject") == 3
    assert staging(raw, lake) == []


def test_an_index_that_is_wrong_is_found_out_and_forgotten(raw: LoopbackS3, lake: Store) -> None:
    make(lake)
    (key,) = [key for key in raw.snapshot(lake.bucket) if "/imports/" in key]
    lines = [json.loads(line) for line in gzip.decompress(raw.buckets[lake.bucket].version(key).data).splitlines()]
    lines[0]["sha256"] = sha256_bytes(b"wrong")
    body = gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode())
    raw.buckets[lake.bucket].put(key, body)
    before = assert_whole(raw, lake.bucket, "pets")
    with pytest.raises(IntegrityError):
        make(lake)
    assert assert_whole(raw, lake.bucket, "pets") == before
    assert not make(lake).changed


def test_killed_anywhere_a_second_run_finishes_the_same_commit(
    raw: LoopbackS3, lake: Store, other_lake: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw.forget()
    make(lake, dataset="dogs")
    steps = len(writes(raw))
    assert steps == 3 + 1 + 1 + 3 + 3 + 1, "staging, index, list, files, records and ref, staging's end"
    for step in range(1, steps + 1):
        for after in (False, True):
            dataset = f"pets-{step}-{'after' if after else 'before'}"
            with killed(monkeypatch, step, after=after), pytest.raises(KilledError):
                make(lake, dataset=dataset, at_once=2)
            seen = assert_whole(raw, lake.bucket, dataset)
            made = make(lake, dataset=dataset)
            assert assert_whole(raw, lake.bucket, dataset) == [made.commit.id]
            assert seen in ([], [made.commit.id])
    assert duplicates(raw, lake.bucket) == []


@pytest.mark.parametrize("kind", ["lost", "503", "500", "reset", "200-error"])
def test_a_response_that_is_lost_or_an_error_that_passes_changes_nothing(
    raw: LoopbackS3, lake: Store, kind: str
) -> None:
    raw.faults += [Fault(kind, nth=nth) for nth in range(1, 80, 2)]  # type: ignore[arg-type]
    made = make(lake)
    assert made.uploaded == 3
    assert assert_whole(raw, lake.bucket, "pets") == [made.commit.id]


def test_staging_that_cannot_be_deleted_is_told_and_no_failure(raw: LoopbackS3, lake: Store) -> None:
    raw.faults.append(Fault("denied", operation="DeleteObjects"))
    told: list[str] = []
    made = commit(
        lake,
        "pets",
        open_source(f"s3://{OTHER_LAKE}/raw/", lake, OTHER_ACCOUNT, told.append),
        message="m",
        author="me",
        now=NOW,
    )
    assert made.changed
    assert len(staging(raw, lake)) == 3
    (line,) = told
    assert "3 temporary objects" in line


def test_what_somebody_left_long_ago_is_copied_again(
    raw: LoopbackS3, lake: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed(monkeypatch, 3 + 1 + 1 + 3, after=True), pytest.raises(KilledError):
        make(lake)
    files = [key for key in raw.snapshot(lake.bucket) if key.startswith(KEYS.files_prefix)]
    assert len(files) == 3
    long_ago = (NOW - REFRESH_AFTER - timedelta(minutes=1)).timestamp()
    for key in files:
        raw.buckets[lake.bucket].version(key).modified = long_ago
    made = make(lake)
    assert made.uploaded == 0
    assert assert_whole(raw, lake.bucket, "pets") == [made.commit.id]
    assert all(raw.buckets[lake.bucket].version(key).modified > long_ago + 3600 for key in files)


def test_large_objects_are_read_once_and_copied_in_parts(raw: LoopbackS3, lake: Store) -> None:
    body = bytes(range(256)) * ((SINGLE + PART // 2) // 256)
    raw.buckets[OTHER_LAKE].put("raw/large.bin", body)
    made = make(lake)
    (large,) = [line for line in files_of(raw, lake.bucket, "pets", made.commit.id) if line["path"] == "large.bin"]
    assert (large["sha256"], large["composite"][-2:]) == (sha256_bytes(body), f"-{SINGLE // PART + 1}")
    assert assert_whole(raw, lake.bucket, "pets") == [made.commit.id]
    raw.forget()
    assert not make(lake).changed
    assert not [call for call in raw.calls if call.key == "raw/large.bin"]


def test_files_can_be_read_before_the_commit_is_made_and_a_plan_discarded(
    raw: LoopbackS3, lake: Store, tmp_path: Path
) -> None:
    planned = verb.plan(lake, CommitRequest("pets", source(lake), "m", "me"), NOW)
    local = [planned.local(lake, entry, tmp_path / str(n)) for n, entry in enumerate(planned.files)]
    assert [path.read_bytes() for path in local] == list(RAW.values())
    assert len(staging(raw, lake)) == 3
    planned.found.discard()
    assert staging(raw, lake) == []
