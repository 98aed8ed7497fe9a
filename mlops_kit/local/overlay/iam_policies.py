"""Which policies have a say about a call: those that moto keeps for the caller, and the resource's own.

Resources with policies here: buckets, KMS keys, roles (their trust) and model package groups. The policies of topics,
queues and repositories are not looked at; for those of another account the caller's own policies decide.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.sagemaker.models import sagemaker_backends
from moto.sts.models import sts_backends

from mlops_kit.local.overlay import iam_keys, policy, s3_requests, sagemaker_registry
from mlops_kit.local.overlay.iam_evaluation import Call, Document, ResourcePolicy, Says
from mlops_kit.local.overlay.principals import Caller


@dataclass(frozen=True, slots=True)
class Identity:
    """A role's or user's policies by name, what limits them, and its tags."""

    documents: Mapping[str, Document] = field(default_factory=dict)
    boundary: Document | None = None
    session: Document | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


EVERYTHING: Document = {"Statement": [{"Sid": "Everything", "Effect": "Allow", "Action": "*", "Resource": "*"}]}


@functools.lru_cache(maxsize=1024)
def _parsed(document: str | bytes) -> Document:
    return policy.parse(document)


def identity_of(caller: Caller, access_key: str | None) -> Identity:
    """The policies behind a role session or a user; none at all for one that was deleted meanwhile."""
    backend = iam_backends[caller.account][caller.arn.split(":")[1]]
    try:
        if ":role/" in caller.principal_arn:
            owner = backend.get_role_by_arn(caller.principal_arn)
            tags, groups = owner.tags or [], []
        else:
            name = caller.principal_arn.rsplit("/", 1)[-1]
            owner = backend.get_user(name)
            tags, groups = backend.tagger.list_tags_for_resource(owner.arn)["Tags"], backend.get_groups_for_user(name)
    except NotFoundException:
        return Identity()
    documents: dict[str, Document] = {}
    for holder in (*groups, owner):
        documents |= {managed.name: _default_version(managed) for managed in holder.managed_policies.values()}
        documents |= {name: _parsed(text) for name, text in holder.policies.items()}
    boundary_arn = getattr(owner, "permissions_boundary_arn", None)
    boundary = _default_version(backend.get_policy(boundary_arn)) if boundary_arn else None
    return Identity(
        documents, boundary, _session_policy(caller, access_key), {tag["Key"]: tag["Value"] for tag in tags}
    )


def _default_version(managed: Any) -> Document:
    return _parsed(next(version.document for version in managed.versions if version.is_default))


def _session_policy(caller: Caller, access_key: str | None) -> Document | None:
    """The policy that was passed to AssumeRole."""
    backend = sts_backends[caller.account][caller.arn.split(":")[1]]
    session = backend.get_assumed_role_from_access_key(access_key) if access_key else None
    return _parsed(session.policy) if session is not None and session.policy else None


def resource_policy(call: Call, caller: Caller) -> ResourcePolicy:
    """What the resource of ``call`` says about it."""
    if call.resource == "*":
        return ResourcePolicy()
    _, partition, service, region, account, rest = call.resource.split(":", 5)
    if service == "s3":
        bucket = s3_requests.find_bucket(rest.partition("/")[0])
        if bucket is None:
            return ResourcePolicy()
        document = _parsed(bytes(bucket.policy)) if bucket.policy else None
        return ResourcePolicy(_says(document, caller, call), bucket.account_id != caller.account)
    other = bool(account) and account != caller.account
    if service == "kms":
        key = iam_keys.find(call.resource, account, region) if rest.startswith("key/") else None
        return ResourcePolicy("account", other) if key is None else _required(_parsed(key.policy), caller, call, other)
    if call.action in ("sts:AssumeRole", "sts:TagSession"):
        try:
            role = iam_backends[account][partition].get_role_by_arn(call.resource)
        except NotFoundException:
            return ResourcePolicy("nothing", other, required=True)
        return _required(_parsed(role.assume_role_policy_document), caller, call, other)
    if service == "sagemaker" and rest.startswith("model-package"):
        group = sagemaker_backends[account][region].model_package_groups.get(rest.split("/")[1])
        document = getattr(group, sagemaker_registry.POLICY, None)
        return ResourcePolicy(_says(_parsed(document) if document else None, caller, call), other)
    return ResourcePolicy("account" if other else "nothing", other)


def _required(document: Document, caller: Caller, call: Call, other: bool) -> ResourcePolicy:
    return ResourcePolicy(_says(document, caller, call), other, required=True)


def _says(document: Document | None, caller: Caller, call: Call) -> Says:
    if document is None:
        return "nothing"
    verdict = policy.evaluate(document, policy.Request(caller, call.action, call.resource, call.context))
    if verdict != "allow":
        return "deny" if verdict == "deny" else "nothing"
    # Asked again as somebody of no account: an Allow that is still there names the caller, or everybody.
    alone = replace(caller, account="")
    context = {**caller.condition_keys, **call.context}
    verdict = policy.evaluate(document, policy.Request(alone, call.action, call.resource, context))
    return "caller" if verdict == "allow" else "account"
