"""SageMaker's runtime: InvokeEndpoint, answered by a function of the test."""

from __future__ import annotations

from collections.abc import Callable

from tests.aws.endpoints import Endpoint
from tests.aws.protocol import FAILURES, AwsError, rest_refusal
from tests.aws.sagemaker import SageMaker
from tests.s3.content import Content
from tests.s3.messages import Answer, Request
from tests.s3.operations import UNKNOWN

Model = Callable[[Endpoint, bytes], bytes]
"""Endpoint and request to answer; what it raises is the container's failure."""


def one_number_a_line(endpoint: Endpoint, body: bytes) -> bytes:
    return b"".join(b"0.5\n" for line in body.splitlines() if line)


class Runtime:
    """``model`` answers for every endpoint."""

    name = "sagemaker-runtime"

    def __init__(self, control: SageMaker) -> None:
        self.control = control
        self.model: Model = one_number_a_line
        self.state: dict[str, object] = {}

    def claims(self, request: Request) -> bool:
        return request.bucket == "endpoints" and request.method == "POST" and "/sagemaker/" in _scope(request)

    def operation(self, request: Request) -> str:
        return "InvokeEndpoint" if request.key.endswith("/invocations") else UNKNOWN

    def about(self, request: Request) -> str:
        return request.key.partition("/")[0]

    def execute(self, request: Request) -> Answer:
        endpoint = self.control.of(request.account).endpoints.get(request.about)
        try:
            if request.operation == UNKNOWN:
                raise AwsError("UnknownOperationException", "The loopback does not have this operation.")
            if endpoint is None:
                message = f"Endpoint {request.about} of account {request.account} not found."
                raise AwsError("ValidationError", message)
            try:
                found = self.model(endpoint, bytes(request.body))
            except Exception as exc:
                message = f'Received server error (500) from primary with message "{exc}".'
                raise AwsError("ModelError", message, 424) from exc
        except AwsError as error:
            return rest_refusal(error)
        headers = {
            "content-type": request.headers.get("accept", "text/csv"),
            "x-amzn-invoked-production-variant": "main",
        }
        return Answer(200, headers, Content([found]))

    def failure(self, kind: str, request: Request) -> Answer:
        code, status, message = FAILURES[kind]
        return rest_refusal(AwsError(code, message, status))


def _scope(request: Request) -> str:
    return request.headers.get("authorization", "").partition("Credential=")[2].partition(",")[0]
