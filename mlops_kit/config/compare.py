"""What differs between two environments, sorted by how much a reviewer should care.

Three kinds of differences: those that are there by nature (two environments never share an account), ordinary ones,
and those that change what protects data and releases. The tables below say which is which; everything else is ordinary.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from mlops_kit.config.resolved import Path, Resolved, settings

BY_NATURE = ("name", "account", "promotes_from")
"""Settings of an environment that differ between any two environments. They are reported apart."""

ENVIRONMENT_SAFETY: Mapping[str, str] = {
    "protect": "whether Terraform may destroy what holds data",
    "operators": "who may promote from outside the account",
    "access.data_scientists": "who may experiment from outside the account",
    "access.approvers": "who may approve from outside the account",
    "access.auditors": "who may audit from outside the account",
    "ci": "which repository may deploy",
    "approvals.required": "how many people have to agree to a release",
    "approvals.distinct_from_requester": "whether who promotes may approve it",
    "approvals.expire_hours": "how long an approval counts",
    "gates.overridable": "which gates a person may pass by giving a reason",
    "gates.soak_hours": "how long a version has proven itself in the stage before",
    "gates.source_alarms": "whether a version that is unwell in the stage before gets in",
    "gates.data_checks": "whether untested data gets in",
    "gates.image_scan": "whether known vulnerabilities get in",
    "gates.signature": "whether unsigned versions get in",
    "gates.budget": "whether a spent budget stops a release",
    "retention.ledger_lock_days": "how long the record of releases cannot be deleted",
    "retention.ledger_lock_mode": "whether an administrator can lift that lock",
    "network.mode": "whether jobs and endpoints have a way to the internet",
    "network.isolation": "whether containers can send data anywhere",
    "network.existing": "whose network jobs and endpoints run in",
    "off_hours": "when endpoints are gone",
    "storage.replicate_to": "whether data and releases survive the loss of a region",
}
"""Setting of an environment, with all below it -> what it protects: the reason a reviewer has to look at it."""

MODEL_SAFETY: Mapping[str, str] = {
    "gates": "what a version has to prove before it gets in",
    "smoke": "what a release has to answer before it counts",
    "training.limits": "what a training job may cost at most",
    "serving.kind": "how a model answers, and what undoes a bad release of it",
    "serving.rollout.strategy": "how much traffic a bad release reaches",
    "serving.rollout.bake_minutes": "how long the alarms may undo a release",
}
"""The same for the settings of a model."""

_ELSEWHERE = ("models",)
"""Compared model by model, so the list of their names would say it twice."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that differs. ``None`` is a value that is not set. ``safety``: what it protects, if it does."""

    path: str
    a: Any
    b: Any
    safety: str | None = None


@dataclass(frozen=True, slots=True)
class ModelDifferences:
    """One model that is deployed in both environments, but not the same way."""

    name: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that differs between the environments named ``a`` and ``b``."""

    a: str
    b: str
    by_nature: tuple[Difference, ...]
    settings: tuple[Difference, ...]
    only_in_a: tuple[str, ...]
    only_in_b: tuple[str, ...]
    models: tuple[ModelDifferences, ...]

    @property
    def different(self) -> bool:
        """Whether anything differs that does not have to."""
        return bool(self.settings or self.only_in_a or self.only_in_b or self.models)


def compare(a: Resolved, b: Resolved) -> Comparison:
    found = differences(a.environment, b.environment, ENVIRONMENT_SAFETY)
    models_a = {model.name: model for model in a.models}
    models_b = {model.name: model for model in b.models}
    models = [
        ModelDifferences(name, differences(model, models_b[name], MODEL_SAFETY))
        for name, model in models_a.items()
        if name in models_b
    ]
    return Comparison(
        a=a.environment.name,
        b=b.environment.name,
        by_nature=tuple(difference for difference in found if difference.path in BY_NATURE),
        settings=tuple(difference for difference in found if difference.path not in (*BY_NATURE, *_ELSEWHERE)),
        only_in_a=tuple(name for name in models_a if name not in models_b),
        only_in_b=tuple(name for name in models_b if name not in models_a),
        models=tuple(model for model in models if model.differences),
    )


def differences(a: BaseModel, b: BaseModel, safety: Mapping[str, str]) -> tuple[Difference, ...]:
    """The settings that differ, in the order of the fields. Where a value comes from makes no difference."""
    left = {setting.path: setting.value for setting in settings(a)}
    right = {setting.path: setting.value for setting in settings(b)}
    return tuple(
        Difference(".".join(path), left.get(path), right.get(path), _reason(path, safety))
        for path in _in_order(left, right)
        if not _same(left.get(path), right.get(path))
    )


def _same(a: object, b: object) -> bool:
    # `1`, `1.0` and `true` are equal in Python, but a training script is handed three different texts.
    unset: tuple[object, ...] = (None, [], {})
    return (a in unset and b in unset) or json.dumps(a) == json.dumps(b)


def _in_order(left: Iterable[Path], right: Iterable[Path]) -> list[Path]:
    """All paths; those that only ``right`` has stand where they stand there."""
    order = list(left)
    at = 0
    for path in right:
        if path in order:
            at = order.index(path) + 1
        else:
            order.insert(at, path)
            at += 1
    return order


def _reason(path: Path, safety: Mapping[str, str]) -> str | None:
    for length in range(len(path), 0, -1):
        if reason := safety.get(".".join(path[:length])):
            return reason
    return None
