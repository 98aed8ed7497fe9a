"""An S3 in memory for each test that wants one, with a lake in each of two accounts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_kit.objects import Store
from tests.kit import BUCKETS, Kit, make_project, point_to
from tests.s3 import LoopbackS3
from tests.stores import ACCOUNT, LAKE, OTHER_ACCOUNT, OTHER_LAKE, PART, SINGLE, store_of


@pytest.fixture
def s3() -> Iterator[LoopbackS3]:
    with LoopbackS3({LAKE: ACCOUNT, OTHER_LAKE: OTHER_ACCOUNT}, max_single=SINGLE, min_part=PART) as server:
        yield server


@pytest.fixture
def lake(s3: LoopbackS3) -> Iterator[Store]:
    store = store_of(s3, LAKE)
    yield store
    store.wire.close()


@pytest.fixture
def other_lake(s3: LoopbackS3) -> Iterator[Store]:
    """In another account."""
    store = store_of(s3, OTHER_LAKE)
    yield store
    store.wire.close()


@pytest.fixture
def kit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Kit]:
    """The command line, in a project whose three environments are on a loopback S3."""
    with LoopbackS3(BUCKETS) as s3:
        point_to(monkeypatch, s3)
        yield Kit(s3, make_project(tmp_path / "project"), capsys.readouterr)
