"""Verification: every kind of damage is found, at the price of the listings alone, and mended from older versions."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlops_kit.datasets.checkout import checkout
from mlops_kit.datasets.commit import commit as make_commit
from mlops_kit.datasets.verify import FILE_LIST, HEADER, MANIFEST, verify, verify_all
from mlops_kit.errors import ConflictError, IntegrityError, NotFoundError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store, sha256_bytes
from tests.s3 import Fault, LoopbackS3
from tests.s3.model import Bucket

NOW = datetime.now(UTC)
KEYS = DatasetKeys("churn")
FILES = {"a.csv": b"id,x\n1,2\n", "cats/001.jpg": b"jpg" * 50, "empty": b"", "z": os.urandom(3000)}


@pytest.fixture
def bucket(s3: LoopbackS3, lake: Store) -> Bucket:
    return s3.buckets[lake.bucket]


def commit(lake: Store, directory: Path, files: Mapping[str, bytes]) -> str:
    for path, body in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(body)
    return make_commit(lake, "churn", directory, message="m", author="me", now=NOW).commit.id


@pytest.fixture
def made(lake: Store, tmp_path: Path) -> str:
    return commit(lake, tmp_path / "source", FILES)


def key(path: str, body: bytes | None = None) -> str:
    return KEYS.file(path, sha256_bytes(FILES[path] if body is None else body))


def age(bucket: Bucket, by: timedelta) -> None:
    """Make all that is there older."""
    with bucket.lock:
        for name in bucket.snapshot_versions():
            for version in bucket.versions(name):
                version.modified -= by.total_seconds()


def test_a_whole_commit_costs_listings_and_records_only(lake: Store, s3: LoopbackS3, made: str) -> None:
    s3.forget()
    found = verify(lake, "churn", made)
    assert found.intact
    assert (found.files, found.size, found.hashed) == (4, sum(map(len, FILES.values())), 0)
    assert found.damaged == ()
    operations = sorted(call.operation for call in s3.calls)
    assert operations == ["GetObject"] * 3 + ["ListObjectVersions"] * 2


def test_missing_and_overwritten_files_are_found(lake: Store, bucket: Bucket, made: str) -> None:
    bucket.delete(key("a.csv"))
    bucket.put(key("cats/001.jpg"), b"short")
    bucket.put(key("z"), b"\0" * 3000)
    before = bucket.snapshot_versions()
    found = verify(lake, "churn", made)
    assert (found.missing, found.wrong_size, found.wrong_digest) == (("a.csv",), ("cats/001.jpg",), ("z",))
    assert not found.intact
    assert found.repaired == ()
    assert bucket.snapshot_versions() == before, "nothing is written without repair"


def test_an_overwritten_file_with_a_checksum_of_its_own_is_found(lake: Store, bucket: Bucket, made: str) -> None:
    lake.put(key("z"), b"\0" * 3000)
    found = verify(lake, "churn", made)
    assert (found.wrong_digest, found.hashed) == (("z",), 0)


def test_overwritten_before_the_commit_that_took_it_over_it_is_found(
    lake: Store, bucket: Bucket, made: str, tmp_path: Path
) -> None:
    bucket.put(key("z"), b"\0" * 3000)
    age(bucket, timedelta(hours=1))
    newer = commit(lake, tmp_path / "source", {"a.csv": b"new"})
    assert verify(lake, "churn", newer).wrong_digest == ("z",)


def test_overwritten_where_older_versions_have_expired_it_is_found(lake: Store, bucket: Bucket, made: str) -> None:
    age(bucket, timedelta(hours=1))
    bucket.remove(key("z"))
    bucket.put(key("z"), b"\0" * 3000)
    found = verify(lake, "churn", made, repair=True)
    assert (found.wrong_digest, found.repaired, found.lost, found.intact) == (("z",), (), ("z",), False)


def test_written_again_with_the_same_bytes_it_is_right(lake: Store, bucket: Bucket, made: str) -> None:
    lake.put(key("z"), FILES["z"])
    bucket.put(key("a.csv"), FILES["a.csv"])  # S3 knows no digest of it
    found = verify(lake, "churn", made)
    assert found.intact
    assert found.hashed == 1


def test_repair_makes_the_right_versions_current_again(lake: Store, bucket: Bucket, made: str, tmp_path: Path) -> None:
    whole = bucket.snapshot()
    bucket.delete(key("a.csv"))
    bucket.put(key("cats/001.jpg"), b"short")
    bucket.put(key("z"), b"\0" * 3000)
    bucket.put(key("z"), b"\1" * 3000)
    before = bucket.snapshot_versions()
    found = verify(lake, "churn", made, repair=True)
    assert found.repaired == ("a.csv", "cats/001.jpg", "z")
    assert found.intact
    assert found.lost == ()
    assert bucket.snapshot() == whole
    after = bucket.snapshot_versions()
    assert all(after[name][-len(versions) :] == versions for name, versions in before.items()), "nothing is deleted"
    assert verify(lake, "churn", made).damaged == ()
    checkout(lake, "churn", made, tmp_path / "out")
    assert all((tmp_path / "out" / path).read_bytes() == body for path, body in FILES.items())


def test_what_no_version_holds_is_lost_and_the_rest_is_mended(lake: Store, bucket: Bucket, made: str) -> None:
    bucket.remove(key("a.csv"))
    bucket.delete(key("z"))
    found = verify(lake, "churn", made, repair=True)
    assert (found.missing, found.repaired, found.lost) == (("a.csv", "z"), ("z",), ("a.csv",))
    assert not found.intact


def test_rot_is_found_by_reading_and_mended(lake: Store, bucket: Bucket, made: str) -> None:
    lake.put(key("z"), FILES["z"])
    bucket.overwrite(key("z"), b"\0" * 3000)
    assert verify(lake, "churn", made).intact, "S3's record of the digest is right"
    found = verify(lake, "churn", made, deep=True)
    assert (found.wrong_digest, found.hashed) == (("z",), 4)
    assert verify(lake, "churn", made, deep=True, repair=True).repaired == ("z",)
    assert verify(lake, "churn", made, deep=True).intact


@pytest.mark.parametrize("damage", ["deleted", "changed"])
@pytest.mark.parametrize("record", [HEADER, FILE_LIST, MANIFEST])
def test_damaged_records_are_found_and_mended(lake: Store, bucket: Bucket, made: str, record: str, damage: str) -> None:
    whole = bucket.snapshot()
    where = {HEADER: KEYS.commit, FILE_LIST: KEYS.file_list, MANIFEST: KEYS.manifest}[record](made)
    if damage == "deleted":
        bucket.delete(where)
    else:
        bucket.put(where, bucket.version(where).data.replace(b'"', b"'") + b"x")
    found = verify(lake, "churn", made)
    assert (found.records, found.intact) == ((record,), False)
    assert verify(lake, "churn", made, repair=True).repaired == (record,)
    assert bucket.snapshot() == whole
    assert verify(lake, "churn", made).intact


def test_a_manifest_in_another_order_is_as_good(lake: Store, bucket: Bucket, made: str) -> None:
    prefix, *keys = json.loads(bucket.version(KEYS.manifest(made)).data)
    bucket.put(KEYS.manifest(made), json.dumps([prefix, *reversed(keys)], indent=1).encode())
    assert verify(lake, "churn", made).intact


def test_a_commit_that_never_was_and_one_that_is_beyond_help(lake: Store, bucket: Bucket, made: str) -> None:
    with pytest.raises(NotFoundError):
        verify(lake, "churn", "0" * 64)
    bucket.remove(KEYS.file_list(made))
    with pytest.raises(IntegrityError, match="file list"):
        verify(lake, "churn", made, repair=True)
    bucket.remove(KEYS.commit(made))
    bucket.put(KEYS.commit(made), b"{}")
    with pytest.raises(IntegrityError, match="header"):
        verify(lake, "churn", made, repair=True)


def test_repair_does_not_overwrite_what_somebody_writes_meanwhile(
    lake: Store, s3: LoopbackS3, bucket: Bucket, made: str
) -> None:
    bucket.put(key("z"), b"\0" * 3000)
    meanwhile = b"\1" * 3000
    s3.faults.append(Fault("before", operation="CopyObject", callback=lambda: bucket.put(key("z"), meanwhile)))
    with pytest.raises(ConflictError):
        verify(lake, "churn", made, repair=True)
    assert bucket.version(key("z")).data == meanwhile
    assert verify(lake, "churn", made, repair=True).intact


def test_all_commits_that_names_reach_are_checked_and_shared_files_are_read_once(
    lake: Store, s3: LoopbackS3, bucket: Bucket, made: str, tmp_path: Path
) -> None:
    newer = commit(lake, tmp_path / "source", {"a.csv": b"new"})
    s3.forget()
    found = {one.commit: one for one in verify_all(lake, "churn", deep=True)}
    assert set(found) == {made, newer}
    assert sum(one.hashed for one in found.values()) == 5
    bucket.delete(key("z"))
    bucket.delete(KEYS.commit(made))
    assert [(one.records, one.missing) for one in verify_all(lake, "churn")] == [((), ("z",)), ((HEADER,), ("z",))]
    repaired = list(verify_all(lake, "churn", repair=True))
    assert [one.repaired for one in repaired] == [("z",), (HEADER,)]
    assert all(one.intact for one in verify_all(lake, "churn"))


def test_an_ancestor_that_was_never_promoted_here_is_no_damage(
    lake: Store, bucket: Bucket, made: str, tmp_path: Path
) -> None:
    newer = commit(lake, tmp_path / "source", {"a.csv": b"new"})
    for name in (KEYS.commit(made), KEYS.file_list(made), KEYS.manifest(made)):
        bucket.remove(name)
    assert [(one.commit, one.intact) for one in verify_all(lake, "churn")] == [(newer, True)]
