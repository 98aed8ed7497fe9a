"""Mends: who may do what with a bucket.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
a statement whose Condition does not match  does not apply
denies
principals other than ``*`` are ignored     compared with the caller: account, root, role, session
another account needs no permission         needs an Allow of the bucket policy, else AccessDenied
a denial is an empty 403                    ``AccessDenied`` with a message
ExpectedBucketOwner is ignored              a bucket of another account is refused
an unknown condition operator is stored     MalformedPolicy
==========================================  ===========================================================================

Policies of the caller itself are for :mod:`iam`: without ``--enforce-iam``, a caller may do all within its own account
that the bucket policy does not deny. The loopback connection counts as TLS (``aws:SecureTransport`` is true), because
the policies that demand it are the same here and on AWS, and there is no way to have a certificate here.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from typing import Any

from moto.iam.access_control import PermissionResult
from moto.s3.exceptions import S3ClientError
from moto.s3.models import FakeBucket, S3Backend

from mlops_kit.local.overlay import guard, policy, s3_requests
from mlops_kit.local.overlay.principals import Caller
from mlops_kit.local.overlay.s3_requests import S3Request

_BUCKET_ACTIONS = {
    "acl": "BucketAcl",
    "cors": "BucketCORS",
    "encryption": "EncryptionConfiguration",
    "lifecycle": "LifecycleConfiguration",
    "location": "BucketLocation",
    "logging": "BucketLogging",
    "notification": "BucketNotification",
    "object-lock": "BucketObjectLockConfiguration",
    "ownershipControls": "BucketOwnershipControls",
    "policy": "BucketPolicy",
    "policyStatus": "BucketPolicyStatus",
    "publicAccessBlock": "BucketPublicAccessBlock",
    "replication": "ReplicationConfiguration",
    "requestPayment": "BucketRequestPayment",
    "tagging": "BucketTagging",
    "versioning": "BucketVersioning",
    "website": "BucketWebsite",
}
_denied = threading.local()
"""``objects``: those that the request at hand may not delete. A request is served by one thread from start to end."""

_OBJECT_ACTIONS = {"acl": "ObjectAcl", "tagging": "ObjectTagging", "retention": "ObjectRetention"}


def install() -> None:
    guard.original(FakeBucket, "get_permission", "self", "action", "resource")
    guard.original(S3Backend, "put_bucket_policy", "self", "bucket_name", "policy")

    def get_permission(self: Any, action: str, resource: str) -> Any:
        # The checks below have spoken already; what moto itself would find is not to count. It asks once for each key
        # of DeleteObjects, which answers for every key by itself.
        return PermissionResult.DENIED if resource in getattr(_denied, "objects", ()) else PermissionResult.NEUTRAL

    def put_bucket_policy(self: Any, bucket_name: str, policy: bytes) -> None:
        parsed(policy)
        self.get_bucket(bucket_name).policy = policy

    guard.replace(FakeBucket, "get_permission", get_permission)
    guard.replace(S3Backend, "put_bucket_policy", put_bucket_policy)
    s3_requests.register(check_owner)
    s3_requests.register(check_permission)


def check_owner(request: S3Request) -> None:
    """``ExpectedBucketOwner`` and ``ExpectedSourceBucketOwner``."""
    _check_one_owner(request.bucket, request.headers.get("x-amz-expected-bucket-owner"))
    if source := request.copy_source:
        wanted = request.headers.get("x-amz-source-expected-bucket-owner")
        _check_one_owner(s3_requests.find_bucket(source.bucket), wanted)


def _check_one_owner(bucket: Any | None, expected: str | None) -> None:
    if bucket is not None and expected and expected != bucket.account_id:
        raise s3_requests.error("AccessDenied", "Access Denied")


def check_permission(request: S3Request) -> None:
    """Every action that the request needs, each on its own resource."""
    _denied.objects = set()
    if request.bucket is None:
        return
    context = context_of(request)
    if request.key is None and request.method == "POST" and "delete" in request.query:
        _check_deletions(request, context)
        return
    for action in actions(request):
        _require(request.caller, request.bucket, request.key, action, context)
    if source := request.copy_source:
        bucket = s3_requests.find_bucket(source.bucket)
        if bucket is not None:
            action = "s3:GetObjectVersion" if source.version else "s3:GetObject"
            _require(request.caller, bucket, source.key, action, context)


def _check_deletions(request: S3Request, context: Mapping[str, str]) -> None:
    """DeleteObjects names its keys in the body, and its answer says for each whether it was deleted."""
    for entry in s3_requests.body_xml(request).iterfind("{*}Object"):
        action = "s3:DeleteObjectVersion" if entry.findtext("{*}VersionId") else "s3:DeleteObject"
        key = entry.findtext("{*}Key") or ""
        try:
            _require(request.caller, request.bucket, key, action, context)
        except S3ClientError:
            refuse_deletion(request.bucket_name, key)


def refuse_deletion(bucket_name: str, key: str) -> None:
    """Have DeleteObjects, which the thread is serving, say of this key that it may not be deleted."""
    _denied.objects.add(f"arn:aws:s3:::{bucket_name}/{key}")  # as moto spells it, in every partition


def _require(caller: Caller, bucket: Any, key: str | None, action: str, context: Mapping[str, str]) -> None:
    resource = f"arn:{bucket.partition}:s3:::{bucket.name}" + (f"/{key}" if key is not None else "")
    verdict: policy.Verdict = "neutral"
    if bucket.policy:
        asked = policy.Request(caller, action, resource, {**context, **resource_context(bucket)})
        verdict = policy.evaluate(parsed(bytes(bucket.policy)), asked)
    if verdict == "deny":
        why = "with an explicit deny in a resource-based policy"
    elif verdict == "neutral" and caller.account != bucket.account_id:
        why = f"because no resource-based policy allows the {action} action"
    else:
        return
    raise s3_requests.error(
        "AccessDenied", f'User: {caller.arn} is not authorized to perform: {action} on resource: "{resource}" {why}'
    )


@functools.lru_cache(maxsize=256)
def parsed(document: bytes) -> dict[str, Any]:
    try:
        return policy.parse(document)
    except policy.MalformedPolicyError as exc:
        raise s3_requests.error("MalformedPolicy", str(exc)) from exc


def actions(request: S3Request) -> list[str]:
    if request.key is None:
        return [_bucket_action(request)]
    version = "Version" if "versionId" in request.query else ""
    for name, thing in _OBJECT_ACTIONS.items():
        if name in request.query:
            verb = {"GET": "Get", "HEAD": "Get", "PUT": "Put", "DELETE": "Delete"}.get(request.method, "Put")
            suffix = "Version" if version and name != "retention" else ""
            return [f"s3:{verb}{thing.replace('Object', f'Object{suffix}', 1)}"]
    if "legal-hold" in request.query:
        return ["s3:GetObjectLegalHold" if request.method == "GET" else "s3:PutObjectLegalHold"]
    if request.method in ("GET", "HEAD"):
        if "uploadId" in request.query:
            return ["s3:ListMultipartUploadParts"]
        extra = [f"s3:GetObject{version}Attributes"] if "attributes" in request.query else []
        return [f"s3:GetObject{version}", *extra]
    if request.method == "DELETE":
        if "uploadId" in request.query:
            return ["s3:AbortMultipartUpload"]
        bypass = str(request.headers.get("x-amz-bypass-governance-retention")).lower() == "true"
        return [f"s3:DeleteObject{version}", *(["s3:BypassGovernanceRetention"] if bypass else [])]
    if "restore" in request.query:
        return ["s3:RestoreObject"]
    return ["s3:PutObject"]


def _bucket_action(request: S3Request) -> str:
    verb = {"GET": "Get", "HEAD": "Get", "PUT": "Put", "DELETE": "Put", "POST": "Put"}.get(request.method, "Put")
    for name, thing in _BUCKET_ACTIONS.items():
        if name in request.query:
            if name in ("policy", "website") and request.method == "DELETE":
                verb = "Delete"
            return f"s3:{verb}{thing}"
    if request.method in ("GET", "HEAD"):
        for name, action in (("versions", "ListBucketVersions"), ("uploads", "ListBucketMultipartUploads")):
            if name in request.query:
                return f"s3:{action}"
        return "s3:ListBucket"
    if request.method == "DELETE":
        return "s3:DeleteBucket"
    return "s3:PutObject" if request.method == "POST" else "s3:CreateBucket"


def context_of(request: S3Request) -> dict[str, str]:
    """The condition keys that a request itself brings."""
    context = {
        "aws:SecureTransport": "true",
        "aws:SourceIp": "127.0.0.1",
        "s3:TlsVersion": "1.3",
        "s3:signatureversion": "AWS4-HMAC-SHA256",
        "s3:authType": "REST-HEADER" if request.headers.get("Authorization") else "REST-QUERY-STRING",
        "aws:RequestedRegion": str(request.response.region),
    }
    if request.key is not None and actions(request) == ["s3:PutObject"]:
        # An upload of one part, and the start of one in parts, create no object yet.
        starts_or_part = "partNumber" in request.query or "uploads" in request.query
        context["s3:ObjectCreationOperation"] = "false" if starts_or_part else "true"
    for name, value in request.headers.items():
        if name.lower().startswith("x-amz-"):
            context[f"s3:{name.lower()}"] = str(value)
    for header, name in (
        ("x-amz-object-lock-mode", "s3:object-lock-mode"),
        ("x-amz-object-lock-legal-hold", "s3:object-lock-legal-hold"),
        ("if-none-match", "s3:if-none-match"),
        ("if-match", "s3:if-match"),
    ):
        if value := request.headers.get(header):
            context[name] = str(value)
    for name in ("prefix", "delimiter", "max-keys"):
        if name in request.query:
            context[f"s3:{name}"] = request.query[name][0]
    if "versionId" in request.query:
        context["s3:VersionId"] = request.query["versionId"][0]
    return context


def resource_context(bucket: Any) -> dict[str, str]:
    return {"aws:ResourceAccount": bucket.account_id, "s3:ResourceAccount": bucket.account_id}
