"""Mends: object lock.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
copies into a bucket with default           work, and are locked like any other object
retention fail
an upload with x-amz-checksum-* but         works
without x-amz-sdk-checksum-algorithm fails
COMPLIANCE retention can be shortened       AccessDenied; GOVERNANCE needs the bypass
the default retention of a bucket that      can be changed
holds objects cannot be changed
a retention in days comes back with years   only the unit that was given
of zero
==========================================  ===========================================================================
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from moto.s3.models import S3Backend

from mlops_kit.local.overlay import guard, s3_integrity, s3_requests
from mlops_kit.local.overlay.s3_requests import S3Request

_ALGORITHM = "HTTP_X_AMZ_SDK_CHECKSUM_ALGORITHM"


def install() -> None:
    get = guard.original(S3Backend, "get_object_lock_configuration", "self", "bucket_name")
    guard.original(
        S3Backend, "put_object_lock_configuration", "self", "bucket_name", "lock_enabled", "mode", "days", "years"
    )

    def put_object_lock_configuration(
        self: Any,
        bucket_name: str,
        lock_enabled: bool,
        mode: str | None = None,
        days: int | None = None,
        years: int | None = None,
    ) -> None:
        bucket = self.get_bucket(bucket_name)
        if not bucket.is_versioned:
            raise s3_requests.error(
                "InvalidBucketState", "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
            )
        bucket.object_lock_enabled = bucket.object_lock_enabled or lock_enabled
        bucket.default_lock_mode = mode or ""
        bucket.default_lock_days, bucket.default_lock_years = days or 0, years or 0

    def get_object_lock_configuration(self: Any, bucket_name: str) -> tuple[Any, Any, Any, Any]:
        enabled, mode, days, years = get(self, bucket_name)
        return enabled, mode, days or None, years or None

    guard.replace(S3Backend, "put_object_lock_configuration", put_object_lock_configuration)
    guard.replace(S3Backend, "get_object_lock_configuration", get_object_lock_configuration)
    s3_requests.register(name_algorithm)
    s3_requests.register(check_retention)


def name_algorithm(request: S3Request) -> None:
    """moto wants the SDK's algorithm header on every write into a locked bucket, though S3 wants any digest at all."""
    if request.method != "PUT" or request.bucket is None or not request.bucket.object_lock_enabled:
        return
    environ = request.headers.environ
    if environ.get(_ALGORITHM) or environ.get("HTTP_CONTENT_MD5"):
        return
    algorithm, _ = s3_integrity.sent(request.headers, request.response.raw_body)
    if algorithm:
        environ[_ALGORITHM] = algorithm
    elif request.copy_source is not None or request.headers.get("x-amz-content-sha256", "")[:3] not in ("", "UNS"):
        environ[_ALGORITHM] = "SHA256"


def check_retention(request: S3Request) -> None:
    """A retention period can only get longer, or GOVERNANCE shorter with the bypass."""
    if request.method != "PUT" or "retention" not in request.query or request.bucket is None:
        return
    version = next(iter(request.query.get("versionId", [])), None)
    key = request.response.backend.get_object(request.bucket_name, request.key, version_id=version)
    if key is None or not key.lock_until or not key.lock_mode:
        return
    if _moment(key.lock_until) <= datetime.now(UTC):
        return
    retention = s3_requests.body_xml(request)
    mode, until = retention.findtext("{*}Mode"), retention.findtext("{*}RetainUntilDate")
    weaker = mode != key.lock_mode and key.lock_mode == "COMPLIANCE"
    shorter = not until or _moment(until) < _moment(key.lock_until)
    bypass = str(request.headers.get("x-amz-bypass-governance-retention")).lower() == "true"
    if (weaker or shorter) and not (key.lock_mode == "GOVERNANCE" and bypass):
        raise s3_requests.error("AccessDenied", "Access Denied because object protected by object lock.")


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(str(text))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
