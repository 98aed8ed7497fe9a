"""An environment as it really is: defaults filled in, overrides laid over, and which values nobody wrote down.

What a file leaves out is as much a decision as what it says. Printing both, in the order of the models' fields, makes
the decision reviewable; each YAML document is again a valid file, so nothing is lost or invented on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import yaml
from pydantic import BaseModel

from mlops_kit.config.environment import Environment
from mlops_kit.config.model import Model
from mlops_kit.config.project import Project
from mlops_kit.config.release_gates import MetricGate

Path = tuple[str, ...]

_ITEM_KEYS: dict[type[BaseModel], str] = {MetricGate: "metric"}
"""List items that people call by a field and not by their position: the gate on accuracy, not the first gate."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """One environment and every model deployed there, as it is there."""

    environment: Environment
    models: tuple[Model, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """One value. ``default``: it comes from the kit, because the files do not say."""

    path: Path
    value: Any
    default: bool

    @property
    def dotted(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class _Child:
    key: str
    value: object
    default: bool


def resolve(project: Project, environment: Environment) -> Resolved:
    return Resolved(environment, project.models_in(environment))


def settings(model: BaseModel) -> tuple[Setting, ...]:
    """Every value of ``model`` in the order of the fields.

    Lists are one value, because an override replaces them as a whole; a list of gates is one value per gate and bound.
    """
    return tuple(_settings(model, (), default=False))


def as_yaml(resolved: Resolved) -> str:
    """A YAML stream: the environment, then each of its models. Values that no file gives end with ``# default``."""
    environment = resolved.environment
    parts = [f"# environment {environment.name}, resolved", *_lines(environment, default=False)]
    for model in resolved.models:
        parts += ["---", f"# model {model.name} in {environment.name}, resolved", *_lines(model, default=False)]
    return "\n".join(parts) + "\n"


def flow(value: object) -> str:
    """``value`` as YAML on one line."""
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=float("inf"), allow_unicode=True)
    return text.removesuffix("...\n").rstrip("\n")


class _Dumper(yaml.SafeDumper):
    """One line a value, no aliases (the files refuse them), and double quotes as the files have them."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def choose_scalar_style(self) -> str:
        style: str = super().choose_scalar_style()
        analysis = self.analysis  # always there by now: the style depends on it
        if style == "'" and analysis and (analysis.multiline or "\\" not in analysis.scalar):
            return '"'  # keeps line breaks on the line; single quotes keep a regular expression readable
        return style


def _settings(value: object, path: Path, *, default: bool) -> Iterator[Setting]:
    children = _children(value, default)
    if not children:
        yield Setting(path, _plain(value), default)
    named_by = _ITEM_KEYS.get(type(value)) if isinstance(value, BaseModel) else None
    for child in children:
        if child.key != named_by:  # the path says it already
            yield from _settings(child.value, (*path, child.key), default=child.default)


def _children(value: object, default: bool) -> list[_Child]:
    """What ``value`` consists of; nothing, if it is shown as one value."""
    if isinstance(value, BaseModel):
        given = value.model_fields_set
        return [_Child(name, getattr(value, name), default or name not in given) for name in type(value).model_fields]
    if isinstance(value, Mapping):
        return [_Child(str(key), item, default) for key, item in value.items()]
    if _is_block_list(value):
        keys = _item_keys(value)
        return [_Child(key, item, default) for key, item in zip(keys, value, strict=True)]
    return []


def _is_block_list(value: object) -> TypeGuard[tuple[object, ...]]:
    return isinstance(value, tuple) and any(isinstance(item, BaseModel) for item in value)


def _item_keys(items: tuple[object, ...]) -> list[str]:
    keys: list[str] = []
    for index, item in enumerate(items):
        field = _ITEM_KEYS.get(type(item)) if isinstance(item, BaseModel) else None
        name = str(getattr(item, field)) if field else str(index)
        key, count = name, 1
        while key in keys:
            count += 1
            key = f"{name}#{count}"
        keys.append(key)
    return keys


def _lines(value: object, *, default: bool) -> list[str]:
    lines = []
    for child in _children(value, default):
        key = flow(child.key)
        if _is_block_list(child.value):
            lines.append(f"{key}:")
            for item in _children(child.value, child.default):
                first, *rest = _lines(item.value, default=item.default)
                lines += [f"  - {first}", *(f"    {line}" for line in rest)]
        elif _children(child.value, child.default):
            lines += [f"{key}:", *(f"  {line}" for line in _lines(child.value, default=child.default))]
        else:
            lines.append(f"{key}: {flow(_plain(child.value))}{'  # default' if child.default else ''}")
    return lines


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
