"""The environment's customer-managed key: what every bucket, topic and log group is encrypted with.

The key policy lets the account administer the key, and use it only by way of the services that store the data. Who in
the account may do so is left to IAM; nobody may decrypt by calling KMS directly.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlops_kit.config import Environment
from stacks import policies
from stacks.bindings import Construct, KmsAlias, KmsKey
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
            deletion_window_in_days=30 if environment.protect else 7,
            policy=policies.document(
                *_for_the_account(environment),
                *_for_services(environment),
                *(_for_promoter(reader, environment) for reader in readers),
            ),
            lifecycle={"prevent_destroy": True} if environment.protect else None,
        )
        KmsAlias(self, "alias", name=names.key_alias, target_key_id=key.key_id)
        self.arn: str = key.arn


def _for_the_account(environment: Environment) -> list[Statement]:
    names = environment.names
    account = {"AWS": names.account_root}
    return [
        allow("Administer", ADMINISTER, THIS_KEY, principal=account),
        allow(
            "UseThroughServices",
            USE,
            THIS_KEY,
            principal=account,
            conditions=policies.through(names, "s3", "sagemaker", "sns"),
        ),
        allow(  # SageMaker and EBS hold grants for the volumes of jobs and endpoints
            "GrantToServices",
            ["kms:CreateGrant"],
            THIS_KEY,
            principal=account,
            conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        ),
    ]


def _for_services(environment: Environment) -> list[Statement]:
    names = environment.names
    return [
        allow(  # without this an alarm changes state, and its message to the encrypted topic is lost without a trace
            "AlarmsPublish",
            ["kms:Decrypt", "kms:GenerateDataKey*"],
            THIS_KEY,
            principal={"Service": "cloudwatch.amazonaws.com"},
            conditions={"StringEquals": {"aws:SourceAccount": names.account}},
        ),
        allow(
            "EncryptLogs",
            ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
            THIS_KEY,
            principal={"Service": policies.regional("logs", names)},
            conditions={
                "ArnLike": {"kms:EncryptionContext:aws:logs:arn": names.arn("logs", "log-group:/aws/sagemaker/*")}
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
