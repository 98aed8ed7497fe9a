"""Copies that S3 makes itself: pinned to what was looked at, hashed by S3, and taken back if the hash is wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from mlops_kit.errors import ConflictError, IntegrityError, NotFoundError
from mlops_kit.objects import codes, multipart
from mlops_kit.objects.checking import check, check_size, read_digest, seems_there
from mlops_kit.objects.digests import from_base64, to_base64
from mlops_kit.objects.info import UNKNOWN_TIME, ObjectInfo, version_of
from mlops_kit.objects.upload import CREATE_ONLY
from mlops_kit.wire import Answer, parse_xml
from mlops_kit.wire.signing import encode_path

if TYPE_CHECKING:
    from mlops_kit.objects.store import Store


def copy_new(store: Store, key: str, source: Store, source_key: str, sha256: str) -> bool:
    found = _look(source, source_key)
    if found.sha256 is not None:
        check(source.uri(source_key), found.sha256, sha256)
    try:
        if found.size > store.limits.single:
            return _copy_parts(store, key, source, found, CREATE_ONLY, sha256, None)
        answer = _copy(store, key, source, source_key, CREATE_ONLY, version=found.version, etag=found.etag)
    except ClientError as exc:
        return _taken(store, key, source, source_key, exc, sha256, found.size, None)
    _check_copy(store, key, source.uri(source_key), answer, sha256)
    return True


def copy_known(
    store: Store,
    key: str,
    source: Store,
    source_key: str,
    *,
    sha256: str,
    size: int,
    composite: str | None = None,
    etag: str | None = None,
    version: str | None = None,
    replaces: str | None = None,
) -> bool:
    condition = CREATE_ONLY if replaces is None else {"if-match": replaces}
    try:
        if size > store.limits.single:
            found = _look(source, source_key, version)
            check_size(source.uri(source_key), found.size, size)
            if etag is not None and found.etag != etag:
                raise _source_changed(source, source_key)
            return _copy_parts(store, key, source, found, condition, sha256, composite)
        answer = _copy(store, key, source, source_key, condition, version=version, etag=etag)
    except ClientError as exc:
        return _taken(store, key, source, source_key, exc, sha256, size, composite, replaces=replaces is not None)
    _check_copy(store, key, source.uri(source_key), answer, sha256)
    return True


def copy_hash(
    store: Store,
    key: str,
    source: Store,
    source_key: str,
    *,
    etag: str | None,
    version: str | None,
    size: int | None,
) -> tuple[str, ObjectInfo]:
    try:
        if size is None or size > store.limits.single:
            found = _look(source, source_key, version)
            if etag is not None and found.etag != etag:
                raise _source_changed(source, source_key)
            size, version, etag = found.size, found.version, found.etag
            if size > store.limits.single:
                made = multipart.write(
                    store, key, size, _part_copier(store, key, source, found), {}, None, content_type=_type(found)
                )
                info = store.head(key, made.version if made else None)
                if info is None:
                    raise IntegrityError(f"{store.uri(key)} is missing.")
                return read_digest(store, key, info.version), info
        answer = _copy(store, key, source, source_key, {}, version=version, etag=etag)
    except ClientError as exc:
        if codes.of(exc) in codes.ABSENT:
            raise NotFoundError(f"There is no object {source.uri(source_key)}.") from exc
        if codes.of(exc) in codes.EXISTS:
            raise _source_changed(source, source_key) from exc
        raise
    result = parse_xml(answer.body)
    digest = from_base64(result.findtext("ChecksumSHA256", ""))
    info = ObjectInfo(
        key, size, result.findtext("ETag", ""), version_of(answer.headers), digest, None, UNKNOWN_TIME, None
    )
    return digest, info


def restore(store: Store, key: str, version: str, seen_etag: str | None) -> None:
    found = store.head(key, version)
    if found is None:
        raise NotFoundError(f"There is no version {version} of {store.uri(key)}.")
    condition = CREATE_ONLY if seen_etag is None else {"if-match": seen_etag}
    try:
        if found.size > store.limits.single:
            copier = _part_copier(store, key, store, found)
            multipart.write(store, key, found.size, copier, condition, found.composite, content_type=_type(found))
        else:
            _copy(store, key, store, key, condition, version=version, etag=found.etag)
    except ClientError as exc:
        if codes.of(exc) not in codes.RACED or codes.is_about_source(exc):
            raise
        # Our own copy may be what the repeated request met: the answer to the first one was lost.
        current = store.head(key)
        digests = (found.sha256, found.composite)
        if current is not None and any(digests) and digests == (current.sha256, current.composite):
            return
        raise ConflictError(
            f"{store.uri(key)} was changed by somebody else at the same time.", hint="Run the command again."
        ) from exc


def _look(source: Store, key: str, version: str | None = None) -> ObjectInfo:
    found = source.head(key, version)
    if found is None:
        raise NotFoundError(f"There is no object {source.uri(key)}.")
    return found


def _copy(
    store: Store,
    key: str,
    source: Store,
    source_key: str,
    condition: Mapping[str, str],
    *,
    version: str | None = None,
    etag: str | None = None,
) -> Answer:
    headers = {"x-amz-checksum-algorithm": "SHA256", **_from(source, source_key, version, etag), **condition}
    return store.request("CopyObject", "PUT", key, headers=headers)


def _from(source: Store, key: str, version: str | None, etag: str | None) -> dict[str, str]:
    pinned = f"?versionId={version}" if version else ""
    headers = {
        "x-amz-copy-source": f"{source.bucket}/{encode_path(key)}{pinned}",
        "x-amz-source-expected-bucket-owner": source.owner,
    }
    if etag:
        headers["x-amz-copy-source-if-match"] = etag
    return headers


def _check_copy(store: Store, key: str, what: str, answer: Answer, sha256: str) -> None:
    expected = to_base64(sha256)
    found = parse_xml(answer.body).findtext("ChecksumSHA256")
    if found == expected:
        return
    _take_back(store, key, version_of(answer.headers))
    check(what, from_base64(found or ""), sha256)


def _take_back(store: Store, key: str, version: str | None) -> None:
    # Roles may lack the permission to delete; the integrity failure is what has to be heard either way.
    with contextlib.suppress(ClientError, BotoCoreError):
        store.delete(key, version)


def _taken(
    store: Store,
    key: str,
    source: Store,
    source_key: str,
    exc: ClientError,
    sha256: str,
    size: int,
    composite: str | None,
    *,
    replaces: bool = False,
) -> bool:
    """Copying was refused: False if the target has these bytes already."""
    code = codes.of(exc)
    if code in codes.EXISTS and codes.is_about_source(exc):
        raise _source_changed(source, source_key) from exc
    if code in codes.EXISTS:
        store.verify(key, sha256, size=size, composite=composite)
        return False
    if code in codes.ABSENT:
        if replaces and source.head(source_key) is not None:
            raise IntegrityError(f"{store.uri(key)} is missing.") from exc
        raise NotFoundError(f"There is no object {source.uri(source_key)}.") from exc
    raise exc


def _source_changed(source: Store, key: str) -> ConflictError:
    return ConflictError(f"{source.uri(key)} changed while it was being copied.", hint="Run the command again.")


def _copy_parts(
    store: Store,
    key: str,
    source: Store,
    found: ObjectInfo,
    condition: Mapping[str, str],
    sha256: str,
    composite: str | None,
) -> bool:
    if condition is CREATE_ONLY and seems_there(store, key):
        store.verify(key, sha256, size=found.size, composite=composite)
        return False
    copier = _part_copier(store, key, source, found)
    try:
        made = multipart.write(store, key, found.size, copier, condition, composite, content_type=_type(found))
    except multipart.OtherPartsError as exc:
        raise IntegrityError(
            f"{source.uri(found.key)} holds other bytes: {exc.message}", hint="Find out who wrote them."
        ) from exc
    if made is None:
        return False
    if composite is None:
        # Nothing on record says what the parts' digests together must be, so that only reading the copy tells.
        try:
            check(source.uri(found.key), read_digest(store, key, made.version), sha256)
        except IntegrityError:
            _take_back(store, key, made.version)
            raise
    return True


def _part_copier(store: Store, key: str, source: Store, found: ObjectInfo) -> multipart.SendPart:
    """Copies parts of exactly what was looked at: its version and its ETag."""
    pinned = _from(source, found.key, found.version, found.etag)

    def copy(upload: str, part: multipart.Range, there: multipart.Part | None) -> multipart.Part:
        if there is not None and there.size == part.size:
            return there
        headers = {**pinned, "x-amz-copy-source-range": f"bytes={part.offset}-{part.offset + part.size - 1}"}
        query = {"partNumber": str(part.number), "uploadId": upload}
        try:
            answer = store.request("UploadPartCopy", "PUT", key, query=query, headers=headers)
        except ClientError as exc:
            if codes.of(exc) in codes.EXISTS | codes.ABSENT | codes.OTHER_VERSION:
                raise _source_changed(source, found.key) from exc
            raise
        result = parse_xml(answer.body)
        digest = from_base64(result.findtext("ChecksumSHA256", ""))
        return multipart.Part(part.number, part.size, result.findtext("ETag", ""), digest)

    return copy


def _type(found: ObjectInfo) -> str:
    return found.content_type or "application/octet-stream"
