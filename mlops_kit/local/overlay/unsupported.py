"""Mend: what moto has not implemented.

moto answers with HTTP 500 and a page of HTML, which every SDK retries for minutes. Here it is 501 ``NotImplemented``
with the name of the operation, which none retries. Also turned into an answer: exceptions inside of moto (500, as AWS's
InternalFailure, with the exception's text).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Any

from mlops_kit.local.overlay import replies
from mlops_kit.local.overlay.accounts import WSGI

log = logging.getLogger(__name__)

_SERVICE = re.compile(r"Credential=[^/]+/[^/]+/[^/]+/([^/]+)/aws4_request")


def explain(app: WSGI) -> WSGI:
    """A WSGI layer that answers for a handler that raised."""

    def explained(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            return app(environ, start_response)
        except NotImplementedError as exc:
            code, status = "NotImplemented", 501
            message = f"The local cloud does not emulate this: {exc or _what(environ)}"
            log.warning("%s (%s)", message, _what(environ))
        except Exception as exc:
            code, status = "InternalFailure", 500
            message = f"{type(exc).__name__}: {exc}"
            log.exception("%s", _what(environ))
        match = _SERVICE.search(environ.get("HTTP_AUTHORIZATION") or "")
        status, headers, body = replies.error(
            match[1] if match else "s3", environ.get("CONTENT_TYPE") or "", code, message, status
        )
        raw = body.encode()
        headers["Content-Length"] = str(len(raw))
        start_response(f"{status} {code}", list(headers.items()))
        return [raw]

    return explained


def _what(environ: dict[str, Any]) -> str:
    target = environ.get("HTTP_X_AMZ_TARGET")
    return str(target or f"{environ.get('REQUEST_METHOD')} {environ.get('PATH_INFO')}")
