"""S3's error codes by what they mean here. HEAD has no body, so its codes are the bare status."""

from __future__ import annotations

from botocore.exceptions import ClientError

ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})
OTHER_VERSION = frozenset({"NoSuchVersion", "405", "MethodNotAllowed"})
"""That version is not there, or is a delete marker."""
REFUSED = frozenset({"AccessDenied", "403"})
EXISTS = frozenset({"PreconditionFailed", "412"})
"""The condition on what is written, or on what is copied, does not hold."""
RACED = frozenset({*EXISTS, "ConditionalRequestConflict", *ABSENT})
"""A compare-and-set found something else: If-Match on nothing is answered with NoSuchKey."""
OTHER_BYTES = frozenset({"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"})
UPLOAD_GONE = frozenset({"NoSuchUpload", "InvalidPart"})
"""Somebody else completed or aborted the upload, or sent one of its parts anew."""
NOT_FOR_US = frozenset({*REFUSED, "NotImplemented", "MethodNotAllowed"})
"""A step that is not needed, and that this role or this endpoint does not have."""


def of(exc: ClientError) -> str:
    return str(exc.response.get("Error", {}).get("Code", ""))


def is_about_source(exc: ClientError) -> bool:
    """Whether a refused precondition is one on the source of a copy."""
    details: dict[str, str] = dict(exc.response.get("Error", {}))  # type: ignore[arg-type]  # only str in it
    return details.get("Condition", "").lower().startswith("x-amz-copy-source")
