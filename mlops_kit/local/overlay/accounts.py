"""Mends: which account a request belongs to.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
an unknown access key is account            an access key id of twelve digits is that account; any other unknown key is
123456789012                                refused, as AWS does
credentials of a session never expire       ExpiredToken after the session's duration
every request scans all accounts' keys      one dictionary look-up
==========================================  ===========================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from moto.core.responses import BaseResponse

from mlops_kit.local.overlay import guard, principals, replies

UNSIGNED = "AKIAEXAMPLE"
"""What moto calls the access key of a request without one; it belongs to nobody."""

_SERVICE = re.compile(r"Credential=[^/]+/[^/]+/[^/]+/([^/]+)/aws4_request")


def install() -> None:
    original_account = guard.original(BaseResponse, "get_current_account", "self")
    guard.original(BaseResponse, "get_access_key", "self")

    def get_access_key(self: Any) -> str:
        return principals.access_key_of(self.headers, self.querystring) or UNSIGNED

    def get_current_account(self: Any) -> str:
        key = principals.access_key_of(self.headers, self.querystring)
        caller = principals.find(key) if key else None
        return caller.account if caller else str(original_account(self))

    guard.replace(BaseResponse, "get_access_key", get_access_key)
    guard.replace(BaseResponse, "get_current_account", get_current_account)


def caller_of(response: Any) -> principals.Caller:
    """The principal behind one of moto's response objects; an unsigned request is nobody in the current account."""
    key = principals.access_key_of(response.headers, response.querystring)
    caller = principals.find(key) if key else None
    if caller is not None:
        return caller
    anonymous = "arn:aws:iam::000000000000:anonymous"
    return principals.Caller("000000000000", anonymous, anonymous, "anonymous")


WSGI = Callable[[dict[str, Any], Any], Iterable[bytes]]


def refuse_unknown_keys(app: WSGI) -> WSGI:
    """A WSGI layer that answers for requests whose access key nobody was ever given, or whose session is over."""

    def checked(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        authorization = environ.get("HTTP_AUTHORIZATION") or ""
        headers = {"Authorization": authorization}
        key = principals.access_key_of(headers, parse_qs(environ.get("QUERY_STRING") or ""))
        if key is None:
            return app(environ, start_response)
        try:
            if principals.find(key) is not None:
                return app(environ, start_response)
            code, message = _unknown(environ)
        except principals.ExpiredError:
            code, message = "ExpiredToken", "The security token included in the request is expired"
            if _is_json(environ):
                code = "ExpiredTokenException"
        status, reply_headers, body = replies.error(
            _service(authorization), environ.get("CONTENT_TYPE") or "", code, message, 403
        )
        raw = body.encode()
        reply_headers["Content-Length"] = str(len(raw))
        start_response(f"{status} Forbidden", list(reply_headers.items()))
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [raw]

    return checked


def _unknown(environ: dict[str, Any]) -> tuple[str, str]:
    service = _service(environ.get("HTTP_AUTHORIZATION") or "")
    if service == "s3":
        return "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."
    code = "UnrecognizedClientException" if _is_json(environ) else "InvalidClientTokenId"
    return code, (
        "The security token included in the request is invalid. (On the local cloud, an access key id is a "
        "twelve-digit account id, or one that IAM or STS handed out.)"
    )


def _is_json(environ: dict[str, Any]) -> bool:
    return "json" in (environ.get("CONTENT_TYPE") or "")


def _service(authorization: str) -> str:
    match = _SERVICE.search(authorization)
    return match[1] if match else "s3"
