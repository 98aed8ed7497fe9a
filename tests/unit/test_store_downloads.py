"""Objects to files: whole or not at all, and after a break only the rest."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from mlops_kit.errors import IntegrityError, MlopsKitError, NotFoundError
from mlops_kit.objects import Store, sha256_bytes
from mlops_kit.objects.download import UNFINISHED
from tests.s3 import Fault, LoopbackS3
from tests.stores import LAKE, SINGLE

BODY = os.urandom(SINGLE - 5)
DIGEST = sha256_bytes(BODY)


@pytest.fixture
def lake(lake: Store) -> Store:
    lake.put_new("k", BODY)
    return lake


def test_a_download_is_whole_or_not_there(lake: Store, tmp_path: Path) -> None:
    told: list[int] = []
    target = tmp_path / "a" / "b" / "c"
    assert lake.download("k", target, DIGEST, size=len(BODY), on_bytes=told.append) == DIGEST
    assert target.read_bytes() == BODY
    assert sum(told) == len(BODY)
    for digest, size in ((sha256_bytes(b"other"), None), (None, 1)):
        with pytest.raises(IntegrityError, match="holds other bytes"):
            lake.download("k", tmp_path / "d", digest, size=size)
    with pytest.raises(NotFoundError, match="absent"):
        lake.download("absent", tmp_path / "e" / "f")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b", "c"]


def test_a_file_gets_the_permissions_that_files_get(lake: Store, tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    lake.download("k", tmp_path / "f")
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_names_may_be_as_long_as_names_can_be(lake: Store, tmp_path: Path) -> None:
    lake.download("k", tmp_path / ("n" * 255), DIGEST)
    assert (tmp_path / ("n" * 255)).read_bytes() == BODY


def test_an_empty_object_becomes_an_empty_file(lake: Store, tmp_path: Path) -> None:
    lake.put_new("empty", b"")
    lake.download("empty", tmp_path / "f", sha256_bytes(b""), size=0)
    assert (tmp_path / "f").read_bytes() == b""
    with lake.open("empty") as file:
        assert file.read() == b""


def test_after_a_break_only_the_rest_is_asked_for(s3: LoopbackS3, lake: Store, tmp_path: Path) -> None:
    asked: list[str | None] = []

    def look(request: object) -> bool:
        asked.append(request.headers.get("range"))  # type: ignore[attr-defined]
        return True

    told: list[int] = []
    s3.faults.append(Fault("truncated", operation="GetObject", times=2, when=look))
    lake.download("k", tmp_path / "f", DIGEST, on_bytes=told.append)
    half = len(BODY) // 2
    assert asked == [None, f"bytes={half}-", f"bytes={half + (len(BODY) - half) // 2}-"]
    assert (tmp_path / "f").read_bytes() == BODY
    assert sum(told) == len(BODY)


def test_an_object_that_is_another_after_the_break_is_not_put_together(
    s3: LoopbackS3, lake: Store, tmp_path: Path
) -> None:
    s3.faults.append(
        Fault("truncated", operation="GetObject"),
    )
    s3.faults.append(
        Fault("before", operation="GetObject", nth=2, callback=lambda: s3.buckets[LAKE].put("k", os.urandom(len(BODY))))
    )
    with pytest.raises(ClientError, match="PreconditionFailed"):
        lake.download("k", tmp_path / "f", DIGEST)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("when", ["write", "close"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_of_and_leaves_nothing(
    lake: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, number: int
) -> None:
    real = getattr(os, when)

    def full(file: int, *rest: object) -> object:
        if UNFINISHED.partition("*")[0] in str(Path(f"/proc/self/fd/{file}").readlink()):
            if when == "close":
                real(file)
            raise OSError(number, os.strerror(number))
        return real(file, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(os, when, full)
        with pytest.raises(MlopsKitError, match="There is no room for") as caught:
            lake.download("k", tmp_path / "f", DIGEST)
    assert "run it again" in (caught.value.hint or "")
    assert list(tmp_path.iterdir()) == []
    lake.download("k", tmp_path / "f", DIGEST)


def test_a_version_can_be_downloaded(s3: LoopbackS3, lake: Store, tmp_path: Path) -> None:
    found = lake.head("k")
    assert found is not None
    lake.put("k", b"newer")
    lake.download("k", tmp_path / "f", DIGEST, version=found.version)
    lake.delete("k")
    assert lake.get("k") is None
    marker = next(version for version in lake.versions("k") if version.deleted)
    assert lake.get("k", marker.version) is None
    assert lake.head("k", "0" * 32) is None
    with pytest.raises(NotFoundError):
        lake.download("k", tmp_path / "g")


def test_an_object_can_be_read_as_a_file(s3: LoopbackS3, lake: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_kit.objects.download._WINDOW", 1000)
    with lake.open("k") as file:
        assert file.read(10) == BODY[:10]
        assert file.seek(-7, os.SEEK_END) == len(BODY) - 7
        assert file.read() == BODY[-7:]
        file.seek(995)
        assert file.read(3000) == BODY[995:3995]
        s3.buckets[LAKE].put("k", b"newer")
        file.seek(500_000)
        assert file.read(4) == BODY[500_000:500_004], "still the version that was opened"
    with pytest.raises(NotFoundError, match="absent"):
        lake.open("absent")
