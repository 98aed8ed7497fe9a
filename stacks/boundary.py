"""The permission boundary: the most that any role of an environment may do, whatever its own policies come to say.

The bootstrap stack makes it, and the role that deploys the environment can neither change it nor make or change a role
without it. So whoever changes a stack can hand out what is listed here, in this project's names, and nothing else: no
IAM, no network, no deletion of buckets, keys or log groups, nothing of another project in the same account. On the
local cloud, which nobody bootstraps, the environment's own stack makes it.

A boundary grants nothing by itself. It is as wide as the roles of all constructs together, which a test holds it to.
"""

from __future__ import annotations

from mlops_kit.config import Environment
from mlops_kit.naming import EnvironmentNames
from stacks import policies
from stacks.bindings import Construct, IamPolicy
from stacks.policies import Statement, allow

S3 = (
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:GetBucketLocation",
    "s3:GetObject*",
    "s3:GetReplicationConfiguration",
    "s3:List*",
    "s3:PutObject",
    "s3:PutObjectTagging",
    "s3:Replicate*",
)
KMS = ("kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*")
SIGNING = ("kms:GetPublicKey", "kms:Sign", "kms:Verify")
"""On top of them where versions are signed, or signatures of an earlier stage count."""
SAGEMAKER = tuple(
    f"sagemaker:{action}"
    for action in (
        "AddTags",
        "Create*",
        "DeleteEndpoint",
        "DeleteEndpointConfig",
        "DeleteModel",
        "Describe*",
        "Invoke*",
        "List*",
        "StartPipelineExecution",
        "Stop*",
        "UpdateEndpoint",
        "UpdateEndpointWeightsAndCapacities",
        "UpdateModelPackage",
    )
)
BY_NAME: dict[str, tuple[str, ...]] = {
    "application-autoscaling": (
        "DeregisterScalableTarget",
        "PutScalingPolicy",
        "PutScheduledAction",
        "RegisterScalableTarget",
        "TagResource",
    ),
    "cloudwatch": ("DescribeAlarmHistory", "DescribeAlarms", "GetDashboard"),
    "ecr": (
        "BatchCheckLayerAvailability",
        "BatchGetImage",
        "DescribeImages",
        "DescribeImageScanFindings",
        "DescribeRepositories",
        "GetDownloadUrlForLayer",
    ),
    "ec2": (
        "CreateNetworkInterface",
        "CreateNetworkInterfacePermission",
        "DeleteNetworkInterface",
        "DeleteNetworkInterfacePermission",
    ),
    "events": ("DescribeRule", "PutEvents"),
    "logs": (
        "CreateLogGroup",
        "CreateLogStream",
        "DescribeLogStreams",
        "FilterLogEvents",
        "GetLogEvents",
        "PutLogEvents",
    ),
    "scheduler": ("GetSchedule", "UpdateSchedule"),
    "sns": ("Publish",),
    "sqs": ("SendMessage",),
    "states": ("DescribeExecution", "GetExecutionHistory", "ListExecutions", "StartExecution"),
}
"""Service -> actions on whatever is in this account; which of it, the roles' own policies say."""
WITHOUT_NAMES = (
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScalingPolicies",
    "cloudwatch:GetMetricData",
    "cloudwatch:GetMetricStatistics",
    "cloudwatch:ListMetrics",
    "cloudwatch:PutMetricData",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "ecr:GetAuthorizationToken",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "sagemaker:ListEndpoints",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
)
"""Actions that take no resource (Service Authorization Reference)."""


def statements(names: EnvironmentNames, *, signing: bool = False) -> list[Statement]:
    partition, project = names.partition, names.project
    return [
        allow("Storage", S3, f"arn:{partition}:s3:::{project}-*"),
        allow("Keys", (*KMS, *SIGNING) if signing else KMS, f"arn:{partition}:kms:*:*:key/*"),
        allow(
            "SageMaker",
            SAGEMAKER,
            [
                f"arn:{partition}:sagemaker:*:*:*/{project}-*",
                f"arn:{partition}:sagemaker:*:*:*/pipelines-*",  # jobs of pipelines: the name is SageMaker's
                f"arn:{partition}:sagemaker:*:*:*/{names.scheduled_job_start}*",
            ],
        ),
        allow("PassRoles", ["iam:PassRole"], names.iam_arn(f"role/{names.prefix}-*")),
        allow("ObserveSource", ["sts:AssumeRole"], f"arn:{partition}:iam::*:role/{project}-*-auditor"),
        allow("SeeBudgets", ["budgets:ViewBudget"], f"arn:{partition}:budgets::*:budget/{project}-*"),
        *(
            allow(
                f"Service{policies.sid(service)}",
                [f"{service}:{action}" for action in actions],
                f"arn:{partition}:{service}:*:*:*",
            )
            for service, actions in BY_NAME.items()
        ),
        allow(  # what Application Auto Scaling makes for an endpoint; the environment's own alarms are out of reach
            "ScalingAlarms",
            ["cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm"],
            f"arn:{partition}:cloudwatch:*:*:alarm:TargetTracking-endpoint/{project}-*",
        ),
        allow("WithoutNames", WITHOUT_NAMES, "*"),
        {
            "Sid": "NeverTheLedger",
            "Effect": "Deny",
            "Action": ["s3:BypassGovernanceRetention", "s3:DeleteObject", "s3:DeleteObjectVersion"],
            "Resource": f"arn:{partition}:s3:::{names.bucket('ledger')}/*",
        },
    ]


class Boundary(Construct):
    """The managed policy that every role of the environment names as its boundary.

    ``signing``: signatures of this environment or of an earlier one count in it.
    """

    def __init__(self, scope: Construct, id_: str, *, environment: Environment, signing: bool) -> None:
        super().__init__(scope, id_)
        names = environment.names
        policy = IamPolicy(
            self,
            "policy",
            name=names.boundary,
            description=f"The most that any role of {names.prefix} may do",
            policy=policies.document(*statements(names, signing=signing)),
            lifecycle={"prevent_destroy": True} if environment.protect else None,
        )
        self.arn: str = policy.arn
