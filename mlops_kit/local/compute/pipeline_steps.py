"""Steps of a pipeline: how each type is made and watched, what its job is called, and one that was started."""

from __future__ import annotations

import random
import re
import string
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mlops_kit.local.compute.pipeline_definition import Step

NAME_LENGTH = 63


@dataclass(frozen=True, slots=True)
class Kind:
    """How a type of step is made and watched. ``job`` names a job that runs; without it, being made is all."""

    create: str
    describe: str
    name: str
    arn: str
    metadata: str
    job: str | None = None


KINDS = {
    **{
        kind: Kind(f"Create{job}Job", f"Describe{job}Job", f"{job}JobName", f"{job}JobArn", f"{job}Job", job)
        for kind, job in (("Training", "Training"), ("Processing", "Processing"), ("Transform", "Transform"))
    },
    "Model": Kind("CreateModel", "DescribeModel", "ModelName", "ModelArn", "Model"),
    "RegisterModel": Kind(
        "CreateModelPackage", "DescribeModelPackage", "ModelPackageName", "ModelPackageArn", "RegisterModel"
    ),
}


@dataclass(eq=False)
class StepRun:
    """A step that was started. ``properties`` is what its Describe call answered."""

    step: Step
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None
    status: str = "Executing"
    reason: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    outcome: bool | None = None

    def describe(self) -> dict[str, Any]:
        """As ListPipelineExecutionSteps has it."""
        found = {
            "StepName": self.step.name,
            "StepDisplayName": self.step.display_name,
            "StepDescription": self.step.description,
            "StartTime": self.started,
            "EndTime": self.ended,
            "StepStatus": self.status,
            "AttemptCount": 1,
            "FailureReason": self.reason,
            "Metadata": self.metadata or None,
        }
        return {name: value for name, value in found.items() if value is not None}


def job_name(execution_id: str, step: str, prefix: Any) -> str:
    """As SageMaker makes it; a name in the arguments is a prefix."""
    suffix = "".join(random.choices(string.ascii_letters + string.digits, k=10))  # noqa: S311  # not a secret
    if prefix:
        room = NAME_LENGTH - len(execution_id) - len(suffix) - 2
        return f"{str(prefix)[:room].strip('-')}-{execution_id}-{suffix}"
    room = NAME_LENGTH - len("pipelines") - len(execution_id) - len(suffix) - 3
    clean = re.sub(r"[^A-Za-z0-9]+", "-", step)[:room].strip("-")
    return f"pipelines-{execution_id}-{clean}-{suffix}"
