"""What was asked for: which version, into which environment."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_kit.config import Environment, Project
from mlops_kit.errors import UsageError


@dataclass(frozen=True, slots=True)
class PromotionRequest:
    """Version ``version`` of ``model`` in ``source``'s group is to be released in ``target``."""

    model: str
    version: int
    source: Environment
    target: Environment


def parse_version(text: str) -> tuple[str, int]:
    """``MODEL@VERSION`` -> (model, version). The version is always named; there is no "latest" to be surprised by."""
    model, _, version = text.partition("@")
    if not model or not version.isascii() or not version.isdecimal() or int(version) < 1:
        raise UsageError(f"{text!r} does not name a model version.", hint="Write MODEL@VERSION, for example churn@3.")
    return model, int(version)


def stages(project: Project, to: str, from_: str | None) -> tuple[Environment, Environment]:
    """(source, target) of a promotion to ``to``; ``from_`` may only confirm the stage order, not skip a stage.

    Raises:
        UsageError: a stage would be skipped.
    """
    target = project.environment(to)
    source = project.source_of(target)
    if from_ is not None and project.environment(from_) != source:
        raise UsageError(
            f"{target.name} promotes from {source.name}, not from {from_}: a stage cannot be skipped.",
            hint=f"Promote to {source.name} first, then from there to {target.name}.",
        )
    return source, target


def request(project: Project, version: str, to: str, from_: str | None = None) -> PromotionRequest:
    """What the command line says, checked against the project."""
    model, number = parse_version(version)
    source, target = stages(project, to, from_)
    project.model(model, target)
    return PromotionRequest(model, number, source, target)
