"""A pipeline step's ``Arguments`` against the service model of the API call that the step makes.

The shapes come with botocore, so what AWS adds is known as soon as botocore is upgraded. Its own validator takes no
expressions, says no lines and does not look at enumerations; hence the walk below. Only botocore's data file is read,
when the first pipeline is checked: importing botocore takes five times as long, and who shows or checks a configuration
needs no cloud library.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mlops_kit.config.source import Loc

Found = tuple[Loc, str]
"""Where in the definition, and what is wrong there."""

OPERATIONS: Mapping[str, tuple[str, str]] = {
    "Training": ("CreateTrainingJob", "DescribeTrainingJob"),
    "Processing": ("CreateProcessingJob", "DescribeProcessingJob"),
    "Transform": ("CreateTransformJob", "DescribeTransformJob"),
    "Model": ("CreateModel", "DescribeModel"),
    "RegisterModel": ("CreateModelPackage", "DescribeModelPackage"),
}
"""Type of a step -> the call whose arguments it has, and the call whose answer its properties are."""
NAMED_BY_PIPELINE = {"TrainingJobName", "ProcessingJobName", "TransformJobName", "ModelName"}
"""Required by the API, but given by the pipeline: as members of the outermost structure of their own call."""
EXPRESSIONS = ("Get", "Std:Join", "Std:JsonGet")

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "list": (list,),
    "map": (dict,),
    "structure": (dict,),
    "timestamp": (int, float, str),
    "blob": (str,),
}
_WORDS = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a whole number"}
_INDEX = re.compile(r"\[[^\]]*\]")


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape of the service model, as the file has it: ``type``, ``members``, ``required``, ``enum``, ``min`` …"""

    name: str
    data: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return str(self.data["type"])

    @property
    def members(self) -> Mapping[str, Any]:
        members: Mapping[str, Any] = self.data.get("members", {})
        return members

    def to(self, reference: Mapping[str, Any]) -> Shape:
        """The shape that a member, an item or a value refers to."""
        return _shape(str(reference["shape"]))

    def at(self, member: str) -> Shape:
        return self.to(self.members[member])


def is_expression(value: object) -> bool:
    """Whether the pipeline computes this value when it runs."""
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in EXPRESSIONS


def check_arguments(kind: str, arguments: Mapping[str, Any], loc: Loc) -> Iterator[Found]:
    """Everything that the API would refuse in the arguments of a step of type ``kind``."""
    call = OPERATIONS[kind][0]
    name = call.removeprefix("Create") + "Name"
    shape = _shape(_model()["operations"][call]["input"]["shape"])
    yield from _check(arguments, shape, loc, given={name} & NAMED_BY_PIPELINE)


def has_property(kind: str, path: str) -> bool:
    """Whether ``Steps.<name>.<path>`` exists for a step of type ``kind``; types without a call have any."""
    if kind not in OPERATIONS:
        return True
    shape = _shape(_model()["operations"][OPERATIONS[kind][1]]["output"]["shape"])
    for part in path.split("."):
        name = _INDEX.sub("", part)
        if name:
            if shape.kind == "map":
                return True
            if shape.kind != "structure" or name not in shape.members:
                return False
            shape = shape.at(name)
        for _ in _INDEX.findall(part):
            if shape.kind not in ("list", "map"):
                return False
            shape = shape.to(shape.data["member" if shape.kind == "list" else "value"])
    return True


@cache
def _model() -> dict[str, Any]:
    spec = find_spec("botocore")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("botocore is not installed", name="botocore")
    versions = Path(spec.submodule_search_locations[0]) / "data" / "sagemaker"
    file = max(versions.glob("*/service-2.json*"))
    found: dict[str, Any] = json.loads(
        gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    )
    return found


def _shape(name: str) -> Shape:
    return Shape(name, _model()["shapes"][name])


def _check(value: Any, shape: Shape, loc: Loc, given: set[str] | None = None) -> Iterator[Found]:
    if is_expression(value):
        return
    kind = shape.kind
    name = _shown(loc)
    fits = isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
    if not fits:
        yield loc, f"{name} is {value!r}, and has to be {_WORDS.get(_TYPES[kind][0], 'a number')}"
    elif kind == "structure":
        for key in value:
            if key not in shape.members:
                yield (*loc, key), f"{name} has no {key!r}; it has: {', '.join(sorted(shape.members))}"
            else:
                yield from _check(value[key], shape.at(key), (*loc, key))
        for key in shape.data.get("required", []):
            if key not in value and key not in (given or ()):
                yield loc, f"{name} needs {key}"
    elif kind == "map":
        for key, item in value.items():
            yield from _check(item, shape.to(shape.data["value"]), (*loc, key))
    else:
        yield from _check_content(value, shape, loc, name)


def _check_content(value: Any, shape: Shape, loc: Loc, name: str) -> Iterator[Found]:
    if shape.kind == "list":
        for index, item in enumerate(value):
            yield from _check(item, shape.to(shape.data["member"]), (*loc, index))
    # AWS adds instance types all the time; a botocore that is some months old must not stand in the way.
    if allowed := [] if "InstanceType" in shape.name else shape.data.get("enum", []):
        if value not in allowed:
            yield loc, f"{name} is {value!r}, and has to be one of: {', '.join(allowed)}"
    elif shape.kind != "boolean":
        size = len(value) if isinstance(value, (str, list)) else value
        what = "" if size is value else f" with {size} {'characters' if isinstance(value, str) else 'items'}"
        low, high = shape.data.get("min"), shape.data.get("max")
        if low is not None and size < low:
            yield loc, f"{name} is {value!r}{what}; the least is {low}"
        if high is not None and size > high:
            yield loc, f"{name} is {value!r}{what}; the most is {high}"


def _shown(loc: Loc) -> str:
    """The path below the step, as the API's own error messages write it: ``InputDataConfig[0].ChannelName``."""
    after = len(loc) - 1 - loc[::-1].index("Arguments")
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc[after + 1 :])
    return text.removeprefix(".") or "Arguments"
