"""What training jobs run as, and where their logs go.

SageMaker makes the log group itself when a job runs before it exists. In an account that has trained before, import it
once: ``terraform import aws_cloudwatch_log_group.<id> /aws/sagemaker/TrainingJobs``.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlops_kit.config import Environment, Model
from stacks import policies
from stacks.bindings import Construct, IamRole, IamRolePolicy
from stacks.log_group import log_group
from stacks.policies import allow

METRIC_NAMESPACE = "/aws/sagemaker/TrainingJobs"


class Training(Construct):
    """The execution role of training jobs: read data and code, write what the job makes, nothing else."""

    def __init__(
        self, scope: Construct, id_: str, *, environment: Environment, models: Sequence[Model], key_arn: str
    ) -> None:
        super().__init__(scope, id_)
        names = environment.names
        lake, artifacts = names.bucket_arn("lake"), names.bucket_arn("artifacts")
        role = IamRole(
            self,
            "role",
            name=names.role("training"),
            description=f"Training jobs of {names.prefix}",
            assume_role_policy=policies.assumed_by_sagemaker(names),
        )
        self.role_arn: str = role.arn
        IamRolePolicy(
            self,
            "policy",
            name="training",
            role=role.id,
            policy=policies.document(
                allow(
                    "ReadDataAndSource",
                    ["s3:GetObject", "s3:GetObjectVersion"],
                    [f"{lake}/datasets/*", f"{artifacts}/training/*/source/*"],
                ),
                allow("FindData", policies.LIST_BUCKET, [lake, artifacts]),
                allow("WriteOutput", policies.WRITE_OBJECTS, f"{artifacts}/training/*/jobs/*"),
                *policies.use_key(names, key_arn),
                *policies.pull_images(names, [model.training.image for model in models]),
                policies.write_logs([names.training_log_group], names),
                policies.put_metrics(METRIC_NAMESPACE),
            ),
        )
        log_group(
            self,
            "logs",
            name=names.training_log_group,
            key_arn=key_arn,
            keep_days=environment.retention.logs_days,
            protect=environment.protect,
        )
