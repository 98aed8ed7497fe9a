"""Mends: STS AssumeRole and GetCallerIdentity.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
any role can be assumed, even one that      the role must exist and its trust policy must allow the caller, else
does not exist                              AccessDenied (403)
GetCallerIdentity of an unknown key is      the root of the account that a twelve-digit key names
user/moto
==========================================  ===========================================================================

Known difference: AWS lets no root user assume a role; here the twelve-digit key stands for "an administrator of the
account" and may. Policies on the caller's own side are for :mod:`iam`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.core.responses import ActionResult
from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.sts.models import STSBackend
from moto.sts.responses import TokenResponse

from mlops_kit.local.overlay import accounts, guard, policy, principals, replies

_ROLE = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}):role/(?:.*/)?([^/]+)")


def install() -> None:
    original_assume = guard.original(TokenResponse, "assume_role", "self")
    guard.original(TokenResponse, "get_caller_identity", "self")
    original_session = guard.original(
        STSBackend,
        "assume_role",
        *("self", "region_name", "role_session_name", "role_arn", "policy", "duration", "external_id"),
    )

    def assume_role(self: Any) -> Any:
        caller = accounts.caller_of(self)
        role_arn = str(self._get_param("RoleArn"))
        context = {"sts:RoleSessionName": str(self._get_param("RoleSessionName"))}
        if external_id := self._get_param("ExternalId"):
            context["sts:ExternalId"] = str(external_id)
        if not may_assume(caller, role_arn, context):
            message = f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {role_arn}"
            return replies.query_error("AccessDenied", message, 403)
        return original_assume(self)

    def assume_role_session(self: Any, *args: Any, **kwargs: Any) -> Any:
        session = original_session(self, *args, **kwargs)
        guard.require_attributes(session, "access_key_id", "account_id", "arn", "role_arn", "user_id", "expiration")
        caller = principals.Caller(session.account_id, session.arn, session.role_arn, session.user_id)
        principals.remember_session(session.access_key_id, caller, session.expiration.replace(tzinfo=UTC))
        return session

    def get_caller_identity(self: Any) -> Any:
        caller = accounts.caller_of(self)
        if caller.account == "000000000000":
            return replies.query_error("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
        return ActionResult({"UserId": caller.user_id, "Account": caller.account, "Arn": caller.arn})

    guard.replace(TokenResponse, "assume_role", assume_role)
    guard.replace(TokenResponse, "get_caller_identity", get_caller_identity)
    guard.replace(STSBackend, "assume_role", assume_role_session)


def may_assume(caller: principals.Caller, role_arn: str, context: dict[str, str]) -> bool:
    """Whether the role exists and its trust policy allows ``caller``."""
    match = _ROLE.fullmatch(role_arn)
    if match is None:
        return False
    try:
        role = iam_backends[match[2]][match[1]].get_role_by_arn(role_arn)
    except NotFoundException:
        return False
    trust = policy.parse(role.assume_role_policy_document)
    return policy.evaluate(trust, policy.Request(caller, "sts:AssumeRole", role_arn, context)) == "allow"


def service_may_assume(service: str, role_arn: str, account: str, source_arn: str) -> bool:
    """Whether an AWS service may act as a role of ``account`` on behalf of the resource ``source_arn``."""
    match = _ROLE.fullmatch(role_arn)
    context = {"aws:SourceAccount": account, "aws:SourceArn": source_arn}
    same_account = match is not None and match[2] == account
    return same_account and may_assume(principals.aws_service(service), role_arn, context)


def service_session(role_arn: str, account: str, partition: str, session_name: str) -> dict[str, str]:
    """Credentials of ``role_arn`` as an AWS service hands them to a container, as environment variables."""
    key = iam_backends[account][partition].create_temp_access_key()
    role_name = role_arn.rsplit("/", 1)[-1]
    arn = f"arn:{partition}:sts::{account}:assumed-role/{role_name}/{session_name}"
    caller = principals.Caller(account, arn, role_arn, f"AROALOCAL:{session_name}")
    principals.remember_session(key.access_key_id, caller, datetime.now(UTC) + timedelta(hours=12))
    return {
        "AWS_ACCESS_KEY_ID": str(key.access_key_id),
        "AWS_SECRET_ACCESS_KEY": str(key.secret_access_key),
        "AWS_SESSION_TOKEN": "local",
    }
