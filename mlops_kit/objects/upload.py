"""Bytes and files to objects: create-only, compare-and-set, or over what is there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from mlops_kit.errors import ConflictError
from mlops_kit.objects import codes, multipart
from mlops_kit.objects.checking import seems_there
from mlops_kit.objects.digests import sha256_bytes, to_base64
from mlops_kit.wire import FileSlice
from mlops_kit.wire.transfer import OnBytes

if TYPE_CHECKING:
    from mlops_kit.objects.store import Store

CREATE_ONLY: Mapping[str, str] = {"if-none-match": "*"}
_IN_MEMORY = 256 * 1024
"""Files up to this many bytes are read at once: one packet more or less, instead of a loop."""


def put_new(store: Store, key: str, body: bytes, content_type: str) -> bool:
    try:
        _put(store, key, body, sha256_bytes(body), content_type, CREATE_ONLY)
    except ClientError as exc:
        if codes.of(exc) in codes.EXISTS:
            return False
        raise
    return True


def put(store: Store, key: str, body: bytes, content_type: str) -> None:
    _put(store, key, body, sha256_bytes(body), content_type, {})


def replace(store: Store, key: str, body: bytes, etag: str | None) -> None:
    try:
        condition = CREATE_ONLY if etag is None else {"if-match": etag}
        _put(store, key, body, sha256_bytes(body), "application/json", condition)
    except ClientError as exc:
        if codes.of(exc) not in codes.RACED:
            raise
        # Our own write may be what the repeated request met: the answer to the first one was lost.
        if store.get(key) == body:
            return
        raise ConflictError(
            f"{store.uri(key)} was changed by somebody else at the same time.", hint="Run the command again."
        ) from exc


def put_file(
    store: Store,
    key: str,
    path: Path,
    sha256: str,
    *,
    size: int | None = None,
    composite: str | None = None,
    on_bytes: OnBytes | None = None,
    replaces: str | None = None,
) -> bool:
    """Write a file, create-only or over the object with the ETag ``replaces``; False: it was there already."""
    condition = CREATE_ONLY if replaces is None else {"if-match": replaces}
    whole = FileSlice(path, 0, size or 0, sha256, on_bytes)
    try:
        if size is None:
            whole = FileSlice(path, 0, path.stat().st_size, sha256, on_bytes)
        if whole.size > store.limits.single:
            if replaces is None and seems_there(store, key):
                return _there(store, key, whole, composite)
            return multipart.upload_file(store, key, whole, condition, composite)
        body = _read(whole) if whole.size <= _IN_MEMORY else whole
        _put(store, key, body, sha256, "application/octet-stream", condition)
        if isinstance(body, bytes) and on_bytes is not None:
            on_bytes(len(body))
    except FileNotFoundError as exc:
        raise whole.changed() from exc
    except ClientError as exc:
        code = codes.of(exc)
        if code in codes.OTHER_BYTES:
            raise whole.changed() from exc
        if code in codes.EXISTS or (replaces is not None and code in codes.RACED):
            return _there(store, key, whole, composite)
        raise
    return True


def _there(store: Store, key: str, whole: FileSlice, composite: str | None) -> bool:
    store.verify(key, whole.sha256, size=whole.size, composite=composite)
    if whole.on_bytes is not None:
        whole.on_bytes(whole.size)
    return False


def _read(whole: FileSlice) -> bytes:
    with whole.path.open("rb", buffering=0) as file:
        body = file.read(whole.size + 1) or b""
    if len(body) != whole.size:
        raise whole.changed()
    return body


def _put(
    store: Store, key: str, body: bytes | FileSlice, sha256: str, content_type: str, condition: Mapping[str, str]
) -> None:
    headers = {"content-type": content_type, "x-amz-checksum-sha256": to_base64(sha256), **condition}
    store.request("PutObject", "PUT", key, headers=headers, body=body, sha256=sha256)
