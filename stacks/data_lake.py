"""The environment's five buckets, who else may read them, and what watches them.

=========  ======================================  =====================================================
bucket     holds                                   expires
=========  ======================================  =====================================================
lake       raw data, data commits                  replaced and deleted versions, after noncurrent_days
artifacts  models, training source and output      replaced and deleted versions, after noncurrent_days
capture    requests and answers of the endpoints   everything, after capture_days
ledger     release events, object-locked           nothing
logs       access logs of the other four           everything, after logs_days
=========  ======================================  =====================================================

What is pinned (data commits, released artifacts) is always the current version of its key, so that expiring the other
versions can never delete it.

Encryption is SSE-KMS with the environment's key, and a bucket key so that KMS is not asked for every object. Only the
logs bucket has SSE-S3: S3 does not deliver access logs to a bucket whose default encryption is SSE-KMS.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlops_kit.config import Environment
from mlops_kit.naming import BUCKET_KINDS, BucketKind
from stacks import policies
from stacks.bindings import Construct, S3BucketLogging, S3BucketNotification, S3BucketObjectLock
from stacks.policies import Statement, allow
from stacks.secure_bucket import SecureBucket


class DataLake(Construct):
    """The five buckets of an environment."""

    def __init__(
        self, scope: Construct, id_: str, *, environment: Environment, key_arn: str, readers: Sequence[Environment]
    ) -> None:
        super().__init__(scope, id_)
        names, keep = environment.names, environment.retention
        statements: dict[BucketKind, list[Statement]] = {
            "lake": [s for reader in readers for s in _read_by_promoter(reader, environment, "lake")],
            "artifacts": [s for reader in readers for s in _read_by_promoter(reader, environment, "artifacts")],
            "capture": [],
            "ledger": [_create_only(names.bucket_arn("ledger"))],
            "logs": [_log_delivery(environment)],
        }
        expires: dict[BucketKind, int] = {"capture": keep.capture_days, "logs": keep.logs_days}
        self.buckets: dict[BucketKind, SecureBucket] = {
            kind: SecureBucket(
                self,
                kind,
                name=names.bucket(kind),
                arn=names.bucket_arn(kind),
                key_arn=None if kind == "logs" else key_arn,
                protect=environment.protect,
                statements=statements[kind],
                expire_after_days=expires.get(kind),
                expire_noncurrent_after_days=None if kind == "ledger" else keep.noncurrent_days,
                object_lock=kind == "ledger",
            )
            for kind in BUCKET_KINDS
        }
        self._watch(environment)

    def _watch(self, environment: Environment) -> None:
        logs, lake, ledger = (self.buckets[kind] for kind in ("logs", "lake", "ledger"))
        for kind, bucket in self.buckets.items():
            if bucket is not logs:
                S3BucketLogging(
                    bucket,
                    "access-logs",
                    bucket=bucket.id,
                    target_bucket=logs.id,
                    target_prefix=f"{environment.names.bucket(kind)}/",
                    depends_on=[logs.policy],  # S3 checks the permission to deliver when logging is turned on
                )
        S3BucketNotification(lake, "events", bucket=lake.id, eventbridge=True)
        S3BucketObjectLock(
            ledger,
            "object-lock",
            bucket=ledger.id,
            rule={
                "default_retention": {
                    "mode": environment.retention.ledger_lock_mode,
                    "days": environment.retention.ledger_lock_days,
                }
            },
            depends_on=[ledger.versioning],
        )


def _read_by_promoter(reader: Environment, environment: Environment, kind: BucketKind) -> list[Statement]:
    arn = environment.names.bucket_arn(kind)
    principal, condition = policies.promoter_of(reader)
    who = f"PromoterOf{policies.sid(reader.name)}"
    return [
        allow(f"{who}Reads", policies.READ_OBJECTS, f"{arn}/*", principal=principal, conditions=condition),
        allow(f"{who}Lists", policies.LIST_BUCKET, arn, principal=principal, conditions=condition),
    ]


def _create_only(arn: str) -> Statement:
    """Refuse a release event that would replace another: every write has to say If-None-Match.

    ``s3:ObjectCreationOperation`` leaves out the parts of a multipart upload, which cannot carry the header
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html).
    """
    return {
        "Sid": "RefuseOverwrite",
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": "s3:PutObject",
        "Resource": f"{arn}/*",
        "Condition": {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}},
    }


def _log_delivery(environment: Environment) -> Statement:
    names = environment.names
    return allow(
        "DeliverAccessLogs",
        ["s3:PutObject"],
        f"{names.bucket_arn('logs')}/*",
        principal={"Service": "logging.s3.amazonaws.com"},
        conditions={
            "StringEquals": {"aws:SourceAccount": names.account},
            "ArnLike": {"aws:SourceArn": [names.bucket_arn(kind) for kind in BUCKET_KINDS if kind != "logs"]},
        },
    )
