"""S3 as SageMaker's own machinery sees it: objects of moto's in-memory buckets, read and written in process.

No API request is made on this path. So whoever acts for a role says before each access what it is about to do; the
overlay listens (:mod:`mlops_kit.local.overlay.iam`), keeps a record, and refuses what the role may not do if IAM is
enforced. Without a listener, or without a role, everything is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from moto.s3.exceptions import S3ClientError
from moto.s3.models import FakeDeleteMarker, s3_backends
from moto.utilities.utils import get_partition


class MissingDataError(Exception):
    """A bucket or an object that cannot be had; the message is for a job's FailureReason."""


class DeniedError(MissingDataError):
    """It may be there, but the role may not do this with it; the message is AWS's."""


@dataclass(frozen=True, slots=True)
class Uri:
    """``s3://bucket/key``; ``key`` may be a prefix."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str) -> Uri:
        scheme, _, rest = text.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or not bucket:
            raise MissingDataError(f"{text!r} is not an S3 URI")
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Place:
    """Account and region on whose behalf objects are read and written, and the role that does it, if one does."""

    account: str
    region: str
    role: str | None = None

    @property
    def partition(self) -> str:
        return str(get_partition(self.region))

    def acting_as(self, role: str | None) -> Place:
        return replace(self, role=role)


Listener = Callable[[Place, str, str, Mapping[str, Any]], None]
"""(place, service, operation, parameters of the operation); raises DeniedError."""
_listeners: list[Listener] = []


def listen(listener: Listener) -> None:
    """Have ``listener`` asked before anything is done as a role."""
    _listeners[:] = [listener]


def require(place: Place, service: str, operation: str, **parameters: Any) -> None:
    """Say what the place's role is about to do.

    Raises:
        DeniedError: it may not.
    """
    if place.role is not None:
        for listener in _listeners:
            listener(place, service, operation, parameters)


def read(uri: Uri, place: Place) -> bytes:
    """The current version of one object.

    Raises:
        MissingDataError: no such bucket or object.
        DeniedError: the role may not read it.
    """
    require(place, "s3", "GetObject", Bucket=uri.bucket, Key=uri.key)
    try:
        key = s3_backends[place.account][place.partition].get_object(uri.bucket, uri.key)
    except S3ClientError as exc:
        raise MissingDataError(f"{uri}: {exc.message}") from exc
    if key is None:
        raise MissingDataError(f"{uri}: The specified key does not exist.")
    return bytes(key.value)


def exists(uri: Uri, place: Place) -> bool:
    """Whether the role may read such an object, or finds anything below such a prefix if the key ends with a slash."""
    try:
        if uri.key.endswith("/"):
            return bool(keys(uri, place))
        require(place, "s3", "HeadObject", Bucket=uri.bucket, Key=uri.key)
        return s3_backends[place.account][place.partition].get_object(uri.bucket, uri.key) is not None
    except (S3ClientError, MissingDataError):
        return False


def keys(uri: Uri, place: Place) -> list[str]:
    """Every key that starts with the URI's, in order.

    Raises:
        MissingDataError: no such bucket.
        DeniedError: the role may not list it.
    """
    require(place, "s3", "ListObjectsV2", Bucket=uri.bucket, Prefix=uri.key)
    try:
        bucket = s3_backends[place.account][place.partition].get_bucket(uri.bucket)
    except S3ClientError as exc:
        raise MissingDataError(f"{uri}: {exc.message}") from exc
    return sorted(
        name
        for name, version in bucket.keys.items()
        if name.startswith(uri.key) and not isinstance(version, FakeDeleteMarker)
    )


def write(uri: Uri, body: bytes, place: Place, *, kms_key_id: str | None = None, content_type: str = "") -> None:
    """Store one object, encrypted as the bucket says or with ``kms_key_id``.

    Raises:
        MissingDataError: no such bucket.
        DeniedError: the role may not write it.
    """
    require(place, "s3", "PutObject", Bucket=uri.bucket, Key=uri.key, SSEKMSKeyId=kms_key_id)
    try:
        key = s3_backends[place.account][place.partition].put_object(
            uri.bucket,
            uri.key,
            body,
            encryption="aws:kms" if kms_key_id else None,
            kms_key_id=kms_key_id,
            **_retention(uri.bucket, place),
        )
    except S3ClientError as exc:
        raise MissingDataError(f"{uri}: {exc.message}") from exc
    if content_type:
        key.set_metadata({"Content-Type": content_type})


def _retention(bucket_name: str, place: Place) -> dict[str, str]:
    bucket = s3_backends[place.account][place.partition].get_bucket(bucket_name)
    if not bucket.has_default_lock:
        return {}
    return {"lock_mode": bucket.default_lock_mode, "lock_until": bucket.default_retention()}
