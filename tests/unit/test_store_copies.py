"""Server-side copies: pinned to what was looked at, hashed by S3, taken back if they are wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops_kit.errors import ConflictError, IntegrityError, NotFoundError
from mlops_kit.objects import Store, sha256_bytes
from tests.s3 import Fault, LoopbackS3
from tests.stores import LAKE, OTHER_LAKE, PART, SINGLE

BODY = os.urandom(SINGLE + 2 * PART + 1)
DIGEST = sha256_bytes(BODY)
SMALL = b"small"
KEY = "odd é+ &/~x%41?versionId=1"


def operations(s3: LoopbackS3) -> list[str]:
    return [call.operation for call in s3.calls]


@pytest.fixture
def source(lake: Store, tmp_path: Path) -> Store:
    """Holds ``SMALL`` at an odd key, and ``BODY`` at ``big``."""
    (tmp_path / "f").write_bytes(BODY)
    lake.put_new(KEY, SMALL)
    lake.put_new_file("big", tmp_path / "f", DIGEST)
    return lake


def composite(store: Store, key: str) -> str:
    found = store.head(key)
    assert found is not None
    assert found.composite is not None
    return found.composite


def test_a_copy_of_what_is_on_record_is_one_request(s3: LoopbackS3, source: Store, other_lake: Store) -> None:
    s3.forget()
    assert other_lake.copy_known(KEY, source, KEY, sha256=sha256_bytes(SMALL), size=len(SMALL))
    assert operations(s3) == ["CopyObject"]
    assert other_lake.get(KEY) == SMALL
    found = other_lake.head(KEY)
    assert found is not None
    assert found.sha256 == sha256_bytes(SMALL)
    assert not other_lake.copy_known(KEY, source, KEY, sha256=sha256_bytes(SMALL), size=len(SMALL))


def test_a_big_copy_goes_in_parts_of_one_version(s3: LoopbackS3, source: Store, other_lake: Store) -> None:
    found = source.head("big")
    assert found is not None
    seen: list[tuple[str, str]] = []

    def look(request: Any) -> bool:
        headers = request.headers
        seen.append((headers["x-amz-copy-source"], headers["x-amz-copy-source-if-match"]))
        return False

    s3.faults.append(Fault("500", operation="UploadPartCopy", when=look))
    assert other_lake.copy_known("k", source, "big", sha256=DIGEST, size=len(BODY), composite=found.composite)
    assert set(seen) == {(f"{LAKE}/big?versionId={found.version}", found.etag)}
    assert len(seen) == 7
    assert s3.buckets[OTHER_LAKE].snapshot() == {"k": DIGEST}
    assert composite(other_lake, "k") == found.composite
    s3.forget()
    assert not other_lake.copy_known("k", source, "big", sha256=DIGEST, size=len(BODY), composite=found.composite)
    assert set(operations(s3)) == {"HeadObject"}


@pytest.mark.parametrize("known", [True, False], ids=["composite known", "not known"])
def test_a_big_copy_that_was_cut_off_goes_on_where_it_was(
    s3: LoopbackS3, source: Store, other_lake: Store, known: bool
) -> None:
    on_record = composite(source, "big") if known else None
    s3.faults.append(Fault("denied", operation="UploadPartCopy", nth=4, times=None))

    def copy() -> bool:
        return other_lake.copy_known("k", source, "big", sha256=DIGEST, size=len(BODY), composite=on_record)

    with pytest.raises(ClientError):
        copy()
    (upload,) = s3.buckets[OTHER_LAKE].uploads.values()
    there = len(upload.parts)
    s3.faults.clear()
    s3.forget()
    assert copy()
    assert operations(s3).count("UploadPartCopy") == 7 - there
    assert s3.buckets[OTHER_LAKE].snapshot() == {"k": DIGEST}


def test_parts_of_an_earlier_run_that_are_wrong_are_copied_anew(
    s3: LoopbackS3, source: Store, other_lake: Store, tmp_path: Path
) -> None:
    other = os.urandom(len(BODY))
    (tmp_path / "other").write_bytes(other)
    s3.faults.append(Fault("denied", operation="CompleteMultipartUpload", times=None))
    with pytest.raises(ClientError):
        other_lake.put_new_file("k", tmp_path / "other", sha256_bytes(other))
    s3.faults.clear()
    assert other_lake.copy_known("k", source, "big", sha256=DIGEST, size=len(BODY), composite=composite(source, "big"))
    assert s3.buckets[OTHER_LAKE].snapshot() == {"k": DIGEST}


@pytest.mark.parametrize("how", ["other ETag", "gone"])
def test_a_source_that_changes_while_it_is_copied_is_refused(
    s3: LoopbackS3, source: Store, other_lake: Store, how: str
) -> None:
    bucket = s3.buckets[LAKE]
    (version,) = bucket.versions("big")

    def change() -> None:
        if how == "gone":
            bucket.remove("big", version.version_id)
        else:
            version.etag = "another"

    on_record = composite(source, "big")
    s3.faults.append(Fault("before", operation="UploadPartCopy", nth=3, callback=change))
    with pytest.raises(ConflictError, match="changed while it was being copied"):
        other_lake.copy_known("k", source, "big", sha256=DIGEST, size=len(BODY), composite=on_record)
    assert s3.buckets[OTHER_LAKE].snapshot() == {}


def test_a_newer_version_of_the_source_does_not_get_into_the_copy(
    s3: LoopbackS3, source: Store, other_lake: Store
) -> None:
    newer = Fault(
        "before", operation="UploadPartCopy", nth=3, callback=lambda: s3.buckets[LAKE].put("big", os.urandom(len(BODY)))
    )
    s3.faults.append(newer)
    assert other_lake.copy_known("k", source, "big", sha256=DIGEST, size=len(BODY))
    assert newer.struck == 1
    assert s3.buckets[OTHER_LAKE].snapshot() == {"k": DIGEST}


def test_a_source_with_another_etag_than_expected_is_not_copied(
    s3: LoopbackS3, source: Store, other_lake: Store
) -> None:
    for copy in (
        lambda: other_lake.copy_known("k", source, KEY, sha256=sha256_bytes(SMALL), size=len(SMALL), etag='"another"'),
        lambda: other_lake.copy_hash("k", source, KEY, size=len(SMALL), etag='"another"'),
        lambda: other_lake.copy_hash("k", source, KEY, etag='"another"'),
    ):
        with pytest.raises(ConflictError, match="changed while it was being copied"):
            copy()
    assert s3.buckets[OTHER_LAKE].snapshot() == {}


@pytest.mark.parametrize("denied", [False, True], ids=["may delete", "may not delete"])
def test_a_wrong_copy_is_told_of_and_taken_back_as_far_as_may_be(
    s3: LoopbackS3, source: Store, other_lake: Store, denied: bool
) -> None:
    if denied:
        s3.faults.append(Fault("denied", operation="DeleteObject", times=None))
    wrong = sha256_bytes(b"wrong")
    for copy in (
        lambda: other_lake.copy_known("a", source, KEY, sha256=wrong, size=len(SMALL)),
        lambda: other_lake.copy_known("b", source, "big", sha256=wrong, size=len(BODY)),
    ):
        with pytest.raises(IntegrityError, match="holds other bytes"):
            copy()
    assert list(s3.buckets[OTHER_LAKE].snapshot()) == (["a", "b"] if denied else [])
    for copy in (
        lambda: other_lake.copy_known("c", source, "big", sha256=wrong, size=len(BODY), composite=f"{wrong}-7"),
        lambda: other_lake.copy_known("c", source, "big", sha256=DIGEST, size=len(BODY) + 1),
        lambda: other_lake.copy_new("c", source, KEY, wrong),
    ):
        with pytest.raises(IntegrityError, match="holds other bytes"):
            copy()
    assert other_lake.head("c") is None
    assert not s3.buckets[OTHER_LAKE].uploads


def test_a_target_with_other_bytes_is_told_of(s3: LoopbackS3, source: Store, other_lake: Store) -> None:
    other_lake.put_new("k", b"other")
    for copy in (
        lambda: other_lake.copy_known("k", source, KEY, sha256=sha256_bytes(SMALL), size=len(SMALL)),
        lambda: other_lake.copy_known("k", source, "big", sha256=DIGEST, size=len(BODY)),
        lambda: other_lake.copy_new("k", source, KEY, sha256_bytes(SMALL)),
    ):
        with pytest.raises(IntegrityError, match="holds other bytes"):
            copy()
    assert other_lake.get("k") == b"other"


def test_a_source_that_is_not_there_is_not_found(source: Store, other_lake: Store) -> None:
    for copy in (
        lambda: other_lake.copy_known("k", source, "absent", sha256=DIGEST, size=1),
        lambda: other_lake.copy_known("k", source, "absent", sha256=DIGEST, size=len(BODY)),
        lambda: other_lake.copy_new("k", source, "absent", DIGEST),
        lambda: other_lake.copy_hash("k", source, "absent", size=1),
        lambda: other_lake.copy_hash("k", source, "absent"),
    ):
        with pytest.raises(NotFoundError, match="absent"):
            copy()


@pytest.mark.parametrize("key", [KEY, "big"])
def test_a_copy_can_be_made_young_again(s3: LoopbackS3, source: Store, other_lake: Store, key: str) -> None:
    body = SMALL if key == KEY else BODY
    digest = sha256_bytes(body)
    assert other_lake.copy_known("k", source, key, sha256=digest, size=len(body))
    found = other_lake.head("k")
    assert found is not None
    again = {"sha256": digest, "size": len(body), "composite": found.composite, "replaces": found.etag}
    assert other_lake.copy_known("k", source, key, **again)  # type: ignore[arg-type]
    assert [sha for _, sha in s3.buckets[OTHER_LAKE].snapshot_versions()["k"]] == [digest, digest]
    s3.buckets[OTHER_LAKE].put("k", b"other")
    with pytest.raises(IntegrityError, match="holds other bytes"):
        other_lake.copy_known("k", source, key, **again)  # type: ignore[arg-type]
    s3.buckets[OTHER_LAKE].delete("k")
    with pytest.raises(IntegrityError, match="is missing"):
        other_lake.copy_known("k", source, key, **again)  # type: ignore[arg-type]


def test_s3_hashes_what_it_copies(s3: LoopbackS3, other_lake: Store, lake: Store) -> None:
    foreign = s3.buckets[LAKE].put("foreign", SMALL)  # as somebody else's tool wrote it: without a checksum
    s3.forget()
    digest, info = other_lake.copy_hash("staging/1", lake, "foreign", etag=f'"{foreign.etag}"', size=len(SMALL))
    assert operations(s3) == ["CopyObject"]
    assert (digest, info.sha256, info.size) == (sha256_bytes(SMALL), digest, len(SMALL))
    assert info.version == s3.buckets[OTHER_LAKE].versions("staging/1")[0].version_id

    s3.buckets[LAKE].put("huge", BODY)
    digest, info = other_lake.copy_hash("staging/2", lake, "huge", size=len(BODY))
    assert digest == DIGEST
    assert info.composite is not None
    assert s3.buckets[OTHER_LAKE].snapshot()["staging/2"] == DIGEST


def test_an_old_version_becomes_the_current_one_again(s3: LoopbackS3, source: Store) -> None:
    for key, body in ((KEY, SMALL), ("big", BODY)):
        old = source.head(key)
        assert old is not None
        assert old.version is not None
        other = s3.buckets[LAKE].put(key, b"other")
        with pytest.raises(ConflictError, match="somebody else"):
            source.restore(key, old.version, '"another"')
        with pytest.raises(ConflictError, match="somebody else"):
            source.restore(key, old.version, None)
        source.restore(key, old.version, f'"{other.etag}"')
        source.verify(key, sha256_bytes(body), size=len(body), composite=old.composite)
        source.delete(key)
        source.restore(key, old.version, None)
        assert s3.buckets[LAKE].snapshot()[key] == sha256_bytes(body)
        with pytest.raises(NotFoundError, match="no version"):
            source.restore(key, "0" * 32, None)
