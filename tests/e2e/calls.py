"""What was called, beside what is granted: the local cloud's record of API calls, and the policies that were applied.

The record has every call with the role that made it, also those that SageMaker makes as an execution role. The policies
are read from Terraform's state, where the references in them are resolved.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_kit.config import Environment
from mlops_kit.local.overlay.iam_evaluation import Call, decide
from mlops_kit.local.state import Layout
from tests.stacks.stack import listed


@dataclass(frozen=True)
class Role:
    """One role as Terraform applied it. ``documents``: its policies by name, parsed."""

    name: str
    documents: Mapping[str, Any]
    boundary: Any

    @property
    def granted(self) -> set[str]:
        statements = [s for document in self.documents.values() for s in document["Statement"]]
        return {action for s in statements if s["Effect"] == "Allow" for action in listed(s["Action"])}


def applied_roles(layout: Layout, environment: Environment) -> dict[str, Role]:
    """ARN -> role, of one environment."""
    state = json.loads((layout.terraform_state / f"{environment.name}.tfstate").read_text())
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for resource in state["resources"]:
        found[resource["type"]] += [instance["attributes"] for instance in resource["instances"]]
    managed = {policy["arn"]: json.loads(policy["policy"]) for policy in found["aws_iam_policy"]}
    documents: dict[str, dict[str, Any]] = defaultdict(dict)
    for policy in found["aws_iam_role_policy"]:
        documents[policy["role"]][policy["name"]] = json.loads(policy["policy"])
    return {
        role["arn"]: Role(role["name"], documents[role["name"]], managed[role["permissions_boundary"]])
        for role in found["aws_iam_role"]
    }


@dataclass(frozen=True)
class Called:
    """One action of one recorded call."""

    principal: str
    action: str
    resource: str
    context: Mapping[str, Any]
    allowed: bool
    by: str | None


def recorded(file: Path) -> list[Called]:
    """Every action that a role asked for, each combination once."""
    seen: dict[str, Called] = {}
    for line in file.read_text().splitlines():
        call = json.loads(line)
        if ":role/" not in call["principal"]:
            continue
        for action in call["actions"]:
            one = Called(
                call["principal"],
                action["action"],
                action["resource"],
                action["context"],
                action["allowed"],
                action["by"],
            )
            seen.setdefault(f"{one.principal} {one.action} {one.resource} {one.allowed}", one)
    return list(seen.values())


def refused(calls: Iterable[Called]) -> list[str]:
    return sorted(f"{call.principal}: {call.action} on {call.resource}" for call in calls if not call.allowed)


def not_granted(calls: Iterable[Called], roles: Mapping[str, Role]) -> list[str]:
    """Calls that the role's own policies, within its boundary, do not allow; judged again, from what was applied."""
    wrong = []
    for call in calls:
        role = roles[call.principal]
        if call.by == "the resource's policy":
            continue
        decision = decide(role.documents, role.boundary, Call(call.action, call.resource, dict(call.context)))
        if not decision.allowed:
            wrong.append(f"{role.name}: {call.action} on {call.resource}: {decision.why}")
    return sorted(wrong)


def kind_of(role: str, environments: Iterable[Environment]) -> str:
    """A role's name without what differs between environments and models."""
    for environment in environments:
        prefix = re.escape(environment.names.prefix)
        models = "|".join(re.escape(model) for model in environment.models)
        if found := re.fullmatch(rf"{prefix}-(?:(?:{models})-)?(.+)", role):
            return found[1]
    raise AssertionError(f"{role} belongs to no environment")


def by_kind(
    calls: Iterable[Called], roles: Mapping[str, Role], environments: Iterable[Environment]
) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """(granted, used): role kind -> actions."""
    stages = list(environments)
    granted: dict[str, set[str]] = defaultdict(set)
    used: dict[str, set[str]] = defaultdict(set)
    for role in roles.values():
        granted[kind_of(role.name, stages)] |= role.granted
    for call in calls:
        used[kind_of(roles[call.principal].name, stages)].add(call.action)
    return granted, used
