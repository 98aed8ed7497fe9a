"""``sourcedir.tar.gz``: the team's code as it travels to a training job, the same bytes for the same files.

Its digest is part of a version's lineage and of the object's key, and both the stacks (for the pipeline) and
``mlops-kit train`` make it. Compressors differ between versions of zlib, and each machine would then have a digest of
its own; so the archive is stored, not compressed: gzip around stored blocks.
"""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile
import zlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

TRAINING_ENTRY = "training_entry.py"
ENTRY_IN_JOB = "mlops_kit_training_entry.py"
"""The kit's own entry point travels beside the team's code and runs it."""
REGISTER_ENTRY = "register_entry.py"
"""What the last step of a pipeline runs: one file, because a framework image has nothing of the kit in it."""
BLOCK = 0xFFFF

LEFT_OUT = {"__pycache__", ".git", ".ipynb_checkpoints", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


@dataclass(frozen=True, slots=True)
class Packed:
    """Bytes that are stored under their digest (SHA-256, hex)."""

    body: bytes
    sha256: str

    @classmethod
    def of(cls, body: bytes) -> Packed:
        return cls(body, hashlib.sha256(body).hexdigest())


def pack(source_dir: Path) -> bytes:
    """``sourcedir.tar.gz``: the team's directory and the kit's entry point; the same files give the same bytes."""
    members = {
        path.relative_to(source_dir).as_posix(): path.read_bytes()
        for path in sorted(source_dir.rglob("*"))
        if path.is_file() and not LEFT_OUT & set(path.relative_to(source_dir).parts)
    }
    members[ENTRY_IN_JOB] = job_script(TRAINING_ENTRY)
    return deterministic_tar_gz(members)


def job_script(name: str) -> bytes:
    """A file of ``mlops_kit.jobs`` as it travels to a container; read, not imported."""
    return resources.files("mlops_kit.jobs").joinpath(name).read_bytes()


def deterministic_tar_gz(members: dict[str, bytes]) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(members):
            info = tarfile.TarInfo(name)
            info.size = len(members[name])
            info.mode = 0o644
            tar.addfile(info, io.BytesIO(members[name]))
    return _gzip_stored(plain.getvalue())


def _gzip_stored(data: bytes) -> bytes:
    # RFC 1952 around RFC 1951 section 3.2.4: no name, no time, and stored blocks, of which the last one is marked.
    parts = [b"\x1f\x8b\x08\x00" + b"\x00" * 4 + b"\x00\xff"]
    for start in range(0, len(data), BLOCK):
        block = data[start : start + BLOCK]
        parts.append(struct.pack("<BHH", start + BLOCK >= len(data), len(block), len(block) ^ 0xFFFF) + block)
    parts.append(struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF))
    return b"".join(parts)
