"""The promoter role: what the kit's commands act as in this environment.

A promotion pulls. One role in the target account reads the source stage and writes its own; the source's bucket, key
and package group policies name it (``policies.promoter_of``), and nobody in the source can write here.

Resources are patterns on the environment's prefix, not lists of models: an account is one environment, so a list would
only grow towards IAM's limit of 10,240 characters without keeping anything out.
"""

from __future__ import annotations

from mlops_kit.config import Environment
from mlops_kit.naming import DRIFT_NAMESPACE, EnvironmentNames
from stacks import policies
from stacks.bindings import Construct, IamRole, IamRolePolicy
from stacks.policies import Statement, allow

READ_PACKAGES = (
    "sagemaker:DescribeModelPackage",
    "sagemaker:DescribeModelPackageGroup",
    "sagemaker:ListModelPackages",
)


class Promoter(Construct):
    """Assumed by the account's own principals that IAM allows to, and by the environment's ``operators``."""

    def __init__(
        self, scope: Construct, id_: str, *, environment: Environment, source: Environment | None, key_arn: str
    ) -> None:
        super().__init__(scope, id_)
        names = environment.names
        role = IamRole(
            self,
            "role",
            name=names.role("promoter"),
            description=f"Data, training, promotion and releases in {names.prefix}",
            assume_role_policy=policies.document(
                allow(
                    "Operators",
                    ["sts:AssumeRole"],
                    principal={"AWS": sorted({names.account_root, *environment.operators})},
                )
            ),
        )
        self.role_arn: str = role.arn
        documents = {
            "storage": [*_storage(names), *policies.use_key(names, key_arn)],
            "sagemaker": [*_sagemaker(names), *_watch(names)],
            "source": _source(source.names) if source else [],
        }
        for name, statements in documents.items():
            if statements:
                IamRolePolicy(self, name, name=name, role=role.id, policy=policies.document(*statements))


def _storage(names: EnvironmentNames) -> list[Statement]:
    lake, artifacts, capture, ledger = (
        names.bucket_arn("lake"),
        names.bucket_arn("artifacts"),
        names.bucket_arn("capture"),
        names.bucket_arn("ledger"),
    )
    return [
        allow("FindObjects", policies.LIST_BUCKET, [lake, artifacts, capture, ledger]),
        allow("ReadObjects", policies.READ_OBJECTS, [f"{bucket}/*" for bucket in (lake, artifacts, capture, ledger)]),
        allow(
            "WriteObjects",
            policies.WRITE_OBJECTS,
            [f"{lake}/datasets/*", f"{artifacts}/models/*", f"{artifacts}/training/*"],
        ),
        allow(  # a copy whose digest turns out wrong is taken back
            "TakeBackBadCopies",
            ["s3:DeleteObjectVersion"],
            [f"{lake}/datasets/*", f"{artifacts}/models/*"],
        ),
        allow(
            "AppendToLedger",
            ["s3:PutObject"],
            f"{ledger}/*",
            conditions={"Null": {"s3:if-none-match": "false"}},  # create only: an event is never replaced
        ),
    ]


def _sagemaker(names: EnvironmentNames) -> list[Statement]:
    def arns(*kinds: str) -> list[str]:
        return [names.arn("sagemaker", f"{kind}/{names.prefix}-*") for kind in kinds]

    return [
        allow(
            "RegisterPackages",
            [*READ_PACKAGES, "sagemaker:CreateModelPackage", "sagemaker:UpdateModelPackage"],
            arns("model-package", "model-package-group"),
        ),
        allow(
            "MakeReleases",
            [
                "sagemaker:AddTags",
                "sagemaker:CreateEndpointConfig",
                "sagemaker:CreateModel",
                "sagemaker:DeleteEndpointConfig",
                "sagemaker:DeleteModel",
                "sagemaker:DescribeEndpointConfig",
                "sagemaker:DescribeModel",
                "sagemaker:ListTags",
            ],
            arns("endpoint-config", "model"),
        ),
        allow(
            "RollEndpoints",
            ["sagemaker:DescribeEndpoint", "sagemaker:InvokeEndpoint", "sagemaker:UpdateEndpoint"],
            arns("endpoint", "endpoint-config"),
        ),
        allow(
            "Train",
            [
                "sagemaker:AddTags",
                "sagemaker:CreateTrainingJob",
                "sagemaker:DescribeTrainingJob",
                "sagemaker:StopTrainingJob",
            ],
            arns("training-job"),
        ),
        allow(
            "PassRoles",
            ["iam:PassRole"],
            [names.role_arn("serving"), names.role_arn("training")],
            conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        ),
    ]


def _watch(names: EnvironmentNames) -> list[Statement]:
    return [
        policies.put_metrics(DRIFT_NAMESPACE),
        allow(
            "ReadAlarms",
            ["cloudwatch:DescribeAlarmHistory", "cloudwatch:DescribeAlarms"],
            names.arn("cloudwatch", "alarm:*"),  # finding alarms by their prefix counts as asking for all of them
        ),
        allow(  # metrics have no resource
            "ReadMetrics", ["cloudwatch:GetMetricData", "cloudwatch:GetMetricStatistics"], "*"
        ),
        allow(
            "ReadLogs",
            ["logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents"],
            [
                names.arn("logs", f"log-group:{group}:*")
                for group in (names.training_log_group, names.endpoint_log_groups)
            ],
        ),
    ]


def _source(source: EnvironmentNames) -> list[Statement]:
    lake, artifacts = source.bucket_arn("lake"), source.bucket_arn("artifacts")
    return [
        allow("FindSourceObjects", policies.LIST_BUCKET, [lake, artifacts]),
        allow("ReadSourceObjects", policies.READ_OBJECTS, [f"{lake}/*", f"{artifacts}/*"]),
        allow(
            "ReadSourcePackages",
            READ_PACKAGES,
            [source.arn("sagemaker", f"{kind}/{source.prefix}-*") for kind in ("model-package", "model-package-group")],
        ),
        allow(  # AWS invents the key's id; the key's own policy says which of the account's keys this reaches
            "DecryptSourceObjects",
            ["kms:Decrypt"],
            source.arn("kms", "key/*"),
            conditions=policies.through(source, "s3"),
        ),
    ]
