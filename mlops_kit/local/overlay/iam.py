"""Mend: IAM. Who calls what is recorded, and what no policy allows is refused.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
evaluates actions, but neither resources    identity policies, permission boundary, session policy and the resource's
nor conditions, and only if told so by its  policy, as the IAM user guide has it (``--enforce-iam``)
own API
SageMaker's work as an execution role is    asked about in the role's name like a request; a job that may not read
nobody's                                    its data fails with AWS's sentence
nobody remembers what was asked             one JSON line per call (``--record FILE``), whether it was refused or not
==========================================  ===========================================================================

Both are off unless the server was started with them, and cost nothing then. The administrator key is never refused.
Services that moto dispatches in a way of their own (DynamoDB) are neither recorded nor refused.

A line of the record::

    {"time": "…Z", "account": "111111111111", "principal": "arn:…:role/x", "session": "s", "origin": "request",
     "service": "s3", "operation": "GetObject", "allowed": true,
     "actions": [{"action": "s3:GetObject", "resource": "arn:…", "context": {…}, "allowed": true,
                  "by": "policy/Sid", "why": null}]}
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.parse import XFormedDict
from moto.core.responses import ActionResult, BaseResponse
from moto.core.routing import NotFound, get_service_router
from moto.core.utils import get_service_model
from moto.s3.responses import S3Response

from mlops_kit.local.compute import storage
from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import (
    accounts,
    guard,
    iam_actions,
    iam_actions_s3,
    iam_policies,
    principals,
    s3_policy,
    s3_requests,
)
from mlops_kit.local.overlay.iam_evaluation import Call, Decision, decide
from mlops_kit.local.overlay.principals import Caller
from mlops_kit.local.overlay.s3_requests import S3Request

ADMINISTRATOR = Decision(True, "administrator")
SESSION = "SageMaker"
"""The name of the session in which SageMaker acts as an execution role."""
_SESSIONS = {"events": "EventBridge"}
"""The names of those in which another service acts as a role, by the service that it asks."""
_SIGNED_FOR = re.compile(r"Credential=[^/]+/[^/]+/[^/]+/([^/]+)/aws4_request")
Outcome = tuple[Call, Decision]

_SHAPES = {
    "ec2": ("UnauthorizedOperation", 403),
    "json": ("AccessDeniedException", 400),
    "rest-json": ("AccessDeniedException", 403),
}
"""Error code and status of a refusal by the service's protocol; AccessDenied and 403 for all others."""


class _RefusedError(ServiceException):  # type: ignore[misc]  # moto has no types
    """moto writes it in the protocol of whatever service it is raised for."""


class Watch:
    """What is done about every call while the server runs."""

    def __init__(self, enforce: bool, record: Path | None) -> None:
        self.enforce = enforce
        self._lock = threading.Lock()
        self._file = record.open("a", encoding="utf-8") if record else None

    def judge(
        self,
        caller: Caller,
        access_key: str | None,
        service: str,
        operation: str,
        calls: Sequence[Call],
        region: str,
        *,
        origin: str = "request",
    ) -> list[Outcome]:
        """Decide about every call of one request, and record it."""
        if caller.is_root:
            outcomes = [(replace(call, context=_context(call, caller, {}, region)), ADMINISTRATOR) for call in calls]
        else:
            outcomes = _decisions(caller, access_key, calls, region)
        if self._file is not None:
            self._write(caller, service, operation, origin, outcomes)
        return outcomes

    def _write(self, caller: Caller, service: str, operation: str, origin: str, outcomes: Sequence[Outcome]) -> None:
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "account": caller.account,
            "principal": caller.principal_arn,
            "session": caller.arn.rsplit("/", 1)[-1] if ":assumed-role/" in caller.arn else None,
            "origin": origin,
            "service": service,
            "operation": operation,
            "allowed": all(decision.allowed for _, decision in outcomes),
            "actions": [
                {
                    "action": call.action,
                    "resource": call.resource,
                    "context": call.context,
                    "allowed": decision.allowed,
                    "by": decision.by,
                    "why": decision.why,
                }
                for call, decision in outcomes
            ],
        }
        text = json.dumps(line, separators=(",", ":")) + "\n"
        with self._lock:
            if self._file is not None:
                self._file.write(text)
                self._file.flush()


_watch: list[Watch] = []
_asked = threading.local()
"""``outcomes`` of the S3 request at hand: decided before all other checks, enforced after them."""


def watch(*, enforce: bool, record: Path | None) -> None:
    """Called once, by the server, before it answers its first request.

    Raises:
        OSError: the record cannot be written.
    """
    _watch[:] = [Watch(enforce, record)] if enforce or record is not None else []


def install() -> None:
    original = guard.original(BaseResponse, "call_action", "self")
    guard.original(BaseResponse, "parse_parameters", "self", "request")
    guard.original(BaseResponse, "determine_response_protocol", "self", "service_model")

    def call_action(self: Any) -> Any:
        if not _watch or isinstance(self, S3Response):
            return original(self)
        refused = _refused_request(_watch[0], self)
        return original(self) if refused is None else refused

    guard.replace(BaseResponse, "call_action", call_action)
    s3_requests.register(_ask_about_s3, first=True)
    s3_requests.register(_refuse_s3)
    storage.listen(_ask_for_role)


def _refused_request(current: Watch, response: Any) -> Any | None:
    """The refusal of a request that is not for S3, in the service's own shape; None lets it through."""
    operation = str(response._get_action() or "Unknown")
    signed_for = _SIGNED_FOR.search(response.headers.get("Authorization") or "")
    service = iam_actions.prefix(signed_for[1] if signed_for else str(response.service_name))
    caller, key = accounts.caller_of(response), _access_key(response)
    action = f"{service}:{operation}"
    if action in iam_actions.FREE or (key is None and action in iam_actions.UNSIGNED):
        current.judge(caller, key, service, operation, (), response.region)
        return None
    place = Place(caller.account, response.region)
    calls = iam_actions.calls(service, operation, _parameters(response), place)
    outcomes = current.judge(caller, key, service, operation, calls, response.region)
    refusal = _first_refusal(outcomes)
    if not current.enforce or refusal is None:
        return None
    protocol = response.determine_response_protocol(get_service_model(response.boto3_service_name))
    code, status = _SHAPES.get(protocol, ("AccessDenied", 403))
    _, headers, body = response.serialized(ActionResult(_RefusedError(code, sentence(caller, *refusal))))
    return status, {**headers, "status": str(status)}, body


def _parameters(response: Any) -> Mapping[str, Any]:
    """The operation's parameters; a request that cannot be parsed has none, and is moto's to refuse."""
    before = response.__dict__.get("params")
    if not response.automated_parameter_parsing:
        try:
            response.parse_parameters(response.normalized_request)
        except Exception:
            return {}
        finally:
            parsed = response.__dict__.pop("params", None)
            if before is not None:
                response.params = before
    else:
        parsed = before
    found = parsed.original_dict() if isinstance(parsed, XFormedDict) else dict(parsed or {})
    return {**response.uri_match, **found}


def _access_key(response: Any) -> str | None:
    return principals.access_key_of(response.headers, response.querystring)


def _ask_about_s3(request: S3Request) -> None:
    _asked.outcomes = []
    if _watch:
        key, region = _access_key(request.response), str(request.response.region)
        calls = iam_actions_s3.calls(request)
        operation = _s3_operation(request, calls)
        _asked.outcomes = _watch[0].judge(request.caller, key, "s3", operation, calls, region)


def _s3_operation(request: S3Request, calls: Sequence[Call]) -> str:
    try:
        return str(get_service_router("s3").match(request.response.normalized_request)[0].name)
    except NotFound:
        return calls[0].action.partition(":")[2]


def _refuse_s3(request: S3Request) -> None:
    refusal = _first_refusal(_asked.outcomes)
    if not _watch or not _watch[0].enforce or refusal is None:
        return
    if request.key is None and "delete" in request.query:  # its answer says for each key whether it was deleted
        for call, decision in _asked.outcomes:
            if not decision.allowed:
                s3_policy.refuse_deletion(request.bucket_name, call.resource.partition("/")[2])
        return
    raise s3_requests.error("AccessDenied", sentence(request.caller, *refusal))


def _ask_for_role(place: Place, service: str, operation: str, parameters: Mapping[str, Any]) -> None:
    """What SageMaker does as an execution role, and EventBridge as a target's role."""
    if not _watch or place.role is None:
        return
    name, session = place.role.rsplit("/", 1)[-1], _SESSIONS.get(service, SESSION)
    arn = f"arn:{place.partition}:sts::{place.account}:assumed-role/{name}/{session}"
    caller = Caller(place.account, arn, place.role, f"AROALOCAL:{session}")
    find = iam_actions_s3.calls_as_role if service == "s3" else iam_actions.calls
    calls = find(service, operation, parameters, place)
    outcomes = _watch[0].judge(caller, None, service, operation, calls, place.region, origin="service")
    refusal = _first_refusal(outcomes)
    if _watch[0].enforce and refusal is not None:
        raise storage.DeniedError(sentence(caller, *refusal))


def _decisions(caller: Caller, access_key: str | None, calls: Sequence[Call], region: str) -> list[Outcome]:
    if caller.user_id == "anonymous":
        public = iam_policies.Identity({"anonymous": iam_policies.EVERYTHING})
        identity = public if all(call.action.startswith("s3:") for call in calls) else iam_policies.Identity()
    else:
        identity = iam_policies.identity_of(caller, access_key)
    outcomes: list[Outcome] = []
    for call in calls:
        whole = replace(call, context=_context(call, caller, identity.tags, region))
        resource = iam_policies.resource_policy(whole, caller)
        decision = decide(identity.documents, identity.boundary, whole, session=identity.session, resource=resource)
        outcomes.append((whole, decision))
    return outcomes


def _context(call: Call, caller: Caller, tags: Mapping[str, str], region: str) -> dict[str, str | Sequence[str]]:
    """The condition keys of every request, under those of the call."""
    owner = call.resource.split(":")[4] if call.resource.count(":") >= 5 else ""
    return {
        **caller.condition_keys,
        **{f"aws:PrincipalTag/{key}": value for key, value in tags.items()},
        "aws:RequestedRegion": region,
        "aws:SecureTransport": "true",
        "aws:SourceIp": "127.0.0.1",
        "aws:CurrentTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **({"aws:ResourceAccount": owner} if owner else {}),
        **(
            {"aws:username": caller.arn.rsplit("/", 1)[-1], "aws:PrincipalType": "User"}
            if ":user/" in caller.arn
            else {}
        ),
        **call.context,
    }


def _first_refusal(outcomes: Sequence[Outcome]) -> Outcome | None:
    return next((outcome for outcome in outcomes if not outcome[1].allowed), None)


def sentence(caller: Caller, call: Call, decision: Decision) -> str:
    """AWS's words for a refusal; S3 alone puts the resource in quotation marks."""
    resource = f'"{call.resource}"' if call.action.startswith("s3:") else call.resource
    return (
        f"User: {caller.arn} is not authorized to perform: {call.action} on resource: {resource} {decision.why or ''}"
    ).rstrip()
