"""What a role of a synthesized stack may do, decided by IAM's rules over the policies that the stack gives it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlops_kit.local.overlay.iam_evaluation import Call, Decision, Documents, decide
from tests.stacks.stack import Stack

_REFERENCE = re.compile(r"\$\{(aws_\w+)\.([\w-]+)\.\w+\}")
Keys = Mapping[str, str | list[str]]
REQUEST: Keys = {"aws:SecureTransport": "true"}
CREATE: Keys = {"s3:if-none-match": "*", "s3:ObjectCreationOperation": "true"}
REPLACE: Keys = {"s3:ObjectCreationOperation": "true"}
"""What a write brings that may only create, and one that may replace."""


@dataclass(frozen=True)
class Identity:
    """A role's policies, with the names that AWS would invent put in for references."""

    documents: Documents
    boundary: Mapping[str, Any] | None

    def asks(self, action: str, resource: str, keys: Keys | None = None) -> Decision:
        """``keys``: the condition keys that the request brings."""
        return decide(self.documents, self.boundary, Call(action, resource, {**REQUEST, **(keys or {})}))

    def may(self, action: str, resource: str, keys: Keys | None = None) -> bool:
        return self.asks(action, resource, keys).allowed


def identity(stack: Stack, role: str) -> Identity:
    """The role called ``role``, within the boundary that the stack for the local cloud makes."""
    (logical,) = [logical for logical, made in stack.all("aws_iam_role").items() if made["name"] == role]
    inline = {
        policy["name"]: _document(stack, policy["policy"])
        for policy in stack.all("aws_iam_role_policy").values()
        if policy["role"] == f"${{aws_iam_role.{logical}.id}}"
    }
    assert inline, f"{role} has no policies"
    return Identity(inline, {"Version": "2012-10-17", "Statement": stack.boundary()})


def deployer(stack: Stack) -> Identity:
    """The deploy role of a bootstrap stack: managed policies, and no boundary."""
    names = stack.environment.names
    managed = {
        policy["name"]: _document(stack, policy["policy"])
        for policy in stack.all("aws_iam_policy").values()
        if policy["name"] != names.boundary
    }
    return Identity(managed, None)


def key_arn(stack: Stack) -> str:
    """What the references to the environment's key become."""
    return stack.environment.names.arn("kms", "key/0a1b2c3d")


def _document(stack: Stack, policy: str) -> Any:
    def named(match: re.Match[str]) -> str:
        kind, logical = match.groups()
        return key_arn(stack) if kind == "aws_kms_key" else f"{kind}-{logical}".lower()

    return json.loads(_REFERENCE.sub(named, policy))
