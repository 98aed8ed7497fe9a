"""Whether the jobs of a pipeline keep ``training.limits``: IAM refuses those that do not, an hour after the start.

Looked at is what the definition says itself, directly or as the default of a parameter. What the stack fills in keeps
the limits anyway, and what is only known when the pipeline runs is left to IAM.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlops_kit.config.model import Model
from mlops_kit.config.pipeline_parameters import STEP_INSTANCE_TYPE, STEP_RUNTIME_SECONDS
from mlops_kit.config.source import Loc

RESOURCES: Mapping[str, tuple[str, ...]] = {
    "Training": ("ResourceConfig",),
    "Processing": ("ProcessingResources", "ClusterConfig"),
    "Transform": ("TransformResources",),
}
"""Type of a step -> where its arguments say on what it runs."""


def check_limits(
    kind: str, arguments: Mapping[str, Any], loc: Loc, model: Model, defaults: Mapping[str, Any]
) -> Iterator[tuple[Loc, str]]:
    """What a step asks for beyond the limits. ``defaults``: of the parameters that the file gives one."""
    path = RESOURCES.get(kind)
    if path is None:
        return
    allowed = model.training.allowed
    types, seconds = {*allowed.instance_types}, allowed.max_runtime_minutes * 60
    if kind != "Training":
        types, seconds = {*types, STEP_INSTANCE_TYPE}, max(seconds, STEP_RUNTIME_SECONDS)

    def at(*keys: str) -> Any:
        value: Any = arguments
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, dict):
            return defaults.get(str(value.get("Get")).removeprefix("Parameters."))
        return value

    given = at(*path, "InstanceType")
    if isinstance(given, str) and given not in types:
        text = f"InstanceType is {given!r}; training.limits of {model.name} allow: {', '.join(sorted(types))}"
        yield (*loc, *path, "InstanceType"), text
    count = at(*path, "InstanceCount")
    if isinstance(count, int) and count > allowed.max_instances:
        text = f"InstanceCount is {count}; training.limits of {model.name} allow {allowed.max_instances}"
        yield (*loc, *path, "InstanceCount"), text
    if kind == "Transform":  # it has no run time that could be limited
        return
    runtime = at("StoppingCondition", "MaxRuntimeInSeconds")
    if isinstance(runtime, int) and runtime > seconds:
        text = f"MaxRuntimeInSeconds is {runtime}; training.limits of {model.name} allow {seconds}"
        yield (*loc, "StoppingCondition", "MaxRuntimeInSeconds"), text
    if "MaxRuntimeInSeconds" not in (arguments.get("StoppingCondition") or {}):
        yield loc, "StoppingCondition needs MaxRuntimeInSeconds: IAM refuses a job that may run as long as it likes"
