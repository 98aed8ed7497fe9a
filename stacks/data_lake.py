"""The environment's five buckets, who else may read them, and what watches them.

=========  ======================================  =====================================================
bucket     holds                                   expires
=========  ======================================  =====================================================
lake       raw data, data sets, batch predictions  replaced and deleted versions, after noncurrent_days
artifacts  models, training source and output      replaced and deleted versions, after noncurrent_days
capture    requests and answers of the endpoints   everything, after capture_days
ledger     release events, object-locked           nothing
logs       access logs of the other four           everything, after logs_days
=========  ======================================  =====================================================

What is pinned (data commits, released artifacts) is always the current version of its key, so that expiring the other
versions can never delete it. What somebody deletes or overwrites by mistake can be made current again until then. Only
what imports leave below ``staging/`` of the lake expires within days.

Encryption is SSE-KMS with the environment's key, and a bucket key so that KMS is not asked for every object. Only the
logs bucket has SSE-S3: S3 does not deliver access logs to a bucket whose default encryption is SSE-KMS.
It does not log itself: each log would be the reason for the next.

Every bucket reports its events to EventBridge.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlops_kit.config import Environment
from mlops_kit.naming import BUCKET_KINDS, STAGING_PREFIX, BucketKind
from stacks import policies
from stacks.bindings import Construct, S3BucketInventory, S3BucketLogging
from stacks.policies import Statement, allow
from stacks.secure_bucket import Aging, BucketKey, Lock, SecureBucket

TIERED: tuple[BucketKind, ...] = ("lake", "artifacts")
"""What grows for ever and is read less and less: moved to Intelligent-Tiering, and listed by the inventory."""
LIST_BELOW = ("s3:ListBucket", "s3:ListBucketVersions")
INVENTORY_PREFIX = "inventory"
INVENTORY_FIELDS = ("ETag", "EncryptionStatus", "LastModifiedDate", "ReplicationStatus", "Size", "StorageClass")


class DataLake(Construct):
    """The five buckets of an environment."""

    def __init__(
        self, scope: Construct, id_: str, *, environment: Environment, key_arn: str, readers: Sequence[Environment]
    ) -> None:
        super().__init__(scope, id_)
        names = environment.names
        key = BucketKey(key_arn, (names.key_alias, names.arn("kms", names.key_alias)))
        statements: dict[BucketKind, list[Statement]] = {
            "lake": _read_by_promoters(readers, environment, "lake", "datasets/"),
            "artifacts": _read_by_promoters(readers, environment, "artifacts", "models/"),
            "capture": [],
            "ledger": [_create_only(names.bucket_arn("ledger"))],
            "logs": [_log_delivery(environment), *_inventory_delivery(environment)],
        }
        self.buckets: dict[BucketKind, SecureBucket] = {
            kind: SecureBucket(
                self,
                kind,
                name=names.bucket(kind),
                arn=names.bucket_arn(kind),
                key=None if kind == "logs" else key,
                protect=environment.protect,
                statements=statements[kind],
                aging=aging(environment, kind),
                lock=ledger_lock(environment) if kind == "ledger" else None,
                skip=_not_applicable(environment, kind),
            )
            for kind in BUCKET_KINDS
        }
        self._watch(environment)

    def _watch(self, environment: Environment) -> None:
        logs = self.buckets["logs"]
        for kind, bucket in self.buckets.items():
            if bucket is not logs:
                log_access(bucket, environment.names.bucket(kind), logs)
        if (frequency := environment.storage.inventory) is not None:
            for kind in TIERED:
                _list_objects(self.buckets[kind], environment, frequency, logs)


def _list_objects(bucket: SecureBucket, environment: Environment, frequency: str, logs: SecureBucket) -> None:
    S3BucketInventory(
        bucket,
        "inventory",
        bucket=bucket.id,
        name="objects",
        included_object_versions="All",
        optional_fields=list(INVENTORY_FIELDS),
        schedule={"frequency": frequency.title()},
        destination={
            "bucket": {
                "bucket_arn": logs.arn,
                "account_id": environment.account,
                "format": "Parquet",
                "prefix": INVENTORY_PREFIX,
                "encryption": {"sse_s3": {}},
            }
        },
        depends_on=[logs.policy],
    )


def log_access(bucket: SecureBucket, name: str, logs: SecureBucket) -> None:
    S3BucketLogging(
        bucket,
        "access-logs",
        bucket=bucket.id,
        target_bucket=logs.id,
        target_prefix=f"{name}/",
        depends_on=[logs.policy],  # S3 checks the permission to deliver when logging is turned on
        provider=bucket.provider,
    )


def aging(environment: Environment, kind: BucketKind) -> Aging:
    """What becomes of a bucket's objects, and of their copies in the second region."""
    keep = environment.retention
    return Aging(
        expire={"capture": keep.capture_days, "logs": keep.logs_days}.get(kind),
        expire_noncurrent=None if kind == "ledger" else keep.noncurrent_days,
        tier=environment.storage.tiering_after_days if kind in TIERED else None,
        scratch=STAGING_PREFIX if kind == "lake" else None,
    )


def ledger_lock(environment: Environment) -> Lock:
    return Lock(environment.retention.ledger_lock_mode, environment.retention.ledger_lock_days)


SSE_S3_FOR_LOGS = {"CKV_AWS_145": "S3 delivers no access logs to a bucket whose default encryption is SSE-KMS"}
NOT_REPLICATED = "Replication is a choice of the environment: storage.replicate_to"


def _not_applicable(environment: Environment, kind: BucketKind) -> dict[str, str]:
    """What policy scanners ask of every bucket and this one does not have."""
    if kind == "logs":
        return SSE_S3_FOR_LOGS | {"CKV_AWS_144": "Logs expire, and are not worth a copy"}
    if kind == "capture":
        return {"CKV_AWS_144": "Captured traffic expires, and is not worth a copy"}
    return {} if environment.storage.replicate_to else {"CKV_AWS_144": NOT_REPLICATED}


def _read_by_promoters(
    readers: Sequence[Environment], environment: Environment, kind: BucketKind, prefix: str
) -> list[Statement]:
    """The next stages' promoters read what is below ``prefix``, and are not told what else there is."""
    arn = environment.names.bucket_arn(kind)
    found = []
    for reader in readers:
        principal, condition = policies.promoter_of(reader)
        below = condition | {"StringLike": {"s3:prefix": f"{prefix}*"}}
        who = f"PromoterOf{policies.sid(reader.name)}"
        found += [
            allow(f"{who}Reads", policies.READ_OBJECTS, f"{arn}/{prefix}*", principal=principal, conditions=condition),
            allow(f"{who}Lists", LIST_BELOW, arn, principal=principal, conditions=below),
            allow(f"{who}Locates", ["s3:GetBucketLocation"], arn, principal=principal, conditions=condition),
        ]
    return found


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
    return deliver_access_logs(
        environment, names.bucket_arn("logs"), [names.bucket_arn(kind) for kind in BUCKET_KINDS if kind != "logs"]
    )


def deliver_access_logs(environment: Environment, logs_arn: str, sources: Sequence[str]) -> Statement:
    return allow(
        "DeliverAccessLogs",
        ["s3:PutObject"],
        f"{logs_arn}/*",
        principal={"Service": "logging.s3.amazonaws.com"},
        conditions={
            "StringEquals": {"aws:SourceAccount": environment.account},
            "ArnLike": {"aws:SourceArn": list(sources)},
        },
    )


def _inventory_delivery(environment: Environment) -> list[Statement]:
    if environment.storage.inventory is None:
        return []
    names = environment.names
    return [
        allow(
            "DeliverInventory",
            ["s3:PutObject"],
            f"{names.bucket_arn('logs')}/{INVENTORY_PREFIX}/*",
            principal={"Service": "s3.amazonaws.com"},
            conditions={
                "StringEquals": {"aws:SourceAccount": names.account},
                "ArnLike": {"aws:SourceArn": [names.bucket_arn(kind) for kind in TIERED]},
            },
        )
    ]
