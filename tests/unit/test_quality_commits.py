"""Data tests of commits: where the files come from, what they are compared with, and what is said about failures."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlops_kit.config import Dataset
from mlops_kit.datasets.commit import CommitRequest, commit, execute, plan
from mlops_kit.datasets.import_prefix import PrefixSource
from mlops_kit.datasets.local_source import LocalSource
from mlops_kit.errors import GateError, IntegrityError, NotFoundError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store
from mlops_kit.quality import commits
from mlops_kit.quality.record import record
from tests.lakes import write_files
from tests.s3 import LoopbackS3

NOW = datetime.now(UTC).replace(microsecond=0)
KEYS = DatasetKeys("pets")
CONSTRAINTS = Dataset.model_validate(
    {
        "tables": [{"files": "**/*.csv", "columns": {"age": {"type": "integer", "min": 0}}, "rows": {"shrink": 0.5}}],
        "files": [{"match": "**/*.jpg", "max_bytes": 3}],
    }
)


def rows(count: int) -> str:
    return "age\n" + "1\n" * count


def make(lake: Store, source: Path) -> str:
    return commit(lake, "pets", source, message="m", author="me", now=NOW).commit.id


def outcomes(report: commits.Report) -> dict[str, bool]:
    return {result.constraint: result.passed for result in report.results}


def test_of_a_commit_only_tables_are_fetched(s3: LoopbackS3, lake: Store, tmp_path: Path) -> None:
    made = make(lake, write_files(tmp_path, {"a/t.csv": rows(2), "x.jpg": "xxxx"}))
    s3.forget()
    report = commits.check_commit(lake, "pets", made, CONSTRAINTS)
    fetched = [call.key for call in s3.calls if call.operation == "GetObject" and "/files/" in call.key]
    assert [key.removeprefix(KEYS.files_prefix)[:4] for key in fetched] == ["a/t~"]
    assert report.rows == {"**/*.csv": 2}
    assert [result.constraint for result in report.failed] == ["max_bytes"]
    with pytest.raises(NotFoundError):
        commits.check_commit(lake, "pets", "f" * 64, CONSTRAINTS)


def test_rows_of_the_parent_are_counted_or_taken_from_its_own_test(s3: LoopbackS3, lake: Store, tmp_path: Path) -> None:
    parent = make(lake, write_files(tmp_path, {"t.csv": rows(10)}))
    child = make(lake, write_files(tmp_path, {"t.csv": rows(4)}))
    assert outcomes(commits.check_commit(lake, "pets", child, CONSTRAINTS))["rows.shrink"] is False
    assert outcomes(commits.check_commit(lake, "pets", parent, CONSTRAINTS))["rows.shrink"] is True

    report = commits.check_commit(lake, "pets", parent, CONSTRAINTS)
    record(lake, "pets", parent, CONSTRAINTS, report, actor="me", now=NOW)
    s3.forget()
    assert outcomes(commits.check_commit(lake, "pets", child, CONSTRAINTS))["rows.shrink"] is False
    assert len([call for call in s3.calls if call.operation == "GetObject" and "/files/" in call.key]) == 1


def test_a_parent_that_was_never_promoted_is_nothing_to_compare_with(
    s3: LoopbackS3, lake: Store, tmp_path: Path
) -> None:
    parent = make(lake, write_files(tmp_path, {"t.csv": rows(10)}))
    child = make(lake, write_files(tmp_path, {"t.csv": rows(1)}))
    s3.buckets[lake.bucket].remove(KEYS.commit(parent))
    assert outcomes(commits.check_commit(lake, "pets", child, CONSTRAINTS))["rows.shrink"] is True


def test_a_plan_is_tested_with_local_files_where_they_are_and_the_parent_s_brought(
    s3: LoopbackS3, lake: Store, tmp_path: Path
) -> None:
    make(lake, write_files(tmp_path / "one", {"old.csv": rows(3), "x.jpg": "xxx"}))
    more = write_files(tmp_path / "two", {"new.csv": "age\n-1\n"})
    planned = plan(lake, CommitRequest("pets", LocalSource.of(more), "m", "me", add=True), NOW)
    s3.forget()
    report = commits.check_plan(lake, planned, CONSTRAINTS)
    assert report.rows == {"**/*.csv": 4}
    (failed,) = report.failed
    assert (failed.constraint, failed.failed_rows, failed.examples[0].file) == ("min", 1, "new.csv")
    fetched = {call.key for call in s3.calls if call.operation == "GetObject" and "/files/" in call.key}
    assert [key.removeprefix(KEYS.files_prefix)[:4] for key in fetched] == ["old~"]
    assert "PutObject" not in [call.operation for call in s3.calls]
    execute(lake, planned)
    unchanged = plan(lake, CommitRequest("pets", LocalSource.of(more), "m", "me", add=True), NOW)
    assert commits.check_plan(lake, unchanged, CONSTRAINTS).rows == {"**/*.csv": 4}


def test_a_plan_of_a_prefix_is_tested_by_what_lies_there(s3: LoopbackS3, lake: Store) -> None:
    lake.put_new("raw/t.csv", rows(2).encode())
    planned = plan(lake, CommitRequest("pets", PrefixSource(lake, "raw/"), "m", "me"), NOW)
    assert commits.check_plan(lake, planned, CONSTRAINTS).rows == {"**/*.csv": 2}
    s3.buckets[lake.bucket].put("raw/t.csv", b"age\n7\n7\n")
    with pytest.raises(IntegrityError):
        commits.check_plan(lake, planned, CONSTRAINTS)
    planned.found.discard()


def test_a_refusal_names_every_constraint_with_rows_and_examples(lake: Store, tmp_path: Path) -> None:
    made = make(lake, write_files(tmp_path, {"t.csv": "age\n1\n-7\nx\n", "x.jpg": "xxxx"}))
    report = commits.check_commit(lake, "pets", made, CONSTRAINTS)
    with pytest.raises(GateError) as caught:
        commits.require(report, "pets@abc")
    first, *lines = caught.value.message.splitlines()
    assert first == f"3 of {len(report.results)} constraints do not hold in pets@abc:"
    text = "\n".join(lines)
    assert "  type (**/*.csv, age): " in text
    assert "    t.csv row 3: 'x'" in text
    assert "    t.csv row 2: '-7'" in text
    assert "  max_bytes: " in text
    assert "    x.jpg: '4 bytes'" in text
    commits.require(commits.Report((), {}), "nothing")
