"""Finding the version that holds the right bytes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlops_kit.datasets.versions import find_version, versions_of
from mlops_kit.objects import Store, sha256_bytes
from tests.s3 import LoopbackS3
from tests.s3.model import Bucket
from tests.stores import SINGLE

KEY = "datasets/churn/files/a~0123.csv"
RIGHT = b"right"
DIGEST = sha256_bytes(RIGHT)


@pytest.fixture
def bucket(s3: LoopbackS3, lake: Store) -> Bucket:
    return s3.buckets[lake.bucket]


def test_of_several_right_versions_the_newest_is_found(lake: Store, bucket: Bucket) -> None:
    lake.put_new(KEY, RIGHT)
    second = bucket.put(KEY, RIGHT)
    bucket.put(KEY, b"wrong")
    bucket.put(KEY, b"of another size")
    bucket.delete(KEY)
    found = find_version(lake, KEY, DIGEST, len(RIGHT))
    assert found is not None
    assert (found.version, found.latest) == (second.version_id, False)


def test_longer_keys_are_not_taken_for_it(lake: Store, bucket: Bucket) -> None:
    bucket.put(f"{KEY}.gz", RIGHT)
    assert find_version(lake, KEY, DIGEST, len(RIGHT)) is None
    bucket.put(KEY, b"wrong")
    assert find_version(lake, KEY, DIGEST, len(RIGHT)) is None
    assert [version.key for version in versions_of(lake, KEY)] == [KEY]


def test_what_s3_has_no_digest_of_is_read(lake: Store, s3: LoopbackS3, bucket: Bucket) -> None:
    right = bucket.put(KEY, RIGHT)  # without a checksum
    bucket.put(KEY, b"wrong")
    found = find_version(lake, KEY, DIGEST, len(RIGHT))
    assert found is not None
    assert found.version == right.version_id
    assert [call.operation for call in s3.calls].count("GetObject") == 2


def test_a_digest_that_s3_has_is_not_read_unless_deep(lake: Store, s3: LoopbackS3, bucket: Bucket) -> None:
    lake.put_new(KEY, RIGHT)
    s3.forget()
    assert find_version(lake, KEY, DIGEST, len(RIGHT)) is not None
    assert [call.operation for call in s3.calls] == ["ListObjectVersions", "HeadObject"]
    bucket.overwrite(KEY, b"rot!!")
    assert find_version(lake, KEY, DIGEST, len(RIGHT)) is not None, "S3 does not know better"
    assert find_version(lake, KEY, DIGEST, len(RIGHT), deep=True) is None


def test_an_object_in_parts_is_known_by_its_composite_digest(
    lake: Store, s3: LoopbackS3, bucket: Bucket, tmp_path: Path
) -> None:
    file = tmp_path / "big"
    file.write_bytes(os.urandom(SINGLE + 1))
    whole = sha256_bytes(file.read_bytes())
    lake.put_new_file(KEY, file, whole)
    head = lake.head(KEY)
    assert head is not None
    assert head.sha256 is None
    bucket.put(KEY, b"x" * (SINGLE + 1))
    s3.forget()
    found = find_version(lake, KEY, whole, SINGLE + 1, composite=head.composite)
    assert found is not None
    assert found.version == head.version
    s3.forget()
    other_parts = f"{'ab' * 32}-2"
    found = find_version(lake, KEY, whole, SINGLE + 1, composite=other_parts)
    assert found is not None, "it may have been sent in other parts: then it is read"
    assert found.version == head.version
