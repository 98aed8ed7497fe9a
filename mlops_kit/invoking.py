"""Send rows to an endpoint, as an application would."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from mlops_kit.errors import NotFoundError, ServiceError, UsageError
from mlops_kit.naming import ModelNames
from mlops_kit.objects import Store

if TYPE_CHECKING:
    from types_boto3_sagemaker_runtime import SageMakerRuntimeClient

ASYNC_SECONDS = 30 * 60.0
"""How long an answer is waited for. An endpoint without an instance needs about ten minutes to get one."""


def read_rows(path: Path, label: str) -> list[list[str]]:
    """The rows of a CSV file as a request sends them: without a header, without the column ``label``.

    Raises:
        UsageError: not readable, empty, or with rows of different lengths.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise UsageError(f"{path} cannot be read as CSV: {exc}") from exc
    if rows and not all(_is_number(cell) for cell in rows[0]):
        header = rows.pop(0)
        if label in header:
            at = header.index(label)
            rows = [row[:at] + row[at + 1 :] for row in rows]
    if not rows:
        raise UsageError(f"{path} has no rows.")
    odd = next((number for number, row in enumerate(rows, start=1) if len(row) != len(rows[0])), None)
    if odd is not None:
        raise UsageError(f"{path}: row {odd} has {len(rows[odd - 1])} columns, the first row has {len(rows[0])}.")
    return rows


def invoke(
    runtime: SageMakerRuntimeClient, names: ModelNames, rows: Sequence[Sequence[str]], batch_size: int
) -> Iterator[str]:
    """Send ``rows``, ``batch_size`` at a time; yields the answers as they come.

    Raises:
        NotFoundError: there is no such endpoint.
        ServiceError: the model answered with an error; carries the model's own message.
    """
    for body in _bodies(rows, batch_size):
        try:
            answer = runtime.invoke_endpoint(
                EndpointName=names.endpoint,
                ContentType="text/csv",
                Accept="text/csv",
                Body=body,
            )
        except ClientError as exc:
            raise _translated(exc, names) from exc
        yield _text(answer["Body"].read())


def invoke_async(
    runtime: SageMakerRuntimeClient,
    capture: Store,
    names: ModelNames,
    rows: Sequence[Sequence[str]],
    batch_size: int,
    *,
    sleep: Callable[[float], None],
    new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
) -> Iterator[str]:
    """The same by way of S3: put every request down (bucket ``capture``), then yield the answers in that order.

    Raises:
        NotFoundError: there is no such endpoint.
        ServiceError: the model answered with an error, or did not answer within :data:`ASYNC_SECONDS`.
    """
    answers = [_send(runtime, capture, names, body, new_id()) for body in _bodies(rows, batch_size)]
    left = ASYNC_SECONDS
    for answer, failure in answers:
        pause = 0.5
        while (body := capture.get(answer)) is None:
            if (error := capture.get(failure)) is not None:
                raise ServiceError(
                    f"The model refused the request: {error.decode(errors='replace')}",
                    hint="The endpoint's log has the traceback.",
                )
            if left <= 0:
                raise ServiceError(
                    f"{names.endpoint} did not answer within {ASYNC_SECONDS / 60:.0f} minutes.",
                    hint=f"The request stays in the queue; its answer will be {capture.uri(answer)}.",
                )
            sleep(pause)
            left -= pause
            pause = min(pause * 1.5, 10.0)
        yield _text(body)


def _send(runtime: SageMakerRuntimeClient, capture: Store, names: ModelNames, body: bytes, id_: str) -> tuple[str, str]:
    """Ask for one answer; the keys under which it or the failure will lie."""
    key = f"{names.requests_prefix}{id_}.csv"
    capture.put_new(key, body, "text/csv")
    try:
        asked = runtime.invoke_endpoint_async(
            EndpointName=names.endpoint,
            ContentType="text/csv",
            Accept="text/csv",
            InferenceId=id_,
            InputLocation=capture.uri(key),
        )
    except ClientError as exc:
        raise _translated(exc, names) from exc
    bucket = capture.uri("")
    return asked["OutputLocation"].removeprefix(bucket), asked["FailureLocation"].removeprefix(bucket)


def _bodies(rows: Sequence[Sequence[str]], batch_size: int) -> Iterator[bytes]:
    for start in range(0, len(rows), batch_size):
        body = io.StringIO()
        csv.writer(body, lineterminator="\n").writerows(rows[start : start + batch_size])
        yield body.getvalue().encode()


def _translated(exc: ClientError, names: ModelNames) -> Exception:
    code = exc.response["Error"]["Code"]
    if code in {"ValidationError", "ValidationException"}:
        environment = names.environment.environment
        return NotFoundError(
            f"There is no endpoint {names.endpoint} in {environment} that answers.",
            hint=f"See `mlops-kit status --in {environment}`.",
        )
    if code == "ModelError":
        message = exc.response.get("OriginalMessage") or exc.response["Error"].get("Message", "")
        return ServiceError(f"The model refused the request: {message}", hint="The endpoint's log has the traceback.")
    return exc


def _text(body: bytes) -> str:
    text = body.decode("utf-8", errors="replace")
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict) and "model" in answer and answer["model"] is None:
        raise ServiceError(
            f"The endpoint runs its initial model: {answer.get('message', 'nothing was released yet')}",
            hint="Release a version: `mlops-kit promote model MODEL@VERSION --to ENV`.",
        )
    return text if text.endswith("\n") else text + "\n"


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
