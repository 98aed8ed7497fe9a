"""What the policies of an identity say about one call: the pure half of IAM.

Follows "Policy evaluation logic" of the IAM user guide. Each policy that speaks is a parsed document (a dictionary with
``Statement``); nothing here knows moto, a request or a server, so a test can ask the same questions of the policies
that Terraform is about to create.

1. An explicit Deny anywhere ends it.
2. Permissions boundary and session policy allow nothing by themselves; whatever they do not allow is denied.
3. Within one account, the identity's own policies or the resource's policy have to allow it. A resource policy that
   names the whole account leaves it to the identity's policies.
4. Between accounts both have to. Keys and role trust (``required``) have to say yes in any case.

Not evaluated: organizations' policies, VPC endpoint policies.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mlops_kit.local.overlay import conditions, policy

Document = Mapping[str, Any]
Documents = Mapping[str, Document]
"""Policies by name."""
Says = Literal["nothing", "account", "caller", "deny"]

_VARIABLE = re.compile(r"\$\{([^},]+)(?:,\s*'([^']*)')?\}")


@dataclass(frozen=True, slots=True)
class Call:
    """One action on one resource. ``context`` holds all condition keys of the request, those of the caller as well."""

    action: str
    resource: str
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResourcePolicy:
    """What the policy of the resource says, and how much it matters.

    ``says`` is "account" if an Allow names the caller's whole account, "caller" if it names the caller or everybody.
    """

    says: Says = "nothing"
    other_account: bool = False
    required: bool = False


SILENT = ResourcePolicy()


@dataclass(frozen=True, slots=True)
class Decision:
    """``by`` is the statement (``policy/Sid``) that decided, ``why`` the end of AWS's sentence about a refusal."""

    allowed: bool
    by: str | None = None
    why: str | None = None


def decide(
    documents: Documents,
    boundary: Document | None,
    call: Call,
    *,
    session: Document | None = None,
    resource: ResourcePolicy = SILENT,
) -> Decision:
    """Whether an identity with these policies may do ``call``.

    ``documents`` are its inline and managed policies by name; ``boundary`` and ``session`` are None where there are
    none.

    Raises:
        conditions.UnknownOperatorError: a condition operator that IAM does not have.
    """
    limits = [("a permissions boundary", boundary), ("a session policy", session)]
    denials: list[tuple[str, Documents]] = [("an identity-based policy", documents)]
    denials += [(kind, {kind: document}) for kind, document in limits if document is not None]
    for kind, policies in denials:
        if (by := _statement(policies, "Deny", call)) is not None:
            return Decision(False, by, f"with an explicit deny in {kind}")
    if resource.says == "deny":
        return Decision(False, None, "with an explicit deny in a resource-based policy")
    if resource.says == "nothing" and (resource.other_account or resource.required):
        return Decision(False, None, f"because no resource-based policy allows the {call.action} action")
    granted = _statement(documents, "Allow", call)
    if granted is None:
        if resource.other_account or resource.says != "caller":
            return Decision(False, None, f"because no identity-based policy allows the {call.action} action")
        granted = "the resource's policy"
    for kind, document in limits:
        if document is not None and _statement({kind: document}, "Allow", call) is None:
            return Decision(False, None, f"because no {kind.removeprefix('a ')} allows the {call.action} action")
    return Decision(True, granted)


def statements(documents: Documents) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every statement with its label: the policy's name and the statement's Sid, or its number from 0."""
    for name, document in documents.items():
        for number, statement in enumerate(policy.listed(document["Statement"])):
            yield f"{name}/{statement.get('Sid', number)}", statement


def _statement(documents: Documents, effect: str, call: Call) -> str | None:
    """The label of the first statement with ``effect`` that applies to ``call``."""
    return next(
        (
            label
            for label, statement in statements(documents)
            if statement["Effect"] == effect and matches(statement, call.action, call.resource, call.context)
        ),
        None,
    )


def matches(statement: Mapping[str, Any], action: str, resource: str, context: conditions.Context) -> bool:
    """Whether action, resource and conditions of ``statement`` fit; its effect and principal are not looked at."""
    return (
        _element(statement, "Action", lambda pattern: action_matches(pattern, action))
        and _element(statement, "Resource", lambda pattern: resource_matches(pattern, resource, context))
        and conditions.holds(_filled(statement.get("Condition") or {}, context), context)
    )


def _element(statement: Mapping[str, Any], name: str, fits: Any) -> bool:
    negated = f"Not{name}" in statement
    patterns = statement.get(f"Not{name}" if negated else name)
    return patterns is not None and any(fits(pattern) for pattern in policy.listed(patterns)) != negated


def action_matches(pattern: str, action: str) -> bool:
    return fnmatch.fnmatchcase(action.lower(), pattern.lower())


def resource_matches(pattern: str, resource: str, context: conditions.Context) -> bool:
    """Segment by segment, as ARNs are compared; an ARN that ends early stands for everything below it."""
    filled = _fill(pattern, {key.lower(): value for key, value in context.items()})
    if filled is None:
        return False
    if filled == "*":
        return True
    missing = 5 - filled.count(":")
    return conditions.arn_like(filled + ":*" * max(0, missing), resource)


def _filled(condition: Mapping[str, Mapping[str, Any]], context: conditions.Context) -> dict[str, dict[str, Any]]:
    """The condition with its policy variables replaced; a value whose variable is unknown never matches: dropped."""
    lowered = {key.lower(): value for key, value in context.items()}
    return {
        operator: {
            key: [text for value in policy.listed(values) if (text := _fill(value, lowered)) is not None]
            for key, values in keys.items()
        }
        for operator, keys in condition.items()
    }


def _fill(value: Any, context: Mapping[str, str | Sequence[str]]) -> Any:
    """``value`` with ``${key}`` and ``${key, 'default'}`` replaced, or None if a key is absent or no plain text."""
    if not isinstance(value, str) or "${" not in value:
        return value
    unknown = False

    def replaced(match: re.Match[str]) -> str:
        nonlocal unknown
        found = context.get(match[1].strip().lower(), match[2])
        # A wildcard inside of a key's value would become a pattern; AWS compares it literally, here it never matches.
        if not isinstance(found, str) or re.search(r"[*?]", found):
            unknown = True
            return ""
        return found

    text = _VARIABLE.sub(replaced, value)
    return None if unknown else text
