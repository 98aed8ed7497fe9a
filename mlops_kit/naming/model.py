"""Names that each model has in each environment."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from mlops_kit.naming.environment import EnvironmentNames
from mlops_kit.naming.kinds import (
    LOCKS_PREFIX,
    ROLLBACK_ALARM_KINDS,
    SHORT_HASH,
    VARIANT,
    AlarmKind,
    ModelRole,
)

TRANSFORM_JOB_START = 63 - len("-") - 36
"""Characters that a scheduled job's name has left before the id of the execution."""


@dataclass(frozen=True, slots=True)
class ModelNames:
    """Every name of one model in one environment."""

    environment: EnvironmentNames
    model: str

    @property
    def prefix(self) -> str:
        return f"{self.environment.prefix}-{self.model}"

    def role(self, kind: ModelRole) -> str:
        return f"{self.prefix}-{kind}"

    def role_arn(self, kind: ModelRole) -> str:
        return self.environment.iam_arn(f"role/{self.role(kind)}")

    @property
    def repository(self) -> str:
        """The model's image repository. The same in every environment: replication between accounts keeps the name."""
        return f"{self.environment.project}/{self.model}"

    @property
    def pipeline(self) -> str:
        return self.prefix

    @property
    def pipeline_arn(self) -> str:
        return self.environment.arn("sagemaker", f"pipeline/{self.pipeline}")

    @property
    def dashboard(self) -> str:
        return self.prefix

    @property
    def budget(self) -> str:
        return f"{self.prefix}-monthly"

    def rule(self, what: Literal["data", "drift", "training-failed", "batch-failed"]) -> str:
        """An EventBridge rule of the model."""
        return f"{self.prefix}-{what}"

    def schedule(self, what: Literal["retraining", "drift", "batch", "stop", "start"]) -> str:
        """A schedule of the model, in the environment's group."""
        return f"{self.model}-{what}"

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
        return f"{self.initial_prefix}{digest[:8]}"

    @property
    def initial_prefix(self) -> str:
        """What every name of :meth:`initial` begins with, and no release's."""
        return f"{self.prefix}-initial-"

    def training_job(self, started: datetime, digest: str) -> str:
        return f"{self.prefix}-{started:%Y%m%d%H%M%S}-{digest[:6]}"

    def transform_job(self, execution: str) -> str:
        """A scheduled batch job; ``execution`` is the id that EventBridge Scheduler gives each attempt.

        Long names get short here: job names end at 63 characters, and 36 of them are left for the id.
        """
        start = self.prefix
        if len(start) > TRANSFORM_JOB_START:
            digest = hashlib.sha256(start.encode()).hexdigest()
            start = f"{self.environment.scheduled_job_start}{digest[:6]}"
        return f"{start}-{execution}"

    def drift_job(self, execution: str) -> str:
        """A scheduled drift job: a processing job, which may be called what a :meth:`transform_job` is called."""
        return self.transform_job(execution)

    def alarm(self, kind: AlarmKind) -> str:
        return f"{self.prefix}-{kind}"

    @property
    def wake_alarm(self) -> str:
        """Starts the first instance of an asynchronous endpoint that has none. Good news, so no :data:`AlarmKind`."""
        return f"{self.prefix}-wake-up"

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

    @property
    def raw_prefix(self) -> str:
        """Where batch requests are put down (lake bucket)."""
        return f"raw/{self.model}/"

    @property
    def predictions_prefix(self) -> str:
        """Where batch answers lie (lake bucket)."""
        return f"predictions/{self.model}/"

    @property
    def requests_prefix(self) -> str:
        """Where requests to an asynchronous endpoint are put down (capture bucket, so that they expire)."""
        return f"async/{self.endpoint}/requests/"

    @property
    def answers_prefix(self) -> str:
        """Where an asynchronous endpoint puts its answers (capture bucket)."""
        return f"async/{self.endpoint}/answers/"

    @property
    def failures_prefix(self) -> str:
        return f"async/{self.endpoint}/failures/"

    @property
    def answers_uri(self) -> str:
        """``S3OutputPath``; SageMaker appends ``/<inference id>.out``."""
        return f"s3://{self.environment.bucket('capture')}/{self.answers_prefix.removesuffix('/')}"

    @property
    def failures_uri(self) -> str:
        return f"s3://{self.environment.bucket('capture')}/{self.failures_prefix.removesuffix('/')}"

    @property
    def off_hours_key(self) -> str:
        """What an endpoint ran when off-hours began (artifacts bucket)."""
        return f"environment/off-hours/{self.endpoint}.json"

    @property
    def drift_job_key(self) -> str:
        """What a scheduled drift job knows of its environment and model (artifacts bucket)."""
        return f"environment/drift/{self.model}.json"

    @property
    def lock_key(self) -> str:
        """Who is changing what the model runs, while it is being changed (artifacts bucket)."""
        return f"{LOCKS_PREFIX}{self.model}.json"

    def artifact_prefix(self, sha256: str) -> str:
        return f"models/{self.model}/{sha256}/"

    def artifact_key(self, sha256: str) -> str:
        return f"{self.artifact_prefix(sha256)}model.tar.gz"

    def package_key(self, sha256: str) -> str:
        """Which registered version the artifact is, in this environment: found without going through all of them."""
        return f"{self.artifact_prefix(sha256)}package.json"

    def metrics_key(self, sha256: str) -> str:
        return f"{self.artifact_prefix(sha256)}metrics.json"

    def signature_key(self, sha256: str) -> str:
        """Where OpenSSF Model Signing's own tools expect it: ``model.sig`` beside the model."""
        return f"{self.artifact_prefix(sha256)}model.sig"

    def statistics_key(self, sha256: str) -> str:
        return f"{self.artifact_prefix(sha256)}baseline/statistics.json"

    def constraints_key(self, sha256: str) -> str:
        return f"{self.artifact_prefix(sha256)}baseline/constraints.json"

    @property
    def initial_artifact_key(self) -> str:
        return f"models/{self.model}/initial/model.tar.gz"

    @property
    def training_source_prefix(self) -> str:
        return f"training/{self.model}/source/"

    def training_source_key(self, digest: str) -> str:
        """The code that a version was trained from: lineage, which nobody deletes (artifacts bucket)."""
        return f"{self.training_source_prefix}{digest}/sourcedir.tar.gz"

    @property
    def training_output_prefix(self) -> str:
        return f"training/{self.model}/jobs"

    @property
    def pipeline_prefix(self) -> str:
        """What the stack uploads for the model's pipeline, and takes away when it uploads something else instead."""
        return f"training/{self.model}/pipeline/"

    def pipeline_source_key(self, digest: str) -> str:
        """The pipeline's copy of the code; the register step keeps it under :meth:`training_source_key`."""
        return f"{self.pipeline_prefix}{digest}/sourcedir.tar.gz"

    def pipeline_entry_key(self, digest: str) -> str:
        """The code of the register step."""
        return f"{self.pipeline_prefix}{digest}/mlops_kit_register_entry.py"

    @property
    def approvals_prefix(self) -> str:
        return f"{self.environment.approvals_prefix}{self.model}/"

    def approvals_of(self, sha256: str) -> str:
        """Below it lies what was decided about one artifact."""
        return f"{self.approvals_prefix}{sha256}/"

    def approval_key(self, sha256: str, time: datetime, digest: str) -> str:
        """A decision, by when it was made and what its record's digest begins with."""
        return f"{self.approvals_of(sha256)}{time.astimezone(UTC):%Y%m%dT%H%M%SZ}-{digest[:SHORT_HASH]}.json"

    @property
    def ledger_prefix(self) -> str:
        return f"{self.model}/"

    def ledger_key(self, seq: int) -> str:
        return f"{self.model}/{seq:08d}.json"

    @property
    def plans_prefix(self) -> str:
        return f"{self.ledger_prefix}plans/"

    def plan_key(self, sha256: str) -> str:
        """A plan that was carried out, or begun (ledger bucket)."""
        return f"{self.plans_prefix}{sha256}.json"
