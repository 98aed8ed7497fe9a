"""Error replies in the shape of each AWS protocol, for errors that are found outside of moto's own handlers."""

from __future__ import annotations

import json
from typing import Any
from xml.sax.saxutils import escape

Reply = tuple[int, dict[str, str], str]
"""Status, headers, body."""


def query_error(code: str, message: str, status: int) -> tuple[str, dict[str, Any]]:
    """The XML error of the query services (STS, IAM, …), as one of moto's response methods may return it."""
    body = (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{escape(code)}</Code>"
        f"<Message>{escape(message)}</Message></Error><RequestId>local</RequestId></ErrorResponse>"
    )
    return body, {"status": status, "Content-Type": "text/xml"}


def rest_json_error(code: str, message: str, status: int, **fields: Any) -> Reply:
    """The error of the REST-JSON services (SageMaker runtime, …) with extra modelled ``fields``."""
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code}
    return status, headers, json.dumps({"Message": message, **fields})


def error(service: str, content_type: str, code: str, message: str, status: int) -> Reply:
    """An error in whatever protocol a request to ``service`` was made with."""
    if "json" in content_type or "cbor" in content_type:
        headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": code}
        return status, headers, json.dumps({"__type": code, "message": message})
    if service == "s3":
        xml = f'<?xml version="1.0"?><Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>'
        return status, {"Content-Type": "application/xml"}, xml
    if content_type.startswith("application/x-www-form-urlencoded"):
        xml, _ = query_error(code, message, status)
        return status, {"Content-Type": "text/xml"}, xml
    return rest_json_error(code, message, status)
