"""``.tar.gz`` as SageMaker exchanges it: packed the same way every time, unpacked without trust."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path


class BadArchiveError(Exception):
    """Not a gzip-compressed tar file, or one with members that would escape the directory."""


def pack(directory: Path) -> bytes:
    """Everything below ``directory``; the same content always gives the same bytes.

    Names are sorted, and owner, time and everything else that is not content is fixed, so that training twice with the
    same result gives the same digest.
    """
    tar_bytes = io.BytesIO()
    with tarfile.open(fileobj=tar_bytes, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(directory.rglob("*"), key=lambda p: p.relative_to(directory).as_posix()):
            info = tar.gettarinfo(path, arcname=path.relative_to(directory).as_posix())
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            info.mtime = 0
            info.mode = 0o755 if info.isdir() else 0o644
            if info.isreg():
                with path.open("rb") as file:
                    tar.addfile(info, file)
            else:
                tar.addfile(info)
    return gzip.compress(tar_bytes.getvalue(), mtime=0)


def unpack(archive: bytes, directory: Path) -> None:
    """Unpack into ``directory``, which is made.

    Raises:
        BadArchiveError: see there. Nothing outside of ``directory`` is ever written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            tar.extractall(directory, filter="data")
    except (tarfile.TarError, OSError, EOFError) as exc:
        raise BadArchiveError(f"{type(exc).__name__}: {exc}") from exc
