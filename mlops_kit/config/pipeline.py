"""``training.pipeline``: a SageMaker pipeline definition beside the model file, read and checked before it is deployed.

SageMaker checks a definition when the pipeline is made and its arguments not before a step runs, which is an hour later
or at night. Everything that can be known from the file is found here: keys, parameters, names, references, circles, and
each step's arguments against the API's own model (:mod:`pipeline_arguments`). Errors name file and line.

Format: "SageMaker Pipeline Definition JSON Schema",
https://aws-sagemaker-mlops.github.io/sagemaker-model-building-pipeline-definition-JSON-schema/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mlops_kit.config import pipeline_arguments, pipeline_limits, pipeline_parameters
from mlops_kit.config import source as reader
from mlops_kit.config.model import Model
from mlops_kit.config.source import Loc, Source
from mlops_kit.errors import ConfigError, Problem

VERSION = "2020-12-01"
KEYS = {"Version", "Metadata", "Parameters", "PipelineExperimentConfig", "Steps"}
_STEP = {"Name", "Type", "Arguments", "DependsOn", "DisplayName", "Description"}
_JOB = {*_STEP, "RetryPolicies", "CacheConfig"}
STEP_KEYS = {
    "Training": _JOB,
    "Processing": {*_JOB, "PropertyFiles"},
    "Transform": _JOB,
    "Model": {*_STEP, "RetryPolicies"},
    "RegisterModel": {*_STEP, "RetryPolicies"},
    "Condition": _STEP,
    "Fail": _STEP,
}
"""Type of a step -> the keys it may have. Other types need permissions that the pipeline's role does not have."""
BRANCHES = ("IfSteps", "ElseSteps")
_COMPARISON = frozenset({"Type", "LeftValue", "RightValue"})
CONDITIONS = {
    **dict.fromkeys(("Equals", "GreaterThan", "GreaterThanOrEqualTo", "LessThan", "LessThanOrEqualTo"), _COMPARISON),
    "In": frozenset({"Type", "QueryValue", "Values"}),
    "Not": frozenset({"Type", "Expression"}),
    "Or": frozenset({"Type", "Conditions"}),
}
"""Type of a condition -> the keys it has."""
EXECUTION = {
    *("StartDateTime", "CurrentDateTime", "PipelineName", "PipelineArn", "PipelineExecutionId"),
    *("PipelineExecutionArn", "TrainingJobName", "ProcessingJobName"),
}
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class _Step:
    name: str
    kind: str
    loc: Loc
    data: dict[str, Any]


def load(path: Path) -> dict[str, Any]:
    """The definition as it stands in the file, which :func:`check` found to be right."""
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def step_types(definition: dict[str, Any]) -> set[str]:
    """Which types of steps there are, those in branches included."""
    return {step["Type"] for step in all_steps(definition)}


def all_steps(definition: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every step, those in branches included."""
    waiting = list(definition["Steps"])
    while waiting:
        step = waiting.pop(0)
        yield step
        if step["Type"] == "Condition":
            waiting += [inner for branch in BRANCHES for inner in step["Arguments"].get(branch, [])]


def check(path: Path, shown_as: str, model: Model) -> list[Problem]:
    """Everything that is wrong with ``model``'s definition."""
    try:
        raw = path.read_bytes()
    except OSError as exc:
        return [Problem(shown_as, 1, f"cannot be read: {exc.strerror}")]
    source, problems = _checked(shown_as, raw)
    if source is None or problems:
        return list(problems)
    return [*pipeline_parameters.check_for_model(source, model), *_beyond_limits(source, model)]


def _beyond_limits(source: Source, model: Model) -> Iterator[Problem]:
    steps: list[_Step] = []
    list(_collect(source, source.data["Steps"], ("Steps",), steps))
    defaults = {
        parameter["Name"]: parameter["DefaultValue"]
        for parameter in source.data.get("Parameters", [])
        if "DefaultValue" in parameter
    }
    for step in steps:
        loc = (*step.loc, "Arguments")
        for at, text in pipeline_limits.check_limits(step.kind, step.data["Arguments"], loc, model, defaults):
            yield source.problem(at, f"step {step.name}: {text}")


@lru_cache(maxsize=32)
def _checked(shown_as: str, raw: bytes) -> tuple[Source | None, tuple[Problem, ...]]:
    """What can be said of the file without its model. Kept by its bytes, as each environment asks for it."""
    try:
        data = json.loads(raw)
        # JSON is what counts; the YAML reader knows the lines, and refuses a key that is given twice. JSON has tabs
        # between its words only, and YAML has none there.
        source = reader.parse(raw.replace(b"\t", b" "), shown_as)
    except json.JSONDecodeError as exc:
        return None, (Problem(shown_as, exc.lineno, f"is not valid JSON: {exc.msg}"),)
    except UnicodeDecodeError:
        return None, (Problem(shown_as, 1, "is not UTF-8"),)
    except ConfigError as exc:
        return None, exc.problems
    source = Source(source.file, data, source.lines)
    return source, tuple(_problems(source))


def _problems(source: Source) -> Iterator[Problem]:
    for key in sorted(set(source.data) - KEYS):
        yield source.problem((key,), f"unknown key {key!r}; known keys: {', '.join(sorted(KEYS))}")
    if source.data.get("Version") != VERSION:
        yield source.problem(("Version",), f"Version is {source.data.get('Version')!r}; there is only {VERSION!r}")
    yield from pipeline_parameters.check(source)
    steps: list[_Step] = []
    yield from _collect(source, source.data.get("Steps"), ("Steps",), steps)
    known = {step.name: step for step in steps}
    needs: dict[str, set[str]] = {step.name: set() for step in steps}
    for step in steps:
        for loc, text in (*_check_step(step), *_check_references(source, step, known, needs)):
            yield source.problem(loc, f"step {step.name}: {text}")
    for name in _circular(needs):
        yield source.problem(known[name].loc, f"step {name}: it waits for itself, through the steps it depends on")


def _collect(source: Source, given: Any, loc: Loc, steps: list[_Step]) -> Iterator[Problem]:
    if not isinstance(given, list) or not given:
        yield source.problem(loc, f"{loc[-1]}: must be a list with at least one step")
        return
    for index, data in enumerate(given):
        at = (*loc, index)
        if not isinstance(data, dict):
            yield source.problem(at, f"{loc[-1]}: a step is an object with Name, Type and Arguments")
            continue
        name, kind = data.get("Name"), data.get("Type")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            text = f"{loc[-1]}: Name {name!r} is not 1 to 64 letters, digits, hyphens and underscores"
            yield source.problem((*at, "Name"), text)
        elif kind not in STEP_KEYS:
            text = f"step {name}: Type {kind!r} is not one of {', '.join(sorted(STEP_KEYS))}"
            yield source.problem((*at, "Type"), text)
        elif not isinstance(data.get("Arguments"), dict):
            yield source.problem((*at, "Arguments"), f"step {name}: Arguments must be an object")
        else:
            if any(name == step.name for step in steps):
                yield source.problem((*at, "Name"), f"step {name}: there is a step of this name already")
            steps.append(_Step(name, kind, at, data))
            for branch in BRANCHES if kind == "Condition" else ():
                if data["Arguments"].get(branch):
                    yield from _collect(source, data["Arguments"][branch], (*at, "Arguments", branch), steps)


def _check_step(step: _Step) -> Iterator[tuple[Loc, str]]:
    arguments, at = step.data["Arguments"], (*step.loc, "Arguments")
    for key in sorted(set(step.data) - STEP_KEYS[step.kind]):
        known = ", ".join(sorted(STEP_KEYS[step.kind]))
        yield (*step.loc, key), f"unknown key {key!r}; a step of type {step.kind} has: {known}"
    if step.kind == "Fail":
        if set(arguments) != {"ErrorMessage"}:
            yield at, "Arguments of a Fail step are ErrorMessage and nothing else"
    elif step.kind == "Condition":
        for key in sorted(set(arguments) - {"Conditions", *BRANCHES}):
            yield (*at, key), f"unknown key {key!r}; a condition has: Conditions, ElseSteps, IfSteps"
        yield from _check_conditions(arguments.get("Conditions"), (*at, "Conditions"))
    else:
        yield from pipeline_arguments.check_arguments(step.kind, arguments, at)


def _check_conditions(conditions: Any, loc: Loc) -> Iterator[tuple[Loc, str]]:
    if not isinstance(conditions, list) or not conditions:
        yield loc, "Conditions must be a list with at least one condition"
        return
    for index, condition in enumerate(conditions):
        keys = CONDITIONS.get(str(condition.get("Type"))) if isinstance(condition, dict) else None
        if keys is None:
            yield (*loc, index), f"a condition has a Type, one of {', '.join(sorted(CONDITIONS))}"
        elif set(condition) != keys:
            yield (*loc, index), f"a condition of type {condition['Type']} has exactly: {', '.join(sorted(keys))}"
        elif condition["Type"] == "Or":
            yield from _check_conditions(condition["Conditions"], (*loc, index, "Conditions"))
        elif condition["Type"] == "Not":
            yield from _check_conditions([condition["Expression"]], (*loc, index, "Expression"))


def _check_references(
    source: Source, step: _Step, known: dict[str, _Step], needs: dict[str, set[str]]
) -> Iterator[tuple[Loc, str]]:
    """Also notes in ``needs`` which steps have to be over before this one begins."""
    depends = step.data.get("DependsOn", [])
    for index, name in enumerate(depends if isinstance(depends, list) else [depends]):
        if name not in known:
            yield (*step.loc, "DependsOn", index), f"DependsOn: there is no step {name!r}"
        else:
            needs[step.name].add(name)
    parameters = {parameter.get("Name") for parameter in source.data.get("Parameters", []) if _is_object(parameter)}
    for loc, reference in _references(step.data["Arguments"], (*step.loc, "Arguments")):
        root, _, rest = reference.partition(".")
        if root == "Parameters" and rest in parameters:
            continue
        if root == "Execution" and rest in EXECUTION:
            continue
        if root == "Steps":
            name, _, path = rest.partition(".")
            if name in known:
                needs[step.name].add(name)
                if problem := _check_property(known[name], path):
                    yield loc, problem
                continue
            yield loc, f"{reference}: there is no step {name!r}"
        else:
            yield loc, f"{reference}: there is no such parameter, step or property of the execution"


def _check_property(step: _Step, path: str) -> str | None:
    first, _, name = path.partition(".")
    if first == "PropertyFiles":
        files = step.data.get("PropertyFiles", [])
        names = [file.get("PropertyFileName") for file in files if _is_object(file)]
        return None if name in names else f"step {step.name} has no property file {name!r}"
    if not path or pipeline_arguments.has_property(step.kind, path):
        return None
    return f"Steps.{step.name}.{path}: a step of type {step.kind} has no such property"


def _references(value: Any, loc: Loc) -> Iterator[tuple[Loc, str]]:
    """Every ``{"Get": …}``, but not those of the steps in a condition's branches: they are steps of their own."""
    if isinstance(value, dict):
        if set(value) == {"Get"}:
            yield loc, str(value["Get"])
            return
        for key, item in value.items():
            if key not in BRANCHES:
                yield from _references(item, (*loc, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _references(item, (*loc, index))


def _circular(needs: dict[str, set[str]]) -> list[str]:
    """The steps that can never begin, in order."""
    left = {name: set(others) for name, others in needs.items()}
    while ready := [name for name, others in left.items() if not others & left.keys()]:
        for name in ready:
            del left[name]
    return sorted(name for name in left)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)
