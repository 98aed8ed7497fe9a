"""A batch model's release: the SageMaker model that its scheduled transform job uses.

Terraform owns the schedule (``stacks/batch.py``) with all that is not a release: when it fires, in which role, where
the answers go. This module only changes the job that it starts, and switches it on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from mlops_kit.errors import ConflictError, DeploymentError, IntegrityError, NotFoundError
from mlops_kit.naming import ModelNames
from mlops_kit.promotion.ledger import ReleaseSpec

_REPLACED_AS_A_WHOLE = (
    "ActionAfterCompletion",
    "Description",
    "EndDate",
    "FlexibleTimeWindow",
    "GroupName",
    "KmsKeyArn",
    "Name",
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "StartDate",
    "Target",
)
"""What UpdateSchedule has to be given again, or it takes the default."""


@dataclass(frozen=True, slots=True)
class BatchState:
    """``status``: ENABLED or DISABLED, as the schedule has it. ``config``: the SageMaker model of the next job."""

    status: str
    config: str
    expression: str


def read(scheduler: Any, names: ModelNames) -> BatchState | None:
    """The schedule's state; None if there is no schedule."""
    found = _get(scheduler, names)
    if found is None:
        return None
    return BatchState(found["State"], str(_job(found, names).get("ModelName", "")), found["ScheduleExpression"])


def release(scheduler: Any, names: ModelNames, config: str, spec: ReleaseSpec) -> None:
    """Let every job from now on use the SageMaker model ``config`` with the release's settings.

    Raises:
        NotFoundError: there is no schedule.
        DeploymentError: the schedule does not say so afterwards.
    """
    found = require(scheduler, names)
    job = job_of(_job(found, names), names, config, spec)
    if job != _job(found, names) or found["State"] != "ENABLED":
        kept = {name: found[name] for name in _REPLACED_AS_A_WHOLE if found.get(name) is not None}
        kept["Target"] = {**found["Target"], "Input": json.dumps(job)}
        try:
            scheduler.update_schedule(**kept, State="ENABLED")
        except ClientError as exc:
            if exc.response["Error"]["Code"] == "ConflictException":
                raise ConflictError(
                    f"The schedule of {names.model} is being changed by somebody else.", hint="Run this again."
                ) from exc
            raise
    verify(scheduler, names, config)


def verify(scheduler: Any, names: ModelNames, config: str) -> None:
    """Raises DeploymentError unless the schedule is on and uses ``config``."""
    state = read(scheduler, names)
    if state is not None and (state.status, state.config) == ("ENABLED", config):
        return
    runs = f"is {state.status} and uses {state.config or 'nothing'}" if state else "is gone"
    raise DeploymentError(
        f"The schedule of {names.model} was not set to {config}: it {runs}.",
        hint="Somebody else changed it at the same time. See `mlops-kit status`, then run this again.",
    )


def job_of(job: dict[str, Any], names: ModelNames, config: str, spec: ReleaseSpec) -> dict[str, Any]:
    """CreateTransformJob as it is, with what the release says about it."""
    batch = spec.batch
    if batch is None:
        raise IntegrityError(
            f"The release {config} says nothing about batches: it was made for another kind of serving."
        )
    by_lines = batch.content_type != "application/json"  # one JSON document is one request
    output = {**job["TransformOutput"], "Accept": batch.content_type}
    resources = {"InstanceType": spec.instance_type, "InstanceCount": spec.instance_count}
    if spec.encrypt_volume:
        resources["VolumeKmsKeyId"] = output["KmsKeyId"]
    source = {
        "S3DataSource": {
            "S3DataType": "S3Prefix",
            "S3Uri": f"s3://{names.environment.bucket('lake')}/{batch.input_prefix}",
        }
    }
    return {
        **job,
        "ModelName": config,
        "MaxPayloadInMB": batch.max_payload_mb,
        "BatchStrategy": "MultiRecord" if by_lines else "SingleRecord",
        "TransformInput": {
            "DataSource": source,
            "ContentType": batch.content_type,
            "SplitType": "Line" if by_lines else "None",
        },
        "TransformOutput": output,
        "TransformResources": resources,
    }


def _get(scheduler: Any, names: ModelNames) -> dict[str, Any] | None:
    try:
        found = scheduler.get_schedule(GroupName=names.environment.schedule_group, Name=names.schedule("batch"))
    except ClientError as exc:
        if exc.response["Error"]["Code"] == "ResourceNotFoundException":
            return None
        raise
    return dict(found)


def require(scheduler: Any, names: ModelNames) -> dict[str, Any]:
    """The schedule as EventBridge Scheduler has it.

    Raises:
        NotFoundError: there is none.
    """
    found = _get(scheduler, names)
    if found is None:
        environment = names.environment.environment
        raise NotFoundError(
            f"There is no schedule {names.schedule('batch')} in {environment}.",
            hint=f"Deploy the environment first: `npx cdktf deploy {environment}`.",
        )
    return found


def _job(schedule: dict[str, Any], names: ModelNames) -> dict[str, Any]:
    try:
        job = json.loads(schedule["Target"]["Input"])
        if not isinstance(job, dict) or "TransformOutput" not in job:
            raise ValueError("it has no TransformOutput")
    except (KeyError, ValueError, RecursionError) as exc:
        raise IntegrityError(
            f"The schedule {names.schedule('batch')} does not start a transform job: {exc}.",
            hint="Somebody changed it by hand. Deploy the environment with `-replace` of this schedule.",
        ) from exc
    return job
