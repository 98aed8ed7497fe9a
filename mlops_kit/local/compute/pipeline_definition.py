"""A SageMaker pipeline's definition, checked: parameters, steps, and what each step waits for. Pure.

Follows the definition schema 2020-12-01:
https://aws-sagemaker-mlops.github.io/sagemaker-model-building-pipeline-definition-JSON-schema/
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

VERSION = "2020-12-01"
STEP_TYPES = ("Training", "Processing", "Transform", "Model", "RegisterModel", "Condition", "Fail")
NOT_RUN = (
    *("AutoML", "Callback", "ClarifyCheck", "EMR", "EMRServerless", "Endpoint", "EndpointConfig", "Lambda"),
    *("NotebookJob", "QualityCheck", "Tuning"),
)
"""What SageMaker has and the local cloud does not run."""

CONDITIONS = (*("Equals", "GreaterThan", "GreaterThanOrEqualTo", "LessThan", "LessThanOrEqualTo", "In", "Not", "Or"),)
PARAMETER_TYPES: dict[str, Callable[[Any], Any]] = {
    "String": str,
    "Integer": int,
    "Float": float,
    "Boolean": lambda text: {"true": True, "false": False}[str(text).lower()],
}
EXECUTION = (
    *("StartDateTime", "CurrentDateTime", "PipelineName", "PipelineArn", "PipelineExecutionId"),
    *("PipelineExecutionArn",),
)
"""Execution variables."""

_NAME = re.compile(r"[A-Za-z0-9\-_]{1,64}")


class DefinitionError(ValueError):
    """A definition that SageMaker would refuse, or that the local cloud cannot run."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step. ``branch`` is the Condition step it is nested in, and the outcome for which it runs."""

    name: str
    type: str
    arguments: Mapping[str, Any]
    needs: frozenset[str]
    display_name: str | None = None
    description: str | None = None
    property_files: tuple[Mapping[str, str], ...] = ()
    branch: tuple[str, bool] | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """A pipeline's parameters and all of its steps, also those within conditions."""

    parameters: Mapping[str, Mapping[str, Any]]
    steps: Mapping[str, Step] = field(default_factory=dict)


def parse(text: str) -> Definition:
    """Read and check a definition.

    Raises:
        DefinitionError: see there.
    """
    try:
        document = json.loads(text)
    except ValueError as exc:
        raise DefinitionError(f"Invalid pipeline definition: not valid JSON: {exc}") from exc
    if not isinstance(document, dict) or document.get("Version") != VERSION:
        raise DefinitionError(f"Invalid pipeline definition: Version must be {VERSION!r}")
    parameters: dict[str, Mapping[str, Any]] = {}
    for parameter in document.get("Parameters") or []:
        name = str(parameter.get("Name"))
        if parameter.get("Type") not in PARAMETER_TYPES:
            raise DefinitionError(f"Invalid pipeline definition: parameter {name} has type {parameter.get('Type')!r}")
        if name in parameters:
            raise DefinitionError(f"Invalid pipeline definition: parameter {name} is defined twice")
        parameters[name] = parameter
    if not document.get("Steps"):
        raise DefinitionError("Invalid pipeline definition: there are no Steps")
    steps: dict[str, Step] = {}
    for step in _steps(document["Steps"], None):
        if step.name in steps:
            raise DefinitionError(f"Invalid pipeline definition: step {step.name} is defined twice")
        steps[step.name] = step
    definition = Definition(parameters, steps)
    for step in steps.values():
        _check_references(step, definition)
    _check_order(definition)
    return definition


def _steps(documents: Any, branch: tuple[str, bool] | None) -> Iterator[Step]:
    for document in documents:
        name, kind = str(document.get("Name")), document.get("Type")
        if not _NAME.fullmatch(name):
            raise DefinitionError(f"Invalid pipeline definition: {name!r} is not a step name")
        if kind in NOT_RUN:
            raise DefinitionError(f"The local cloud does not run steps of type {kind}, and step {name} is one")
        if kind not in STEP_TYPES:
            raise DefinitionError(f"Invalid pipeline definition: step {name} has the unknown type {kind!r}")
        arguments = dict(document.get("Arguments") or {})
        inner = {key: arguments.pop(key, None) or [] for key in ("IfSteps", "ElseSteps")} if kind == "Condition" else {}
        if kind == "Condition":
            for condition in arguments.get("Conditions") or [{}]:
                _check_condition(condition, name)
        needs = {reference.split(".")[1] for reference in references(arguments) if reference.startswith("Steps.")}
        needs |= {str(other) for other in document.get("DependsOn") or []}
        yield Step(
            name,
            str(kind),
            arguments,
            frozenset(re.split(r"[\[.]", need)[0] for need in needs),
            document.get("DisplayName"),
            document.get("Description"),
            tuple(document.get("PropertyFiles") or ()),
            branch,
        )
        yield from _steps(inner.get("IfSteps", []), (name, True))
        yield from _steps(inner.get("ElseSteps", []), (name, False))


def _check_condition(condition: Mapping[str, Any], step: str) -> None:
    kind = condition.get("Type")
    if kind not in CONDITIONS:
        raise DefinitionError(f"Invalid pipeline definition: step {step} has a condition of the unknown type {kind!r}")
    if kind == "Not":
        _check_condition(condition.get("Expression") or {}, step)
    for inner in condition.get("Conditions") or [] if kind == "Or" else []:
        _check_condition(inner, step)


def _check_references(step: Step, definition: Definition) -> None:
    for need in step.needs:
        if need not in definition.steps:
            raise DefinitionError(
                f"Invalid pipeline definition: step {step.name} refers to step {need}, which is not there"
            )
    for reference in references(step.arguments):
        kind, _, rest = reference.partition(".")
        known = (
            kind == "Steps"
            or (kind == "Parameters" and rest in definition.parameters)
            or (kind == "Execution" and rest in EXECUTION)
        )
        if not known:
            raise DefinitionError(
                f"Invalid pipeline definition: step {step.name} refers to {reference}, which is not there"
            )


def _check_order(definition: Definition) -> None:
    """Refuse steps that wait for each other."""
    done: set[str] = set()
    waiting = dict(definition.steps)
    while waiting:
        ready = [name for name, step in waiting.items() if all_needs(step) <= done]
        if not ready:
            raise DefinitionError(f"Invalid pipeline definition: the steps {', '.join(sorted(waiting))} form a cycle")
        done |= set(ready)
        for name in ready:
            del waiting[name]


def all_needs(step: Step) -> set[str]:
    """What has to be over before a step starts: what it depends on, and the condition that it is nested in."""
    return {*step.needs, *([step.branch[0]] if step.branch else [])}


def references(value: Any) -> Iterator[str]:
    """Every ``Get`` in ``value``."""
    if isinstance(value, Mapping):
        if set(value) == {"Get"} and isinstance(value["Get"], str):
            yield value["Get"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def arguments_of(definition: Definition, given: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of one execution: what was given, else the defaults.

    Raises:
        DefinitionError: an unknown or missing parameter, or a value of the wrong type.
    """
    unknown = sorted(set(given) - set(definition.parameters))
    if unknown:
        raise DefinitionError(f"Pipeline parameters [{', '.join(unknown)}] are not defined in the pipeline definition")
    found = {}
    for name, parameter in definition.parameters.items():
        if name not in given and "DefaultValue" not in parameter:
            raise DefinitionError(f"Pipeline parameter {name} has no default value, and none was given")
        value = given.get(name, parameter.get("DefaultValue"))
        try:
            found[name] = PARAMETER_TYPES[parameter["Type"]](value)
        except (ValueError, KeyError, TypeError) as exc:
            raise DefinitionError(f"Pipeline parameter {name}: {value!r} is not of type {parameter['Type']}") from exc
        if parameter.get("EnumValues") and found[name] not in parameter["EnumValues"]:
            raise DefinitionError(f"Pipeline parameter {name}: {value!r} is not one of {parameter['EnumValues']}")
    return found
