"""Asking an asynchronous endpoint: by way of S3, in order, and not for ever."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from mlops_kit import invoking
from mlops_kit.errors import ServiceError
from mlops_kit.naming import EnvironmentNames

NAMES = EnvironmentNames("acme", "staging", "222222222222", "us-east-1").model("papers")
ROWS = [["1", "2"], ["3", "4"], ["5", "6"]]


class Cloud:
    """Runtime and bucket in one: each answer appears after some looks at its key."""

    def __init__(self, *, looks: int = 1, fail: str | None = None) -> None:
        self.looks, self.fail = looks, fail
        self.objects: dict[str, bytes] = {}
        self.asked: list[dict[str, Any]] = []
        self.seen: dict[str, int] = {}

    def uri(self, key: str) -> str:
        return f"s3://capture/{key}"

    def put_new(self, key: str, body: bytes, content_type: str) -> bool:
        assert content_type == "text/csv"
        self.objects[key] = body
        return True

    def get(self, key: str) -> bytes | None:
        self.seen[key] = self.seen.get(key, 0) + 1
        if key.startswith("failures/"):
            return self.fail.encode() if self.fail else None
        if self.fail or self.seen[key] <= self.looks:
            return None
        return self.objects[f"{NAMES.requests_prefix}{key.removeprefix('answers/').removesuffix('.out')}.csv"].upper()

    def invoke_endpoint_async(self, **arguments: Any) -> dict[str, str]:
        assert arguments["InputLocation"].removeprefix("s3://capture/") in self.objects, (
            "put down before it is asked for"
        )
        self.asked.append(arguments)
        id_ = arguments["InferenceId"]
        return {
            "OutputLocation": f"s3://capture/answers/{id_}.out",
            "FailureLocation": f"s3://capture/failures/{id_}-error.out",
        }

    def run(self, batch_size: int = 2) -> tuple[list[str], list[float]]:
        pauses: list[float] = []
        numbers = count()
        cloud: Any = self
        answers = invoking.invoke_async(
            cloud, cloud, NAMES, ROWS, batch_size, sleep=pauses.append, new_id=lambda: f"id{next(numbers)}"
        )
        return list(answers), pauses


def test_requests_lie_in_s3_and_answers_come_in_their_order() -> None:
    cloud = Cloud(looks=3)
    answers, pauses = cloud.run()
    assert answers == ["1,2\n3,4\n", "5,6\n"]
    assert [ask["InputLocation"] for ask in cloud.asked] == [
        f"s3://capture/async/acme-staging-papers/requests/id{number}.csv" for number in range(2)
    ]
    assert {ask["EndpointName"] for ask in cloud.asked} == {NAMES.endpoint}
    assert len(pauses) == 6


def test_a_failure_carries_the_models_words() -> None:
    with pytest.raises(ServiceError, match="bad row"):
        Cloud(fail="bad row").run()


def test_waiting_ends() -> None:
    cloud = Cloud(looks=10**6)
    pauses: list[float] = []
    anything: Any = cloud
    with pytest.raises(ServiceError, match="did not answer within 30 minutes") as caught:
        list(invoking.invoke_async(anything, anything, NAMES, ROWS, 3, sleep=pauses.append, new_id=lambda: "id"))
    assert "s3://capture/answers/id.out" in str(caught.value.hint)
    assert sum(pauses) >= 30 * 60
    assert max(pauses) <= 10
