"""What a model's containers run as, and no other model's."""

from __future__ import annotations

from mlops_kit.config import Environment, Model
from mlops_kit.naming import ModelNames
from stacks import policies
from stacks.bindings import Construct, IamRole, IamRolePolicy
from stacks.network import Network
from stacks.policies import Statement, allow
from stacks.terraform_settings import model_tags
from stacks.training import find_objects, interfaces

ENDPOINT_METRICS = "/aws/sagemaker/Endpoints"
TRANSFORM_METRICS = "/aws/sagemaker/TransformJobs"


class ServingRole(Construct):
    """The execution role of one model's endpoint or batch jobs: read released models, write what serving makes."""

    def __init__(
        self, scope: Construct, id_: str, *, environment: Environment, model: Model, key_arn: str, network: Network
    ) -> None:
        super().__init__(scope, id_)
        names, own = environment.names, model.names(environment.names)
        artifacts = names.bucket_arn("artifacts")
        role = IamRole(
            self,
            "role",
            name=own.role("serving"),
            description=f"Serves {own.prefix}",
            assume_role_policy=policies.assumed_by_sagemaker(names),
            permissions_boundary=names.boundary_arn,
            tags=model_tags(model),
        )
        self.role_arn: str = role.arn
        self.policy = IamRolePolicy(
            self,
            "policy",
            name="serving",
            role=role.id,
            policy=policies.document(
                allow("ReadModels", ["s3:GetObject", "s3:GetObjectVersion"], f"{artifacts}/models/{model.name}/*"),
                *find_objects("Models", artifacts, [f"models/{model.name}/"]),
                *_requests_and_answers(model, own),
                *policies.use_key(names, key_arn),
                *policies.pull_images(names, [model.serving_image]),
                *interfaces(names, network),
                *_watched(model, own),
            ),
        )


def _requests_and_answers(model: Model, own: ModelNames) -> list[Statement]:
    """What comes in and goes out by way of S3."""
    names, kind = own.environment, model.serving.kind
    capture, lake = names.bucket_arn("capture"), names.bucket_arn("lake")
    if kind == "batch":
        requests = model.serving.batch.input_prefix or own.raw_prefix
        return [
            allow("ReadRequests", ["s3:GetObject"], f"{lake}/{requests}*"),
            *find_objects("Requests", lake, [requests]),
            allow("WriteAnswers", ["s3:AbortMultipartUpload", "s3:PutObject"], f"{lake}/{own.predictions_prefix}*"),
        ]
    if kind == "async":
        return [
            allow("ReadRequests", ["s3:GetObject"], f"{capture}/{own.requests_prefix}*"),
            *find_objects("Requests", capture, [own.requests_prefix]),
            allow(
                "WriteAnswers",
                ["s3:AbortMultipartUpload", "s3:PutObject"],
                [f"{capture}/{own.answers_prefix}*", f"{capture}/{own.failures_prefix}*"],
            ),
        ]
    if model.serving.is_captured:
        return [allow("CaptureTraffic", ["s3:PutObject"], f"{capture}/{own.endpoint}/*")]
    return []


def _watched(model: Model, own: ModelNames) -> list[Statement]:
    names = own.environment
    if not model.serving.has_endpoint:
        return [
            policies.write_logs([names.transform_log_group], names),
            policies.put_metrics(TRANSFORM_METRICS),
        ]
    found = [policies.write_logs([own.endpoint_log_group], names), policies.put_metrics(ENDPOINT_METRICS)]
    if model.serving.has_instances:  # SageMaker watches the rollback alarms as the role of the model it rolls out
        alarms = names.arn("cloudwatch", f"alarm:{own.prefix}-*")
        found.insert(0, allow("WatchRollbackAlarms", ["cloudwatch:DescribeAlarms"], alarms))
    return found
