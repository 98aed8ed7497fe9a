"""One bucket, with everything that AWS keeps in resources of its own: private, versioned, encrypted, TLS-only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stacks import policies
from stacks.bindings import (
    Construct,
    S3Bucket,
    S3BucketEncryption,
    S3BucketEncryptionRule,
    S3BucketLifecycleAbortMultipart,
    S3BucketLifecycleConfiguration,
    S3BucketLifecycleExpiration,
    S3BucketLifecycleFilter,
    S3BucketLifecycleNoncurrent,
    S3BucketLifecycleRule,
    S3BucketOwnershipControls,
    S3BucketPolicy,
    S3BucketPublicAccessBlock,
    S3BucketVersioning,
)
from stacks.policies import Statement

ABORT_MULTIPART_DAYS = 7


class SecureBucket(Construct):
    """The bucket, and what configures it in the order that S3 accepts."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        arn: str,
        key_arn: str | None,
        protect: bool,
        statements: Sequence[Statement],
        expire_after_days: int | None = None,
        expire_noncurrent_after_days: int | None = None,
        object_lock: bool = False,
    ) -> None:
        """``key_arn`` None means SSE-S3. ``statements`` join the TLS-only statement in the bucket policy."""
        super().__init__(scope, id_)
        bucket = S3Bucket(
            self,
            "bucket",
            bucket=name,
            force_destroy=not protect,
            object_lock_enabled=True if object_lock else None,
            lifecycle={"prevent_destroy": True} if protect else None,
        )
        self.id: str = bucket.id
        self.versioning = S3BucketVersioning(
            self, "versioning", bucket=self.id, versioning_configuration={"status": "Enabled"}
        )
        self.encryption = S3BucketEncryption(self, "encryption", bucket=self.id, rule=[_encryption(key_arn)])
        blocked = S3BucketPublicAccessBlock(
            self,
            "public-access",
            bucket=self.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
        )
        # One after the other: S3 answers "a conflicting conditional operation is in progress" to changes of a bucket's
        # access that arrive together (https://github.com/hashicorp/terraform-provider-aws/issues/7628).
        self.policy = S3BucketPolicy(
            self,
            "policy",
            bucket=self.id,
            policy=policies.document(policies.tls_only([arn, f"{arn}/*"], "s3:*"), *statements),
            depends_on=[blocked],
        )
        S3BucketOwnershipControls(
            self,
            "ownership",
            bucket=self.id,
            rule={"object_ownership": "BucketOwnerEnforced"},
            depends_on=[self.policy],
        )
        S3BucketLifecycleConfiguration(
            self,
            "lifecycle",
            bucket=self.id,
            rule=_lifecycle(expire_after_days, expire_noncurrent_after_days),
            depends_on=[self.versioning],
        )


def _encryption(key_arn: str | None) -> Any:
    if key_arn is None:
        return S3BucketEncryptionRule(apply_server_side_encryption_by_default={"sse_algorithm": "AES256"})
    return S3BucketEncryptionRule(
        apply_server_side_encryption_by_default={"sse_algorithm": "aws:kms", "kms_master_key_id": key_arn},
        bucket_key_enabled=True,
    )


def _lifecycle(expire_after_days: int | None, expire_noncurrent_after_days: int | None) -> list[Any]:
    def rule(id_: str, **what: Any) -> Any:
        return S3BucketLifecycleRule(id=id_, status="Enabled", filter=[S3BucketLifecycleFilter(prefix="")], **what)

    abort = S3BucketLifecycleAbortMultipart(days_after_initiation=ABORT_MULTIPART_DAYS)
    rules = [rule("abort-multipart", abort_incomplete_multipart_upload=[abort])]
    if expire_after_days is not None:
        rules.append(rule("expire", expiration=[S3BucketLifecycleExpiration(days=expire_after_days)]))
    if expire_noncurrent_after_days is not None:
        noncurrent = S3BucketLifecycleNoncurrent(noncurrent_days=expire_noncurrent_after_days)
        rules.append(rule("expire-noncurrent", noncurrent_version_expiration=[noncurrent]))
    return rules
