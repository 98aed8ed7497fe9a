"""Train a model version: pack the team's code, run the job, store the artifact under its digest, register it.

What the version was made from (data commit, code commit, digest of the packed source, job) goes into its lineage.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_kit import registry
from mlops_kit.aws import Cloud
from mlops_kit.config import Model
from mlops_kit.datasets import refs
from mlops_kit.errors import IntegrityError, JobError
from mlops_kit.naming import DatasetKeys, ModelNames
from mlops_kit.objects import Store, canonical_json, sha256_bytes
from mlops_kit.promotion.plan import serving_environment
from mlops_kit.registry import Lineage, ModelVersion

if TYPE_CHECKING:
    from types_boto3_sagemaker import SageMakerClient

ENTRY = "training_entry.py"
ENTRY_IN_JOB = "mlops_kit_training_entry.py"
"""The kit's own entry point travels beside the team's code and runs it."""

_LEFT_OUT = {"__pycache__", ".git", ".ipynb_checkpoints", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
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


def pack(source_dir: Path) -> bytes:
    """``sourcedir.tar.gz``: the team's directory and the kit's entry point; the same files give the same bytes."""
    members = {
        path.relative_to(source_dir).as_posix(): path.read_bytes()
        for path in sorted(source_dir.rglob("*"))
        if path.is_file() and not _LEFT_OUT & set(path.relative_to(source_dir).parts)
    }
    members[ENTRY_IN_JOB] = resources.files("mlops_kit.jobs").joinpath(ENTRY).read_bytes()
    return deterministic_tar_gz(members)


def deterministic_tar_gz(members: dict[str, bytes]) -> bytes:
    import gzip

    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(members):
            info = tarfile.TarInfo(name)
            info.size = len(members[name])
            info.mode = 0o644
            tar.addfile(info, io.BytesIO(members[name]))
    return gzip.compress(plain.getvalue(), mtime=0)


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
    arguments = job_arguments(request, cloud, names, job, artifacts.uri(source_key))
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
    request: TrainingRequest, cloud: Cloud, names: ModelNames, job: str, source_uri: str
) -> dict[str, Any]:
    """CreateTrainingJob's arguments: script mode, as SageMaker's framework images read it.

    Source: SageMaker training toolkit, "script mode"; hyperparameter values are JSON texts.
    """
    model, training = request.model, request.model.training
    lake = cloud.store("lake")
    artifacts = cloud.store("artifacts")
    hyperparameters = {
        **training.hyperparameters,
        "label": model.label,
        "sagemaker_program": ENTRY_IN_JOB,
        "sagemaker_submit_directory": source_uri,
        "sagemaker_container_log_level": 20,
        "sagemaker_region": cloud.environment.region,
    }
    return {
        "TrainingJobName": job,
        "RoleArn": cloud.names.role_arn("training"),
        "AlgorithmSpecification": {
            "TrainingImage": training.image,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": name, "Regex": regex} for name, regex in training.metrics.items()],
        },
        "HyperParameters": {name: json.dumps(value) for name, value in hyperparameters.items()},
        "Environment": {"MLOPS_KIT_TRAIN_PROGRAM": training.entry_point},
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "ManifestFile",
                        "S3Uri": lake.uri(DatasetKeys(model.dataset).manifest(request.commit)),
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
        ],
        "OutputDataConfig": {
            "S3OutputPath": artifacts.uri(names.training_output_prefix),
            "KmsKeyId": cloud.names.key_alias,
        },
        "ResourceConfig": {
            "InstanceType": training.instance_type,
            "InstanceCount": training.instance_count,
            "VolumeSizeInGB": training.volume_gb,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": training.max_runtime_minutes * 60},
    }


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
