"""Mends: CopyObject and UploadPartCopy.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
IfNoneMatch and IfMatch are ignored         412 when the destination is not as demanded
CopySourceIfMatch, CopySourceIfNoneMatch    412 when the source is not as demanded
(parts) are ignored
a requested checksum is answered in a       in the result, where the API has it
malformed header
a copied part's checksum is not answered    in the result, if the upload has an algorithm
==========================================  ===========================================================================
"""

from __future__ import annotations

from typing import Any

from moto.s3.exceptions import PreconditionFailed, S3ClientError
from moto.s3.responses import S3Response
from moto.s3.utils import compute_checksum

from mlops_kit.local.overlay import guard, s3_requests
from mlops_kit.local.overlay.s3_requests import S3Request


def install() -> None:
    copy = guard.original(S3Response, "copy_object", "self")

    def copy_object(self: Any) -> Any:
        status, headers, body = copy(self)
        headers.pop("Checksum", None)  # a dict in place of a header's value; the body has the checksum
        return status, headers, body

    copy_part = guard.original(S3Response, "upload_part_copy", "self")

    def upload_part_copy(self: Any) -> Any:
        status, headers, body = copy_part(self)
        bucket = self.backend.get_bucket(self.bucket_name)
        upload = bucket.multiparts.get(self._get_param("uploadId"))
        algorithm = upload.metadata.get("x-amz-checksum-algorithm") if upload is not None and status == 200 else None
        if algorithm:
            part = upload.parts[self._get_int_param("partNumber")]
            checksum = compute_checksum(part.value, algorithm=algorithm).decode()
            name = f"Checksum{algorithm}"
            body = body.replace("</CopyPartResult>", f"<{name}>{checksum}</{name}></CopyPartResult>")
            headers["content-length"] = str(len(body.encode()))
        return status, headers, body

    guard.replace(S3Response, "copy_object", copy_object)
    guard.replace(S3Response, "upload_part_copy", upload_part_copy)
    s3_requests.register(check_preconditions)


def check_preconditions(request: S3Request) -> None:
    """Conditions on the destination (whole copies) and on the source (copies and parts)."""
    source = request.copy_source
    if source is None:
        return
    if "uploadId" not in request.query:
        _check_destination(request)
    found = source.object(request.response)
    if found is None:
        return
    if_match = request.headers.get("x-amz-copy-source-if-match")
    if if_match and not _same(if_match, found.etag):
        raise PreconditionFailed("x-amz-copy-source-If-Match")
    if_none_match = request.headers.get("x-amz-copy-source-if-none-match")
    if if_none_match and _same(if_none_match, found.etag):
        raise PreconditionFailed("x-amz-copy-source-If-None-Match")


def _check_destination(request: S3Request) -> None:
    try:
        existing = request.response.backend.get_object(request.bucket_name, request.key)
    except S3ClientError:
        return
    if request.headers.get("If-None-Match") == "*" and existing is not None:
        raise PreconditionFailed("If-None-Match")
    if_match = request.headers.get("If-Match")
    if if_match and existing is None:
        raise s3_requests.error("NoSuchKey", "The specified key does not exist.")
    if if_match and existing is not None and not _same(if_match, existing.etag):
        raise PreconditionFailed("If-Match")


def _same(one: str, other: str) -> bool:
    return one.strip('"') == other.strip('"')
