"""The role that CI deploys an environment as, and the GitHub OIDC provider that lets CI in without a stored secret.

**Who gets in.** Jobs of exactly one repository that run in exactly one GitHub environment. Both the subject and the
audience of the token are compared with StringEquals. Protect that GitHub environment (required reviewers, deployment
branches): whoever can run a job in it can deploy.

**What it may do.** What Terraform calls to create, read and change the resources of ``environment_stack.py``, on names
with the environment's prefix. Where AWS invents the id (the key), on what carries the environment's tags.

**What it may not do.** It deletes nothing that holds data: no bucket, object version, key, log group or package group.
Those changes, and `cdktf destroy`, are for a person. It changes neither itself, nor the OIDC provider, nor the state
bucket, so a job cannot widen its own way in.

**IAM.** It writes the inline policies and the trust of ``role/<prefix>-*``, attaches no managed policy, makes no user,
group or access key, and passes those roles to SageMaker only.

**Limits, said plainly.** A role that may write the policy of another role can give that role anything, and a trust
policy that lets it in: who can change the stacks and deploy them unseen administers the account. The rules above stop
accidents and stray jobs; review and the GitHub environment's protection are what stop intent. A permission boundary on
every role would close this, and needs the environment's roles to carry one. ``kms:TagResource`` has to reach keys
before they have tags, so the tag condition keeps other keys safe from mistakes only. The prefix also matches names of
an environment called ``<name>-…`` in the same account, which ``mlops_kit.config`` does not allow two environments to
share.
"""

from __future__ import annotations

from mlops_kit.config import Ci, Environment
from mlops_kit.naming import BUCKET_KINDS, EnvironmentNames
from stacks import policies
from stacks.bindings import Construct, IamOpenidConnectProvider, IamPolicy, IamRole, IamRolePolicyAttachment
from stacks.policies import Conditions, Statement, allow
from stacks.terraform_settings import STATE_KEY

ISSUER = "token.actions.githubusercontent.com"
AUTOSCALING_SERVICE = "sagemaker.application-autoscaling.amazonaws.com"
AUTOSCALING_ROLE = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"

READ_BUCKET = tuple(
    f"s3:{action}"
    for action in (
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
        "GetLifecycleConfiguration",
        "GetReplicationConfiguration",
        "ListBucket",
    )
)
"""The provider reads all of a bucket's settings, whether the stack has them or not."""
CONFIGURE_BUCKET = tuple(
    f"s3:{action}"
    for action in (
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
        "PutLifecycleConfiguration",
    )
)
MANAGE_ROLE = tuple(
    f"iam:{action}"
    for action in (
        "CreateRole",
        "DeleteRole",
        "DeleteRolePolicy",
        "GetRole",
        "GetRolePolicy",
        "ListAttachedRolePolicies",
        "ListInstanceProfilesForRole",
        "ListRolePolicies",
        "ListRoleTags",
        "PutRolePolicy",
        "TagRole",
        "UntagRole",
        "UpdateAssumeRolePolicy",
        "UpdateRole",
        "UpdateRoleDescription",
    )
)
MANAGE_KEY = tuple(
    f"kms:{action}"
    for action in (
        "CreateAlias",
        "DescribeKey",
        "EnableKeyRotation",
        "GetKeyPolicy",
        "GetKeyRotationStatus",
        "ListResourceTags",
        "PutKeyPolicy",
        "UpdateAlias",
        "UpdateKeyDescription",
    )
)
MANAGE_SAGEMAKER = tuple(
    f"sagemaker:{action}"
    for action in (
        "AddTags",
        "CreateEndpoint",
        "CreateEndpointConfig",
        "CreateModel",
        "CreateModelPackageGroup",
        "DeleteEndpoint",
        "DeleteEndpointConfig",
        "DeleteModel",
        "DeleteModelPackageGroupPolicy",
        "DeleteTags",
        "DescribeEndpoint",
        "DescribeEndpointConfig",
        "DescribeModel",
        "DescribeModelPackageGroup",
        "GetModelPackageGroupPolicy",
        "ListTags",
        "PutModelPackageGroupPolicy",
        "UpdateEndpoint",
        "UpdateEndpointWeightsAndCapacities",  # checked when the scalable target is registered
    )
)


class DeployRole(Construct):
    """One role for one repository; made by the bootstrap stack."""

    def __init__(self, scope: Construct, id_: str, *, environment: Environment, ci: Ci) -> None:
        super().__init__(scope, id_)
        names = environment.names
        audience = "sts.amazonaws.com.cn" if names.partition == "aws-cn" else "sts.amazonaws.com"
        # No thumbprints: for GitHub, AWS checks the certificate against its own authorities.
        provider = IamOpenidConnectProvider(self, "github", url=f"https://{ISSUER}", client_id_list=[audience])
        role = IamRole(
            self,
            "role",
            name=names.deploy_role,
            description=f"CI of {ci.repository} deploys {names.prefix}",
            assume_role_policy=policies.document(
                allow(
                    "OneRepositoryAndEnvironment",
                    ["sts:AssumeRoleWithWebIdentity"],
                    principal={"Federated": provider.arn},
                    conditions={
                        "StringEquals": {
                            f"{ISSUER}:aud": audience,
                            f"{ISSUER}:sub": f"repo:{ci.repository}:environment:{environment.name}",
                        }
                    },
                )
            ),
        )
        self.role_arn: str = role.arn
        # Managed policies: each may have 6,144 characters, all inline policies of a role together only 10,240.
        documents = {
            "state": _state(names),
            "storage": [*_storage(names), *_key(environment)],
            "roles": _roles(names),
            "sagemaker": [*_sagemaker(names), *_scaling(names)],
            "watching": _watching(names),
        }
        for name, statements in documents.items():
            policy = IamPolicy(self, name, name=names.deploy_policy(name), policy=policies.document(*statements))
            IamRolePolicyAttachment(self, f"{name}-attached", role=role.name, policy_arn=policy.arn)


def _state(names: EnvironmentNames) -> list[Statement]:
    state = f"{names.state_bucket_arn}/{STATE_KEY}"
    return [
        allow("FindState", ["s3:ListBucket"], names.state_bucket_arn),
        allow("UseState", ["s3:GetObject", "s3:PutObject"], [state, f"{state}.tflock"]),
        allow("ReleaseLock", ["s3:DeleteObject"], f"{state}.tflock"),
    ]


def _storage(names: EnvironmentNames) -> list[Statement]:
    # One by one: the pattern <prefix>-* would take in the state bucket.
    buckets = [names.bucket_arn(kind) for kind in BUCKET_KINDS]
    return [
        allow("ConfigureBuckets", [*READ_BUCKET, *CONFIGURE_BUCKET], buckets),
        allow(
            "UploadInitialModels",
            ["s3:GetObject", "s3:GetObjectTagging", "s3:PutObject", "s3:PutObjectTagging"],
            f"{names.bucket_arn('artifacts')}/models/*/initial/*",
        ),
    ]


def _key(environment: Environment) -> list[Statement]:
    names = environment.names
    tags = {"Project": environment.project, "Environment": environment.name}
    requested: Conditions = {"StringEquals": {f"aws:RequestTag/{tag}": value for tag, value in tags.items()}}
    tagged = {f"aws:ResourceTag/{tag}": value for tag, value in tags.items()}
    key, alias = names.arn("kms", "key/*"), names.arn("kms", names.key_alias)
    through = policies.through(names, "s3")["StringEquals"]
    return [
        allow("MakeKey", ["kms:CreateKey"], "*", conditions=requested),  # a key has no name before it is made
        allow("TagKey", ["kms:TagResource"], key, conditions=requested),
        allow("ManageKey", MANAGE_KEY, key, conditions={"StringEquals": tagged}),
        allow("NameKey", ["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"], alias),
        allow("FindAlias", ["kms:ListAliases"], "*"),
        allow(  # for the initial model
            "EncryptUploads", ["kms:Decrypt", "kms:GenerateDataKey"], key, conditions={"StringEquals": tagged | through}
        ),
        allow(  # for the volumes of endpoints
            "GrantKeyToServices",
            ["kms:CreateGrant"],
            key,
            conditions={"StringEquals": tagged, "Bool": {"kms:GrantIsForAWSResource": "true"}},
        ),
    ]


def _roles(names: EnvironmentNames) -> list[Statement]:
    roles = names.iam_arn(f"role/{names.prefix}-*")
    return [
        allow("ManageRoles", MANAGE_ROLE, roles),
        allow(
            "PassRoles",
            ["iam:PassRole"],
            roles,
            conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        ),
        allow(
            "MakeAutoscalingRole",
            ["iam:CreateServiceLinkedRole"],
            names.iam_arn(f"role/aws-service-role/{AUTOSCALING_SERVICE}/{AUTOSCALING_ROLE}"),
            conditions={"StringEquals": {"iam:AWSServiceName": AUTOSCALING_SERVICE}},
        ),
        {  # its own name has the prefix too
            "Sid": "NeverItself",
            "Effect": "Deny",
            "Action": "iam:*",
            "Resource": names.deploy_role_arn,
        },
    ]


def _sagemaker(names: EnvironmentNames) -> list[Statement]:
    kinds = ("endpoint", "endpoint-config", "model", "model-package-group")
    return [
        allow("ManageServing", MANAGE_SAGEMAKER, [names.arn("sagemaker", f"{kind}/{names.prefix}-*") for kind in kinds])
    ]


def _scaling(names: EnvironmentNames) -> list[Statement]:
    return [
        allow(  # AWS invents a scalable target's id; the namespace leaves SageMaker's alone
            "ScaleEndpoints",
            [
                "application-autoscaling:DeleteScalingPolicy",
                "application-autoscaling:DeregisterScalableTarget",
                "application-autoscaling:ListTagsForResource",
                "application-autoscaling:PutScalingPolicy",
                "application-autoscaling:RegisterScalableTarget",
                "application-autoscaling:TagResource",
                "application-autoscaling:UntagResource",
            ],
            names.arn("application-autoscaling", "scalable-target/*"),
        ),
        allow(
            "FindScaling",
            ["application-autoscaling:DescribeScalableTargets", "application-autoscaling:DescribeScalingPolicies"],
            "*",
        ),
    ]


def _watching(names: EnvironmentNames) -> list[Statement]:
    groups = [names.training_log_group, names.endpoint_log_groups]
    return [
        allow(
            "ManageAlarms",
            [
                "cloudwatch:DeleteAlarms",
                "cloudwatch:ListTagsForResource",
                "cloudwatch:PutMetricAlarm",
                "cloudwatch:TagResource",
                "cloudwatch:UntagResource",
            ],
            [
                names.arn("cloudwatch", f"alarm:{names.prefix}-*"),
                names.arn("cloudwatch", f"alarm:TargetTracking-endpoint/{names.prefix}-*"),  # made for a scaling policy
            ],
        ),
        allow("ReadAlarms", ["cloudwatch:DescribeAlarms"], names.arn("cloudwatch", "alarm:*")),
        allow(
            "ManageDashboard",
            ["cloudwatch:DeleteDashboards", "cloudwatch:GetDashboard", "cloudwatch:PutDashboard"],
            f"arn:{names.partition}:cloudwatch::{names.account}:dashboard/{names.dashboard}",
        ),
        allow(
            "ManageLogGroups",
            [
                "logs:AssociateKmsKey",
                "logs:CreateLogGroup",
                "logs:ListTagsForResource",
                "logs:PutRetentionPolicy",
                "logs:TagResource",
                "logs:UntagResource",
            ],
            [names.arn("logs", f"log-group:{group}{end}") for group in groups for end in ("", ":*")],
        ),
        allow("FindLogGroups", ["logs:DescribeLogGroups"], names.arn("logs", "log-group:*")),
        allow(
            "ManageTopic",
            [
                "sns:CreateTopic",
                "sns:DeleteTopic",
                "sns:GetTopicAttributes",
                "sns:ListTagsForResource",
                "sns:SetTopicAttributes",
                "sns:Subscribe",
                "sns:TagResource",
                "sns:UntagResource",
            ],
            names.arn("sns", names.alarm_topic),
        ),
        allow(  # a subscription is no resource that a policy could name
            "ManageSubscriptions",
            ["sns:GetSubscriptionAttributes", "sns:SetSubscriptionAttributes", "sns:Unsubscribe"],
            "*",
        ),
        allow(
            "ManageBudget",
            [
                "budgets:ListTagsForResource",
                "budgets:ModifyBudget",
                "budgets:TagResource",
                "budgets:UntagResource",
                "budgets:ViewBudget",
            ],
            f"arn:{names.partition}:budgets::{names.account}:budget/{names.budget}",
        ),
    ]
