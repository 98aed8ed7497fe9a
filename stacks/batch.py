"""Predictions in batches: a transform job on a schedule, from one prefix of the lake to another. No endpoint, no code.

EventBridge Scheduler calls CreateTransformJob by itself (a universal target). The schedule is switched off until the
first release, and a release is a change of it: another model's name in its input. So Terraform ignores both, and what a
model file says later about instances or content takes effect with the next release.
"""

from __future__ import annotations

from typing import Any

from mlops_kit.config import Environment, Model
from stacks.bindings import Construct
from stacks.data_lake import DataLake
from stacks.failures import count_failures
from stacks.first_model import FirstModel
from stacks.network import Network
from stacks.schedules import EXECUTION_ID, SCHEDULED_TIME, Schedules, call
from stacks.serving_role import ServingRole
from stacks.terraform_settings import cost_tags, model_tags


class Batch(Construct):
    """The schedule of one model's transform jobs, with the initial model until there is a release."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        model: Model,
        role: ServingRole,
        lake: DataLake,
        key_arn: str,
        network: Network,
        schedules: Schedules,
    ) -> None:
        super().__init__(scope, id_)
        first = FirstModel(
            self,
            "initial",
            environment=environment,
            model=model,
            variant=None,
            role=role,
            lake=lake,
            network=network,
        )
        count_failures(
            self,
            "failed",
            environment=environment,
            model=model,
            rule=model.names(environment.names).rule("batch-failed"),
            kind="Transform",
            detail={"TransformJobName": [{"prefix": model.names(environment.names).transform_job("")}]},
        )
        schedules.add(
            self,
            "schedule",
            name=model.names(environment.names).schedule("batch"),
            description=f"Predictions of {model.name}. Releases set the model and switch it on",
            expression=model.serving.batch.schedule,
            timezone=model.serving.batch.timezone,
            arn=call(environment.names, "sagemaker:createTransformJob"),
            payload=_job(environment, model, first.name, key_arn),
            enabled=False,
            lifecycle={"ignore_changes": ["state", "target[0].input"]},
        )


def _job(environment: Environment, model: Model, initial: str, key_arn: str) -> dict[str, Any]:
    """CreateTransformJob. ``mlops_kit.batch`` fills in what a release has to say about it."""
    names, batch = model.names(environment.names), model.serving.batch
    lake = environment.names.bucket("lake")
    by_lines = batch.content_type != "application/json"  # one JSON document is one request
    tags = cost_tags(environment) | model_tags(model)
    resources: dict[str, Any] = {"InstanceType": model.serving.instance_type, "InstanceCount": batch.instance_count}
    if not model.serving.has_local_storage:
        resources["VolumeKmsKeyId"] = key_arn
    return {
        "TransformJobName": names.transform_job(EXECUTION_ID),
        "ModelName": initial,
        "MaxPayloadInMB": batch.max_payload_mb,
        "BatchStrategy": "MultiRecord" if by_lines else "SingleRecord",
        "TransformInput": {
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": f"s3://{lake}/{batch.input_prefix or names.raw_prefix}",
                }
            },
            "ContentType": batch.content_type,
            "SplitType": "Line" if by_lines else "None",
        },
        "TransformOutput": {
            "S3OutputPath": f"s3://{lake}/{names.predictions_prefix}{SCHEDULED_TIME}",
            "Accept": batch.content_type,
            "AssembleWith": "Line",
            "KmsKeyId": key_arn,
        },
        "TransformResources": resources,
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
