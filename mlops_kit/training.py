"""Train a model version: pack the team's code, run the job, store the artifact under its digest, register it.

What the version was made from (data commit, code commit, digest of the packed source, job) goes into its lineage.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_kit import registry
from mlops_kit.aws import Cloud
from mlops_kit.config import Model, Training
from mlops_kit.config.source_archive import ENTRY_IN_JOB, pack
from mlops_kit.datasets import refs
from mlops_kit.errors import IntegrityError, JobError
from mlops_kit.naming import DatasetKeys, ModelNames
from mlops_kit.network import JobNetwork, read_network
from mlops_kit.objects import Store, canonical_json, sha256_bytes
from mlops_kit.promotion.specification import serving_environment
from mlops_kit.registry import Lineage, ModelVersion

if TYPE_CHECKING:
    from types_boto3_sagemaker import SageMakerClient

CODE_CHANNEL = "code"
CODE_IN_JOB = f"/opt/ml/input/data/{CODE_CHANNEL}/sourcedir.tar.gz"
"""Where the source lies in a container that cannot download it."""

_RUNNING = {"InProgress", "Stopping"}


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """Which model is trained on which data. ``commit`` is a full commit id."""

    model: Model
    commit: str
    source_dir: Path


def resolve_data(lake: Store, model: Model, revision: str | None) -> str:
    """The commit to train on: the data set's main ref, or the one asked for."""
    return refs.resolve(lake, model.dataset, revision or refs.DEFAULT_REF)


def code_commit(source_dir: Path) -> str:
    """The git commit of the team's code, with ``-dirty`` if the directory differs from it; empty outside of git."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(source_dir), *arguments], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    head = git("rev-parse", "HEAD")
    if head is None:
        return ""
    return head + ("-dirty" if git("status", "--porcelain", "--", ".") else "")


def train(
    request: TrainingRequest,
    cloud: Cloud,
    *,
    now: datetime,
    tell: Callable[[str], None] = lambda line: None,
    sleep: Callable[[float], None] = time.sleep,
) -> ModelVersion:
    """Run one training job to its end and register what it made.

    Raises:
        JobError: the job failed; carries the script's own last lines.
    """
    model = request.model
    names = cloud.names.model(model.name)
    artifacts = cloud.store("artifacts")
    source = pack(request.source_dir)
    digest = sha256_bytes(source)
    source_key = names.training_source_key(digest)
    artifacts.put_new(source_key, source, "application/gzip")
    job = names.training_job(now, sha256_bytes(f"{request.commit}{digest}{now.timestamp()}".encode()))
    arguments = job_arguments(request, cloud, names, job, artifacts.uri(source_key), read_network(artifacts))
    cloud.sagemaker.create_training_job(**arguments)
    tell(f"training job {job} on {model.dataset}@{request.commit[:12]}")
    done = wait(cloud.sagemaker, job, sleep=sleep, tell=tell)
    lineage = Lineage(
        dataset=model.dataset,
        dataset_commit=request.commit,
        code_commit=code_commit(request.source_dir),
        source_sha256=digest,
        training_job=job,
        artifact_sha256=_store_artifact(artifacts, names, done),
        image_digest=model.serving_image.partition("@")[2],
    )
    version = registry.register(
        cloud.sagemaker,
        names,
        lineage=lineage,
        image=model.serving_image,
        artifact_uri=artifacts.uri(names.artifact_key(lineage.artifact_sha256)),
        metrics_uri=artifacts.uri(names.metrics_key(lineage.artifact_sha256)),
        environment=serving_environment(model, cloud.environment.region),
        description=f"Trained by {job} on {model.dataset}@{request.commit[:12]}",
    )
    tell(f"registered as {version.name}")
    return version


def job_arguments(
    request: TrainingRequest, cloud: Cloud, names: ModelNames, job: str, source_uri: str, network: JobNetwork
) -> dict[str, Any]:
    """CreateTrainingJob's arguments: script mode, as SageMaker's framework images read it.

    A container downloads its source itself, unless it is isolated: then SageMaker brings the source in, as one more
    channel. Source: SageMaker training toolkit, "script mode"; hyperparameter values are JSON texts.
    """
    model, training = request.model, request.model.training
    lake = cloud.store("lake")
    artifacts = cloud.store("artifacts")
    hyperparameters = {
        **training.hyperparameters,
        "label": model.label,
        "sagemaker_program": ENTRY_IN_JOB,
        "sagemaker_submit_directory": CODE_IN_JOB if network.isolated else source_uri,
        "sagemaker_container_log_level": 20,
        "sagemaker_region": cloud.environment.region,
    }
    channels = [_channel("train", "ManifestFile", lake.uri(DatasetKeys(model.dataset).manifest(request.commit)))]
    if network.isolated:
        channels.append(_channel(CODE_CHANNEL, "S3Prefix", source_uri))
    tags = cloud.environment.cost_tags | {"Model": model.name}
    return {
        "TrainingJobName": job,
        "RoleArn": names.role_arn("training"),
        "AlgorithmSpecification": {
            "TrainingImage": training.image,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": name, "Regex": regex} for name, regex in training.metrics.items()],
        },
        "HyperParameters": {name: json.dumps(value) for name, value in hyperparameters.items()},
        "Environment": {"MLOPS_KIT_TRAIN_PROGRAM": training.entry_point},
        "InputDataConfig": channels,
        "OutputDataConfig": {
            "S3OutputPath": artifacts.uri(names.training_output_prefix),
            "KmsKeyId": cloud.names.key_alias,
        },
        "ResourceConfig": {
            "InstanceType": training.instance_type,
            "InstanceCount": training.instance_count,
            "VolumeSizeInGB": training.volume_gb,
        },
        **_stopping(training),
        **_placing(network),
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }


def _channel(name: str, kind: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": kind, "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def _stopping(training: Training) -> dict[str, Any]:
    """How long the job may run and, on spare capacity, how long it may take with waiting for it."""
    run = {"MaxRuntimeInSeconds": training.max_runtime_minutes * 60}
    if training.wait_minutes is None:
        return {"StoppingCondition": run}
    return {
        "StoppingCondition": {**run, "MaxWaitTimeInSeconds": training.wait_minutes * 60},
        "EnableManagedSpotTraining": True,
    }


def _placing(network: JobNetwork) -> dict[str, Any]:
    """In the VPC, if there is one; what its instances say to each other is encrypted there."""
    placed: dict[str, Any] = {"EnableNetworkIsolation": network.isolated}
    if network.vpc_config is not None:
        placed |= {"VpcConfig": network.vpc_config, "EnableInterContainerTrafficEncryption": True}
    return placed


def wait(
    sagemaker: SageMakerClient, job: str, *, sleep: Callable[[float], None], tell: Callable[[str], None]
) -> dict[str, Any]:
    """Wait until the job is at rest; returns its description.

    Raises:
        JobError: it ended, but not as Completed.
    """
    pause = 0.5
    last = ""
    while True:
        found: dict[str, Any] = dict(sagemaker.describe_training_job(TrainingJobName=job))
        status = found["TrainingJobStatus"]
        phase = found.get("SecondaryStatus", status)
        if phase != last:
            tell(f"  {phase}")
            last = phase
        if status == "Completed":
            return found
        if status not in _RUNNING:
            raise JobError(
                f"Training job {job} is {status}: {found.get('FailureReason', 'no reason given')}",
                hint="Nothing was registered. The whole log is in CloudWatch Logs, /aws/sagemaker/TrainingJobs.",
            )
        sleep(pause)
        pause = min(pause * 1.5, 15.0)


def _store_artifact(artifacts: Store, names: ModelNames, job: dict[str, Any]) -> str:
    """Copy what the job wrote to where its digest says it belongs; metrics first, because the artifact proves both."""
    uri: str = job["ModelArtifacts"]["S3ModelArtifacts"]
    prefix = artifacts.uri("")
    if not uri.startswith(prefix):
        raise IntegrityError(f"The job wrote its artifact to {uri}, not into {artifacts.bucket}.")
    output_key = uri.removeprefix(prefix)
    with tempfile.TemporaryDirectory() as directory:
        sha256 = artifacts.download(output_key, Path(directory) / "model.tar.gz")
    metrics = {item["MetricName"]: item["Value"] for item in job.get("FinalMetricDataList", [])}
    artifacts.put_new(names.metrics_key(sha256), canonical_json(metrics), "application/json")
    artifacts.copy_new(names.artifact_key(sha256), artifacts, output_key, sha256)
    return sha256
