"""What the training jobs of a model run as, what they may ask for, and who hears of it when one fails."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_kit.config import Environment, Model
from mlops_kit.naming import EnvironmentNames
from stacks import policies
from stacks.bindings import Construct, IamRole, IamRolePolicy
from stacks.failures import count_failures
from stacks.network import Network
from stacks.policies import Conditions, Statement, allow
from stacks.terraform_settings import model_tags

METRIC_NAMESPACE = "/aws/sagemaker/TrainingJobs"


class Training(Construct):
    """The execution role of training jobs: read data and code, write what the job makes, nothing else."""

    def __init__(
        self, scope: Construct, id_: str, *, environment: Environment, model: Model, key_arn: str, network: Network
    ) -> None:
        super().__init__(scope, id_)
        names, own = environment.names, model.names(environment.names)
        lake, artifacts = names.bucket_arn("lake"), names.bucket_arn("artifacts")
        data, output = f"datasets/{model.dataset}/", own.training_output_prefix
        code = [own.training_source_prefix, own.pipeline_prefix]
        role = IamRole(
            self,
            "role",
            name=own.role("training"),
            description=f"Training jobs of {own.prefix}",
            permissions_boundary=names.boundary_arn,
            assume_role_policy=policies.assumed_by_sagemaker(names),
            tags=model_tags(model),
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
                    [f"{lake}/{data}*", *(f"{artifacts}/{prefix}*" for prefix in code)],
                ),
                *find_objects("Data", lake, [data]),
                *find_objects("Source", artifacts, [*code, f"{output}/"]),
                allow("WriteOutput", policies.WRITE_OBJECTS, f"{artifacts}/{output}/*"),
                *policies.use_key(names, key_arn),
                *policies.pull_images(names, [model.training.image]),
                policies.write_logs([names.training_log_group], names),
                policies.put_metrics(METRIC_NAMESPACE),
                *interfaces(names, network),
            ),
        )
        count_failures(
            self,
            "failed",
            environment=environment,
            model=model,
            rule=own.rule("training-failed"),
            kind="Training",
            # By the role and not by the name, because SageMaker names the jobs of a pipeline.
            detail={"RoleArn": [own.role_arn("training")]},
        )


def interfaces(names: EnvironmentNames, network: Network) -> list[Statement]:
    """What the role of a job needs in the environment's subnets; nothing outside of a VPC."""
    if not network.vpc_config:
        return []
    return policies.use_interfaces(names, network.subnet_ids, network.security_group_ids)


def find_objects(sid: str, bucket_arn: str, prefixes: Sequence[str], *, versions: bool = False) -> list[Statement]:
    """List what is below these prefixes of a bucket, and nothing else of it; with ``versions``, the older ones too."""
    return [
        allow(f"Locate{sid}", ["s3:GetBucketLocation"], bucket_arn),
        allow(
            f"Find{sid}",
            ["s3:ListBucket", *(["s3:ListBucketVersions"] if versions else [])],
            bucket_arn,
            conditions={"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}},
        ),
    ]


def training_limits(models: Sequence[Model]) -> Conditions:
    """What a job that one of ``models`` may train with can ask for at most: the conditions of CreateTrainingJob.

    A request that leaves the instance types or the run time out is refused: SageMaker's own default is a day. AWS has
    no condition for the number of instances, which only the configuration holds.
    """
    allowed = [model.training.allowed for model in models]
    types = {instance_type for limits in allowed for instance_type in limits.instance_types}
    return compute_limits(types, 60 * max((limits.max_runtime_minutes for limits in allowed), default=0))


def compute_limits(instance_types: set[str], seconds: int) -> Conditions:
    """At most these instance types, for at most so long."""
    return {
        "ForAllValues:StringEquals": {"sagemaker:InstanceTypes": sorted(instance_types)},
        "Null": {"sagemaker:InstanceTypes": "false"},  # "for all" holds for none at all
        "NumericLessThanEquals": {"sagemaker:MaxRuntimeInSeconds": str(seconds)},
    }


def inside(network: Network, *, isolated: bool = False) -> Conditions:
    """In the environment's subnets and security groups, and with ``isolated`` without a network in the container."""
    conditions: Conditions = {}
    if network.vpc_config:
        conditions = {
            "ForAllValues:StringEquals": {
                "sagemaker:VpcSubnets": network.subnet_ids,
                "sagemaker:VpcSecurityGroupIds": network.security_group_ids,
            },
            "Null": {"sagemaker:VpcSubnets": "false", "sagemaker:VpcSecurityGroupIds": "false"},
        }
    if isolated and network.isolated:
        conditions["Bool"] = {"sagemaker:NetworkIsolation": "true"}
    return conditions


def both(first: Conditions, second: Conditions) -> Conditions:
    """Conditions that hold together; no key stands in both."""
    operators = [*first, *(operator for operator in second if operator not in first)]
    return {operator: {**first.get(operator, {}), **second.get(operator, {})} for operator in operators}
