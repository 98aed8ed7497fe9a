"""What stands for a value in a pipeline's definition, and the conditions over such values. Pure.

Instead of a value there may be ``{"Get": "Parameters.X"}``, ``{"Get": "Execution.PipelineExecutionId"}``,
``{"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}``, ``{"Std:Join": …}`` or ``{"Std:JsonGet": …}``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_SEGMENT = re.compile(r"""([^.\[\]]+)|\[(?:'([^']*)'|"([^"]*)"|(\d+))\]|\.""")


class ResolveError(ValueError):
    """A value that the definition refers to is not there."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression can refer to. ``property_file`` reads a file that a step wrote, by step and file name."""

    parameters: Mapping[str, Any]
    execution: Mapping[str, Any]
    steps: Mapping[str, Mapping[str, Any]]
    property_file: Callable[[str, str], str]


def resolve(value: Any, scope: Scope) -> Any:
    """``value`` without any reference in it.

    Raises:
        ResolveError: see there.
    """
    if isinstance(value, list):
        return [resolve(item, scope) for item in value]
    if not isinstance(value, Mapping):
        return value
    if len(value) == 1:
        (name, argument), *_ = value.items()
        if name == "Get":
            return _get(str(argument), scope)
        if name == "Std:Join":
            return str(argument["On"]).join(_text(resolve(item, scope)) for item in argument["Values"])
        if name == "Std:JsonGet":
            return _json_get(argument, scope)
    return {name: resolve(item, scope) for name, item in value.items()}


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, (bool, dict, list)) else str(value)


def _get(reference: str, scope: Scope) -> Any:
    kind, _, rest = reference.partition(".")
    if kind == "Parameters":
        return scope.parameters[rest]
    if kind == "Execution":
        return scope.execution[rest]
    step, path = _path(rest)[0], _path(rest)[1:]
    return walk(scope.steps.get(str(step), {}), path, reference)


def _json_get(argument: Mapping[str, Any], scope: Scope) -> Any:
    reference = argument["PropertyFile"]
    reference = reference["Get"] if isinstance(reference, Mapping) else reference
    segments = _path(str(reference))
    if len(segments) != 4 or segments[0] != "Steps" or segments[2] != "PropertyFiles":
        raise ResolveError(f"{reference} is not a property file")
    text = scope.property_file(str(segments[1]), str(segments[3]))
    try:
        document = json.loads(text)
    except ValueError as exc:
        raise ResolveError(f"the property file {reference} is not JSON: {exc}") from exc
    return walk(document, _path(str(argument["Path"])), f"{argument['Path']} of {reference}")


def _path(text: str) -> list[str | int]:
    found: list[str | int] = []
    for match in _SEGMENT.finditer(text):
        if match[4] is not None:
            found.append(int(match[4]))
        elif (name := next((group for group in match.groups()[:3] if group is not None), None)) is not None:
            found.append(name)
    return found


def walk(value: Any, path: list[str | int], label: str) -> Any:
    """The value at ``path``. In a list, a name picks the item that has it: of outputs ``OutputName``, of metrics
    ``MetricName``.

    Raises:
        ResolveError: see there.
    """
    for segment in path:
        indexed = isinstance(value, list) and isinstance(segment, int) and segment < len(value)
        if indexed or (isinstance(value, Mapping) and segment in value):
            value = value[segment]
        elif isinstance(value, list) and (named := _named(value, str(segment))) is not None:
            value = named
        else:
            raise ResolveError(f"{label} has no value: there is no {segment!r}")
    return value


def _named(items: list[Any], name: str) -> Any | None:
    return next(
        (i for i in items if isinstance(i, Mapping) and any(k.endswith("Name") and v == name for k, v in i.items())),
        None,
    )


def holds(condition: Mapping[str, Any], scope: Scope) -> bool:
    """Whether a condition is true.

    Raises:
        ResolveError: a value is missing, or two cannot be compared.
    """
    kind = condition["Type"]
    if kind == "Not":
        return not holds(condition["Expression"], scope)
    if kind == "Or":
        return any(holds(inner, scope) for inner in condition["Conditions"])
    if kind == "In":
        return resolve(condition["QueryValue"], scope) in resolve(condition["Values"], scope)
    left, right = resolve(condition["LeftValue"], scope), resolve(condition["RightValue"], scope)
    if kind == "Equals":
        return bool(left == right)
    try:
        compared = {
            "GreaterThan": left > right,
            "GreaterThanOrEqualTo": left >= right,
            "LessThan": left < right,
            "LessThanOrEqualTo": left <= right,
        }
    except TypeError as exc:
        raise ResolveError(f"{left!r} and {right!r} cannot be compared") from exc
    return bool(compared[kind])
