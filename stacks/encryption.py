"""The environment's customer-managed key: what every bucket, topic, queue, image and log group is encrypted with.

The key policy lets the account administer the key, and use it only by way of the services that store the data. Who in
the account may do so is left to IAM; nobody may decrypt by calling KMS directly. Besides, AWS services that act by
themselves (an alarm publishes, a rule delivers, a log group stores) each have a statement of their own, held to the
account's topics, queue and log groups.

What is copied into a second region is encrypted there, with the :class:`ReplicaKey`.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlops_kit.config import Environment
from stacks import policies
from stacks.bindings import AwsProvider, Construct, KmsAlias, KmsKey
from stacks.policies import Statement, allow

USE = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*")
ADMINISTER = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RetireGrant",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)
CALLED_THROUGH = ("ecr", "s3", "sagemaker", "scheduler", "sns", "sqs", "states")
"""Services that use the key with the permissions of whoever calls them: people, and the roles of jobs and schedules."""
THIS_KEY = "*"
"""In a key policy, the resource ``*`` is the key that the policy belongs to."""


class EncryptionKey(Construct):
    """KMS key with yearly rotation, and its alias."""

    def __init__(self, scope: Construct, id_: str, *, environment: Environment, readers: Sequence[Environment]) -> None:
        super().__init__(scope, id_)
        names = environment.names
        key = KmsKey(
            self,
            "key",
            description=f"Data, artifacts, logs and alarms of {names.prefix}",
            enable_key_rotation=True,
            deletion_window_in_days=deletion_window(environment),
            policy=policies.document(
                administer(environment),
                allow(
                    "UseThroughServices",
                    USE,
                    THIS_KEY,
                    principal={"AWS": names.account_root},
                    conditions=policies.through(names, *CALLED_THROUGH),
                ),
                allow(  # SageMaker and EBS hold grants for the volumes of jobs and endpoints, ECR for its repositories
                    "GrantToServices",
                    ["kms:CreateGrant"],
                    THIS_KEY,
                    principal={"AWS": names.account_root},
                    conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
                ),
                *_for_services(environment),
                *(_for_promoter(reader, environment) for reader in readers),
            ),
            lifecycle={"prevent_destroy": True} if environment.protect else None,
        )
        KmsAlias(self, "alias", name=names.key_alias, target_key_id=key.key_id)
        self.arn: str = key.arn


class ReplicaKey(Construct):
    """The key of the copies in the second region: a key of its own, because one that is lost there is lost alone.

    A multi-Region key would save nothing: S3 treats it as two keys
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-config-for-kms-objects.html).
    """

    def __init__(
        self, scope: Construct, id_: str, *, environment: Environment, region: str, provider: AwsProvider
    ) -> None:
        super().__init__(scope, id_)
        names = environment.names
        key = KmsKey(
            self,
            "key",
            description=f"Copies of data, artifacts and releases of {names.prefix}",
            enable_key_rotation=True,
            deletion_window_in_days=deletion_window(environment),
            policy=policies.document(
                administer(environment),
                allow(
                    "UseThroughS3",
                    USE,
                    THIS_KEY,
                    principal={"AWS": names.account_root},
                    conditions=policies.through(names.in_region(region), "s3"),
                ),
            ),
            lifecycle={"prevent_destroy": True} if environment.protect else None,
            provider=provider,
        )
        KmsAlias(self, "alias", name=names.replica_key_alias, target_key_id=key.key_id, provider=provider)
        self.arn: str = key.arn


def deletion_window(environment: Environment) -> int:
    return 30 if environment.protect else 7


def administer(environment: Environment) -> Statement:
    return allow("Administer", ADMINISTER, THIS_KEY, principal={"AWS": environment.names.account_root})


def _for_services(environment: Environment) -> list[Statement]:
    names = environment.names
    topics = [names.arn("sns", topic) for topic in (names.alarm_topic, names.pager_topic)]
    log_groups = (
        *("/aws/sagemaker/*", names.flow_log_group, names.failures_log_group),
        *(names.retrain_log_group, names.off_hours_log_group),
    )
    return [
        allow(  # without this an alarm changes state, and its message to the encrypted topic is lost without a trace
            "AlarmsPublish",
            ["kms:Decrypt", "kms:GenerateDataKey*"],
            THIS_KEY,
            principal={"Service": "cloudwatch.amazonaws.com"},
            conditions={"StringEquals": {"aws:SourceAccount": names.account}},
        ),
        # EventBridge tells KMS neither aws:SourceAccount nor aws:SourceArn when it writes to an encrypted topic
        # (https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html): what it writes to is what holds it.
        allow(
            "RulesPublish",
            ["kms:Decrypt", "kms:GenerateDataKey*"],
            THIS_KEY,
            principal={"Service": "events.amazonaws.com"},
            conditions={"ArnEquals": {"kms:EncryptionContext:aws:sns:topicArn": topics}},
        ),
        allow(
            "RulesKeepDeadLetters",
            ["kms:Decrypt", "kms:GenerateDataKey*"],
            THIS_KEY,
            principal={"Service": "events.amazonaws.com"},
            conditions={"ArnEquals": {"kms:EncryptionContext:aws:sqs:arn": names.arn("sqs", names.dead_letter_queue)}},
        ),
        allow(
            "EncryptLogs",
            ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
            THIS_KEY,
            principal={"Service": policies.regional("logs", names)},
            conditions={
                "ArnLike": {
                    "kms:EncryptionContext:aws:logs:arn": [
                        names.arn("logs", f"log-group:{group}") for group in log_groups
                    ]
                }
            },
        ),
    ]


def _for_promoter(reader: Environment, environment: Environment) -> Statement:
    principal, condition = policies.promoter_of(reader)
    return allow(
        f"PromoterOf{policies.sid(reader.name)}Decrypts",
        ["kms:Decrypt"],
        THIS_KEY,
        principal=principal,
        conditions=condition | policies.through(environment.names, "s3"),
    )
