"""Tables in files -> statistics: types, moments, buckets, and that the same data gives the same bytes."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import duckdb
import pytest

from mlops_kit.drift import buckets
from mlops_kit.drift.constraints import suggest
from mlops_kit.drift.profile import profile
from mlops_kit.drift.statistics import Feature, Statistics, dump, load_statistics
from mlops_kit.errors import UsageError
from mlops_kit.tabular import engine


def write_csv(directory: Path, columns: dict[str, list[object]], name: str = "table.csv") -> Path:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(text.getvalue(), encoding="utf-8")
    return directory


def bounds(feature: Feature) -> list[tuple[float, float, int]]:
    assert feature.numerical_statistics is not None
    found = feature.numerical_statistics.distribution.kll.buckets
    return [(bucket.lower_bound, bucket.upper_bound, bucket.count) for bucket in found]


def by_name(statistics: Statistics) -> dict[str, Feature]:
    return {feature.name: feature for feature in statistics.features}


def test_moments_of_a_numeric_column(tmp_path: Path) -> None:
    values: list[object] = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.5, ""]
    (feature,) = profile(write_csv(tmp_path, {"x": values})).features
    numbers = feature.numerical_statistics
    assert numbers is not None
    assert feature.inferred_type == "Fractional"
    assert (numbers.common.num_present, numbers.common.num_missing) == (8, 1)
    assert (numbers.sum, numbers.mean, numbers.min, numbers.max) == (40.5, 5.0625, 2.0, 9.5)
    assert numbers.std_dev == pytest.approx((241.25 / 8 - 5.0625**2) ** 0.5, abs=1e-12)


def test_many_values_are_cut_at_the_deciles(tmp_path: Path) -> None:
    (feature,) = profile(write_csv(tmp_path, {"x": list(range(100))})).features
    found = bounds(feature)
    assert len(found) == buckets.BUCKETS
    assert [count for *_, count in found] == [9, 10, 10, 10, 10, 10, 10, 10, 10, 11]
    assert [lower for lower, *_ in found] == sorted({lower for lower, *_ in found})
    assert (found[0][0], found[-1][1]) == (0, 99)


def test_few_values_have_a_bucket_each(tmp_path: Path) -> None:
    (feature,) = profile(write_csv(tmp_path, {"grade": [3, 1, 2, 2, 3, 3]})).features
    assert feature.inferred_type == "Integral"
    assert bounds(feature) == [(1, 1, 1), (2, 2, 2), (3, 3, 3)]


def test_a_constant_column_is_one_bucket(tmp_path: Path) -> None:
    (feature,) = profile(write_csv(tmp_path, {"x": [7.5] * 20})).features
    assert bounds(feature) == [(7.5, 7.5, 20)]


def test_a_column_that_is_nearly_always_zero_keeps_buckets_for_the_rest(tmp_path: Path) -> None:
    values: list[object] = [0] * 970 + list(range(1, 31))
    (feature,) = profile(write_csv(tmp_path, {"x": values})).features
    assert bounds(feature) == [(0, 1, 970), (1, 30, 30)]


def test_a_frequent_value_in_the_middle_and_at_the_end_has_its_own_bucket(tmp_path: Path) -> None:
    middle: list[object] = [*range(200), *([50] * 400), *range(200)]
    found = bounds(profile(write_csv(tmp_path / "middle", {"x": middle})).features[0])
    assert (50, 51, 402) in found
    assert sum(count for *_, count in found) == len(middle)
    end: list[object] = [*range(20), *([20] * 80)]
    found = bounds(profile(write_csv(tmp_path / "end", {"x": end})).features[0])
    assert found[-1] == (20, 20, 80)


def test_types_are_decided_by_all_values(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {
        "whole": [1, 2, 3],
        "late fraction": [1, 2, 3.5],
        "late text": [1, 2, "x"],
        "with gaps": ["NA", 2, "nan"],
        "flag": ["True", "false", "TRUE"],
        "nothing": ["", "NULL", "n/a"],
        "not finite": [1, "inf", "-inf"],
    }
    features = by_name(profile(write_csv(tmp_path, columns)))
    assert {name: feature.inferred_type for name, feature in features.items()} == {
        "whole": "Integral",
        "late fraction": "Fractional",
        "late text": "String",
        "with gaps": "Integral",
        "flag": "Integral",
        "nothing": "Unknown",
        "not finite": "Integral",
    }
    assert features["with gaps"].common.num_missing == 2
    assert features["not finite"].common.num_missing == 2
    assert (features["nothing"].common.num_present, features["nothing"].common.num_missing) == (0, 3)
    assert bounds(features["flag"]) == [(0, 0, 1), (1, 1, 2)]


def test_texts_are_listed_by_frequency(tmp_path: Path) -> None:
    values: list[object] = [*(["b"] * 3), *(["a"] * 3), "ü", "", *(f"rare {i:02d}" for i in range(30))]
    (feature,) = profile(write_csv(tmp_path, {"x": values})).features
    strings = feature.string_statistics
    assert strings is not None
    listed = [(bucket.value, bucket.count) for bucket in strings.distribution.categorical.buckets]
    assert listed[:3] == [("a", 3), ("b", 3), ("rare 00", 1)]
    assert len(listed) == buckets.CATEGORIES
    assert (strings.distinct_count, strings.common.num_present, strings.common.num_missing) == (33, 37, 1)


def test_names_are_kept_as_they_are(tmp_path: Path) -> None:
    names = ["Age", "age", 'a "quoted" name', "größe", "a,b", "select", "it's", "c0", " "]
    rows: dict[str, list[object]] = {name: [index, index + 1] for index, name in enumerate(names)}
    features = profile(write_csv(tmp_path, rows)).features
    assert [feature.name for feature in features] == names
    assert [feature.numerical_statistics.min for feature in features if feature.numerical_statistics] == list(range(9))


def test_csv_json_lines_and_parquet_give_the_same_bytes(tmp_path: Path) -> None:
    rows = [{"a/b": i * 0.1, "n~": i % 4, 'te"xt': None if i % 5 == 0 else f"v{i % 3}"} for i in range(200)]
    columns: dict[str, list[object]] = {name: [row[name] for row in rows] for name in rows[0]}
    write_csv(tmp_path / "csv", columns)
    (tmp_path / "jsonl").mkdir()
    lines = [json.dumps({k: v for k, v in row.items() if v is not None or i == 0}) for i, row in enumerate(rows)]
    (tmp_path / "jsonl" / "table.jsonl").write_text("\n".join(lines))
    (tmp_path / "parquet").mkdir()
    duckdb.sql(f"COPY (FROM read_csv('{tmp_path}/csv/table.csv')) TO '{tmp_path}/parquet/t.parquet'")
    found = {kind: dump(profile(tmp_path / kind)) for kind in ("csv", "jsonl", "parquet")}
    assert found["csv"] == found["jsonl"] == found["parquet"]


def test_the_bytes_do_not_depend_on_the_number_of_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values: list[object] = [((i * 7919) % 10007) / 7 - 300 for i in range(20_000)]
    write_csv(tmp_path, {"x": values, "s": [f"v{i % 50}" for i in range(20_000)]})
    monkeypatch.setattr(buckets, "SAMPLE", 500)
    one = profile(tmp_path)
    monkeypatch.setattr(engine, "MAX_THREADS", 1)
    assert dump(profile(tmp_path)) == dump(one)
    counts = [count for *_, count in bounds(one.features[0])]
    assert sum(counts) == 20_000
    assert max(counts) - min(counts) < 1500, "edges from a sample are still near the deciles"


def test_a_32_bit_float_is_the_number_that_a_request_would_carry(tmp_path: Path) -> None:
    duckdb.sql(f"COPY (SELECT 0.1::FLOAT AS x, true AS flag) TO '{tmp_path}/t.parquet'")
    features = profile(tmp_path).features
    assert bounds(features[0]) == [(0.1, 0.1, 1)]
    assert bounds(features[1]) == [(1, 1, 1)]


def test_a_table_in_several_files_below_odd_directories(tmp_path: Path) -> None:
    odd = tmp_path / "part=[1]" / "*"
    odd.mkdir(parents=True)
    write_csv(odd, {"x": [1, 2]}, "a.csv")
    write_csv(tmp_path, {"x": [3]}, "b.CSV")
    (tmp_path / "README.md").write_text("not a table")
    statistics = profile(tmp_path)
    assert statistics.dataset.item_count == 3
    assert [feature.name for feature in statistics.features] == ["x"]


def test_json_lines_whose_records_differ(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"b": 1, "a": {"deep": [1]}}\n{"z": 1, "b": 2, "c": 3}\n')
    features = by_name(profile(tmp_path))
    assert list(features) == ["b", "a", "c", "z"]
    assert features["z"].common.num_missing == 1
    assert features["a"].inferred_type == "String"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no table"),
        ({"notes.txt": "x"}, "no table"),
        ({"a.csv": "x\n1\n", "b.jsonl": "{}"}, r"several formats \(CSV, JSON Lines\)"),
        ({"a.csv": ""}, "is empty"),
        ({"a.csv": "x,y\n"}, "no rows"),
        ({"a.csv": "x,x\n1,2\n"}, "same name: 'x'"),
        ({"a.csv": "x,y\n1,2\n", "b.csv": "y,x\n1,2\n"}, "other columns"),
        ({"a.csv": "x,y\n1,2\n1,2,3\n"}, r"Line: 3.*Columns: 2 Found: 3 \(.*a.csv\)"),
        ({"a.csv": b"x\xff,y\n1,2\n"}, "not a CSV file in UTF-8"),
        ({"a.csv": b"x,y\n" + b"1,2\n" * 9000 + b"\xff,2\n"}, "cannot be read"),
        ({"a.jsonl": '{"x": 1}\n{"x": \n'}, "cannot be read"),
        ({"a.jsonl": "[1, 2]\n"}, "not a JSON object"),
        ({"a.jsonl": ""}, "no rows"),
        ({"a.parquet": "not parquet"}, "cannot be read"),
        ({"a.csv": "x\n1.7e308\n-1.7e308\n1.7e308\n"}, "column 'x'.*too large to be averaged"),
    ],
)
def test_what_cannot_be_profiled(tmp_path: Path, files: dict[str, str | bytes], message: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError, match=message):
        profile(tmp_path)


def test_the_constraints_are_those_that_the_table_keeps(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {
        "positive": [0, 1.5, 2, ""],
        "signed": [-1, 1, 2, 3],
        "colour": ["red", "green", "red", ""],
        "free text": ["a", "b", "c", "d"],
        "nothing": ["", "", "", ""],
    }
    constraints = json.loads(dump(suggest(profile(write_csv(tmp_path, columns)))))
    found = {feature.pop("name"): feature for feature in constraints["features"]}
    assert found["positive"] == {
        "inferred_type": "Fractional",
        "completeness": 0.75,
        "num_constraints": {"is_non_negative": True},
    }
    assert found["signed"]["num_constraints"] == {"is_non_negative": False}
    assert found["colour"]["string_constraints"] == {"domains": ["green", "red"]}
    assert found["nothing"] == {"inferred_type": "Unknown", "completeness": 0.0}
    assert constraints["monitoring_config"]["distribution_constraints"]["comparison_threshold"] == 0.1


def test_many_different_texts_are_no_domain(tmp_path: Path) -> None:
    constraints = suggest(profile(write_csv(tmp_path, {"id": [f"i{i}" for i in range(buckets.CATEGORIES + 1)]})))
    assert constraints.features[0].string_constraints is None


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {"x": list(range(50)), "s": ["ü"] * 50, "c": [1] * 50, "u": [""] * 50}
    statistics = profile(write_csv(tmp_path, columns))
    assert load_statistics(dump(statistics), "statistics.json") == statistics


def test_a_quote_that_is_never_closed_is_found_in_one_of_many_files(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number:02}.csv").write_text("x\n1\n2\n" if number != 7 else 'x\n1\n"2\n')
    with pytest.raises(UsageError, match=r"unterminated quote.*07\.csv"):
        profile(tmp_path)
