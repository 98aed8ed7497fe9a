"""The drift job that runs on a schedule."""

from __future__ import annotations

import json
from typing import Any

from mlops_kit.config import Environment, Model
from mlops_kit.config.serving import LOCAL_STORAGE
from mlops_kit.naming import DRIFT_NAMESPACE
from stacks import policies
from stacks.automation import DeadLetters
from stacks.bindings import Construct, IamRole, IamRolePolicy, S3Object
from stacks.data_lake import DataLake
from stacks.network import Network
from stacks.policies import allow
from stacks.schedules import EXECUTION_ID, Schedules, call
from stacks.terraform_settings import cost_tags, model_tags
from stacks.training import find_objects, interfaces

INPUT = "/opt/ml/processing/input/job"
VOLUME_GB = 30
"""What was captured in the windows that are measured has to fit."""


class DriftJob(Construct):
    """A processing job, started by a schedule; nothing without ``drift.schedule``.

    What the job knows of the environment and the model is an object that it reads, so that the image is the same for
    every model and the job needs no checkout.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        model: Model,
        lake: DataLake,
        key_arn: str,
        network: Network,
        schedules: Schedules,
        dead_letters: DeadLetters,
    ) -> None:
        super().__init__(scope, id_)
        if model.drift.schedule is None or model.drift.image is None:
            return
        names, own = environment.names, model.names(environment.names)
        role = self._role(environment, model, model.drift.image, key_arn, network)
        artifacts = lake.buckets["artifacts"]
        told = {"environment": environment.model_dump(mode="json"), "model": model.model_dump(mode="json")}
        S3Object(
            self,
            "told",
            bucket=artifacts.id,
            key=own.drift_job_key,
            content=_literal(json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)),
            content_type="application/json",
            depends_on=[artifacts.versioning, artifacts.encryption, artifacts.policy],  # stored as all else there is
            tags=model_tags(model),
        )
        schedules.add(
            self,
            "schedule",
            name=own.schedule("drift"),
            description=f"Compare the traffic of {own.endpoint} with its training data",
            expression=model.drift.schedule,
            timezone=model.drift.timezone,
            arn=call(names, "sagemaker:createProcessingJob"),
            payload=_job(environment, model, role.arn, key_arn, network),
        )

    def _role(self, environment: Environment, model: Model, image: str, key_arn: str, network: Network) -> Any:
        names, own = environment.names, model.names(environment.names)
        artifacts, capture, ledger = (names.bucket_arn(kind) for kind in ("artifacts", "capture", "ledger"))
        role = IamRole(
            self,
            "role",
            name=own.role("drift"),
            description=f"Drift jobs of {own.prefix}",
            permissions_boundary=names.boundary_arn,
            assume_role_policy=policies.assumed_by_sagemaker(names),
            tags=model_tags(model),
        )
        IamRolePolicy(
            self,
            "policy",
            name="drift",
            role=role.id,
            policy=policies.document(
                allow(
                    "ReadTrafficAndBaseline",
                    ["s3:GetObject", "s3:GetObjectVersion"],
                    [
                        f"{capture}/{own.capture_prefix}*",
                        f"{artifacts}/models/{model.name}/*",
                        f"{artifacts}/{own.drift_job_key}",
                        f"{ledger}/{own.ledger_prefix}*",
                    ],
                ),
                *find_objects("Traffic", capture, [own.capture_prefix]),
                *find_objects("Baseline", artifacts, [f"models/{model.name}/", own.drift_job_key]),
                # An event that has more than one version was tampered with.
                *find_objects("Releases", ledger, [own.ledger_prefix], versions=True),
                *policies.use_key(names, key_arn),
                *policies.pull_images(names, [image]),
                policies.write_logs([names.processing_log_group], names),
                policies.put_metrics(DRIFT_NAMESPACE),
                *interfaces(names, network),
            ),
        )
        return role


def _job(environment: Environment, model: Model, role_arn: str, key_arn: str, network: Network) -> dict[str, Any]:
    """CreateProcessingJob's arguments."""
    names, drift = model.names(environment.names), model.drift
    cluster: dict[str, Any] = {"InstanceType": drift.instance_type, "InstanceCount": 1, "VolumeSizeInGB": VOLUME_GB}
    if not LOCAL_STORAGE.fullmatch(drift.instance_type.split(".")[1]):  # those encrypt their own disks
        cluster["VolumeKmsKeyId"] = key_arn
    reached: dict[str, Any] = {"EnableNetworkIsolation": False}  # it asks S3 and CloudWatch
    if network.vpc_config:
        reached["VpcConfig"] = {"Subnets": network.subnet_ids, "SecurityGroupIds": network.security_group_ids}
    file = names.drift_job_key.rsplit("/", 1)[1]
    tags = cost_tags(environment) | model_tags(model)
    return {
        "ProcessingJobName": names.drift_job(EXECUTION_ID),
        "RoleArn": role_arn,
        "AppSpecification": {
            "ImageUri": drift.image,
            "ContainerEntrypoint": ["python3", "-m", "mlops_kit.jobs.drift_entry"],
        },
        "ProcessingInputs": [
            {
                "InputName": "job",
                "S3Input": {
                    "S3Uri": f"s3://{environment.names.bucket('artifacts')}/{names.drift_job_key}",
                    "LocalPath": INPUT,
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                },
            }
        ],
        "Environment": {"MLOPS_KIT_DRIFT_JOB": f"{INPUT}/{file}"},
        "ProcessingResources": {"ClusterConfig": cluster},
        "NetworkConfig": reached,
        "StoppingCondition": {"MaxRuntimeInSeconds": drift.max_runtime_minutes * 60},
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }


def _literal(text: str) -> str:
    """Text in which Terraform finds no template."""
    return text.replace("${", "$${").replace("%{", "%%{")
