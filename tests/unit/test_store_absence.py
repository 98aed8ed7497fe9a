"""A caller that may list only a part of a bucket is refused what is not there: the listing tells what that means."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from mlops_kit.objects import Store
from tests.s3 import Fault, LoopbackS3

KEY = "datasets/a/refs/b.json"


@pytest.fixture
def lake(s3: LoopbackS3, lake: Store) -> Store:
    """For a caller who may list below ``datasets/``, and is refused each read; S3 gives HEAD the bare status."""
    s3.faults += [
        Fault("denied", operation="GetObject", times=None),
        Fault("denied", operation="HeadObject", times=None),
        Fault(
            "denied",
            operation="ListObjectsV2",
            times=None,
            when=lambda request: not request.query["prefix"].startswith("datasets/"),
        ),
    ]
    return lake


def test_refused_and_not_listed_is_absent(lake: Store) -> None:
    assert lake.get(KEY) is None
    assert lake.head(KEY) is None
    lake.put_new(f"{KEY}.old", b"")
    assert lake.get(KEY) is None
    assert lake.head(KEY) is None


def test_refused_and_listed_is_refused(lake: Store) -> None:
    lake.put_new(KEY, b"")
    for read in (lake.get, lake.head):
        with pytest.raises(ClientError, match=r"AccessDenied|403"):
            read(KEY)


def test_refused_both_ways_is_refused(lake: Store) -> None:
    for read in (lake.get, lake.head):
        with pytest.raises(ClientError, match=r"GetObject|HeadObject"):
            read("raw/a.csv")


@pytest.mark.parametrize(
    ("kind", "code"), [("503", "SlowDown|503"), ("500", "InternalError|500"), ("expired", "Exp|400")]
)
def test_nothing_else_is_taken_for_absent(s3: LoopbackS3, lake: Store, kind: str, code: str) -> None:
    s3.faults[:] = [Fault(kind, times=None)]  # type: ignore[arg-type]
    for read in (lake.get, lake.head):
        with pytest.raises(ClientError, match=code):
            read(KEY)
