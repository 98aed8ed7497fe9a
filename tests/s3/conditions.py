"""Preconditions of reads and writes, and where a copy reads from."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import unquote_plus

from tests.s3.errors import S3Error
from tests.s3.messages import Request, http_date
from tests.s3.model import Bucket, Storage, Version


def check_write(bucket: Bucket, key: str, headers: Mapping[str, str]) -> None:
    """If-None-Match (only ``*`` exists) and If-Match of what makes a new version.

    See https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    """
    if absent := headers.get("if-none-match"):
        if absent != "*":
            raise S3Error("NotImplemented")
        if bucket.current(key) is not None:
            raise S3Error("PreconditionFailed", detail={"Condition": "If-None-Match"})
    if wanted := headers.get("if-match"):
        current = bucket.current(key)
        if current is None:
            raise S3Error("NoSuchKey", detail={"Key": key})
        if not _matches(wanted, current):
            raise S3Error("PreconditionFailed", detail={"Condition": "If-Match"})


def check_delete(bucket: Bucket, key: str, wanted: str | None) -> None:
    """If-Match of a delete, which S3 holds against the current version."""
    current = bucket.current(key)
    if wanted and (current is None or not _matches(wanted, current)):
        raise S3Error("PreconditionFailed", detail={"Condition": "If-Match"})


def check_read(version: Version, headers: Mapping[str, str], of: str = "") -> None:
    """The four conditions of a read; ``of`` is what their names begin with when a copy has them."""
    match, none_match = headers.get(f"{of}if-match"), headers.get(f"{of}if-none-match")
    if match and not _matches(match, version):
        raise S3Error("PreconditionFailed", detail={"Condition": f"{of}If-Match"})
    if none_match and _matches(none_match, version):
        raise _unchanged(version, of)
    unmodified, modified = headers.get(f"{of}if-unmodified-since"), headers.get(f"{of}if-modified-since")
    if unmodified and not match and int(version.modified) > _seconds(unmodified):
        raise S3Error("PreconditionFailed", detail={"Condition": f"{of}If-Unmodified-Since"})
    if modified and not none_match and int(version.modified) <= _seconds(modified):
        raise _unchanged(version, of)


def readable(bucket: Bucket, key: str, version_id: str | None) -> Version:
    """The version that a read names; a delete marker cannot be read, and says that it is one."""
    version = bucket.version(key, version_id)
    if not version.is_marker:
        return version
    headers = {"x-amz-delete-marker": "true", "x-amz-version-id": version.version_id}
    if version_id is None:
        raise S3Error("NoSuchKey", headers=headers, detail={"Key": key})
    headers |= {"allow": "DELETE", "last-modified": http_date(version.modified)}
    raise S3Error("MethodNotAllowed", headers=headers)


def copy_source(storage: Storage, request: Request) -> tuple[Bucket, str, Version]:
    """Bucket, key and version that ``x-amz-copy-source`` names, its preconditions checked."""
    path, _, version_id = request.headers["x-amz-copy-source"].partition("?versionId=")
    name, _, key = unquote_plus(path).removeprefix("/").partition("/")
    if not key:
        raise S3Error("InvalidArgument", "Invalid copy source object key")
    bucket = storage.bucket(name, request.headers.get("x-amz-source-expected-bucket-owner"))
    version = bucket.version(key, version_id or None)
    if version.is_marker:
        if not version_id:
            raise S3Error("NoSuchKey", detail={"Key": key})
        message = "The source of a copy request may not specifically refer to a delete marker by version id."
        raise S3Error("InvalidRequest", message)
    check_read(version, request.headers, "x-amz-copy-source-")
    return bucket, key, version


def _matches(wanted: str, version: Version) -> bool:
    return wanted == "*" or version.etag in [etag.strip().removeprefix("W/").strip('"') for etag in wanted.split(",")]


def _unchanged(version: Version, of: str) -> S3Error:
    if of:
        return S3Error("PreconditionFailed", detail={"Condition": f"{of}If-None-Match"})
    return S3Error("NotModified", headers={"etag": f'"{version.etag}"', "x-amz-version-id": version.version_id})


def _seconds(date: str) -> float:
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError as error:
        raise S3Error("InvalidArgument", "A date is not one of HTTP's.") from error
