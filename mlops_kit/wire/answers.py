"""Answers of S3: which are refusals, which of those are worth another attempt, and what their XML says."""

from __future__ import annotations

from dataclasses import dataclass
from http.client import responses
from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring

from botocore.exceptions import ClientError

NAMESPACE = b' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
BEGUN = frozenset({"CopyObject", "UploadPartCopy", "CompleteMultipartUpload"})
"""Answered with status 200 before they are done; a failure after that is in the body."""

_PASSING_STATUS = frozenset({429, 500, 502, 503, 504})
_PASSING_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "ConditionalRequestConflict",
        "InternalError",
        "OperationAborted",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)


@dataclass(slots=True)
class Answer:
    """Status, headers (names in lower case) and body, which is empty if it went to a sink."""

    status: int
    headers: dict[str, str]
    body: bytes


def parse_xml(body: bytes) -> Element:
    """The document of an answer, its tags without S3's namespace.

    S3's answers have no document type. Entities could only come with one, so refusing it leaves nothing to expand.

    Raises:
        ParseError: not XML, or with a document type.
    """
    if b"<!DOCTYPE" in body or b"\0" in body:
        raise ParseError("a document of S3 has neither a document type nor null bytes")
    # S3 sends white space while it works, which must not stand before an XML declaration.
    return fromstring(body.lstrip().replace(NAMESPACE, b"", 1))  # noqa: S314  # refused above is what makes it unsafe


def refusal(answer: Answer, operation: str, attempts: int) -> tuple[ClientError, bool] | None:
    """The error that an answer is, as boto3 tells it, and whether it may pass; None for success."""
    if answer.status < 300:
        if operation not in BEGUN or _is_result(answer.body):
            return None
        return _error(answer, operation, attempts), True
    error = _error(answer, operation, attempts)
    passing = answer.status in _PASSING_STATUS or error.response["Error"]["Code"] in _PASSING_CODES
    return error, passing


def _is_result(body: bytes) -> bool:
    return body.rstrip().endswith(b"Result>") and b"<Error>" not in body[:200]


def _error(answer: Answer, operation: str, attempts: int) -> ClientError:
    details = _details(answer.body)
    if "Code" not in details:  # HEAD has no body: the bare status is the code
        code = "InternalError" if answer.status < 300 else str(answer.status)
        details = {"Code": code, "Message": responses.get(answer.status, "")}
    response: Any = {
        "Error": details,
        "ResponseMetadata": {
            "RequestId": answer.headers.get("x-amz-request-id", ""),
            "HostId": answer.headers.get("x-amz-id-2", ""),
            "HTTPStatusCode": answer.status,
            "HTTPHeaders": answer.headers,
            "RetryAttempts": attempts - 1,
        },
    }
    return ClientError(response, operation)


def _details(body: bytes) -> dict[str, str]:
    try:
        root = parse_xml(body)
    except ParseError:
        return {}
    return {child.tag: child.text or "" for child in root} if root.tag == "Error" else {}
