"""A resource policy (bucket, trust, model package group) against one request: allow, deny, or nothing said.

Pure. Follows "Policy evaluation logic": a statement applies when principal, action, resource and condition all match;
an applicable Deny wins, else an applicable Allow, else nothing is said. A statement whose condition does not hold is
not applicable, whatever its effect.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mlops_kit.local.overlay import conditions
from mlops_kit.local.overlay.principals import Caller

Verdict = Literal["allow", "deny", "neutral"]


class MalformedPolicyError(ValueError):
    """A policy document that AWS would refuse."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a resource. ``context`` holds condition keys beyond those that the caller brings."""

    caller: Caller
    action: str
    resource: str
    context: conditions.Context = field(default_factory=dict)


def parse(document: str | bytes) -> dict[str, Any]:
    """A policy document as data, checked for what the evaluation relies on.

    Raises:
        MalformedPolicyError: not JSON, no statements, an unknown effect or condition operator.
    """
    try:
        policy = json.loads(document)
    except ValueError as exc:
        raise MalformedPolicyError("This policy contains invalid Json") from exc
    if not isinstance(policy, dict) or "Statement" not in policy:
        raise MalformedPolicyError("Missing required field Statement")
    for statement in listed(policy["Statement"]):
        if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
            raise MalformedPolicyError("Invalid effect: must be Allow or Deny")
        if not ("Action" in statement or "NotAction" in statement):
            raise MalformedPolicyError("Missing required field Action")
        try:
            conditions.check_operators(statement.get("Condition") or {})
        except conditions.UnknownOperatorError as exc:
            raise MalformedPolicyError(f"Invalid Condition type : {exc}") from exc
    return policy


def evaluate(policy: Mapping[str, Any], request: Request) -> Verdict:
    """What ``policy`` says about ``request``."""
    context = {**request.caller.condition_keys, **request.context}
    verdict: Verdict = "neutral"
    for statement in listed(policy["Statement"]):
        if not _applies(statement, request, context):
            continue
        if statement["Effect"] == "Deny":
            return "deny"
        verdict = "allow"
    return verdict


def _applies(statement: Mapping[str, Any], request: Request, context: conditions.Context) -> bool:
    return (
        _principal_matches(statement, request.caller)
        and _element_matches(statement, "Action", request.action.lower(), lower=True)
        and _element_matches(statement, "Resource", request.resource)
        and conditions.holds(statement.get("Condition") or {}, context)
    )


def _principal_matches(statement: Mapping[str, Any], caller: Caller) -> bool:
    if "NotPrincipal" in statement:
        return not _names(statement["NotPrincipal"], caller)
    return "Principal" in statement and _names(statement["Principal"], caller)


def _names(principal: Any, caller: Caller) -> bool:
    if principal == "*":
        return True
    if not isinstance(principal, dict):
        return False
    if caller.service is not None:
        return caller.service in listed(principal.get("Service", [])) or principal.get("AWS") == "*"
    return any(
        name in ("*", caller.account, caller.account_root, caller.arn, caller.principal_arn)
        for name in listed(principal.get("AWS", []))
    )


def _element_matches(statement: Mapping[str, Any], element: str, value: str, *, lower: bool = False) -> bool:
    negated = f"Not{element}" in statement
    patterns = statement.get(f"Not{element}" if negated else element)
    if patterns is None:
        return True  # a trust policy has no Resource: it speaks of the role it belongs to
    matched = any(_glob(p.lower() if lower else p, value) for p in listed(patterns))
    return matched != negated


def _glob(pattern: str, value: str) -> bool:
    return fnmatch.fnmatchcase(value, pattern.replace("[", "[[]"))


def listed(value: Any) -> Iterable[Any]:
    """A policy has one or many, and writes one without brackets."""
    return value if isinstance(value, list) else [value]
