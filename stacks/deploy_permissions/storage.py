"""The state, the buckets, and the keys."""

from __future__ import annotations

from mlops_kit.config import Environment
from mlops_kit.naming import BUCKET_KINDS, REPLICATED_KINDS, EnvironmentNames, ReplicaKind
from stacks import policies
from stacks.deploy_permissions.scope import of, requested, tagged
from stacks.policies import Statement, allow
from stacks.terraform_settings import STATE_KEY

PIPELINE_UPLOADS = "training/*/pipeline/*"
"""What the stack uploads for pipelines (:attr:`mlops_kit.naming.ModelNames.pipeline_prefix`), of every model.

The only objects that go when others come in their place: each is named by its digest. What a version was made from lies
elsewhere.
"""


def state(names: EnvironmentNames) -> list[Statement]:
    state = f"{names.state_bucket_arn}/{STATE_KEY}"
    return [
        allow("FindState", ["s3:ListBucket"], names.state_bucket_arn),
        allow("UseState", ["s3:GetObject", "s3:PutObject"], [state, f"{state}.tflock"]),
        allow("ReleaseLock", ["s3:DeleteObject"], f"{state}.tflock"),
    ]


def buckets(environment: Environment) -> list[Statement]:
    names = environment.names
    # One by one: the pattern <prefix>-* would take in the state bucket.
    buckets = [names.bucket_arn(kind) for kind in BUCKET_KINDS]
    if environment.storage.replicate_to is not None:
        replicas: tuple[ReplicaKind, ...] = (*REPLICATED_KINDS, "logs")
        buckets += [names.replica_bucket_arn(kind) for kind in replicas]
    artifacts = names.bucket_arn("artifacts")
    return [
        allow(  # the provider reads all of a bucket's settings, whether the stack has them or not
            "ReadBuckets",
            of(
                "s3",
                "GetAccelerateConfiguration",
                "GetBucketAcl",
                "GetBucketCORS",
                "GetBucketLocation",
                "GetBucketLogging",
                "GetBucketNotification",
                "GetBucketObjectLockConfiguration",
                "GetBucketOwnershipControls",
                "GetBucketPolicy",
                "GetBucketPublicAccessBlock",
                "GetBucketRequestPayment",
                "GetBucketTagging",
                "GetBucketVersioning",
                "GetBucketWebsite",
                "GetEncryptionConfiguration",
                "GetInventoryConfiguration",
                "GetLifecycleConfiguration",
                "GetReplicationConfiguration",
                "ListBucket",
            ),
            buckets,
        ),
        allow(
            "ConfigureBuckets",
            of(
                "s3",
                "CreateBucket",
                "PutBucketLogging",
                "PutBucketNotification",
                "PutBucketObjectLockConfiguration",
                "PutBucketOwnershipControls",
                "PutBucketPolicy",
                "PutBucketPublicAccessBlock",
                "PutBucketTagging",
                "PutBucketVersioning",
                "PutEncryptionConfiguration",
                "PutInventoryConfiguration",
                "PutLifecycleConfiguration",
                "PutReplicationConfiguration",
            ),
            buckets,
        ),
        allow(
            "UploadFiles",
            of("s3", "GetObject", "GetObjectTagging", "PutObject", "PutObjectTagging"),
            [f"{artifacts}/environment/*", f"{artifacts}/models/*/initial/*", f"{artifacts}/{PIPELINE_UPLOADS}"],
        ),
        allow(  # the provider deletes every version of an object, by the list of them
            "FindVersionsOfPipelineCode",
            ["s3:ListBucketVersions"],
            artifacts,
            conditions={"StringLike": {"s3:prefix": PIPELINE_UPLOADS}},
        ),
        allow(
            "ReplacePipelineCode", of("s3", "DeleteObject", "DeleteObjectVersion"), f"{artifacts}/{PIPELINE_UPLOADS}"
        ),
    ]


def keys(environment: Environment) -> list[Statement]:
    names, ours = environment.names, tagged(environment)
    regions = [environment.region, *([second] if (second := environment.storage.replicate_to) else [])]
    keys = [f"arn:{names.partition}:kms:{region}:{names.account}:key/*" for region in regions]
    aliases = [names.arn("kms", names.key_alias)]
    if environment.signing is not None and environment.signing.key is None:
        aliases.append(names.arn("kms", names.signing_key_alias))
    if second:
        aliases.append(f"arn:{names.partition}:kms:{second}:{names.account}:{names.replica_key_alias}")
    through = policies.through(names, "s3", "scheduler")["StringEquals"]
    manage = of(
        "kms",
        "CreateAlias",
        "DescribeKey",
        "EnableKeyRotation",
        "GetKeyPolicy",
        "GetKeyRotationStatus",
        "ListResourceTags",
        "PutKeyPolicy",
        "TagResource",  # a change of one tag names that tag only
        "UntagResource",
        "UpdateAlias",
        "UpdateKeyDescription",
    )
    return [
        allow("MakeKey", ["kms:CreateKey"], "*", conditions=requested(environment)),  # no name before it is made
        allow("TagKey", ["kms:TagResource"], keys, conditions=requested(environment)),
        allow("ManageKey", manage, keys, conditions=ours),
        allow("NameKey", of("kms", "CreateAlias", "DeleteAlias", "UpdateAlias"), aliases),
        allow("FindAlias", ["kms:ListAliases"], "*"),
        allow(  # for what the stack uploads, and the input of schedules
            "EncryptContent",
            ["kms:Decrypt", "kms:GenerateDataKey"],
            keys,
            conditions={"StringEquals": ours["StringEquals"] | through},
        ),
        allow(  # for the volumes of endpoints, and for repositories
            "GrantKeyToServices",
            ["kms:CreateGrant"],
            keys,
            conditions={**ours, "Bool": {"kms:GrantIsForAWSResource": "true"}},
        ),
    ]
