"""Files to objects: create-only, in parts above a limit, and resumable: what is there need not travel again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops_kit.errors import IntegrityError
from mlops_kit.objects import Limits, Store, composite_sha256, sha256_bytes
from mlops_kit.objects.digests import hash_in_parts
from tests.s3 import Fault, LoopbackS3
from tests.stores import LAKE, LIMITS, PART, SINGLE, race, store_of

BODY = os.urandom(SINGLE + 2 * PART + 1)  # seven parts, the last of one byte
DIGEST = sha256_bytes(BODY)
COMPOSITE = composite_sha256([sha256_bytes(BODY[at : at + PART]) for at in range(0, len(BODY), PART)])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(BODY)
    return tmp_path / "file"


def operations(s3: LoopbackS3) -> list[str]:
    return [call.operation for call in s3.calls]


def data(s3: LoopbackS3, key: str = "k") -> bytes:
    version = s3.buckets[LAKE].current(key)
    assert version is not None
    return version.data


def test_part_sizes_are_powers_of_two_that_give_few_enough_parts() -> None:
    limits = Limits()
    assert limits.part(1) == limits.part(10_000 * 64 * 1024**2) == 64 * 1024**2
    assert limits.part(10_000 * 64 * 1024**2 + 1) == 128 * 1024**2
    assert limits.part(5 * 1024**4) == 1024**3
    assert len(limits.ranges(5 * 1024**4)) <= 10_000
    assert LIMITS.ranges(2 * PART + 1) == [(1, 0, PART), (2, PART, PART), (3, 2 * PART, 1)]
    assert LIMITS.ranges(PART) == [(1, 0, PART)]


@pytest.mark.parametrize("size", [1, PART - 1, PART, PART + 1, 3 * PART])
def test_a_file_is_hashed_whole_and_in_the_parts_that_are_sent(tmp_path: Path, size: int) -> None:
    (tmp_path / "f").write_bytes(BODY[:size])
    parts = [sha256_bytes(BODY[at : at + length]) for _, at, length in LIMITS.ranges(size)]
    with (tmp_path / "f").open("rb") as file:
        assert hash_in_parts(file.read, PART) == (sha256_bytes(BODY[:size]), parts, size)


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 256 * 1024 + 1, SINGLE, SINGLE + 1])
def test_files_of_every_size_arrive_and_are_told_of(s3: LoopbackS3, lake: Store, tmp_path: Path, size: int) -> None:
    (tmp_path / "f").write_bytes(BODY[:size])
    told: list[int] = []
    digest = sha256_bytes(BODY[:size])
    assert lake.put_new_file("k", tmp_path / "f", digest, on_bytes=told.append)
    assert data(s3) == BODY[:size]
    assert sum(told) == size
    assert not lake.put_new_file("k", tmp_path / "f", digest, on_bytes=told.append)
    assert sum(told) == 2 * size, "what is there already is done as well"
    assert len(s3.buckets[LAKE].versions("k")) == 1


def test_a_big_file_becomes_an_object_with_a_composite_checksum(s3: LoopbackS3, lake: Store, path: Path) -> None:
    assert lake.put_new_file("k", path, DIGEST)
    found = lake.head("k")
    assert found is not None
    assert (found.size, found.sha256, found.composite) == (len(BODY), None, COMPOSITE)
    lake.verify("k", DIGEST, size=len(BODY), composite=COMPOSITE)
    s3.forget()
    assert not lake.put_new_file("k", path, DIGEST, composite=COMPOSITE)
    assert operations(s3) == ["HeadObject", "HeadObject"], "nothing travelled"


def test_a_second_run_sends_only_the_parts_that_are_missing(s3: LoopbackS3, lake: Store, path: Path) -> None:
    s3.faults.append(Fault("denied", operation="UploadPart", nth=4, times=None))
    with pytest.raises(ClientError):
        lake.put_new_file("k", path, DIGEST)
    assert lake.head("k") is None
    (upload,) = s3.buckets[LAKE].uploads.values()
    there = len(upload.parts)
    assert there >= 3
    s3.faults.clear()
    s3.forget()
    told: list[int] = []
    assert lake.put_new_file("k", path, DIGEST, on_bytes=told.append)
    assert operations(s3).count("UploadPart") == 7 - there
    assert "CreateMultipartUpload" not in operations(s3)
    assert data(s3) == BODY
    assert sum(told) == len(BODY)


def test_parts_of_other_bytes_are_sent_anew(s3: LoopbackS3, lake: Store, tmp_path: Path, path: Path) -> None:
    other = BODY[:PART] + os.urandom(len(BODY) - PART)
    (tmp_path / "other").write_bytes(other)
    s3.faults.append(Fault("denied", operation="CompleteMultipartUpload", times=None))
    with pytest.raises(ClientError):
        lake.put_new_file("k", tmp_path / "other", sha256_bytes(other))
    s3.faults.clear()
    s3.forget()
    assert lake.put_new_file("k", path, DIGEST)
    assert operations(s3).count("UploadPart") == 6
    assert data(s3) == BODY


@pytest.mark.parametrize("operation", ["ListMultipartUploads", "ListParts"])
def test_a_role_that_may_not_look_for_uploads_begins_a_new_one(
    s3: LoopbackS3, lake: Store, path: Path, operation: str
) -> None:
    s3.faults.append(Fault("denied", operation="CompleteMultipartUpload"))
    with pytest.raises(ClientError):
        lake.put_new_file("k", path, DIGEST)
    s3.faults.append(Fault("denied", operation=operation, times=None))
    assert lake.put_new_file("k", path, DIGEST)
    assert data(s3) == BODY


@pytest.mark.parametrize("composite", [None, COMPOSITE], ids=["read twice", "parts known"])
def test_a_big_file_that_changed_is_not_stored(s3: LoopbackS3, lake: Store, path: Path, composite: str | None) -> None:
    path.write_bytes(BODY[:-1] + bytes([BODY[-1] ^ 1]))
    with pytest.raises(IntegrityError, match="changed while it was being read"):
        lake.put_new_file("k", path, DIGEST, composite=composite)
    assert lake.head("k") is None
    assert not s3.buckets[LAKE].uploads, "what was sent of it is of no use"


@pytest.mark.parametrize("size", [10, PART + 10, SINGLE + 10])
def test_a_file_that_changes_or_goes_while_it_is_sent_is_not_stored(
    s3: LoopbackS3, lake: Store, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "f"
    for change in (lambda: path.write_bytes(BODY[: size - 1]), lambda: path.write_bytes(b"x" * size), path.unlink):
        path.write_bytes(BODY[:size])
        digest = sha256_bytes(path.read_bytes())
        change()
        with pytest.raises(IntegrityError, match="changed while it was being read"):
            lake.put_new_file("k", path, digest, size=size)
        assert lake.head("k") is None


@pytest.mark.parametrize("denied", [False, True], ids=["may abort", "may not abort"])
def test_a_key_that_is_taken_by_other_bytes_is_an_error_that_says_so(
    s3: LoopbackS3, lake: Store, path: Path, denied: bool
) -> None:
    if denied:
        s3.faults.append(Fault("denied", operation="AbortMultipartUpload", times=None))
    lake.put_new("k", b"other")
    with pytest.raises(IntegrityError, match="holds other bytes"):
        lake.put_new_file("k", path, DIGEST)
    path.write_bytes(b"small")
    with pytest.raises(IntegrityError, match="holds other bytes"):
        lake.put_new_file("k", path, sha256_bytes(b"small"))

    # Taken while the parts were on their way.
    path.write_bytes(BODY)
    s3.faults.append(
        Fault("before", operation="CompleteMultipartUpload", callback=lambda: s3.buckets[LAKE].put("late", b"other"))
    )
    with pytest.raises(IntegrityError, match="holds other bytes"):
        lake.put_new_file("late", path, DIGEST)
    assert bool(s3.buckets[LAKE].uploads) is denied


def test_writers_of_the_same_big_file_all_end_with_it_there(s3: LoopbackS3, path: Path) -> None:
    stores = [store_of(s3) for _ in range(6)]
    outcomes = race(6, lambda number: stores[number].put_new_file("k", path, DIGEST, composite=COMPOSITE))
    assert set(outcomes) <= {True, False}, outcomes
    assert data(s3) == BODY
    assert len(s3.buckets[LAKE].versions("k")) == 1
    for store in stores:
        store.wire.close()


@pytest.mark.parametrize("size", [10, SINGLE + 10])
def test_the_same_bytes_are_made_young_again_unless_somebody_wrote_others(
    s3: LoopbackS3, lake: Store, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "f"
    path.write_bytes(BODY[:size])
    digest = sha256_bytes(BODY[:size])
    lake.put_new_file("k", path, digest)
    found = lake.head("k")
    assert found is not None
    lake.refresh_file("k", path, digest, found.etag)
    assert len(s3.buckets[LAKE].versions("k")) == 2
    assert data(s3) == BODY[:size]

    s3.buckets[LAKE].put("k", b"other")
    with pytest.raises(IntegrityError, match="holds other bytes"):
        lake.refresh_file("k", path, digest, found.etag)
    assert data(s3) == b"other"
    s3.buckets[LAKE].delete("k")
    with pytest.raises(IntegrityError, match="is missing"):
        lake.refresh_file("k", path, digest, found.etag)


def test_buckets_of_somebody_else_take_nothing(s3: LoopbackS3, lake: Store, path: Path) -> None:
    stranger = Store(lake.wire, LAKE, "333333333333", LIMITS)
    acts: list[Any] = [
        lambda: stranger.put_new("k", b"1"),
        lambda: stranger.put_new_file("k", path, DIGEST),
        lambda: stranger.get("k"),
        lambda: stranger.head("k"),
        lambda: list(stranger.keys("")),
        lambda: stranger.delete("k"),
        lambda: stranger.copy_known("k", lake, "k", sha256=DIGEST, size=1),
        lambda: lake.copy_known("k", stranger, "k", sha256=DIGEST, size=1),
    ]
    for act in acts:
        with pytest.raises(ClientError, match=r"AccessDenied|403"):
            act()
    assert s3.buckets[LAKE].keys() == []
