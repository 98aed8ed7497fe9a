"""Names: what every resource and every S3 object is called.

A pure function of environment and model, shared by the stacks that create a resource and the commands that use it.
Nothing else in the project builds a name. The limits checked by :func:`check_lengths` are the ones AWS documents for
each kind of resource.

Buckets and what is in them::

    lake       datasets/<name>/files/<dir>/<stem>~<hash12><ext>     a file, stored once, never overwritten
               datasets/<name>/commits/<commit>.json                 commit header
               datasets/<name>/commits/<commit>.files.jsonl.gz       its file list
               datasets/<name>/refs/<ref>.json                       movable pointer
               datasets/<name>/sagemaker/<commit>.manifest           SageMaker ManifestFile
    artifacts  models/<model>/<sha256>/model.tar.gz                  + metrics.json, baseline/*.json
               training/<model>/<job>/…                              what a job reads (source) and writes (output)
    capture    <endpoint>/<variant>/yyyy/mm/dd/hh/*.jsonl            SageMaker data capture
    ledger     <model>/<seq:08d>.json                                release events
    logs       <bucket>/…                                            S3 access logs
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Literal

BucketKind = Literal["lake", "artifacts", "capture", "ledger", "logs"]
BUCKET_KINDS: tuple[BucketKind, ...] = ("lake", "artifacts", "capture", "ledger", "logs")

RoleKind = Literal["promoter", "training", "serving"]
ROLE_KINDS: tuple[RoleKind, ...] = ("promoter", "training", "serving")

AlarmKind = Literal["errors", "latency", "drift", "drift-heartbeat"]
ALARM_KINDS: tuple[AlarmKind, ...] = ("errors", "latency", "drift", "drift-heartbeat")
ROLLBACK_ALARM_KINDS: tuple[AlarmKind, ...] = ("errors", "latency")
"""The alarms that undo a deployment while it bakes. Drift is not among them: it says nothing within minutes."""

DRIFT_NAMESPACE = "MlopsKit/Drift"
VARIANT = "main"
"""The one production variant. A blue/green update requires that its name never changes."""

SHORT_HASH = 12


@dataclass(frozen=True, slots=True)
class EnvironmentNames:
    """Every name of one environment. Region and account only appear where AWS needs them to be unique."""

    project: str
    environment: str
    account: str
    region: str
    partition: str = "aws"

    @property
    def prefix(self) -> str:
        return f"{self.project}-{self.environment}"

    def bucket(self, kind: BucketKind) -> str:
        return f"{self.prefix}-{self.account}-{kind}"

    def bucket_arn(self, kind: BucketKind) -> str:
        return f"arn:{self.partition}:s3:::{self.bucket(kind)}"

    def arn(self, service: str, resource: str) -> str:
        """ARN of a regional resource of this account; ``resource`` may be a pattern for a policy."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def iam_arn(self, resource: str) -> str:
        """ARN of something in IAM, which knows no region; ``resource`` may be a pattern for a policy."""
        return f"arn:{self.partition}:iam::{self.account}:{resource}"

    @property
    def training_log_group(self) -> str:
        """Where SageMaker writes the logs of every training job of an account."""
        return "/aws/sagemaker/TrainingJobs"

    @property
    def endpoint_log_groups(self) -> str:
        """Pattern of the endpoints' log groups, for a policy."""
        return f"/aws/sagemaker/Endpoints/{self.prefix}-*"

    @property
    def state_bucket(self) -> str:
        """Holds the Terraform state; made by the bootstrap stack, before the first deployment."""
        return f"{self.prefix}-{self.account}-tfstate"

    @property
    def state_bucket_arn(self) -> str:
        return f"arn:{self.partition}:s3:::{self.state_bucket}"

    @property
    def bootstrap_stack(self) -> str:
        """What `cdktf deploy` calls the stack that prepares the account."""
        return f"{self.environment}-bootstrap"

    @property
    def deploy_role(self) -> str:
        """What CI deploys the environment as. No :data:`RoleKind`: the bootstrap stack makes it, before them."""
        return f"{self.prefix}-deploy"

    @property
    def deploy_role_arn(self) -> str:
        return self.iam_arn(f"role/{self.deploy_role}")

    def deploy_policy(self, part: str) -> str:
        return f"{self.deploy_role}-{part}"

    @property
    def key_alias(self) -> str:
        return f"alias/{self.prefix}"

    def role(self, kind: RoleKind) -> str:
        return f"{self.prefix}-{kind}"

    def role_arn(self, kind: RoleKind) -> str:
        return self.iam_arn(f"role/{self.role(kind)}")

    @property
    def account_root(self) -> str:
        return self.iam_arn("root")

    @property
    def alarm_topic(self) -> str:
        return f"{self.prefix}-alarms"

    @property
    def dashboard(self) -> str:
        return self.prefix

    @property
    def budget(self) -> str:
        return f"{self.prefix}-monthly"

    def model(self, model: str) -> ModelNames:
        return ModelNames(self, model)


@dataclass(frozen=True, slots=True)
class ModelNames:
    """Every name of one model in one environment."""

    environment: EnvironmentNames
    model: str

    @property
    def prefix(self) -> str:
        return f"{self.environment.prefix}-{self.model}"

    @property
    def package_group(self) -> str:
        return self.prefix

    @property
    def package_group_arn(self) -> str:
        e = self.environment
        return f"arn:{e.partition}:sagemaker:{e.region}:{e.account}:model-package-group/{self.package_group}"

    def package_arn(self, version: int | str) -> str:
        e = self.environment
        return f"arn:{e.partition}:sagemaker:{e.region}:{e.account}:model-package/{self.package_group}/{version}"

    @property
    def endpoint(self) -> str:
        return self.prefix

    @property
    def endpoint_log_group(self) -> str:
        """Where SageMaker writes the endpoint's logs; the name is SageMaker's choice."""
        return f"/aws/sagemaker/Endpoints/{self.endpoint}"

    @property
    def autoscaling_resource(self) -> str:
        """How Application Auto Scaling names the variant it scales."""
        return f"endpoint/{self.endpoint}/variant/{VARIANT}"

    def release(self, digest: str) -> str:
        """Name of both the SageMaker model and the endpoint config of a release.

        ``digest`` is the hex digest of the release's whole content, so that the same release always has the same name
        and a changed one always has a new name: SageMaker only notices a config whose name changed.
        """
        return f"{self.prefix}-{digest[:SHORT_HASH]}"

    def initial(self, digest: str) -> str:
        """Name of the model and endpoint config that Terraform starts the endpoint with."""
        return f"{self.prefix}-initial-{digest[:8]}"

    def training_job(self, started: datetime, digest: str) -> str:
        return f"{self.prefix}-{started:%Y%m%d%H%M%S}-{digest[:6]}"

    def alarm(self, kind: AlarmKind) -> str:
        return f"{self.prefix}-{kind}"

    @property
    def rollback_alarms(self) -> tuple[str, ...]:
        return tuple(self.alarm(kind) for kind in ROLLBACK_ALARM_KINDS)

    @property
    def capture_uri(self) -> str:
        """``DestinationS3Uri`` of data capture; SageMaker appends ``/<endpoint>/<variant>/yyyy/mm/dd/hh``."""
        return f"s3://{self.environment.bucket('capture')}"

    @property
    def capture_prefix(self) -> str:
        return f"{self.endpoint}/{VARIANT}/"

    def artifact_prefix(self, sha256: str) -> str:
        return f"models/{self.model}/{sha256}/"

    def artifact_key(self, sha256: str) -> str:
        return f"{self.artifact_prefix(sha256)}model.tar.gz"

    def metrics_key(self, sha256: str) -> str:
        return f"{self.artifact_prefix(sha256)}metrics.json"

    def statistics_key(self, sha256: str) -> str:
        return f"{self.artifact_prefix(sha256)}baseline/statistics.json"

    def constraints_key(self, sha256: str) -> str:
        return f"{self.artifact_prefix(sha256)}baseline/constraints.json"

    @property
    def initial_artifact_key(self) -> str:
        return f"models/{self.model}/initial/model.tar.gz"

    def training_source_key(self, digest: str) -> str:
        return f"training/{self.model}/source/{digest}/sourcedir.tar.gz"

    @property
    def training_output_prefix(self) -> str:
        return f"training/{self.model}/jobs"

    @property
    def ledger_prefix(self) -> str:
        return f"{self.model}/"

    def ledger_key(self, seq: int) -> str:
        return f"{self.model}/{seq:08d}.json"


@dataclass(frozen=True, slots=True)
class DatasetKeys:
    """Keys of one data set in the lake bucket; the same in every environment."""

    dataset: str

    @property
    def root(self) -> str:
        return f"datasets/{self.dataset}/"

    @property
    def files_prefix(self) -> str:
        return f"{self.root}files/"

    def file(self, path: str, sha256: str) -> str:
        """Key of one file: its own path with the start of its digest before the extension.

        ``cats/001.jpg`` becomes ``datasets/<name>/files/cats/001~1f3a9c02b7de.jpg``: other tools still see a path and a
        file type, and two contents of the same path never share a key.
        """
        pure = PurePosixPath(path)
        name = f"{pure.stem}~{sha256[:SHORT_HASH]}{pure.suffix}"
        return self.files_prefix + str(pure.with_name(name))

    def commit(self, commit: str) -> str:
        return f"{self.root}commits/{commit}.json"

    def file_list(self, commit: str) -> str:
        return f"{self.root}commits/{commit}.files.jsonl.gz"

    @property
    def commits_prefix(self) -> str:
        return f"{self.root}commits/"

    def ref(self, ref: str) -> str:
        return f"{self.root}refs/{ref}.json"

    def manifest(self, commit: str) -> str:
        return f"{self.root}sagemaker/{commit}.manifest"


def check_lengths(names: EnvironmentNames, models: Iterator[str] | tuple[str, ...]) -> list[str]:
    """What is too long for AWS, in words; empty when every name fits."""
    problems: list[str] = []

    def limit(name: str, maximum: int, what: str) -> None:
        if len(name) > maximum:
            problems.append(
                f"the {what} would be named {name!r}, {len(name)} characters; AWS allows {maximum}. "
                "Shorten the project, environment or model name"
            )

    for kind in BUCKET_KINDS:
        limit(names.bucket(kind), 63, f"{kind} bucket")
    limit(names.state_bucket, 63, "state bucket")
    for role in ROLE_KINDS:
        limit(names.role(role), 64, f"{role} role")
    limit(names.deploy_role, 64, "deploy role")
    for model in models:
        m = names.model(model)
        limit(m.package_group, 63, "model package group")
        limit(m.release("0" * 64), 63, "endpoint config")
        limit(m.initial("0" * 64), 63, "initial endpoint config")
        limit(m.training_job(datetime(2000, 1, 1), "0" * 64), 63, "training job")
    return problems


NAME_PATTERN = re.compile(r"^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$")
"""Projects, environments, models, data sets and refs: what is legal in every AWS name they become part of."""
