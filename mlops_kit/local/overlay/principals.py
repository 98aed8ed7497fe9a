"""Who is calling: from an access key id to an account and an ARN.

moto knows one default account and the keys it made itself. Here an access key id of twelve digits *is* an account, so
that three accounts need no set-up at all: whoever uses it acts as the root of that account. Keys of IAM users and of
assumed roles keep working; those of a session expire when STS said they would. Signatures are not verified.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.iam.models import iam_backends

_CREDENTIAL = re.compile(r"Credential=(?P<v4>[^/,\s]+)/|^AWS (?P<v2>[^:\s]+):")
_ACCOUNT = re.compile(r"\d{12}")


@dataclass(frozen=True, slots=True)
class Caller:
    """One principal. ``arn`` is what GetCallerIdentity says; for a session, ``principal_arn`` is its role."""

    account: str
    arn: str
    principal_arn: str
    user_id: str
    is_root: bool = False
    service: str | None = None
    """Set for an AWS service acting by itself, like ``logging.s3.amazonaws.com``."""

    @property
    def account_root(self) -> str:
        return f"arn:{self.arn.split(':')[1]}:iam::{self.account}:root"

    @property
    def condition_keys(self) -> dict[str, str]:
        """The global condition keys that depend on the caller alone."""
        return {
            "aws:PrincipalArn": self.principal_arn,
            "aws:PrincipalAccount": self.account,
            "aws:userid": self.user_id,
            "aws:PrincipalIsAWSService": str(self.service is not None).lower(),
            "aws:PrincipalType": "Account" if self.is_root else "AssumedRole",
            "aws:ViaAWSService": "false",
        }


class ExpiredError(Exception):
    """The session's credentials were valid once."""


@dataclass(frozen=True, slots=True)
class _Session:
    caller: Caller
    expires: datetime


_lock = threading.Lock()
_sessions: dict[str, _Session] = {}


def root(account: str, partition: str = "aws") -> Caller:
    arn = f"arn:{partition}:iam::{account}:root"
    return Caller(account=account, arn=arn, principal_arn=arn, user_id=account, is_root=True)


def aws_service(name: str) -> Caller:
    return Caller(account="", arn=f"arn:aws:iam::aws:service/{name}", principal_arn="", user_id=name, service=name)


def remember_session(access_key_id: str, caller: Caller, expires: datetime) -> None:
    """Note the credentials that STS just handed out."""
    with _lock:
        _sessions[access_key_id] = _Session(caller, expires)


def find(access_key_id: str, now: datetime | None = None) -> Caller | None:
    """The principal that ``access_key_id`` belongs to, or None if nobody was ever given it.

    Raises:
        ExpiredError: a session's key, after its time.
    """
    if _ACCOUNT.fullmatch(access_key_id):
        return root(access_key_id)
    with _lock:
        session = _sessions.get(access_key_id)
    if session is not None:
        if (now or datetime.now(UTC)) >= session.expires:
            raise ExpiredError(access_key_id)
        return session.caller
    return _user(access_key_id)


def _user(access_key_id: str) -> Caller | None:
    for account, partitions in list(iam_backends.items()):
        for backend in list(partitions.values()):
            key = backend.access_keys.get(access_key_id)
            if key is None:
                continue
            if not key.user_name:
                return root(account, backend.partition)
            user = backend.get_user(key.user_name)
            return Caller(account=account, arn=user.arn, principal_arn=user.arn, user_id=user.id)
    return None


def access_key_of(headers: Any, query: Any) -> str | None:
    """The access key id a request was signed with (header, or query of a presigned URL); None when unsigned."""
    if match := _CREDENTIAL.search(headers.get("Authorization") or ""):
        return match["v4"] or match["v2"]
    for name in ("X-Amz-Credential", "AWSAccessKeyId"):
        value = query.get(name)
        if isinstance(value, (list, tuple)):
            value = value[0] if value else None
        if value:
            return str(value).split("/")[0]
    return None
