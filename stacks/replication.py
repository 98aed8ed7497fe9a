"""Copies of lake, artifacts and ledger in a second region, against the loss of the first.

Only what cannot be made again is copied: data commits, models and the record of releases. S3 copies each new object
version within minutes, encrypted with a key of the second region. It copies nothing that was there before replication
was turned on (S3 Batch Replication does that, once), and no deletion: an object that is deleted here stays there.

The copies are as private as the originals, and keep access logs of their own, because S3 delivers those within a region
only. They are for reading after a disaster: nothing but S3's replication has a role that writes into them.
"""

from __future__ import annotations

from mlops_kit.config import Environment
from mlops_kit.naming import REPLICATED_KINDS, ReplicatedKind
from stacks import policies
from stacks.bindings import AwsProvider, Construct, IamRole, IamRolePolicy, S3BucketReplication
from stacks.data_lake import SSE_S3_FOR_LOGS, DataLake, aging, deliver_access_logs, ledger_lock, log_access
from stacks.encryption import ReplicaKey
from stacks.policies import allow
from stacks.secure_bucket import Aging, BucketKey, SecureBucket

IS_A_COPY = {"CKV_AWS_144": "This is the copy"}


class Replication(Construct):
    """Key, buckets, role and replication rules; ``provider`` is the second region's."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        region: str,
        key_arn: str,
        lake: DataLake,
        provider: AwsProvider,
    ) -> None:
        super().__init__(scope, id_)
        names = environment.names
        replica_key = ReplicaKey(self, "encryption", environment=environment, region=region, provider=provider)
        there = names.in_region(region)
        key = BucketKey(replica_key.arn, (names.replica_key_alias, there.arn("kms", names.replica_key_alias)))
        self.buckets: dict[ReplicatedKind, SecureBucket] = {
            kind: SecureBucket(
                self,
                kind,
                name=names.replica_bucket(kind),
                arn=names.replica_bucket_arn(kind),
                key=key,
                protect=environment.protect,
                statements=[],
                aging=aging(environment, kind),
                lock=ledger_lock(environment) if kind == "ledger" else None,
                provider=provider,
                skip=IS_A_COPY,
            )
            for kind in REPLICATED_KINDS
        }
        logs = SecureBucket(
            self,
            "logs",
            name=names.replica_bucket("logs"),
            arn=names.replica_bucket_arn("logs"),
            key=None,
            protect=environment.protect,
            statements=[
                deliver_access_logs(
                    environment,
                    names.replica_bucket_arn("logs"),
                    [names.replica_bucket_arn(kind) for kind in REPLICATED_KINDS],
                )
            ],
            aging=Aging(environment.retention.logs_days, environment.retention.noncurrent_days),
            provider=provider,
            skip=SSE_S3_FOR_LOGS | IS_A_COPY,
        )
        role = IamRole(
            self,
            "role",
            name=names.role("replication"),
            description=f"S3 copies {names.prefix} to {region}",
            permissions_boundary=names.boundary_arn,
            assume_role_policy=_assumed_by_s3(environment),
        )
        allowed = IamRolePolicy(
            self,
            "policy",
            name="replication",
            role=role.id,
            policy=_policy(environment, region, key_arn, replica_key.arn),
        )
        for kind, replica in self.buckets.items():
            log_access(replica, names.replica_bucket(kind), logs)
            original = lake.buckets[kind]
            S3BucketReplication(
                self,
                f"{kind}-rule",
                bucket=original.id,
                role=role.arn,
                rule=[
                    {
                        "id": "second-region",
                        "status": "Enabled",
                        "priority": 1,
                        "filter": {"prefix": ""},
                        "source_selection_criteria": {"sse_kms_encrypted_objects": {"status": "Enabled"}},
                        "delete_marker_replication": {"status": "Disabled"},
                        "destination": {
                            "bucket": replica.arn,
                            "encryption_configuration": {"replica_kms_key_id": replica_key.arn},
                            "metrics": {"status": "Enabled"},
                        },
                    }
                ],
                depends_on=[allowed, original.versioning, replica.versioning, replica.policy],
            )


def _assumed_by_s3(environment: Environment) -> str:
    names = environment.names
    return policies.document(
        allow(
            "S3",
            ["sts:AssumeRole"],
            principal={"Service": "s3.amazonaws.com"},
            conditions={
                "StringEquals": {"aws:SourceAccount": names.account},
                "ArnLike": {"aws:SourceArn": [names.bucket_arn(kind) for kind in REPLICATED_KINDS]},
            },
        )
    )


def _policy(environment: Environment, region: str, key_arn: str, replica_key_arn: str) -> str:
    """Read versions here, write copies there, each with the key of its own place.

    With a bucket key, the encryption context is the bucket and not the object
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-config-for-kms-objects.html).
    """
    names = environment.names
    originals = [names.bucket_arn(kind) for kind in REPLICATED_KINDS]
    copies = [names.replica_bucket_arn(kind) for kind in REPLICATED_KINDS]
    return policies.document(
        allow("FindWhatToCopy", ["s3:GetReplicationConfiguration", "s3:ListBucket"], originals),
        allow(
            "ReadVersions",
            ["s3:GetObjectVersionAcl", "s3:GetObjectVersionForReplication", "s3:GetObjectVersionTagging"],
            [f"{arn}/*" for arn in originals],
        ),
        allow(
            "ReadLocks",
            ["s3:GetObjectLegalHold", "s3:GetObjectRetention"],
            f"{names.bucket_arn('ledger')}/*",
        ),
        allow("WriteCopies", ["s3:ReplicateObject", "s3:ReplicateTags"], [f"{arn}/*" for arn in copies]),
        allow(
            "DecryptHere",
            ["kms:Decrypt"],
            key_arn,
            conditions=policies.through(names, "s3")
            | {"ArnLike": {"kms:EncryptionContext:aws:s3:arn": _buckets_and_objects(originals)}},
        ),
        allow(
            "EncryptThere",
            ["kms:Encrypt", "kms:GenerateDataKey"],
            replica_key_arn,
            conditions=policies.through(names.in_region(region), "s3")
            | {"ArnLike": {"kms:EncryptionContext:aws:s3:arn": _buckets_and_objects(copies)}},
        ),
    )


def _buckets_and_objects(arns: list[str]) -> list[str]:
    return [*arns, *(f"{arn}/*" for arn in arns)]
