"""What one S3 request asks for: every action on its own resource.

The actions that bucket policies know are those of :mod:`s3_policy`; what is added here is asked of the caller in
addition, as the S3 user guide has it in "Required permissions for Amazon S3 API operations":

- a copy reads its source, a version of it if one is named, and its tags if it has any;
- tags, ACLs and locks that come with an upload are permissions of their own;
- ``If-Match`` looks at the object that is there;
- whoever may not list a bucket is not told that an object is missing: 403 rather than 404;
- KMS, see :mod:`iam_keys`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from moto.s3.exceptions import S3ClientError
from moto.s3.models import FakeDeleteMarker, s3_backends
from moto.utilities.utils import get_partition

from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import iam_keys, s3_policy, s3_requests
from mlops_kit.local.overlay.iam_evaluation import Call
from mlops_kit.local.overlay.s3_requests import S3Request

_WITH_UPLOAD = {
    "x-amz-tagging": "s3:PutObjectTagging",
    "x-amz-acl": "s3:PutObjectAcl",
    "x-amz-object-lock-mode": "s3:PutObjectRetention",
    "x-amz-object-lock-legal-hold": "s3:PutObjectLegalHold",
}
_PARTS = ("uploadId", "uploads")


def calls(request: S3Request) -> list[Call]:
    """In the order in which AWS would refuse them."""
    context = s3_policy.context_of(request)
    if not request.bucket_name:
        return [Call("s3:ListAllMyBuckets", "*", context)]
    if request.key is None:
        return list(_on_bucket(request, context))
    return [*_on_object(request, request.key, context), *_on_keys(request, request.key, context)]


def _on_bucket(request: S3Request, context: Mapping[str, str]) -> Iterator[Call]:
    bucket, own = _arn(request, request.bucket_name), {**context, **_owner(request.bucket)}
    if request.method == "POST" and "delete" in request.query:
        for entry in s3_requests.body_xml(request).iterfind("{*}Object"):
            version = entry.findtext("{*}VersionId")
            action = "s3:DeleteObjectVersion" if version else "s3:DeleteObject"
            versioned = {"s3:VersionId": version} if version else {}
            yield Call(action, f"{bucket}/{entry.findtext('{*}Key') or ''}", {**own, **versioned})
        return
    for action in s3_policy.actions(request):
        yield Call(action, bucket, own)
        if action == "s3:CreateBucket" and request.headers.get("x-amz-bucket-object-lock-enabled") == "true":
            yield Call("s3:PutBucketObjectLockConfiguration", bucket, own)
            yield Call("s3:PutBucketVersioning", bucket, own)


def _on_object(request: S3Request, key: str, context: Mapping[str, str]) -> Iterator[Call]:
    bucket, own = _arn(request, request.bucket_name), {**context, **_owner(request.bucket)}
    resource = f"{bucket}/{key}"
    actions = s3_policy.actions(request)
    yield from (Call(action, resource, own) for action in actions)
    if source := request.copy_source:
        yield from _on_source(request, source, resource, context)
    if actions == ["s3:PutObject"]:
        part = "uploadId" in request.query  # what comes with an upload in parts came with its start
        for header, action in _WITH_UPLOAD.items():
            if not part and request.headers.get(header):
                yield Call(action, resource, own)
        if request.headers.get("If-Match"):
            yield Call("s3:GetObject", resource, own)
    if request.bucket is not None and _reads_content(request) and _stored(request) is None:
        action = "s3:ListBucketVersions" if "versionId" in request.query else "s3:ListBucket"
        yield Call(action, bucket, own)


def _on_source(
    request: S3Request, source: s3_requests.CopySource, target: str, context: Mapping[str, str]
) -> Iterator[Call]:
    bucket = s3_requests.find_bucket(source.bucket)
    own = {**context, **_owner(bucket)}
    resource, version = f"{_arn(request, source.bucket)}/{source.key}", "Version" if source.version else ""
    if source.version:
        own["s3:VersionId"] = source.version
    yield Call(f"s3:GetObject{version}", resource, own)
    found = source.object(request.response)
    takes_tags = request.headers.get("x-amz-tagging-directive", "COPY") == "COPY" and "uploadId" not in request.query
    if found is not None and bucket is not None and takes_tags:
        tagger = s3_backends[bucket.account_id][bucket.partition].tagger
        if tagger.get_tag_dict_for_resource(found.arn):
            yield Call(f"s3:GetObject{version}Tagging", resource, own)
            yield Call("s3:PutObjectTagging", target, {**context, **_owner(request.bucket)})


def _on_keys(request: S3Request, key: str, context: Mapping[str, str]) -> Iterator[Call]:
    if request.bucket is None or request.subresource:
        return
    if source := request.copy_source:
        bucket, found = s3_requests.find_bucket(source.bucket), source.object(request.response)
        if bucket is not None and found is not None:
            used = iam_keys.of_object(found)
            account = request.caller.account
            yield from iam_keys.use(used, [iam_keys.DECRYPT], bucket, source.key, context, account)
    actions = s3_policy.actions(request)
    if actions == ["s3:PutObject"]:
        used = iam_keys.for_upload(request.bucket, request.headers)
        parts = any(name in request.query for name in _PARTS)
        needed = [iam_keys.ENCRYPT, iam_keys.DECRYPT] if parts else [iam_keys.ENCRYPT]
        yield from iam_keys.use(used, needed, request.bucket, key, context, request.caller.account)
    elif _reads_content(request) and not _only_head(request) and (found := _stored(request)) is not None:
        used = iam_keys.of_object(found)
        yield from iam_keys.use(used, [iam_keys.DECRYPT], request.bucket, key, context, request.caller.account)


def _reads_content(request: S3Request) -> bool:
    return s3_policy.actions(request)[0] in ("s3:GetObject", "s3:GetObjectVersion")


def _only_head(request: S3Request) -> bool:
    """HEAD needs the key only for the checksum, which is encrypted as well."""
    return request.method == "HEAD" and request.headers.get("x-amz-checksum-mode") != "ENABLED"


def _stored(request: S3Request) -> Any | None:
    version = next(iter(request.query.get("versionId", [])), None)
    try:
        found = request.response.backend.get_object(request.bucket_name, request.key, version_id=version)
    except S3ClientError:
        return None
    return None if isinstance(found, FakeDeleteMarker) else found


def _arn(request: S3Request, bucket: str) -> str:
    return f"arn:{get_partition(request.response.region)}:s3:::{bucket}"


def _owner(bucket: Any | None) -> dict[str, str]:
    return {} if bucket is None else s3_policy.resource_context(bucket)


def calls_as_role(service: str, operation: str, parameters: Mapping[str, Any], place: Place) -> list[Call]:
    """What SageMaker itself asks S3 for as an execution role: GetObject, HeadObject, ListObjectsV2, PutObject."""
    name = str(parameters["Bucket"])
    bucket = s3_requests.find_bucket(name)
    context: dict[str, str] = _owner(bucket)
    arn = f"arn:{place.partition}:{service}:::{name}"
    if operation == "ListObjectsV2":
        return [Call("s3:ListBucket", arn, {**context, "s3:prefix": str(parameters["Prefix"])})]
    key = str(parameters["Key"])
    if operation != "PutObject":
        found = [Call("s3:GetObject", f"{arn}/{key}", context)]
        stored = bucket.keys.get(key) if bucket is not None else None
        if bucket is not None and stored is None:
            found.append(Call("s3:ListBucket", arn, context))
        if stored is None or operation == "HeadObject":
            return found
        return found + iam_keys.use(iam_keys.of_object(stored), [iam_keys.DECRYPT], bucket, key, context, place.account)
    headers: dict[str, str] = {}
    if parameters.get("SSEKMSKeyId"):
        headers = {iam_keys.ALGORITHM_HEADER: "aws:kms", iam_keys.KEY_HEADER: str(parameters["SSEKMSKeyId"])}
    found = [Call("s3:PutObject", f"{arn}/{key}", {**context, **{f"s3:{k}": v for k, v in headers.items()}})]
    if bucket is None:
        return found
    used = iam_keys.for_upload(bucket, headers)
    return found + iam_keys.use(used, [iam_keys.ENCRYPT], bucket, key, context, place.account)
