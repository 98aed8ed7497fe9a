"""What a statement is held to, where a name cannot do it."""

from __future__ import annotations

from mlops_kit.config import Environment
from stacks.policies import Conditions


def of(service: str, *actions: str) -> list[str]:
    return [f"{service}:{action}" for action in actions]


def _tags(environment: Environment) -> dict[str, str]:
    return {"Project": environment.project, "Environment": environment.name}


def requested(environment: Environment) -> Conditions:
    return {"StringEquals": {f"aws:RequestTag/{tag}": value for tag, value in _tags(environment).items()}}


def tagged(environment: Environment) -> Conditions:
    return {"StringEquals": {f"aws:ResourceTag/{tag}": value for tag, value in _tags(environment).items()}}
