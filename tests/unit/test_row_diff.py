"""Row and schema differences of a table: exact, by multisets or by key, whatever the order."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from mlops_kit.datasets.row_diff import RowExample, SchemaDiff, row_diff, schema_diff
from mlops_kit.errors import UsageError


def csv(tmp_path: Path, name: str, body: str) -> Path:
    path = tmp_path / name
    path.write_text(body, encoding="utf-8")
    return path


def parquet(tmp_path: Path, name: str, query: str) -> Path:
    path = tmp_path / name
    duckdb.sql(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    return path


def test_rows_are_multisets_without_a_key(tmp_path: Path) -> None:
    old = csv(tmp_path, "old.csv", "a,b\n1,x\n1,x\n2,y\n3,\n")
    new = csv(tmp_path, "new.csv", "b,a\nz,4\nx,1\n,3\ny,2\n")
    found = row_diff(old, new)
    assert found.schema == SchemaDiff((), (), ()), "another order of columns is no change"
    assert not found.schema
    assert (found.rows_old, found.rows_new, found.added, found.removed, found.changed) == (4, 4, 1, 1, None)
    assert found.examples == (
        RowExample("added", {"b": "z", "a": "4"}),
        RowExample("removed", {"b": "x", "a": "1"}),
    )


def test_with_a_key_rows_change(tmp_path: Path) -> None:
    old = csv(tmp_path, "old.csv", "id,day,a,b\n1,mon,x,1\n1,tue,y,2\n2,mon,z,3\n")
    new = csv(tmp_path, "new.csv", "id,day,a,b\n1,mon,x,1\n1,tue,Y,2\n3,mon,z,3\n,mon,w,4\n")
    found = row_diff(old, new, key=["id", "day"])
    assert (found.added, found.removed, found.changed) == (2, 1, 1)
    assert found.changed_columns == {"a": 1}
    changed = next(example for example in found.examples if example.kind == "changed")
    assert changed.row == {"id": "1", "day": "tue", "a": "Y", "b": "2"}
    assert changed.before == {"a": "y"}


def test_a_new_column_alone_changes_no_row(tmp_path: Path) -> None:
    old = csv(tmp_path, "old.csv", "a,gone\n1,9\n2,9\n")
    new = csv(tmp_path, "new.csv", "a,new\n2,7\n1,7\n")
    found = row_diff(old, new)
    assert found.schema == SchemaDiff(("new",), ("gone",), ())
    assert (found.added, found.removed) == (0, 0)
    assert row_diff(old, new, key=["a"]).changed == 0


def test_types_of_parquet(tmp_path: Path) -> None:
    old = parquet(tmp_path, "old.parquet", "SELECT 1::INTEGER AS a, 0.5::DOUBLE AS b, 'x' AS c, [1] AS d, 1 AS e")
    new = parquet(
        tmp_path, "new.parquet", "SELECT [1] AS d, 1::BIGINT AS a, 0.5::DECIMAL(3,1) AS b, 'x' AS c, '1' AS e"
    )
    expected = SchemaDiff(
        (), (), (("a", "INTEGER", "BIGINT"), ("b", "DOUBLE", "DECIMAL(3,1)"), ("e", "INTEGER", "VARCHAR"))
    )
    assert schema_diff(old, new) == expected
    found = row_diff(old, new)
    assert found.schema == expected
    assert (found.added, found.removed) == (0, 0), "the same number in another type is the same number"
    assert row_diff(old, new, key=["a"]).changed == 0


def test_nan_and_null_equal_themselves(tmp_path: Path) -> None:
    query = "SELECT unnest(['nan'::DOUBLE, NULL, 1.0]) AS x, unnest([1, 2, NULL]) AS id"
    old, new = parquet(tmp_path, "old.parquet", query), parquet(tmp_path, "new.parquet", query)
    assert (row_diff(old, new).added, row_diff(old, new).removed) == (0, 0)
    keyed = row_diff(old, new, key=["id"])
    assert (keyed.added, keyed.removed, keyed.changed) == (0, 0, 0)


def test_a_whole_data_set_as_one_table(tmp_path: Path) -> None:
    before = [csv(tmp_path, "1.csv", "a,b\n1,2\n"), csv(tmp_path, "2.csv", "a,b\n3,4\n")]
    after = [csv(tmp_path, "3.csv", "b,a\n2,1\n4,3\n6,5\n")]
    found = row_diff(before, after)
    assert (found.rows_old, found.rows_new, found.added, found.removed) == (2, 3, 1, 0)


def test_a_table_that_is_new_or_gone(tmp_path: Path) -> None:
    table = csv(tmp_path, "t.csv", "a,b\n1,2\n3,4\n")
    new = row_diff([], table, key=["a"])
    assert (new.schema.added, new.rows_old, new.added, new.removed, new.changed) == (("a", "b"), 0, 2, 0, 0)
    gone = row_diff(table, [])
    assert (gone.schema.removed, gone.rows_new, gone.added, gone.removed) == (("a", "b"), 0, 0, 2)
    assert row_diff([], []).added == 0


def test_json_lines_may_leave_out_what_is_null(tmp_path: Path) -> None:
    old = csv(tmp_path, "old.jsonl", '{"a": 1, "b": null}\n{"a": {"x": [1, 2]}}\n')
    new = csv(tmp_path, "new.jsonl", '{"a": 1}\n{"a": {"x": [1, 3]}, "c": true}\n')
    found = row_diff(old, new)
    assert found.schema == SchemaDiff(("c",), ("b",), ())
    assert (found.added, found.removed) == (1, 1)


@pytest.mark.parametrize("name", ["it's [1]*.csv", "größe ☃.csv"])
def test_any_name(tmp_path: Path, name: str) -> None:
    old = csv(tmp_path, name, '"k ""q"" \'",v\n1,2\n')
    (tmp_path / "new").mkdir()
    new = csv(tmp_path / "new", name, '"k ""q"" \'",v\n1,3\n')
    assert row_diff(old, new, key=['k "q" \'']).changed_columns == {"v": 1}


@pytest.mark.parametrize(
    ("body", "key", "message"),
    [
        ("a,b\n1,2\n1,3\n", ["a"], "does not name a row: 2 rows of the old table have a = 1"),
        ("a,b\n1,2\n", ["c"], "column 'c', which is not there before and after"),
        ("a,b\n1,2,3\n", None, "Expected Number of Columns: 2 Found: 3"),
        ("", None, "it is empty"),
    ],
)
def test_what_cannot_be_compared(tmp_path: Path, body: str, key: list[str] | None, message: str) -> None:
    old, new = csv(tmp_path, "old.csv", body), csv(tmp_path, "new.csv", "a,b\n1,2\n")
    with pytest.raises(UsageError, match=message):
        row_diff(old, new, key=key)


def test_files_of_several_formats_are_no_table(tmp_path: Path) -> None:
    files = [csv(tmp_path, "a.csv", "a\n1\n"), csv(tmp_path, "b.jsonl", '{"a": 1}\n')]
    with pytest.raises(UsageError, match="not files of one table"):
        row_diff(files, [])
    with pytest.raises(UsageError, match="not files of one table"):
        row_diff(csv(tmp_path, "x.txt", "a\n1\n"), [])
    assert row_diff(tmp_path / "x.txt", [], format="csv").removed == 1
    assert row_diff(files[0], files[1]).added == 0, "the format itself may change"


def test_lines_that_are_no_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="1 lines of the new table"):
        row_diff([], csv(tmp_path, "t.jsonl", '{"a": 1}\n[2]\n'))
