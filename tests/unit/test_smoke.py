"""The smoke request: what of an answer is judged, and how."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops_kit.config import Smoke, SmokeExpect
from mlops_kit.errors import UsageError
from mlops_kit.naming import EnvironmentNames
from mlops_kit.promotion import smoke
from mlops_kit.promotion.smoke import SmokeTest

NAMES = EnvironmentNames("acme", "staging", "222222222222", "us-east-1").model("churn")


@pytest.mark.parametrize(
    ("body", "content_type", "expect", "wrong"),
    [
        (b"0.5\n0.7\n", "text/csv", {"lines": 2, "at_least": 0, "at_most": 1}, ""),
        (b"0.5\n", "text/csv; charset=utf-8", {"content_type": "text/csv"}, ""),
        (b'{"predictions": [0.5, true, {"a": 1}]}', "application/json", {"at_least": 0.5, "at_most": 1}, ""),
        (b'{"a": 1}\n{"a": 2}\n', "application/jsonlines", {"at_most": 2, "lines": 2}, ""),
        (b"anything", "", {}, ""),
        (b" \n", "text/csv", {}, "the answer is empty"),
        (b"0.5", "text/html", {"content_type": "text/csv"}, "the answer is text/html, not text/csv"),
        (b"0.5", "", {"content_type": "text/csv"}, "the answer is of no type, not text/csv"),
        (b"1\n2\n", "text/csv", {"lines": 3}, "the answer has 2 lines, not 3"),
        (b"no", "text/csv", {"contains": "yes"}, "the answer does not contain 'yes': no"),
        (b"0.5\n1.5\n", "text/csv", {"at_most": 1}, "the answer has 1.5 in it, which is not within -inf and 1"),
        (b"nan\n", "text/csv", {"at_least": 0}, "the answer has nan in it, which is not within 0 and inf"),
        (b"true", "application/json", {"at_least": 0}, "the answer has no number in it"),
        (b"[" * 200_000, "application/json", {"at_least": 0}, "the answer cannot be read: it is nested too deeply"),
        (b"0.5\n[NaN]\n", "application/jsonlines", {"at_least": 0}, "the answer cannot be read: it says NaN"),
        (b'{"a": 1, "a": 2}', "application/json", {"at_least": 0}, "the answer cannot be read: it has a key twice"),
        (b"[1" + b"0" * 400 + b"]", "application/json", {"at_least": 0}, "the answer cannot be read: it has a number"),
        (b"<html>", "application/json", {"at_least": 0}, "the answer cannot be read: Expecting value"),
        (b"<html>", "application/json", {"contains": "html"}, ""),
        (b"\xff\xfe", "text/csv", {"at_least": 0}, "the answer has no number in it"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_answer_is_judged(body: bytes, content_type: str, expect: dict[str, Any], wrong: str) -> None:
    found = smoke.judge(body, content_type, SmokeExpect(**expect))
    assert found.startswith(wrong)
    assert bool(found) == bool(wrong)


def test_what_gets_into_a_message_is_short_and_one_line() -> None:
    wrong = smoke.judge(b"a\nb\x1b[31m" * 1000, "text/csv", SmokeExpect(contains="yes"))
    assert len(wrong) < 250
    assert wrong.isprintable()


def answered(code: str = "", message: str = "m") -> Any:
    def invoke_endpoint(**_: Any) -> dict[str, Any]:
        if code:
            raise ClientError({"Error": {"Code": code, "Message": message}}, "InvokeEndpoint")
        return {"Body": BytesIO(b"0.5\n"), "ContentType": "text/csv"}

    return SimpleNamespace(invoke_endpoint=invoke_endpoint)


def test_only_the_model_s_own_failure_is_the_model_s() -> None:
    test = SmokeTest(Smoke(request="smoke.csv"), b"1\n")
    assert smoke.send(answered(), NAMES, test) == ""
    assert smoke.send(answered("ModelError", "it broke"), NAMES, test) == "the model refused the request: it broke"
    with pytest.raises(ClientError):
        smoke.send(answered("ServiceUnavailable"), NAMES, test)


def test_the_request_is_read_before_anything_is_written(tmp_path: Path) -> None:
    model: Any = SimpleNamespace(smoke=None)
    assert smoke.read(model, tmp_path) is None
    model.smoke = Smoke(request="smoke.csv")
    path = tmp_path / "smoke.csv"
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        smoke.read(model, tmp_path)
    path.write_bytes(b"")
    with pytest.raises(UsageError, match="is empty"):
        smoke.read(model, tmp_path)
    path.write_bytes(bytes(smoke.MAX_BYTES + 1))
    with pytest.raises(UsageError, match="is too large"):
        smoke.read(model, tmp_path)
    path.write_bytes(b"1\n")
    assert smoke.read(model, tmp_path) == SmokeTest(model.smoke, b"1\n")
