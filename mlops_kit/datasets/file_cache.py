"""Files by their digest in the user's cache directory, for checkouts that share them by hard links.

``$XDG_CACHE_HOME/mlops-kit/files/ab/cdef…`` (default ``~/.cache``), read-only. A hard link is the file itself: whoever
writes through one in spite of the mode changes all of them, so a cached file is hashed each time it is linked, and
thrown away if it is not what its name says.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from mlops_kit.datasets.user_cache import user_cache
from mlops_kit.objects import sha256_file

READ_ONLY = 0o444
STALE_SECONDS = 24 * 3600
_CANNOT_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES})
_CANNOT_CLONE = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF})


@dataclass(frozen=True, slots=True)
class FileCache:
    """A content cache. Several processes may use it at once: files appear in it whole, by renaming."""

    root: Path

    @classmethod
    def of_user(cls) -> FileCache:
        """The user's own; made if it is not there, and rid of what killed runs were downloading a day ago."""
        cache = cls(user_cache() / "files")
        cache.unfinished.mkdir(parents=True, exist_ok=True)
        for file in cache.unfinished.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if file.stat().st_mtime < time.time() - STALE_SECONDS:
                    file.unlink()
        return cache

    @property
    def unfinished(self) -> Path:
        return self.root / "tmp"

    def path(self, sha256: str) -> Path:
        return self.root / sha256[:2] / sha256[2:]

    def has(self, sha256: str, size: int) -> bool:
        """Whether there is a good copy; a bad one is removed."""
        path = self.path(sha256)
        try:
            if path.stat().st_size == size and sha256_file(path) == sha256:
                return True
        except FileNotFoundError:
            return False
        path.unlink(missing_ok=True)
        return False

    def temporary(self) -> Path:
        """A path that nobody else uses, for a file that is being downloaded."""
        return self.unfinished / secrets.token_hex(16)

    def take(self, file: Path, sha256: str) -> None:
        """Make a verified temporary file part of the cache."""
        file.chmod(READ_ONLY)
        path = self.path(sha256)
        path.parent.mkdir(exist_ok=True)
        file.replace(path)

    def place(self, sha256: str, to: str) -> None:
        """Link the cached file to ``to``, where nothing is; copy it where the file system cannot link."""
        path = self.path(sha256)
        try:
            os.link(path, to)
        except OSError as exc:
            if exc.errno not in _CANNOT_LINK:
                raise
            copy(path, Path(to))


def copy(source: Path, target: Path) -> None:
    """Copy bytes; a file system that can share blocks between files (Btrfs, XFS) does not copy any."""
    with source.open("rb") as reader, target.open("xb") as writer:
        left = os.fstat(reader.fileno()).st_size
        if hasattr(os, "copy_file_range"):
            try:
                while left and (copied := os.copy_file_range(reader.fileno(), writer.fileno(), left)):
                    left -= copied
            except OSError as exc:
                if exc.errno not in _CANNOT_CLONE:
                    raise
                reader.seek(0)
                writer.seek(0)
                writer.truncate()
                left = os.fstat(reader.fileno()).st_size
        if left:
            shutil.copyfileobj(reader, writer, 1 << 20)
