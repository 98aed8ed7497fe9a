"""Which files a glob means; constraints on files by number and size; rows compared with the parent's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlops_kit.config.dataset import Dataset
from mlops_kit.quality.check import check
from mlops_kit.quality.files import matching
from mlops_kit.quality.parent import count_rows, parent_files

PATHS = ["a.csv", "b/a.csv", "b/c/a.csv", "b/x.CSV", "[1].csv", "a\nb.csv", ".hidden.csv", "images/1.jpg"]


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("*.csv", [".hidden.csv", "[1].csv", "a\nb.csv", "a.csv"]),
        ("**/*.csv", [".hidden.csv", "[1].csv", "a\nb.csv", "a.csv", "b/a.csv", "b/c/a.csv"]),
        ("b/**", ["b/a.csv", "b/c/a.csv", "b/x.CSV"]),
        ("b/*/a.csv", ["b/c/a.csv"]),
        ("b/**/a.csv", ["b/a.csv", "b/c/a.csv"]),
        ("?.csv", ["a.csv"]),
        ("[1].csv", ["[1].csv"]),
        ("images/*", ["images/1.jpg"]),
        ("a.cs", []),
    ],
)
def test_what_a_glob_means(glob: str, expected: list[str]) -> None:
    assert matching(glob, PATHS) == sorted(expected)


def checked(directory: Path, **constraints: Any) -> dict[str, tuple[bool, int, int, str]]:
    files = {path.relative_to(directory).as_posix(): path for path in directory.rglob("*") if path.is_file()}
    report = check(files, Dataset.model_validate(constraints))
    return {r.constraint: (r.passed, r.failed_rows, r.examined_rows, r.message) for r in report.results}


def test_files_by_number_and_size(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for number, size in enumerate([0, 10, 1000]):
        (tmp_path / "images" / f"{number}.jpg").write_bytes(b"x" * size)
    (tmp_path / "notes.txt").write_text("x")
    rule = {"match": "images/*.jpg", "min_count": 3, "max_count": 3, "min_bytes": 1, "max_bytes": 999}
    found = checked(tmp_path, files=[rule], other_files="refuse")
    assert found["count"][:3] == (True, 0, 3)
    assert found["min_bytes"][:3] == (False, 1, 3)
    assert found["max_bytes"][:3] == (False, 1, 3)
    assert found["other_files"][:2] == (False, 1)
    assert "notes.txt" in found["other_files"][3]
    assert not checked(tmp_path, files=[{"match": "*.wav"}])["count"][0]
    assert not checked(tmp_path, files=[{"match": "**", "max_count": 3}])["count"][0]
    assert checked(tmp_path, files=[{"match": "**"}], other_files="refuse")["other_files"][0]


def test_files_that_are_not_here_are_known_by_their_sizes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n")
    found = Dataset.model_validate({"tables": [{"files": "*.csv"}], "files": [{"match": "**", "max_bytes": 9}]})
    sizes = {"t.csv": 4, "images/1.jpg": 10}
    report = check({"t.csv": tmp_path / "t.csv"}, found, sizes=sizes)
    assert [(r.constraint, r.failed_rows, r.examined_rows) for r in report.failed] == [("max_bytes", 1, 2)]
    assert report.failed[0].examples[0].file == "images/1.jpg"


def rows_results(directory: Path, rows: dict[str, Any], parent: dict[str, int] | None) -> dict[str, bool]:
    found = Dataset.model_validate({"tables": [{"files": "*.csv", "rows": rows}]})
    report = check({"t.csv": directory / "t.csv"}, found, parent_rows=parent)
    return {r.constraint: r.passed for r in report.results if r.constraint.startswith("rows.")}


@pytest.mark.parametrize(
    ("rows", "parent", "expected"),
    [
        ({"min": 70, "max": 70}, None, {"rows.min": True, "rows.max": True}),
        ({"min": 71}, None, {"rows.min": False}),
        ({"max": 69}, None, {"rows.min": True, "rows.max": False}),
        ({"shrink": 0.3}, {"*.csv": 100}, {"rows.min": True, "rows.shrink": True}),
        ({"shrink": 0.3}, {"*.csv": 101}, {"rows.min": True, "rows.shrink": False}),
        ({"grow": 0.4}, {"*.csv": 50}, {"rows.min": True, "rows.grow": True}),
        ({"grow": 0.4}, {"*.csv": 49}, {"rows.min": True, "rows.grow": False}),
        ({"shrink": 0.0, "grow": 0.0}, {"*.csv": 70}, {"rows.min": True, "rows.shrink": True, "rows.grow": True}),
        ({"shrink": 0.0, "grow": 0.0}, {}, {"rows.min": True, "rows.shrink": True, "rows.grow": True}),
        ({"grow": 0.0}, {"*.csv": 0}, {"rows.min": True, "rows.grow": True}),
    ],
)
def test_rows_against_bounds_and_the_parent(
    tmp_path: Path, rows: dict[str, Any], parent: dict[str, int] | None, expected: dict[str, bool]
) -> None:
    (tmp_path / "t.csv").write_text("a\n" + "1\n" * 70)
    assert rows_results(tmp_path, rows, parent) == expected


def test_the_parents_rows_are_counted_where_they_are_needed(tmp_path: Path) -> None:
    found = Dataset.model_validate(
        {
            "tables": [
                {"files": "a/*.csv", "rows": {"shrink": 0.1}},
                {"files": "b/*.csv"},
                {"files": "*.jsonl", "rows": {"grow": 1.0}},
                {"files": "broken.*", "rows": {"grow": 1.0}},
                {"files": "gone/*", "rows": {"grow": 1.0}},
            ]
        }
    )
    paths = ["a/1.csv", "a/2.csv", "b/1.csv", "x.jsonl", "broken.parquet", "README.md"]
    needed = parent_files(found, paths)
    assert needed == ("a/1.csv", "a/2.csv", "broken.parquet", "x.jsonl")
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.csv").write_text('x\n1\n"2\n3"\n')
    (tmp_path / "a/2.csv").write_text("y,x\n1,2\n")
    (tmp_path / "x.jsonl").write_text('{"a": 1}\nnonsense\n{}\n')
    (tmp_path / "broken.parquet").write_text("no")
    assert count_rows(tmp_path, needed, found) == {"a/*.csv": 3, "*.jsonl": 2}
