"""Objects to files, and objects as files."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from botocore.exceptions import ClientError

from mlops_kit.errors import MlopsKitError, NotFoundError
from mlops_kit.objects import codes
from mlops_kit.objects.checking import HashingSink, check, check_size
from mlops_kit.objects.info import ObjectInfo, version_of
from mlops_kit.wire.transfer import OnBytes

if TYPE_CHECKING:
    from mlops_kit.objects.store import Store

UNFINISHED = ".mlops-kit-*.part"
"""What downloads are called until they are complete; a process that was killed leaves some."""
_WINDOW = 8 * 1024**2
_TOTAL = re.compile(r"/(\d+)$")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def download(
    store: Store,
    key: str,
    path: Path,
    sha256: str | None,
    *,
    size: int | None,
    version: str | None,
    on_bytes: OnBytes | None,
) -> str:
    sink = _FileSink(path, on_bytes)
    query = {"versionId": version} if version else {}
    try:
        store.request("GetObject", "GET", key, query=query, headers={"x-amz-checksum-mode": "ENABLED"}, sink=sink)
        check_size(store.uri(key), sink.received, size)
        digest = sink.digest.hexdigest()
        check(store.uri(key), digest, sha256 or ObjectInfo.of(key, sink.headers).sha256)
        sink.finish()
    except ClientError as exc:
        if store.is_absent(key, exc, version):
            raise NotFoundError(f"There is no object {store.uri(key)}.") from exc
        raise
    except OSError as exc:
        if exc.errno in _FULL:
            raise MlopsKitError(
                f"There is no room for {path}: {os.strerror(exc.errno)}.",
                hint="Make room and run it again. Files that are complete are not fetched again.",
            ) from exc
        raise
    finally:
        sink.close()
    return digest


class _FileSink(HashingSink):
    """A file beside the one that is wanted, under a name of its own until it is complete."""

    def __init__(self, path: Path, on_bytes: OnBytes | None) -> None:
        super().__init__(on_bytes)
        self._path = path
        # A fixed length, because the wanted name may be as long as names can be.
        self._unfinished = path.with_name(UNFINISHED.replace("*", secrets.token_hex(8)))
        self._file = -1

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        if self._file < 0:
            self._file = self._open()
        before = self.received
        super().begin(status, headers)
        if self.received != before:
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)

    def write(self, piece: memoryview) -> None:
        super().write(piece)
        while piece:
            piece = piece[os.write(self._file, piece) :]

    def finish(self) -> None:
        """It is complete and right: give it its name."""
        file, self._file = self._file, -1
        try:
            os.close(file)  # some file systems tell only now that they are full
            self._unfinished.replace(self._path)
        except BaseException:
            self._unfinished.unlink(missing_ok=True)
            raise

    def close(self) -> None:
        """Leave nothing behind of what is not finished."""
        if self._file >= 0:
            file, self._file = self._file, -1
            with contextlib.suppress(OSError):
                os.close(file)
            self._unfinished.unlink(missing_ok=True)

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            return os.open(self._unfinished, flags, 0o666)
        except FileNotFoundError:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self._unfinished, flags, 0o666)


def open_object(store: Store, key: str, version: str | None) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_ObjectReader(store, key, version), 256 * 1024))


class _ObjectReader(io.RawIOBase):
    """Fetches a window at a time, every one of the same object, so that a break costs one window."""

    def __init__(self, store: Store, key: str, version: str | None) -> None:
        super().__init__()
        self._store, self._key = store, key
        self._version, self._etag = version, ""
        self._position = self._start = 0
        self._window = b""
        self._size = 0
        self._fetch(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any writable buffer
        if self._position >= self._size:
            return 0
        if not self._start <= self._position < self._start + len(self._window):
            self._fetch(self._position)
        offset = self._position - self._start
        piece = self._window[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def _fetch(self, start: int) -> None:
        query = {"versionId": self._version} if self._version else {}
        headers = {"range": f"bytes={start}-{start + _WINDOW - 1}"}
        if self._etag:
            headers["if-match"] = self._etag
        try:
            answer = self._store.request("GetObject", "GET", self._key, query=query, headers=headers)
        except ClientError as exc:
            if codes.of(exc) in ("InvalidRange", "416") and start == 0:
                return  # an empty object has no range at all
            if self._store.is_absent(self._key, exc, self._version):
                raise NotFoundError(f"There is no object {self._store.uri(self._key)}.") from exc
            raise
        total = _TOTAL.search(answer.headers.get("content-range", ""))
        self._size = int(total[1]) if total else len(answer.body)
        self._start, self._window = start if total else 0, answer.body
        self._etag = answer.headers.get("etag", "")
        self._version = self._version or version_of(answer.headers)
