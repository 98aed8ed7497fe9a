"""From a request to the operation it asks for, as S3 tells them apart: by method, by path, by query parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.s3 import listings, reads, sts, uploads, writes
from tests.s3.errors import S3Error
from tests.s3.messages import Answer, Request
from tests.s3.model import Bucket, Storage

UNKNOWN = "Unknown"
OF_STS = frozenset({"GetCallerIdentity", "AssumeRole"})
OF_NO_BUCKET: Mapping[str, Callable[[Storage, Request], Answer]] = {
    "ListBuckets": listings.list_buckets,
    "GetCallerIdentity": sts.get_caller_identity,
    "AssumeRole": sts.assume_role,
}
OF_A_BUCKET: Mapping[str, Callable[[Storage, Bucket, Request], Answer]] = {
    "HeadBucket": listings.head_bucket,
    "GetBucketLocation": listings.get_location,
    "GetBucketVersioning": listings.get_versioning,
    "ListObjectsV2": listings.list_objects,
    "ListObjectVersions": listings.list_versions,
    "ListMultipartUploads": uploads.list_uploads,
    "DeleteObjects": writes.delete_objects,
    "GetObject": reads.get_object,
    "HeadObject": reads.get_object,
    "GetObjectAttributes": reads.get_attributes,
    "GetObjectTagging": reads.get_tagging,
    "PutObject": writes.put_object,
    "CopyObject": writes.copy_object,
    "DeleteObject": writes.delete_object,
    "CreateMultipartUpload": uploads.create,
    "UploadPart": uploads.upload_part,
    "UploadPartCopy": uploads.upload_part_copy,
    "CompleteMultipartUpload": uploads.complete,
    "AbortMultipartUpload": uploads.abort,
    "ListParts": uploads.list_parts,
}
# Query parameters that make an operation another one; those of no operation here are refused, not ignored.
BUCKET_GETS = {
    "location": "GetBucketLocation",
    "versioning": "GetBucketVersioning",
    "versions": "ListObjectVersions",
    "uploads": "ListMultipartUploads",
}
OBJECT_GETS = {"uploadId": "ListParts", "attributes": "GetObjectAttributes", "tagging": "GetObjectTagging"}
PARAMETERS = frozenset(
    {
        "x-id",
        "versionId",
        "partNumber",
        "uploadId",
        "prefix",
        "delimiter",
        "max-keys",
        "encoding-type",
        "list-type",
        "start-after",
        "continuation-token",
        "fetch-owner",
        *(f"response-{name}" for name in reads.OVERRIDES),
    }
)


def name(request: Request) -> str:
    """The name of the operation that is asked for, or ``Unknown``."""
    query = request.query
    if not request.bucket:
        return UNKNOWN if request.error else _of_service(request)
    if not request.key:
        return _of_bucket(request)
    if request.method == "PUT":
        copies = "x-amz-copy-source" in request.headers
        if "uploadId" in query and "partNumber" in query:
            return "UploadPartCopy" if copies else "UploadPart"
        return _plain(query, "CopyObject" if copies else "PutObject")
    if request.method == "GET":
        return _named(query, OBJECT_GETS) or _plain(query, "GetObject")
    if request.method == "HEAD":
        return _plain(query, "HeadObject")
    if request.method == "DELETE":
        return "AbortMultipartUpload" if "uploadId" in query else _plain(query, "DeleteObject")
    if request.method == "POST" and "uploads" in query:
        return "CreateMultipartUpload"
    return "CompleteMultipartUpload" if request.method == "POST" and "uploadId" in query else UNKNOWN


def execute(storage: Storage, request: Request) -> Answer:
    """Do what ``request`` asks for; raises S3Error."""
    signed = "authorization" in request.headers or "X-Amz-Signature" in request.query
    if not signed:
        raise S3Error("AccessDenied")
    if request.error is not None:
        raise request.error
    if request.operation in OF_NO_BUCKET:
        return OF_NO_BUCKET[request.operation](storage, request)
    if request.operation == UNKNOWN:
        raise S3Error("NotImplemented")
    bucket = storage.bucket(request.bucket, request.headers.get("x-amz-expected-bucket-owner"))
    return OF_A_BUCKET[request.operation](storage, bucket, request)


def _of_service(request: Request) -> str:
    if request.method == "GET":
        return "ListBuckets"
    action = sts.form(request).get("Action", "") if request.method == "POST" else ""
    return action if action in OF_NO_BUCKET else UNKNOWN


def _of_bucket(request: Request) -> str:
    query = request.query
    if request.method == "GET":
        return _named(query, BUCKET_GETS) or _plain(
            query, "ListObjectsV2" if query.get("list-type") == "2" else UNKNOWN
        )
    if request.method == "HEAD":
        return "HeadBucket"
    return "DeleteObjects" if request.method == "POST" and "delete" in query else UNKNOWN


def _named(query: Mapping[str, str], names: Mapping[str, str]) -> str:
    return next((names[parameter] for parameter in names if parameter in query), "")


def _plain(query: Mapping[str, str], operation: str) -> str:
    """``operation``, unless a parameter makes it one that is not here, as ``?acl`` does."""
    others = [parameter for parameter in query if parameter not in PARAMETERS and not parameter.startswith("X-Amz-")]
    return UNKNOWN if others else operation
