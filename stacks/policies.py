"""IAM policy documents as plain data.

Written as dictionaries rather than with ``aws_iam_policy_document`` data sources: what a plan shows is then the policy
itself, complete before anything exists, and the golden files of the tests show every change of a permission.

Names in a policy come from ``mlops_kit.naming`` and not from references, so that a role can be described before the
things that it may touch are made. Only the KMS key has an ARN that AWS invents.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from mlops_kit.config import Environment
from mlops_kit.naming import EnvironmentNames, PersonRole

Statement = dict[str, Any]
Conditions = dict[str, dict[str, Any]]

READ_OBJECTS = (
    "s3:GetObject",
    "s3:GetObjectTagging",
    "s3:GetObjectVersion",
    "s3:GetObjectVersionTagging",
)
WRITE_OBJECTS = (
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
    "s3:PutObjectTagging",
)
LIST_BUCKET = ("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketVersions")

_ECR_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/(?P<repository>[^:@]+)[:@]"
)
ECR_PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


def document(*statements: Statement) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def sid(name: str) -> str:
    """A name as part of a statement id, which takes letters and digits only."""
    return name.title().replace("-", "")


def allow(
    sid_: str,
    actions: Sequence[str],
    resources: str | Sequence[str] | None = None,
    *,
    principal: dict[str, Any] | None = None,
    conditions: Conditions | None = None,
) -> Statement:
    """One Allow statement. A trust policy has no resource, and a role's own policy no principal."""
    statement: Statement = {"Sid": sid_, "Effect": "Allow"}
    if principal is not None:
        statement["Principal"] = principal
    statement["Action"] = list(actions)
    if resources is not None:
        statement["Resource"] = resources if isinstance(resources, str) else list(resources)
    if conditions:
        statement["Condition"] = conditions
    return statement


def merged(statements: Iterable[Statement]) -> list[Statement]:
    """The same permissions in fewer statements, each under the first one's name, for a role that may do much.

    IAM allows 10,240 characters for all inline policies of a role together. Joined are statements that differ in their
    actions alone, then those that differ in their resources alone.
    """
    found = list(statements)
    for key in ("Action", "Resource"):
        kept: list[Statement] = []
        for statement in found:
            same = [one for one in kept if _without(one, key) == _without(statement, key)]
            if same:
                same[0][key] = sorted({*_listed(same[0][key]), *_listed(statement[key])})
            else:
                kept.append(dict(statement))
        found = kept
    return found


def _without(statement: Statement, key: str) -> Statement:
    others = {name: value for name, value in statement.items() if name not in ("Sid", key)}
    return {name: sorted(value) if isinstance(value, list) else value for name, value in others.items()}


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def tls_only(resources: str | Sequence[str], action: str) -> Statement:
    """Refuse whatever does not come over TLS."""
    return {
        "Sid": "RefuseWithoutTls",
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": action,
        "Resource": resources if isinstance(resources, str) else list(resources),
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def assumed_by_sagemaker(names: EnvironmentNames) -> str:
    """Trust for an execution role, closed to SageMaker acting for another account (the confused deputy)."""
    return document(
        allow(
            "SageMaker",
            ["sts:AssumeRole"],
            principal={"Service": "sagemaker.amazonaws.com"},
            conditions={
                "StringEquals": {"aws:SourceAccount": names.account},
                "ArnLike": {"aws:SourceArn": names.arn("sagemaker", "*")},
            },
        )
    )


def through(names: EnvironmentNames, *services: str) -> Conditions:
    """The key may only be used by these services, on behalf of the caller."""
    return {"StringEquals": {"kms:ViaService": [regional(service, names) for service in services]}}


def regional(service: str, names: EnvironmentNames) -> str:
    """A service's name in the environment's region: what it is called as a principal and in conditions."""
    domain = "amazonaws.com.cn" if names.partition == "aws-cn" else "amazonaws.com"
    return f"{service}.{names.region}.{domain}"


def promoter_of(environment: Environment) -> tuple[dict[str, Any], Conditions]:
    return people_of(environment, "promoter")


def people_of(environment: Environment, *kinds: PersonRole) -> tuple[dict[str, Any], Conditions]:
    """Principal and condition that name roles of another account.

    AWS refuses a resource policy whose principal does not exist yet, and the next stage is deployed after this one.
    The account always exists, and the condition narrows it to the roles.
    """
    names = environment.names
    roles = [names.role_arn(kind) for kind in kinds]
    named = roles if len(roles) > 1 else roles[0]
    return {"AWS": names.account_root}, {"ArnEquals": {"aws:PrincipalArn": named}}


def pull_images(names: EnvironmentNames, images: Iterable[str]) -> list[Statement]:
    """Pull these images, where they are in ECR; other registries know nothing of IAM."""
    repositories = sorted(
        {
            f"arn:{names.partition}:ecr:{match['region']}:{match['account']}:repository/{match['repository']}"
            for image in images
            if (match := _ECR_IMAGE.match(image))
        }
    )
    if not repositories:
        return []
    return [
        allow("PullImages", ECR_PULL, repositories),
        allow("LogInToRegistries", ["ecr:GetAuthorizationToken"], "*"),  # this action has no resource
    ]


def use_key(names: EnvironmentNames, key_arn: str) -> list[Statement]:
    """Read and write what S3 and SageMaker keep encrypted with the environment's key."""
    return [
        allow("UseKey", ["kms:Decrypt", "kms:GenerateDataKey"], key_arn, conditions=through(names, "s3", "sagemaker")),
        allow("DescribeKey", ["kms:DescribeKey"], key_arn),
        allow(  # for the volumes of jobs and endpoints
            "GrantKeyToServices",
            ["kms:CreateGrant"],
            key_arn,
            conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        ),
    ]


def use_interfaces(
    names: EnvironmentNames, subnets: Sequence[str] = (), security_groups: Sequence[str] = ()
) -> list[Statement]:
    """Put jobs and endpoints into a VPC: SageMaker makes their network interfaces in the execution role's name.

    With ``subnets`` and ``security_groups`` (ids) into those and no others. Their account is left open, because a
    network that is shared with this account belongs to another one.

    Source: "SageMaker AI roles", execution role permissions for CreateModel and the jobs.
    """

    def arns(kind: str, ids: Sequence[str]) -> list[str]:
        return [f"arn:{names.partition}:ec2:{names.region}:*:{kind}/{id_}" for id_ in ids]

    interfaces = names.arn("ec2", "network-interface/*")
    here: Conditions | None = {"ArnLike": {"ec2:Subnet": arns("subnet", subnets)}} if subnets else None
    return [
        allow(
            "MakeInterfaces",
            ["ec2:CreateNetworkInterface"],
            [
                interfaces,
                *(arns("security-group", security_groups) or [names.arn("ec2", "security-group/*")]),
                *(arns("subnet", subnets) or [names.arn("ec2", "subnet/*")]),
            ],
        ),
        allow(
            "LendInterfaces",
            [
                "ec2:CreateNetworkInterfacePermission",
                "ec2:DeleteNetworkInterface",
                "ec2:DeleteNetworkInterfacePermission",
            ],
            interfaces,
            conditions=here,
        ),
        allow(  # none of them has a resource
            "SeeNetwork",
            [
                "ec2:DescribeDhcpOptions",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
            ],
            "*",
        ),
    ]


def write_logs(log_groups: Iterable[str], names: EnvironmentNames) -> Statement:
    return allow(
        "WriteLogs",
        ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
        [names.arn("logs", f"log-group:{group}:*") for group in log_groups],
    )


def put_metrics(*namespaces: str) -> Statement:
    """Publish metrics; CloudWatch metrics have no resource, so the namespace is what holds it."""
    return allow(
        "PutMetrics",
        ["cloudwatch:PutMetricData"],
        "*",
        conditions={"StringEquals": {"cloudwatch:namespace": list(namespaces)}},
    )
