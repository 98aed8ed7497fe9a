"""Data tests: every constraint finds exactly the rows that break it, in every format; nothing crashes it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mlops_kit.config import load_project
from mlops_kit.config.dataset import Dataset
from mlops_kit.errors import UsageError
from mlops_kit.quality.check import check
from mlops_kit.quality.results import EXAMPLES, Example, Report, Result
from mlops_kit.quality.scan import COLUMNS_AT_ONCE
from tests.cloud import ROOT

ROWS: list[dict[str, Any]] = [
    {"age": 30, "country": "de", "score": 0.5, "taken": "2024-05-01 10:00:00", "day": "2024-05-01", "ok": True},
    {"age": -1, "country": "fr", "score": 1.5, "taken": "2031-01-01 00:00:00", "day": "2019-12-31", "ok": False},
    {"age": None, "country": "xx", "score": None, "taken": None, "day": None, "ok": None},
    {
        "age": 200,
        "country": "DE",
        "score": float("nan"),
        "taken": "2024-05-02 10:00:00",
        "day": "2024-05-02",
        "ok": True,
    },
]
COLUMNS = {
    "age": {"type": "integer", "min": 0, "max": 130, "completeness": 0.75},
    "country": {"type": "string", "allowed": ["de", "fr"], "pattern": "^[a-z]+$"},
    "score": {"type": "number", "max": 1.0, "completeness": 0.75},
    "taken": {"type": "timestamp", "min": "2020-01-01", "max": "2030-01-01"},
    "day": {"type": "date", "min": "2020-01-01"},
    "ok": {"type": "boolean", "required": True},
}
SQL = (
    "SELECT age::INTEGER AS age, country, score::DOUBLE AS score, taken::TIMESTAMP AS taken, day::DATE AS day, "
    "ok::BOOLEAN AS ok FROM read_csv('{}', all_varchar = true)"
)


def csv_text(rows: list[dict[str, Any]]) -> str:
    lines = [",".join(rows[0])]
    lines += [",".join("" if value is None else str(value) for value in row.values()) for row in rows]
    return "\n".join(lines) + "\n"


def write(directory: Path, name: str, rows: list[dict[str, Any]] = ROWS) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    if name.endswith(".parquet"):
        source = directory / "source.tmp"
        source.write_text(csv_text(rows))
        duckdb.sql(f"COPY ({SQL.format(source)}) TO '{path}' (FORMAT parquet)")
    elif name.endswith(".zst"):
        source = directory / "source.tmp"
        source.write_text(csv_text(rows))
        duckdb.sql(f"COPY (FROM read_csv('{source}', all_varchar = true)) TO '{path}' (FORMAT csv)")
    elif name.endswith(".jsonl"):
        path.write_text("".join(json.dumps(row).replace("NaN", '"NaN"') + "\n" for row in rows))
    else:
        body = csv_text(rows).encode()
        path.write_bytes(gzip.compress(body) if name.endswith(".gz") else body)


def constraints(**table: Any) -> Dataset:
    rows = table.pop("rows", {"min": 0})
    return Dataset.model_validate({"tables": [{"files": "**/*", "rows": rows, **table}]})


def run(directory: Path, found: Dataset, **settings: Any) -> Report:
    files = {
        path.relative_to(directory).as_posix(): path
        for path in directory.rglob("*")
        if path.is_file() and path.suffix != ".tmp"
    }
    return check(files, found, **settings)


def one(report: Report, constraint: str, column: str | None = None) -> Result:
    (found,) = [r for r in report.results if r.constraint == constraint and (column is None or r.column == column)]
    return found


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.csv.zst", "t.jsonl", "t.parquet"])
def test_every_constraint_counts_the_rows_that_break_it(tmp_path: Path, name: str) -> None:
    write(tmp_path, name)
    report = run(tmp_path, constraints(columns=COLUMNS))
    found = {(r.constraint, r.column): (r.passed, r.failed_rows) for r in report.results if r.column}
    assert {key: value for key, value in found.items() if key[0] not in ("column", "type")} == {
        ("completeness", "age"): (True, 1),
        ("min", "age"): (False, 1),
        ("max", "age"): (False, 1),
        ("allowed", "country"): (False, 2),
        ("pattern", "country"): (False, 1),
        ("max", "score"): (False, 1),
        ("completeness", "score"): (False, 2),
        ("min", "taken"): (True, 0),
        ("max", "taken"): (False, 1),
        ("min", "day"): (False, 1),
        ("completeness", "ok"): (False, 1),
    }
    assert all(value == (True, 0) for key, value in found.items() if key[0] in ("column", "type"))
    assert one(report, "max", "age").examples == (Example("200", name, 4),)
    assert one(report, "completeness", "ok").examples == (Example(None, name, 3),)
    assert "1 row of 4 are over 130" in one(report, "max", "age").message
    assert report.rows == {"**/*": 4}
    assert not report.passed
    assert set(report.failed) < set(report.results)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (
            "integer",
            ["1", "-3", " 7 ", "1.0", "1e3", "99999999999999999999"],
            ["1.5", "x", "0x1F", "1_000", "inf", "\u0661"],
        ),
        ("number", ["1", "-.5", "1e-3", "inf", "-Infinity"], ["1,5", "x", "1_000.5", "0x1F", "true"]),
        ("boolean", ["true", "False", "1", "0", "TRUE"], ["yes", "2", "t"]),
        ("date", ["2024-05-31", "2024-5-1"], ["2024-02-30", "20240531", "2024-05-31 10:00", "epoch", "infinity"]),
        ("timestamp", ["2024-05-31", "2024-05-31T10:00:00Z", "2024-05-31 10:00:00.5+02:00"], ["10:00", "epoch", "now"]),
        ("string", ["1", "x", "NA"], []),
    ],
)
def test_what_text_is_of_a_type(tmp_path: Path, kind: str, good: list[str], bad: list[str]) -> None:
    missing = ["", "NaN", "n/a", "null"] if kind != "string" else [""]
    text = "".join(f'{number},"{value}"\n' for number, value in enumerate([*good, *bad, *missing]))
    (tmp_path / "t.csv").write_text("n,x\n" + text, encoding="utf-8")
    report = run(tmp_path, constraints(columns={"x": {"type": kind, "completeness": 0.0}}))
    result = one(report, "type", "x")
    assert (result.passed, result.failed_rows) == (not bad, len(bad))
    assert [example.value for example in result.examples] == bad[:EXAMPLES]
    assert one(report, "completeness", "x").failed_rows == len(missing)


def test_bounds_are_inclusive_and_exact(tmp_path: Path) -> None:
    big = 2**62
    duckdb.sql(
        f"COPY (SELECT unnest([{big}, {big} + 1]) AS i, unnest([0.1, 0.2])::FLOAT AS f) TO '{tmp_path}/t.parquet'"
    )
    columns = {"i": {"type": "integer", "max": big}, "f": {"type": "number", "min": 0.1, "max": 0.1}}
    report = run(tmp_path, constraints(columns=columns))
    assert one(report, "max", "i").failed_rows == 1
    assert one(report, "min", "f").failed_rows == 0, "a 32-bit 0.1 is 0.1"
    assert one(report, "max", "f").failed_rows == 1


def test_a_time_zone_is_heeded_and_utc_without_one(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x\n2024-01-01T00:30:00+01:00\n2024-01-01 00:00:00\n2023-12-31T23:30:00Z\n")
    report = run(tmp_path, constraints(columns={"x": {"type": "timestamp", "min": "2024-01-01"}}))
    assert [example.row for example in one(report, "min", "x").examples] == [1, 3]


def test_parquet_has_to_store_the_declared_kind(tmp_path: Path) -> None:
    duckdb.sql(f"COPY (SELECT '12' AS a, 3.0::DOUBLE AS b, 2.5 AS c, [1] AS d) TO '{tmp_path}/t.parquet'")
    kinds = {"a": "integer", "b": "integer", "c": "integer", "d": "string"}
    report = run(tmp_path, constraints(columns={name: {"type": kind} for name, kind in kinds.items()}))
    stored = one(report, "type", "a")
    assert not stored.passed
    assert stored.message.endswith("t.parquet has it as VARCHAR")
    assert one(report, "type", "b").passed
    assert one(report, "type", "c").failed_rows == 1
    assert "INTEGER[]" in one(report, "type", "d").message


def test_unique_looks_across_files_and_leaves_out_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,day\n1,mon\n1.0,tue\n,mon\n,mon\n")
    (tmp_path / "b.csv").write_text("day,id\nmon,2\nmon,1\n")
    found = constraints(columns={"id": {"type": "integer", "unique": True}}, unique=[["id", "day"]])
    report = run(tmp_path, found)
    single, composite = one(report, "unique", "id"), one(report, "unique", "id, day")
    assert (single.failed_rows, single.examined_rows) == (3, 6)
    assert single.examples == (Example("1 (3 times)"),)
    assert composite.failed_rows == 2
    assert composite.examples == (Example("1, mon (2 times)"),)


def test_columns_that_are_not_there_and_columns_that_nobody_knows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Age,b\n1,2\n")
    (tmp_path / "b.csv").write_text("b,age\n1,x\n")
    found = constraints(
        columns={"age": {"type": "integer"}, "gone": {"required": True}, "b": {}}, other_columns="refuse"
    )
    report = run(tmp_path, found)
    assert one(report, "column", "age").examples == (Example(None, "a.csv"),)
    assert one(report, "column", "gone").failed_rows == 2
    assert one(report, "column", "b").passed
    assert one(report, "other_columns").examples == (Example("Age"),)
    assert one(report, "type", "age").failed_rows == 1
    assert not [r for r in report.results if r.column == "gone" and r.constraint != "column"]


def test_a_key_that_json_lines_leave_out_is_missing_and_one_that_none_has_is_no_column(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"a/b~": 1, "n": null}\n{"a/b~": {"x": 1}}\n')
    found = constraints(
        columns={"a/b~": {"type": "integer"}, "n": {"completeness": 0.5}, "gone": {}}, other_columns="refuse"
    )
    report = run(tmp_path, found)
    assert one(report, "type", "a/b~").examples == (Example('{"x":1}', "t.jsonl", 2),)
    assert one(report, "completeness", "n").failed_rows == 2
    assert not one(report, "column", "gone").passed
    assert one(report, "other_columns").passed


def test_parquet_columns_that_differ_in_case_only_are_two(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    duckdb.sql(f"COPY (SELECT {{'x': 1, 'y': [2]}} AS s, 1 AS \"XXXX\", 500 AS aged, 7 AS file_index) TO '{path}'")
    # DuckDB itself would not write such a file; others do. Names have no checksum.
    path.write_bytes(path.read_bytes().replace(b"XXXX", b"AGED"))
    report = run(tmp_path, constraints(columns={"aged": {"type": "integer", "max": 130}, "AGED": {}, "file_index": {}}))
    assert one(report, "max", "aged").examples == (Example("500", "t.parquet", 1),)
    assert one(report, "column", "AGED").passed


@pytest.mark.parametrize(
    ("name", "body", "told"),
    [
        ("t.csv", b"a,b\n1,2\n1,2,3\n", "CSV Error on Line: 3. Expected Number of Columns: 2 Found: 3 (t.csv)"),
        ("t.csv", b"a,b\n1\n", "Expected Number of Columns: 2 Found: 1"),
        ("t.csv", b'a,b\n1,"x\n', "unterminated quote"),
        ("t.csv", b"a,b\n\xff\xfe,2\n", "Invalid unicode"),
        ("t.csv", b"", "it is empty; its first line has to name the columns"),
        ("t.csv", b"a,a\n1,2\n", "columns of the same name: 'a'"),
        ("t.csv.gz", gzip.compress(b"a\n" + bytes(range(48, 58)) * 9000)[:-9], "GZIP"),
        ("t.csv.gz", b"a,b\n1,2\n", "GZIP"),
        ("t.parquet", b"PAR1 this is none PAR1", "t.parquet: "),
        ("t.parquet", b"", "t.parquet: "),
        ("t.jsonl", b'{"a": 1}\n{"a": \n[1]\n{"a": 2}\n', "2 lines that are no JSON object"),
        ("t.bin", b"\0", "its name does not tell its format"),
    ],
)
def test_a_file_that_is_no_table_is_a_result(tmp_path: Path, name: str, body: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(body)
    report = run(tmp_path, constraints(columns={"a": {"type": "integer"}}))
    result = one(report, "format")
    assert not result.passed
    assert told in result.message
    assert str(tmp_path) not in result.message
    assert result.examples[0].file == name


def test_a_broken_file_does_not_hide_the_others(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"{number}.csv").write_text("a\n1\n" if number != 3 else 'a\n1\n"x\n')
    report = run(tmp_path, constraints(columns={"a": {"type": "integer", "max": 0}}))
    assert one(report, "format").message.startswith("3.csv: ")
    assert one(report, "max", "a").failed_rows == 8
    assert [example.file for example in one(report, "max", "a").examples] == ["0.csv", "1.csv", "2.csv"]
    assert report.rows == {}, "rows that are not all counted are compared with nothing"
    assert not [r for r in report.results if r.constraint.startswith("rows.")]


def test_malformed_lines_count_apart_from_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"a": 1}\nnonsense\n"text"\n{"a": null}\n')
    report = run(tmp_path, constraints(columns={"a": {"required": True}}))
    assert [example.row for example in one(report, "format").examples] == [2, 3]
    assert (one(report, "format").failed_rows, one(report, "format").examined_rows) == (2, 4)
    assert (one(report, "completeness").failed_rows, one(report, "completeness").examined_rows) == (1, 2)
    assert report.rows == {"**/*": 2}


@pytest.mark.parametrize(("name", "body"), [("t.csv", "a,b\n"), ("t.jsonl", "")])
def test_no_rows(tmp_path: Path, name: str, body: str) -> None:
    (tmp_path / name).write_text(body)
    columns = {"a": {"type": "integer", "required": True, "unique": True, "min": 3}}
    assert run(tmp_path, constraints(columns=columns)).passed
    report = run(tmp_path, constraints(columns=columns, rows={}))
    assert [r.constraint for r in report.failed] == ["rows.min"], "a table has a row, unless it may have none"


def test_a_table_without_files_fails(tmp_path: Path) -> None:
    report = check({}, Dataset.model_validate({"tables": [{"files": "*.csv"}]}))
    assert [(r.constraint, r.passed) for r in report.results] == [("files", False)]


@pytest.mark.parametrize(
    "name",
    ["it's [1]*?.csv", 'a "quoted" name.csv', "größe ☃/ü.csv", "x;DROP TABLE y--.csv", "new\nline.csv", "%41{}.csv"],
)
def test_any_name_of_a_file_or_column(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text('"it\'s ""a""; --",☃\n1,2\n', encoding="utf-8")
    (tmp_path / "it's 1x.csv").write_text("other\n1\n")  # what the first name would mean as a pattern
    columns = {'it\'s "a"; --': {"type": "integer", "max": 0}, "☃": {"type": "integer", "min": 2, "unique": True}}
    report = check({name: path}, constraints(columns=columns))
    assert [r.constraint for r in report.failed] == ["max"]
    assert report.failed[0].examples == (Example("1", name, 1),)


def test_constraints_are_values_not_sql(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\nx') OR ('1'='1\n")
    columns = {"a": {"type": "string", "allowed": ["x') OR ('1'='1"], "pattern": r"^x'\) OR \("}}
    assert run(tmp_path, constraints(columns=columns)).passed


def test_nothing_but_the_named_files_is_read(tmp_path: Path) -> None:
    """A link in the data leads where the data says; what DuckDB may open is what the link leads to, and no more."""
    from mlops_kit.tabular.reader import reading

    (tmp_path / "t.csv").write_text("a\n1\n")
    (tmp_path / "secret.csv").write_text("a\n1\n")
    with reading({"t.csv": tmp_path / "t.csv"}) as reader:
        for query in (
            f"FROM read_csv('{tmp_path}/secret.csv')",
            f"FROM read_text('{tmp_path}/*')",
            f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
            "SET enable_external_access = true",
            "SET memory_limit = '100GB'",
            f"ATTACH '{tmp_path}/x.duckdb'",
        ):
            with pytest.raises(duckdb.Error):
                reader.connection.execute(query)
    assert {path.name for path in tmp_path.iterdir()} == {"t.csv", "secret.csv"}


def test_row_numbers_are_those_of_the_file_also_when_threads_share_it(tmp_path: Path) -> None:
    rows = 400_000
    wrong = {7, 123_456, 399_999}
    (tmp_path / "a.csv").write_text("x,pad\n1,y\n")
    with (tmp_path / "b.csv").open("w") as file:
        file.write("x,pad\n" + "".join(f"{-1 if row in wrong else row},{'p' * 30}\n" for row in range(1, rows + 1)))
    report = run(tmp_path, constraints(columns={"x": {"type": "integer", "min": 0}}))
    assert one(report, "min").examples == tuple(Example("-1", "b.csv", row) for row in sorted(wrong))
    assert one(report, "min").examined_rows == rows + 1


def test_many_columns_take_several_scans(tmp_path: Path) -> None:
    names = [f"x{number}" for number in range(2 * COLUMNS_AT_ONCE + 5)]
    (tmp_path / "t.csv").write_text(",".join(names) + "\n" + ",".join(map(str, range(len(names)))) + "\n")
    columns = {name: {"type": "integer", "max": 203, "min": 0, "required": True} for name in names}
    report = run(tmp_path, constraints(columns=columns))
    assert [(r.column, r.examples[0].value) for r in report.failed] == [("x204", "204")]
    assert report.rows == {"**/*": 1}


def test_a_pattern_that_only_python_knows_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\nx\n")
    with pytest.raises(UsageError, match=r"pattern of column 'a'.*RE2"):
        run(tmp_path, constraints(columns={"a": {"pattern": "x{2000}"}}))


def test_long_values_are_shortened(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n" + "x" * 10_000 + "\n")
    (example,) = one(run(tmp_path, constraints(columns={"a": {"type": "integer"}})), "type").examples
    assert example.value is not None
    assert len(example.value) == 80


@pytest.mark.parametrize("first", [400, 569])
def test_the_demo_data_keeps_its_constraints(tmp_path: Path, first: int) -> None:
    from mlops_kit.local.demo_data import biopsies

    header, rows, labels = biopsies()
    lines = [",".join([*map(str, row), str(label)]) for row, label in zip(rows, labels, strict=True)]
    (tmp_path / "biopsies.csv").write_text("\n".join([",".join([*header, "malignant"]), *lines[:first]]) + "\n")
    found = load_project(ROOT).dataset("biopsies")
    assert found is not None
    report = check({"biopsies.csv": tmp_path / "biopsies.csv"}, found, parent_rows={"*.csv": 400})
    assert report.passed, report.failed
    assert report.rows == {"*.csv": first}
