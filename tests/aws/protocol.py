"""How the services other than S3 are asked and answer: AWS JSON, REST-JSON and Smithy RPC v2 CBOR.

CloudWatch understands JSON, CBOR and the query protocol. boto3 1.44 speaks JSON to it, though its model names CBOR
first. Sources: "Smithy RPC v2 CBOR protocol" and "AWS JSON 1.1 protocol" at smithy.io; RFC 8949 for CBOR.
"""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable, Mapping
from io import BufferedReader, BytesIO
from typing import Any

from botocore.parsers import RpcV2CBORParser

from tests.s3.content import Content
from tests.s3.messages import Answer, Request
from tests.s3.model import new_id
from tests.s3.operations import UNKNOWN

Asked = dict[str, Any]
Handler = Callable[[str, Asked], Asked]

FAILURES: Mapping[str, tuple[str, int, str]] = {
    "503": ("ServiceUnavailableException", 503, "The service is unavailable."),
    "500": ("InternalFailure", 500, "The request processing has failed because of an unknown error."),
    "409": ("ConflictException", 400, "There was a conflict when processing an update."),
    "expired": ("ExpiredTokenException", 400, "The security token included in the request is expired"),
    "denied": ("AccessDeniedException", 400, "User is not authorized to perform this operation."),
}


class AwsError(Exception):
    """A refusal."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        self.code, self.message, self.status = code, message, status
        super().__init__(f"{code}: {message}")


class JsonService:
    """A service whose requests name their operation in ``X-Amz-Target``.

    Subclasses list their operations: functions of the caller's account and the parameters. ``subject``: the parameters
    that say what a call is about, the first that is there.
    """

    name: str
    target: str
    subject: tuple[str, ...] = ()
    operations: Mapping[str, Handler]

    def claims(self, request: Request) -> bool:
        return request.headers.get("x-amz-target", "").partition(".")[0] == self.target

    def operation(self, request: Request) -> str:
        found = request.headers["x-amz-target"].partition(".")[2]
        return found if found in self.operations else UNKNOWN

    def asked(self, request: Request) -> Asked:
        return dict(json.loads(body_of(request) or b"{}"))

    def about(self, request: Request) -> str:
        asked = self.asked(request)
        return next((str(asked[name]) for name in self.subject if name in asked), "")

    def execute(self, request: Request) -> Answer:
        try:
            if request.operation == UNKNOWN:
                raise AwsError("UnknownOperationException", "The loopback does not have this operation.")
            return self.answer(request, self.operations[request.operation](request.account, self.asked(request)))
        except AwsError as error:
            return self.refusal(request, error)

    def failure(self, kind: str, request: Request) -> Answer:
        code, status, message = FAILURES[kind]
        return self.refusal(request, AwsError(code, message, status))

    def refusal(self, request: Request, error: AwsError) -> Answer:
        return self.answer(request, {"__type": error.code, "message": error.message}, error.status)

    def answer(self, request: Request, found: Asked, status: int = 200) -> Answer:
        return json_answer(found, status)


def body_of(request: Request) -> bytes:
    """The body, unpacked: botocore compresses large ones."""
    body = bytes(request.body)
    return gzip.decompress(body) if request.headers.get("content-encoding") == "gzip" else body


def json_answer(found: Asked, status: int = 200, content_type: str = "application/x-amz-json-1.1") -> Answer:
    """Times in ``found`` are seconds since the epoch."""
    headers = {"content-type": content_type, "x-amzn-requestid": new_id()}
    return Answer(status, headers, Content([json.dumps(found).encode()]))


def rest_refusal(error: AwsError) -> Answer:
    """As REST-JSON refuses: the code is in a header."""
    answer = json_answer({"message": error.message}, error.status, "application/json")
    answer.headers["x-amzn-errortype"] = error.code
    return answer


def cbor_answer(found: Asked, status: int = 200) -> Answer:
    headers = {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor", "x-amzn-requestid": new_id()}
    return Answer(status, headers, Content([encode(found)]))


class Time(float):
    """Seconds since the epoch: a time in CBOR, a number in JSON."""


def decode(body: bytes) -> Any:
    """One item of CBOR; times become ``datetime``."""
    return RpcV2CBORParser().parse_data_item(BufferedReader(BytesIO(body)))


def encode(value: Any) -> bytes:
    match value:
        case bool():
            return b"\xf5" if value else b"\xf4"
        case None:
            return b"\xf6"
        case Time():
            return b"\xc1\xfb" + struct.pack(">d", value)
        case float():
            return b"\xfb" + struct.pack(">d", value)
        case int():
            return _head(0, value) if value >= 0 else _head(1, -1 - value)
        case str():
            data = value.encode()
            return _head(3, len(data)) + data
        case bytes():
            return _head(2, len(value)) + value
        case list() | tuple():
            return _head(4, len(value)) + b"".join(map(encode, value))
        case dict():
            return _head(5, len(value)) + b"".join(encode(name) + encode(item) for name, item in value.items())
    raise TypeError(f"{value!r} has no form in CBOR")


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << 8 * size:
            return bytes([major << 5 | info]) + number.to_bytes(size, "big")
    raise OverflowError(number)
