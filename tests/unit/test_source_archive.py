"""The packed source: the same bytes on every machine, and an ordinary archive."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from mlops_kit.config import source_archive
from mlops_kit.config.source_archive import BLOCK, Packed, deterministic_tar_gz, pack


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK])
def test_any_size_comes_back(size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    body = deterministic_tar_gz({"data.bin": content[:size], "a/b.py": b"x"})
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as tar:
        assert tar.getnames() == ["a/b.py", "data.bin"]
        member = tar.extractfile("data.bin")
        assert member is not None
        assert member.read() == content[:size]
    assert gzip.decompress(body), "the checksum at its end holds"


def test_no_compressor_has_a_say() -> None:
    """A digest that was taken once holds for every version of zlib."""
    body = deterministic_tar_gz({"train.py": b"print(1)\n"})
    assert hashlib.sha256(body).hexdigest() == "6389016d10bff5ebdb0a73e4f303b34ea9ca892ab9244ec3c74a66c76c5383d3"


def test_caches_and_version_control_stay_at_home(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("1")
    for name in (".git", "__pycache__", ".venv", ".pytest_cache"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("2")
    with tarfile.open(fileobj=io.BytesIO(pack(tmp_path))) as tar:
        assert tar.getnames() == [source_archive.ENTRY_IN_JOB, "train.py"]


def test_packed_knows_its_digest() -> None:
    assert Packed.of(b"x").sha256 == hashlib.sha256(b"x").hexdigest()
