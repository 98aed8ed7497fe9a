"""One bucket, with everything that AWS keeps in resources of its own: private, versioned, encrypted, TLS-only.

**Nothing is stored with another key.** The bucket encrypts by default, and its policy refuses a request that asks for
anything else than the bucket's own encryption. Requests that say nothing about encryption get the default and pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stacks import policies
from stacks.bindings import (
    AwsProvider,
    Construct,
    S3Bucket,
    S3BucketEncryption,
    S3BucketLifecycleConfiguration,
    S3BucketNotification,
    S3BucketObjectLock,
    S3BucketOwnershipControls,
    S3BucketPolicy,
    S3BucketPublicAccessBlock,
    S3BucketVersioning,
)
from stacks.policies import Conditions, Statement

ABORT_MULTIPART_DAYS = 7
SCRATCH_DAYS = 3


@dataclass(frozen=True, slots=True)
class BucketKey:
    """A KMS key, and the aliases by which a request may name it."""

    arn: str
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Aging:
    """Days after which something happens to objects; None: never.

    ``expire``: current objects are deleted. ``expire_noncurrent``: replaced and deleted versions are gone for good.
    ``tier``: current objects move to S3 Intelligent-Tiering. ``scratch``: below this prefix everything is gone for good
    after :data:`SCRATCH_DAYS`.
    """

    expire: int | None = None
    expire_noncurrent: int | None = None
    tier: int | None = None
    scratch: str | None = None


@dataclass(frozen=True, slots=True)
class Lock:
    """Default retention of every object: who may lift it (``mode``), and after how many days it ends."""

    mode: str
    days: int


class SecureBucket(Construct):
    """The bucket, and what configures it in the order that S3 accepts."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        arn: str,
        key: BucketKey | None,
        protect: bool,
        statements: Sequence[Statement],
        aging: Aging,
        lock: Lock | None = None,
        provider: AwsProvider | None = None,
        skip: Mapping[str, str] | None = None,
    ) -> None:
        """``key`` None means SSE-S3. ``statements`` join those of every bucket in the bucket policy.

        ``provider``: of another region than the stack's. ``skip``: as for every resource.
        """
        super().__init__(scope, id_)
        self.provider = provider
        bucket = S3Bucket(
            self,
            "bucket",
            bucket=name,
            force_destroy=not protect,
            object_lock_enabled=True if lock else None,
            lifecycle={"prevent_destroy": True} if protect else None,
            provider=provider,
            skip=skip,
        )
        self.id: str = bucket.id
        self.arn: str = arn
        self.versioning = S3BucketVersioning(
            self, "versioning", bucket=self.id, versioning_configuration={"status": "Enabled"}, provider=provider
        )
        self.encryption = S3BucketEncryption(
            self, "encryption", bucket=self.id, rule=[_encryption(key)], provider=provider
        )
        blocked = S3BucketPublicAccessBlock(
            self,
            "public-access",
            bucket=self.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            provider=provider,
        )
        # One after the other: S3 answers "a conflicting conditional operation is in progress" to changes of a bucket's
        # access that arrive together (https://github.com/hashicorp/terraform-provider-aws/issues/7628).
        self.policy = S3BucketPolicy(
            self,
            "policy",
            bucket=self.id,
            policy=policies.document(
                policies.tls_only([arn, f"{arn}/*"], "s3:*"), *_only_encrypted_with(key, arn), *statements
            ),
            depends_on=[blocked],
            provider=provider,
        )
        S3BucketOwnershipControls(
            self,
            "ownership",
            bucket=self.id,
            rule={"object_ownership": "BucketOwnerEnforced"},
            depends_on=[self.policy],
            provider=provider,
        )
        S3BucketLifecycleConfiguration(
            self,
            "lifecycle",
            bucket=self.id,
            rule=_lifecycle(aging),
            depends_on=[self.versioning],
            provider=provider,
        )
        # Costs nothing while no rule asks for the events, and whoever needs one need not touch the bucket.
        S3BucketNotification(self, "events", bucket=self.id, eventbridge=True, provider=provider)
        if lock is not None:
            S3BucketObjectLock(
                self,
                "object-lock",
                bucket=self.id,
                rule={"default_retention": {"mode": lock.mode, "days": lock.days}},
                depends_on=[self.versioning],
                provider=provider,
            )


def _encryption(key: BucketKey | None) -> Any:
    if key is None:
        return {"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}
    return {
        "apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms", "kms_master_key_id": key.arn},
        "bucket_key_enabled": True,
    }


def _only_encrypted_with(key: BucketKey | None, arn: str) -> list[Statement]:
    """Refuse what names another encryption than the bucket's own.

    A negated condition holds for a request that lacks the key altogether, which is what ``Null`` is there for: a
    request without any header passes; one that asks for KMS, but names no key, would get the account's AWS-managed key
    and does not.
    """

    def refuse(sid: str, conditions: Conditions) -> Statement:
        return {
            "Sid": sid,
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": "s3:PutObject",
            "Resource": f"{arn}/*",
            "Condition": conditions,
        }

    asked = {"s3:x-amz-server-side-encryption": "false"}
    other = (
        {"s3:x-amz-server-side-encryption": "AES256"}
        if key is None
        else {"s3:x-amz-server-side-encryption-aws-kms-key-id": [key.arn, *key.aliases]}
    )
    return [
        refuse("RefuseOtherEncryption", {"Null": asked, "StringNotEquals": other}),
        # Keys that the caller keeps: whoever stole credentials could lock everybody out of what is stored.
        refuse("RefuseCallersKeys", {"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "false"}}),
    ]


def _lifecycle(aging: Aging) -> list[Any]:
    def rule(id_: str, prefix: str = "", **what: Any) -> Any:
        return {"id": id_, "status": "Enabled", "filter": [{"prefix": prefix}], **what}

    abort = {"days_after_initiation": ABORT_MULTIPART_DAYS}
    rules = [rule("abort-multipart", abort_incomplete_multipart_upload=[abort])]
    if aging.tier is not None:
        rules.append(rule("tier", transition=[{"days": aging.tier, "storage_class": "INTELLIGENT_TIERING"}]))
    if aging.expire is not None:
        rules.append(rule("expire", expiration=[{"days": aging.expire}]))
    if aging.expire_noncurrent is not None:
        noncurrent = {"noncurrent_days": aging.expire_noncurrent}
        rules.append(rule("expire-noncurrent", noncurrent_version_expiration=[noncurrent]))
    if aging.scratch is not None:
        rules.append(
            rule(
                "expire-scratch",
                prefix=aging.scratch,
                expiration=[{"days": SCRATCH_DAYS}],
                noncurrent_version_expiration=[{"noncurrent_days": 1}],
            )
        )
    return rules
