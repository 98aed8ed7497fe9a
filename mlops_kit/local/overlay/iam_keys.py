"""Which KMS key S3 uses for an object, and what the caller needs to be allowed to do with it.

S3 calls KMS in the caller's name: ``kms:Decrypt`` to read an encrypted object, ``kms:GenerateDataKey`` to write one,
and both for uploads in parts. See "Using server-side encryption with AWS KMS keys" in the S3 user guide. An object
under the key that AWS itself manages (``aws/s3``) asks for nothing: its policy admits the whole account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moto.kms.models import kms_backends
from moto.utilities.utils import get_partition

from mlops_kit.local.overlay.iam_evaluation import Call

ALGORITHMS = ("aws:kms", "aws:kms:dsse")
DECRYPT, ENCRYPT = "kms:Decrypt", "kms:GenerateDataKey"
ALGORITHM_HEADER = "x-amz-server-side-encryption"
KEY_HEADER = "x-amz-server-side-encryption-aws-kms-key-id"


def find(key: str, account: str, region: str) -> Any | None:
    """moto's key for an id, ARN or alias as somebody in ``account`` and ``region`` names it."""
    if key.startswith("arn:"):
        _, _, _, region, account, _ = key.split(":", 5)
    backend = kms_backends[account][region]
    try:
        return backend.keys.get(backend.any_id_to_key_id(key))
    except Exception:  # moto raises whatever it stumbles over for a key that is not there
        return None


def arn(key: str, account: str, region: str) -> str:
    """The key's ARN; for one that does not exist, the ARN it would have."""
    found = find(key, account, region)
    if found is not None:
        return str(found.arn)
    if key.startswith("arn:"):
        return key
    kind = key if key.startswith("alias/") else f"key/{key}"
    return f"arn:{get_partition(region)}:kms:{region}:{account}:{kind}"


def via(service: str, region: str) -> str:
    """The value of ``kms:ViaService`` when ``service`` calls KMS for somebody."""
    return f"{service}.{region}.amazonaws.com{'.cn' if get_partition(region) == 'aws-cn' else ''}"


def of_object(stored: Any) -> str | None:
    """The key that an existing object is encrypted with."""
    return stored.kms_key_id if getattr(stored, "encryption", None) in ALGORITHMS else None


def for_upload(bucket: Any, headers: Mapping[str, str]) -> str | None:
    """The key that a new object will be encrypted with: as the request says, else as the bucket does."""
    rule = (bucket.encryption or {}).get("Rule") or {}
    default = rule.get("ApplyServerSideEncryptionByDefault") or {}
    algorithm = headers.get(ALGORITHM_HEADER)
    if algorithm is None:
        return default.get("KMSMasterKeyID") if default.get("SSEAlgorithm") in ALGORITHMS else None
    if algorithm not in ALGORITHMS:
        return None
    return headers.get(KEY_HEADER) or default.get("KMSMasterKeyID")


def use(
    key: str | None,
    actions: Sequence[str],
    bucket: Any,
    object_key: str,
    context: Mapping[str, str | Sequence[str]],
    account: str,
) -> list[Call]:
    """The calls that S3 makes to KMS for one object, on behalf of somebody in ``account``."""
    if key is None:
        return []
    region = str(bucket.region_name)
    rule = (bucket.encryption or {}).get("Rule") or {}
    whole_bucket = str(rule.get("BucketKeyEnabled", "")).lower() == "true"
    bucket_arn = f"arn:{bucket.partition}:s3:::{bucket.name}"
    key_arn = arn(str(key), bucket.account_id, region)
    through_s3 = {
        **{name: value for name, value in context.items() if not name.startswith("s3:")},
        "aws:ResourceAccount": key_arn.split(":")[4],
        "kms:ViaService": via("s3", region),
        "kms:CallerAccount": account,
        "kms:EncryptionContext:aws:s3:arn": bucket_arn if whole_bucket else f"{bucket_arn}/{object_key}",
    }
    return [Call(action, key_arn, through_s3) for action in actions]
