"""Three deployed environments in an AWS on loopback: what a promotion finds before it begins.

Nothing is trained and no Terraform runs: what a deployment leaves behind (buckets, package groups, endpoints with an
initial model, ``network.json``) and what ``mlops-kit train`` leaves behind (artifact, metrics, baseline, a registered
version with its lineage) is put there directly.
"""

from __future__ import annotations

import importlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest.mock import patch

from mlops_kit import aws as kit_aws
from mlops_kit import registry
from mlops_kit.aws import Cloud
from mlops_kit.aws import connect as connect_anew
from mlops_kit.cli import COMMANDS
from mlops_kit.config import Environment, Project, load_project
from mlops_kit.datasets.manifest import sagemaker_manifest
from mlops_kit.datasets.records import Commit, compress
from mlops_kit.naming import BUCKET_KINDS, NETWORK_KEY, DatasetKeys, ModelNames
from mlops_kit.objects import canonical_json, sha256_bytes
from tests import commits
from tests.aws.budgets import Budget
from tests.aws.project import DATASET, IMAGE, MODEL, write
from tests.aws.server import LoopbackAws
from tests.cloud import Done
from tests.s3.checksums import compute
from tests.s3.content import Content
from tests.s3.model import Version, new_id

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HUB = "999999999999"
ALICE = f"arn:aws:sts::{HUB}:assumed-role/people/alice@example.com"


class World:
    """An AWS in which the environments of a project are deployed; a context manager, in which it answers.

    ``settings`` are those of :func:`tests.aws.project.write`.
    """

    def __init__(self, directory: Path, *, clock: datetime = NOW, **settings: Any) -> None:
        self.root = write(directory, **settings)
        self.project: Project = load_project(self.root)
        self.clock = clock
        buckets = {stage.names.bucket(kind): stage.account for stage in self.project.stages for kind in BUCKET_KINDS}
        self.aws = LoopbackAws(buckets, clock=clock.timestamp)
        self.person = ALICE
        self.trained: list[str] = []  # digests of the artifacts, by version
        self._clouds: dict[str, Cloud] = {}
        for stage in self.project.stages:
            self._deploy(stage)

    def __enter__(self) -> World:
        self.aws.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clouds.clear()
        self.aws.__exit__(kind, error, trace)

    def stage(self, name: str) -> Environment:
        return self.project.environment(name)

    def names(self, stage: str) -> ModelNames:
        return self.stage(stage).names.model(MODEL)

    # What is there.

    def _deploy(self, stage: Environment) -> None:
        names, aws = stage.names.model(MODEL), self.aws
        initial = names.initial("0" * 64)
        container = {
            "Image": IMAGE,
            "ModelDataUrl": f"s3://{stage.names.bucket('artifacts')}/{names.initial_artifact_key}",
        }
        there = aws.sagemaker.of(stage.account)
        arn = aws.sagemaker.arn
        there.models[initial] = {
            "ModelName": initial,
            "PrimaryContainer": container,
            "Arn": arn(stage.account, "model", initial),
            "CreationTime": self.clock.timestamp(),
        }
        there.configs[initial] = {
            "EndpointConfigName": initial,
            "ProductionVariants": [{"VariantName": "main", "ModelName": initial, "InitialInstanceCount": 1}],
            "Arn": arn(stage.account, "endpoint-config", initial),
            "CreationTime": self.clock.timestamp(),
        }
        serving = self.project.model(MODEL, stage).serving
        if serving.has_endpoint:
            aws.sagemaker.add_endpoint(stage.account, names.endpoint, initial)
        else:
            aws.scheduler.add(stage.account, stage.names.schedule_group, names.schedule("batch"), _schedule(initial))
        aws.sagemaker.add_group(stage.account, names.package_group)
        for alarm in names.rollback_alarms:
            aws.cloudwatch.set_alarm(stage.account, alarm)
        aws.budgets.of(stage.account)[stage.names.budget] = Budget(stage.budget.monthly_usd)
        network: dict[str, Any] = {"subnets": [], "security_groups": [], "isolated": False}
        if stage.network.mode == "vpc":
            network = {"subnets": ["subnet-1"], "security_groups": ["sg-1"], "isolated": True}
        self.put(stage.names.bucket("artifacts"), NETWORK_KEY, canonical_json(network))

    def put(self, bucket: str, key: str, body: bytes) -> None:
        """An object as the kit writes it: with its SHA-256."""
        content = Content([body])
        into = self.aws.buckets[bucket]
        into.add(key, Version(new_id(), content, into.limits.etag(content), checksum=compute("sha256", content)))

    def commit(self, stage: str, files: Mapping[str, bytes], parent: str | None = None, minute: int = 0) -> Commit:
        """A commit of the data set, with ``main`` pointing to it."""
        bucket = self.stage(stage).names.bucket("lake")
        keys, listed = DatasetKeys(DATASET), commits.entries(files)
        made = commits.header(listed, parent, f"commit {minute}", minute, DATASET)
        for path, body in files.items():
            if self.aws.buckets[bucket].newest(keys.file(path, sha256_bytes(body))) is None:
                self.put(bucket, keys.file(path, sha256_bytes(body)), body)
        lake: Any = Named(bucket)
        self.put(bucket, keys.file_list(made.id), compress(listed.dump()))
        self.put(bucket, keys.manifest(made.id), sagemaker_manifest(lake, DATASET, listed))
        self.put(bucket, keys.commit(made.id), made.to_json())
        pointer = {"commit": made.id, "by": ALICE, "time": self.clock.isoformat(timespec="seconds")}
        self.aws.buckets[bucket].remove(keys.ref("main"))
        self.put(bucket, keys.ref("main"), canonical_json(pointer))
        return made

    def train(self, commit: Commit, *, accuracy: float = 0.95, stage: str = "dev", **lineage: str) -> int:
        """A version that was made from ``commit``: its number."""
        names, number = self.names(stage), len(self.trained) + 1
        bucket = names.environment.bucket("artifacts")
        artifact = f"artifact {number}".encode()
        sha256 = sha256_bytes(artifact)
        self.put(bucket, names.metrics_key(sha256), canonical_json({"accuracy": accuracy}))
        self.put(bucket, names.statistics_key(sha256), canonical_json({"version": number}))
        self.put(bucket, names.constraints_key(sha256), canonical_json({"of": number}))
        self.put(bucket, names.artifact_key(sha256), artifact)
        made_of = {
            "dataset": DATASET,
            "dataset_commit": commit.id,
            "code_commit": "c" * 40,
            "source_sha256": sha256_bytes(b"code"),
            "training_job": f"{names.prefix}-{number}",
            "artifact_sha256": sha256,
            **lineage,
        }
        group = self.aws.sagemaker.of(names.environment.account).groups[names.package_group]
        group.last += 1
        group.packages[group.last] = {
            "ModelPackageGroupName": names.package_group,
            "ModelPackageVersion": group.last,
            "ModelPackageArn": names.package_arn(group.last),
            "ModelPackageDescription": f"Trained by {names.prefix}-{number}",
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": []},
            "ModelApprovalStatus": registry.PENDING,
            "CreationTime": self.clock.timestamp() + number,
            "InferenceSpecification": {
                "Containers": [{"Image": IMAGE, "ModelDataUrl": f"s3://{bucket}/{names.artifact_key(sha256)}"}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
            "ModelMetrics": {"ModelQuality": {"Statistics": {"S3Uri": f"s3://{bucket}/{names.metrics_key(sha256)}"}}},
            "CustomerMetadataProperties": {name: value for name, value in made_of.items() if value},
        }
        self.trained.append(sha256)
        return group.last

    # Acting in it.

    @property
    def variables(self) -> dict[str, str]:
        """What a process has in its environment to act as ``person``: the endpoint, and credentials."""
        return {
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_ACCESS_KEY_ID": self.person.split(":")[4],
            "AWS_SECRET_ACCESS_KEY": "loopback",
            "AWS_SESSION_TOKEN": self.aws.token(self.person),
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @contextmanager
    def acting(self) -> Iterator[None]:
        """This process is ``person``'s."""
        with patch.dict(os.environ, self.variables):
            yield

    def cloud(self, stage: str) -> Cloud:
        """Connected as ``person``, once for each environment."""
        if stage not in self._clouds:
            with self.acting():
                made = connect_anew(self.stage(stage))
            # Its other clients are made when they are first used, which may be when nobody is acting any more.
            made._client = partial(made._client, endpoint_url=self.aws.url)
            self._clouds[stage] = made
        return self._clouds[stage]

    def cli(self, *arguments: str, fresh: bool = False) -> Done:
        """Run the command line in this process, at the world's time; with clients of its own only if ``fresh``."""
        module = importlib.import_module(COMMANDS[arguments[0]][0])
        from mlops_kit.cli.run import run

        def connect(environment: Environment, *, local_endpoint: str | None = None) -> Cloud:
            return self.cloud(environment.name)

        out, err = io.StringIO(), io.StringIO()
        with (
            self.acting(),
            patch.object(module, "now", lambda: self.clock, create=True),
            patch.object(kit_aws, "connect", connect_anew if fresh else connect),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            code = run(["--project", str(self.root), *arguments])
        return Done(code, out.getvalue(), err.getvalue())


def _schedule(model: str) -> dict[str, Any]:
    """What starts a batch model's jobs, switched off, as the stack makes it."""
    job = {"ModelName": model, "TransformOutput": {"S3OutputPath": "s3://answers", "KmsKeyId": "alias/acme"}}
    return {
        "ScheduleExpression": "rate(1 day)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "State": "DISABLED",
        "Target": {
            "Arn": "arn:aws:scheduler:::aws-sdk:sagemaker:createTransformJob",
            "RoleArn": "arn:aws:iam::222222222222:role/schedules",
            "Input": json.dumps(job),
        },
    }


class Named:
    """As much of a Store as a SageMaker manifest is made from."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"
