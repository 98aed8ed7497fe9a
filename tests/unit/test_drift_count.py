"""Captured lines -> rows per window, feature and cell, through DuckDB; no line may end the run."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlops_kit.drift.cells import Cells
from mlops_kit.drift.count import Counts, count
from mlops_kit.tabular.engine import session

TEN = datetime(2026, 11, 20, 10, tzinfo=UTC)
SIZE = Cells("size", True, (1.0, 2.0), (), (1, 1, 1, 0))
FLAG = Cells("fl\"ag'", True, None, (0.0, 1.0), (1, 1, 0, 0))
NAME = Cells("größe", False, None, ("red", 'a, "b"', "o'clock"), (1, 1, 1, 0, 0))
NONE = Cells("nothing", False, None, (), (0, 3))


def line(data: Any, *, time: str = "2026-11-20T10:00:00Z", encoding: str = "CSV", kind: str = "text/csv") -> str:
    if encoding == "BASE64":
        data = base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()
    return json.dumps(
        {
            "captureData": {
                "endpointInput": {
                    "observedContentType": kind,
                    "mode": "INPUT",
                    "data": data if isinstance(data, str) else json.dumps(data),
                    "encoding": encoding,
                },
                "endpointOutput": {"observedContentType": "text/csv", "mode": "OUTPUT", "data": "1", "encoding": "CSV"},
            },
            "eventMetadata": {"eventId": "4fd1", "inferenceTime": time},
            "eventVersion": "0",
        }
    )


def counted(
    tmp_path: Path,
    lines: list[str | bytes],
    cells: list[Cells],
    *,
    minutes: int = 60,
    since: datetime = datetime(2026, 11, 20, tzinfo=UTC),
    until: datetime = datetime(2026, 11, 21, tzinfo=UTC),
) -> Counts:
    file = tmp_path / "captured [1] *.jsonl"
    file.write_bytes(b"".join((one if isinstance(one, bytes) else one.encode()) + b"\n" for one in lines))
    with session() as connection:
        return count(connection, [file], cells, window_minutes=minutes, since=since, until=until)


def test_no_files_no_windows() -> None:
    with session() as connection:
        counts = count(connection, [], [SIZE], window_minutes=60, since=TEN, until=TEN)
    assert counts == Counts({}, 0)


def test_empty_files_no_windows(tmp_path: Path) -> None:
    assert counted(tmp_path, [], [SIZE]) == Counts({}, 0)


def test_a_value_on_an_edge_belongs_to_the_cell_above_it(tmp_path: Path) -> None:
    values = ["-1e300", "0.999", "1", "1.999", "2.0", "1e300", "inf", "-inf", "NaN", "", "NULL", "?", "two"]
    counts = counted(tmp_path, [line(f"{value},0\n") for value in values], [SIZE, FLAG])
    (window,) = counts.windows.values()
    assert window.features[0] == [2, 2, 2, 7], "two below, two between, two above, seven missing"
    assert window.not_numeric == [1, 0]
    assert (window.rows, window.malformed) == (13, 0)


def test_points_and_every_other_number(tmp_path: Path) -> None:
    counts = counted(tmp_path, [line("0\n1\n1.0\ntrue\nFalse\n2\n0.5\n-1")], [FLAG])
    assert counts.windows[TEN].features == [[2, 3, 3, 0]]


def test_categories_and_every_other_text(tmp_path: Path) -> None:
    rows = ["0,red", '0,"red"', '0,"a, ""b"""', "0,o'clock", "0,Red", "0,rot", "0,", '0,""', '"0","x\ny"']
    counts = counted(tmp_path, [line("\r\n".join(rows) + "\r\n")], [FLAG, NAME])
    assert counts.windows[TEN].features[1] == [2, 1, 1, 3, 2]
    assert counts.windows[TEN].features[0] == [9, 0, 0, 0]


def test_a_feature_that_had_no_value_in_the_baseline(tmp_path: Path) -> None:
    counts = counted(tmp_path, [line("0,\n0,x\n0,1\n")], [FLAG, NONE])
    assert counts.windows[TEN].features[1] == [2, 1]


def test_requests_of_many_rows_in_every_encoding(tmp_path: Path) -> None:
    json_type = "application/json; charset=utf-8"
    lines = [
        line("0.5,red\n1.5,red\n"),
        line("0.5,red", encoding="BASE64"),
        line([[0.5, "red"], [2, None]], encoding="JSON", kind=json_type),
        line({"instances": [[0.5, "red"], [1.5, "x"]]}, encoding="JSON", kind=json_type),
        line([0.5, "red"], encoding="JSON", kind=json_type),
        line(json.dumps({"instances": [[0.5, "o'clock"]]}), encoding="BASE64", kind=json_type),
    ]
    counts = counted(tmp_path, lines, [SIZE, NAME])
    window = counts.windows[TEN]
    assert (window.rows, window.malformed) == (9, 0)
    assert window.features == [[6, 2, 1, 0], [6, 0, 1, 1, 1]]


@pytest.mark.parametrize(
    "broken",
    [
        line("1"),
        line("1,2,3"),
        line(""),
        line("\n\n"),
        line('0.5,"red'),
        line('0.5,red\n0.5,"red\n0.5,red'),
        line('0.5,a 5" pipe or a 6" pipe, as you like'),
        line(b"\xff\xfe,1", encoding="BASE64"),
        line("1,red", encoding="BASE64").replace("MSxyZWQ=", "MSxyZWQ"),
        line("not json", encoding="JSON"),
        line({"a": 0.5, "b": "red"}, encoding="JSON"),
        line({"instances": {"a": 1}}, encoding="JSON"),
        line({"instances": []}, encoding="JSON"),
        line([[0.5]], encoding="JSON"),
        line([[0.5, "red"], 7], encoding="JSON").replace('[0.5, \\"red\\"], ', ""),
        line([], encoding="JSON"),
        line("null", encoding="JSON"),
        line("3", encoding="JSON"),
    ],
)
def test_rows_that_do_not_fit_are_malformed(tmp_path: Path, broken: str) -> None:
    counts = counted(tmp_path, [broken, line("0.5,red")], [SIZE, NAME])
    window = counts.windows[TEN]
    assert window.rows == 1
    assert window.malformed >= 1
    assert window.features == [[1, 0, 0, 0], [1, 0, 0, 0, 0]]
    assert counts.unreadable == 0


@pytest.mark.parametrize(
    "broken",
    [
        "{",
        "not json",
        "[]",
        '"text"',
        "7",
        b"\xff\xfe\x00",
        '{"captureData": {}}',
        line("0.5,red").replace("endpointInput", "endpointHeaders"),
        line("0.5,red\n0.5,red", time=""),
        line("0.5,red", time="yesterday"),
        line("0.5,red", time="infinity"),
        line("0.5,red").replace("inferenceTime", "time"),
    ],
)
def test_lines_that_are_no_record_are_counted_and_left(tmp_path: Path, broken: str | bytes) -> None:
    counts = counted(tmp_path, [line("0.5,red"), broken, line("0.5,red")], [SIZE, NAME])
    assert counts.unreadable == 1
    assert {start: window.rows for start, window in counts.windows.items()} == {TEN: 2}


def test_windows_are_aligned_and_the_range_is_half_open(tmp_path: Path) -> None:
    times = ["09:59:59Z", "10:00:00Z", "10:14:59.999Z", "10:15:00Z", "11:29:59+01:00", "10:59:59", "11:00:00Z"]
    lines = [line("0.5", time=f"2026-11-20T{time}") for time in times]
    until = datetime(2026, 11, 20, 11, tzinfo=UTC)
    counts = counted(tmp_path, lines, [SIZE], minutes=15, since=TEN, until=until)
    found = {f"{start:%H:%M}": window.rows for start, window in counts.windows.items()}
    assert found == {"10:00": 2, "10:15": 2, "10:45": 1}
    assert list(counts.windows) == sorted(counts.windows)


def test_many_features_and_windows_in_one_scan(tmp_path: Path) -> None:
    cells = [SIZE, FLAG, NAME] * 100
    row = ",".join(["1.5", "1", "red"] * 100)
    lines = [line(f"{row}\n{row}", time=f"2026-11-20T{hour:02d}:30:00Z") for hour in range(24)]
    counts = counted(tmp_path, lines, cells)
    assert len(counts.windows) == 24
    for window in counts.windows.values():
        assert window.rows == 2
        assert window.features == [[0, 2, 0, 0], [0, 2, 0, 0], [2, 0, 0, 0, 0]] * 100
