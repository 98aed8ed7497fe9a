"""What the VPC's endpoints let through, whatever the role of the caller allows.

An endpoint policy is a second lock: credentials of another account that were carried into a container are of no use
there, and a bucket of another account cannot be written to from inside.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlops_kit.naming import BUCKET_KINDS, EnvironmentNames
from stacks import policies
from stacks.policies import allow

ANYBODY = {"AWS": "*"}
"""Always with a condition on the account: a gateway endpoint takes an account as its root user alone."""

SAGEMAKER_ACTIONS = (
    "sagemaker:AddTags",
    "sagemaker:CreateModelPackage",
    "sagemaker:CreateProcessingJob",
    "sagemaker:CreateTrainingJob",
    "sagemaker:CreateTransformJob",
    "sagemaker:DescribeModelPackage",
    "sagemaker:DescribeModelPackageGroup",
    "sagemaker:DescribePipelineExecution",
    "sagemaker:DescribeProcessingJob",
    "sagemaker:DescribeTrainingJob",
    "sagemaker:DescribeTransformJob",
    "sagemaker:ListModelPackages",
    "sagemaker:ListTags",
    "sagemaker:SendPipelineExecutionStepFailure",
    "sagemaker:SendPipelineExecutionStepSuccess",
    "sagemaker:StartPipelineExecution",
    "sagemaker:UpdateModelPackage",
)
"""What a step of a pipeline, or a script that starts and registers, asks of SageMaker."""
EVERY = "*"
"""For actions that AWS offers no resource for."""

Use = tuple[Sequence[str], str]
"""Actions, and the resources they are let through for."""


def interface_policy(names: EnvironmentNames, service: str) -> str:
    """What code inside the VPC does with a service, for the account's own principals; its role decides if it may."""
    return policies.document(
        *(
            allow(
                f"OwnPrincipals{number}",
                actions,
                resource,
                principal=ANYBODY,
                conditions={"StringEquals": {"aws:PrincipalAccount": names.account}},
            )
            for number, (actions, resource) in enumerate(_uses(names)[service], start=1)
        )
    )


def _uses(names: EnvironmentNames) -> dict[str, list[Use]]:
    images = f"arn:{names.partition}:ecr:*:*:repository/*"  # SageMaker's own images lie in accounts of AWS
    pull: Use = (policies.ECR_PULL, images)
    return {
        "ecr.api": [pull, (["ecr:DescribeImages"], images), (["ecr:GetAuthorizationToken"], EVERY)],
        "ecr.dkr": [pull],
        "events": [(["events:PutEvents"], names.arn("events", "event-bus/*"))],
        "kms": [
            (
                ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
                names.arn("kms", "key/*"),
            )
        ],
        "logs": [
            (
                [
                    "logs:CreateLogStream",
                    "logs:DescribeLogGroups",
                    "logs:DescribeLogStreams",
                    "logs:FilterLogEvents",
                    "logs:GetLogEvents",
                    "logs:PutLogEvents",
                ],
                names.arn("logs", "log-group:*"),
            )
        ],
        "monitoring": [
            (["cloudwatch:DescribeAlarms"], names.arn("cloudwatch", "alarm:*")),
            (
                [
                    "cloudwatch:GetMetricData",
                    "cloudwatch:GetMetricStatistics",
                    "cloudwatch:ListMetrics",
                    "cloudwatch:PutMetricData",
                ],
                EVERY,
            ),
        ],
        "sagemaker.api": [(SAGEMAKER_ACTIONS, names.arn("sagemaker", "*"))],
        "sagemaker.runtime": [
            (["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointAsync"], names.arn("sagemaker", "endpoint/*"))
        ],
        "states": [
            (["states:SendTaskFailure", "states:SendTaskHeartbeat", "states:SendTaskSuccess"], EVERY),
            (["states:StartExecution"], names.arn("states", "stateMachine:*")),
            (["states:DescribeExecution"], names.arn("states", "execution:*")),
        ],
        "sts": [(["sts:AssumeRole"], names.iam_arn("role/*")), (["sts:GetCallerIdentity"], EVERY)],
    }


def s3_policy(names: EnvironmentNames) -> str:
    """The environment's buckets for the account's own principals, and the layers of images.

    ECR serves layers from a bucket of AWS's, by addresses that ECR itself signed
    (https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html): there the caller is not the account.
    """
    buckets = [names.bucket_arn(kind) for kind in BUCKET_KINDS]
    layers = f"arn:{names.partition}:s3:::prod-{names.region}-starport-layer-bucket/*"
    own = {"StringEquals": {"aws:PrincipalAccount": names.account}}
    return policies.document(
        allow("FindObjects", policies.LIST_BUCKET, buckets, principal=ANYBODY, conditions=own),
        allow(
            "ReadAndWriteObjects",
            [*policies.READ_OBJECTS, *policies.WRITE_OBJECTS, "s3:DeleteObject"],
            [f"{arn}/*" for arn in buckets],
            principal=ANYBODY,
            conditions=own,
        ),
        allow("PullLayers", ["s3:GetObject"], layers, principal=ANYBODY),
    )
