"""The smoke request: one request from the model's code directory that a new release has to answer as expected.

What the model answers is judged; that there is no answer to be had (no network, no permission) is an error like any
other, says nothing about the model, and makes nobody go back.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from mlops_kit.config import Model, Smoke, SmokeExpect
from mlops_kit.errors import UsageError
from mlops_kit.naming import ModelNames
from mlops_kit.objects.strict_json import number, read_json

if TYPE_CHECKING:
    from types_boto3_sagemaker_runtime import SageMakerRuntimeClient

MAX_BYTES = 4 * 1024**2
"""What a serverless endpoint takes; a real-time one takes 6 MB."""
SHOWN = 200
"""Characters of an answer that get into a message, and so into the ledger."""


@dataclass(frozen=True, slots=True)
class SmokeTest:
    """The request, read before anything is written, and what is expected of the answer."""

    smoke: Smoke
    body: bytes


def read(model: Model, source_dir: Path) -> SmokeTest | None:
    """The model's smoke request; None if it has none.

    Raises:
        UsageError: the file cannot be read, is empty, or is larger than an endpoint takes.
    """
    if model.smoke is None:
        return None
    path = source_dir / model.smoke.request
    try:
        with path.open("rb") as file:
            body = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise UsageError(f"The smoke request {path} cannot be read: {exc.strerror}.") from exc
    if not body or len(body) > MAX_BYTES:
        raise UsageError(f"The smoke request {path} is {'too large' if body else 'empty'}: at most {MAX_BYTES} bytes.")
    return SmokeTest(model.smoke, body)


def send(runtime: SageMakerRuntimeClient, names: ModelNames, test: SmokeTest) -> str:
    """Ask the endpoint; returns what is wrong with its answer, and nothing if it is as expected.

    Raises:
        ClientError, BotoCoreError: nobody answered.
    """
    try:
        answer = runtime.invoke_endpoint(
            EndpointName=names.endpoint,
            ContentType=test.smoke.content_type,
            Accept=test.smoke.expect.content_type or test.smoke.content_type,
            Body=test.body,
        )
    except ClientError as exc:
        if exc.response["Error"]["Code"] != "ModelError":
            raise
        message: Any = exc.response.get("OriginalMessage") or exc.response["Error"].get("Message", "")
        return f"the model refused the request: {_short(str(message))}"
    return judge(answer["Body"].read(), answer.get("ContentType", ""), test.smoke.expect)


def judge(body: bytes, content_type: str, expect: SmokeExpect) -> str:
    """What of ``expect`` the answer does not keep; nothing if it keeps all of it."""
    text = body.decode("utf-8", errors="replace")
    kind = content_type.partition(";")[0].strip()
    if not text.strip():
        return "the answer is empty"
    if expect.content_type is not None and kind != expect.content_type:
        return f"the answer is {kind or 'of no type'}, not {expect.content_type}"
    lines = len(text.splitlines())
    if expect.lines is not None and lines != expect.lines:
        return f"the answer has {lines} lines, not {expect.lines}"
    if expect.contains is not None and expect.contains not in text:
        return f"the answer does not contain {expect.contains!r}: {_short(text)}"
    if expect.at_least is None and expect.at_most is None:
        return ""
    try:
        return _out_of_bounds(list(_numbers(text, kind)), expect)
    except (ValueError, TypeError, csv.Error) as exc:
        return f"the answer cannot be read: {exc}"


def _out_of_bounds(numbers: list[float], expect: SmokeExpect) -> str:
    if not numbers:
        return "the answer has no number in it"
    low = -math.inf if expect.at_least is None else expect.at_least
    high = math.inf if expect.at_most is None else expect.at_most
    # Asked this way around, because NaN is neither in the bounds nor out of them.
    wrong = next((number for number in numbers if not low <= number <= high), None)
    return "" if wrong is None else f"the answer has {wrong:g} in it, which is not within {low:g} and {high:g}"


def _numbers(text: str, content_type: str) -> Iterator[float]:
    if "json" in content_type:
        documents = text.splitlines() if "lines" in content_type else [text]
        for document in documents:
            if document.strip():
                yield from _of_json(read_json(document))
        return
    for row in csv.reader(io.StringIO(text)):
        for cell in row:
            try:
                yield float(cell)
            except ValueError:
                continue


def _of_json(document: Any) -> Iterator[float]:
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield number(value)
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()


def _short(text: str) -> str:
    shown = "".join(char if char.isprintable() else " " for char in text[: SHOWN + 1]).strip()
    return shown if len(text) <= SHOWN else f"{shown[:SHOWN]}…"
