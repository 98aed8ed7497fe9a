"""The parameters of a pipeline definition, and which of them need no value because the stack knows it.

A parameter without ``DefaultValue`` is filled in by its name, from the model file and the environment: the table
:data:`FILLED`. So one definition serves every environment, and the model file stays the one place for instance types,
hyperparameters and metrics. ``Hyperparameter_<name>`` is a hyperparameter of the model file as the JSON text that
SageMaker's framework images read; ``Metric_<name>`` is the regular expression of a metric. What is only known when the
pipeline starts is in :data:`AT_START`. A default that the file gives itself always counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlops_kit.config.environment import Environment
from mlops_kit.config.model import Model
from mlops_kit.config.source import Loc, Source
from mlops_kit.config.source_archive import ENTRY_IN_JOB
from mlops_kit.errors import Problem

KEYS = {"Name", "Type", "DefaultValue", "EnumValues", "Description"}
TYPES: dict[str, type | tuple[type, ...]] = {"String": str, "Integer": int, "Float": (int, float), "Boolean": bool}
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

STEP_INSTANCE_TYPE = "ml.t3.medium"
"""For steps that compute nothing, as registering: the smallest instance that runs processing jobs."""
STEP_RUNTIME_SECONDS = 900
SOURCE_CHANNEL_ARCHIVE = "/opt/ml/input/data/code/sourcedir.tar.gz"
"""Where the training toolkit finds the source when it comes by the channel ``code``, with or without a network."""

FILLED: Mapping[str, str] = {
    **dict.fromkeys(("InstanceCount", "VolumeSizeInGB", "MaxRuntimeInSeconds", "StepMaxRuntimeInSeconds"), "Integer"),
    **dict.fromkeys(
        (
            *("Environment", "Region", "Model", "PackageGroup", "Dataset", "Label"),
            *("Role", "PipelineRole", "KmsKey", "LakeBucket", "ArtifactsBucket", "OutputPath"),
            *("TrainingImage", "ServingImage", "InstanceType", "StepInstanceType"),
            *("Program", "EntryPoint", "ServingEntryPoint", "SubmitDirectory"),
            *("SourceUri", "SourceSha256", "RegisterEntryUri"),
        ),
        "String",
    ),
}
"""Name of a parameter that the stack fills in -> its type. docs/constructs/pipeline.md says what each one is."""
HYPERPARAMETER, METRIC = "Hyperparameter_", "Metric_"

AT_START = ("DatasetCommit", "DatasetManifest")
"""What the retraining gives when it starts the pipeline: the commit's id, and the address of its SageMaker manifest."""


@dataclass(frozen=True, slots=True)
class Uploads:
    """What the stack uploaded for the pipeline: addresses in S3, and the digest of the source archive."""

    source_uri: str
    source_sha256: str
    register_entry_uri: str


def check(source: Source) -> Iterator[Problem]:
    """What is wrong with the section ``Parameters``, whatever model it is for."""
    parameters = source.data.get("Parameters", [])
    if not isinstance(parameters, list):
        yield source.problem(("Parameters",), "Parameters: must be a list")
        return
    seen: set[str] = set()
    for index, parameter in enumerate(parameters):
        loc: Loc = ("Parameters", index)
        if not isinstance(parameter, dict):
            yield source.problem(loc, "Parameters: each one is an object with Name and Type")
            continue
        name = parameter.get("Name")
        for key in sorted(set(parameter) - KEYS):
            yield source.problem((*loc, key), f"Parameters: unknown key {key!r}; known keys: {', '.join(sorted(KEYS))}")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            text = f"Parameters: Name {name!r} is not 1 to 64 letters, digits, hyphens and underscores"
            yield source.problem((*loc, "Name"), text)
            continue
        if name in seen:
            yield source.problem((*loc, "Name"), f"Parameters: {name!r} is declared twice")
        seen.add(name)
        yield from _check_type(source, loc, name, parameter)


def _check_type(source: Source, loc: Loc, name: str, parameter: Mapping[str, Any]) -> Iterator[Problem]:
    kind = parameter.get("Type")
    if kind not in TYPES:
        yield source.problem((*loc, "Type"), f"{name}: Type {kind!r} is not one of {', '.join(TYPES)}")
        return
    values = parameter.get("EnumValues")
    if values is not None and (not isinstance(values, list) or not values):
        yield source.problem((*loc, "EnumValues"), f"{name}: EnumValues must be a list of the values that are allowed")
        values = None
    for index, value in enumerate(values or []):
        if not _is(kind, value):
            yield source.problem((*loc, "EnumValues", index), f"{name}: {value!r} is not of type {kind}")
    if "DefaultValue" in parameter:
        default = parameter["DefaultValue"]
        if not _is(kind, default):
            yield source.problem((*loc, "DefaultValue"), f"{name}: DefaultValue {default!r} is not of type {kind}")
        elif values and default not in values:
            yield source.problem((*loc, "DefaultValue"), f"{name}: DefaultValue {default!r} is not among EnumValues")
    expected = FILLED.get(name, "String" if name in AT_START or name.startswith((HYPERPARAMETER, METRIC)) else kind)
    if expected != kind:
        yield source.problem((*loc, "Type"), f"{name} is known by its name and has Type {expected}, not {kind}")


def check_for_model(source: Source, model: Model) -> Iterator[Problem]:
    """Which parameters would have no value when ``model``'s pipeline starts; ``source`` passed :func:`check`."""
    declared = {parameter["Name"] for parameter in source.data.get("Parameters", [])}
    training = model.training
    for index, parameter in enumerate(source.data.get("Parameters", [])):
        name, loc = parameter["Name"], ("Parameters", index, "Name")
        if "DefaultValue" in parameter or name in FILLED or name in AT_START:
            continue
        for prefix, section, known in (
            (HYPERPARAMETER, "training.hyperparameters", training.hyperparameters),
            (METRIC, "training.metrics", training.metrics),
        ):
            if name.startswith(prefix):
                if name.removeprefix(prefix) not in known:
                    given = ", ".join(sorted(known)) or "none"
                    text = f"{name}: {section} of {model.name} has no {name.removeprefix(prefix)!r}; it has: {given}"
                    yield source.problem(loc, text)
                break
        else:
            text = (
                f"{name} has no DefaultValue, and its name is none that the stack fills in "
                f"({', '.join(sorted(FILLED))}) or that is given at the start ({', '.join(AT_START)})"
            )
            yield source.problem(loc, text)
    if model.retraining.automatic:
        for name in AT_START:
            if name not in declared:
                text = f"Parameters: retraining of {model.name} starts the pipeline with {name}, which is not declared"
                yield source.problem(("Parameters",), text)


def values(environment: Environment, model: Model, uploads: Uploads) -> dict[str, str | int]:
    """Name -> value of everything that can be filled in for ``model`` in ``environment``."""
    names, training = environment.names, model.training
    own = model.names(names)
    filled: dict[str, str | int] = {
        "InstanceCount": training.instance_count,
        "VolumeSizeInGB": training.volume_gb,
        "MaxRuntimeInSeconds": training.max_runtime_minutes * 60,
        "StepMaxRuntimeInSeconds": STEP_RUNTIME_SECONDS,
        "Environment": environment.name,
        "Region": environment.region,
        "Model": model.name,
        "PackageGroup": own.package_group,
        "Dataset": model.dataset,
        "Label": model.label,
        "Role": own.role_arn("training"),
        "PipelineRole": own.role_arn("pipeline"),
        "KmsKey": names.key_alias,
        "LakeBucket": names.bucket("lake"),
        "ArtifactsBucket": names.bucket("artifacts"),
        "OutputPath": f"s3://{names.bucket('artifacts')}/{own.training_output_prefix}",
        "TrainingImage": training.image,
        "ServingImage": model.serving_image,
        "InstanceType": training.instance_type,
        "StepInstanceType": STEP_INSTANCE_TYPE,
        "Program": ENTRY_IN_JOB,
        "EntryPoint": training.entry_point,
        "ServingEntryPoint": model.serving.entry_point,
        "SubmitDirectory": SOURCE_CHANNEL_ARCHIVE,
        "SourceUri": uploads.source_uri,
        "SourceSha256": uploads.source_sha256,
        "RegisterEntryUri": uploads.register_entry_uri,
    }
    filled |= {HYPERPARAMETER + name: json.dumps(value) for name, value in training.hyperparameters.items()}
    filled |= {METRIC + name: regex for name, regex in training.metrics.items()}
    return filled


def _is(kind: str, value: object) -> bool:
    if isinstance(value, bool):
        return kind == "Boolean"
    return isinstance(value, TYPES[kind])
