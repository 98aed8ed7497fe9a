"""Results of data tests: stored once beside the commit, read back whole, refused if they are about something else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mlops_kit.config.dataset import Dataset
from mlops_kit.errors import IntegrityError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store
from mlops_kit.quality.record import CheckRecord, constraints_sha256, parse, read, record
from mlops_kit.quality.results import Example, Report, Result

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
COMMIT = "c" * 64
CONSTRAINTS = Dataset.model_validate({"tables": [{"files": "*.csv"}]})
DIGEST = constraints_sha256(CONSTRAINTS)
FAILED = Result("max", "*.csv", "größe", False, 2, 10, (Example("7", "t.csv", 3), Example(None)), "größe: 2 rows")
PASSED = replace(FAILED, passed=True, failed_rows=0, examples=())
MADE = CheckRecord("churn", COMMIT, DIGEST, False, {"*.csv": 10}, (PASSED, FAILED), NOW.isoformat(), "me")


def test_a_result_reads_back_as_it_was() -> None:
    assert parse(MADE.to_json(), "churn", COMMIT, DIGEST) == MADE
    assert MADE.report.failed == (FAILED,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"commit": "d" * 64}, "and other constraints"),
        ({"constraints": "d" * 64}, "and other constraints"),
        ({"dataset": "other"}, "is about other@"),
        ({"passed": True}, "contradicts itself"),
        ({"format": 2}, "Upgrade|format 2"),
        ({"results": [{}]}, "cannot be read"),
        ({"surprise": 1}, "cannot be read"),
    ],
)
def test_what_is_not_this_result_is_refused(change: dict[str, object], message: str) -> None:
    body = json.dumps(json.loads(MADE.to_json()) | change).encode()
    with pytest.raises(IntegrityError, match=message):
        parse(body, "churn", COMMIT, DIGEST)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff"])
def test_no_result_at_all_is_refused(body: bytes) -> None:
    with pytest.raises(IntegrityError, match="cannot be read"):
        parse(body, "churn", COMMIT, DIGEST)


def test_the_first_result_stands(lake: Store) -> None:
    assert read(lake, "churn", COMMIT, DIGEST) is None
    first = record(lake, "churn", COMMIT, CONSTRAINTS, Report((PASSED,), {"*.csv": 10}), actor="me", now=NOW)
    assert first.passed
    second = record(lake, "churn", COMMIT, CONSTRAINTS, Report((FAILED,), {}), actor="you", now=NOW)
    assert second == first
    assert read(lake, "churn", COMMIT, DIGEST) == first
    assert list(lake.keys(DatasetKeys("churn").root)) == [DatasetKeys("churn").check(COMMIT, DIGEST)]
