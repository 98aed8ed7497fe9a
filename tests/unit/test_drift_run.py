"""From training data and captured traffic to a report, on real data, without AWS."""

from __future__ import annotations

import builtins
import csv
import json
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_breast_cancer

from mlops_kit.config import Drift, load_project
from mlops_kit.drift.baseline import CONSTRAINTS, STATISTICS, into, record_baseline
from mlops_kit.drift.report import DriftReport
from mlops_kit.drift.run import DriftRequest, measure, run_drift
from mlops_kit.drift.statistics import Statistics, load_statistics
from mlops_kit.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 20, 12, 20, tzinfo=UTC)
LABEL = "malignant"
PREFIX = "acme-dev-diagnosis/main/"
Rows = list[list[float]]


@pytest.fixture(scope="module")
def measurements() -> Rows:
    """The Wisconsin breast cancer data, 569 rows of 30 measurements, shuffled."""
    rows: Rows = load_breast_cancer().data.tolist()
    random.Random(7).shuffle(rows)  # noqa: S311  # the same order every time
    return rows


@pytest.fixture(scope="module")
def statistics(measurements: Rows, tmp_path_factory: pytest.TempPathFactory) -> Statistics:
    directory = tmp_path_factory.mktemp("training")
    names = load_breast_cancer().feature_names.tolist()
    with (directory / "biopsies.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([LABEL, *names])
        writer.writerows([index % 2, *row] for index, row in enumerate(measurements))
    return record_baseline(directory, LABEL, into(directory / "baseline"))


class Captured:
    """A capture bucket in memory: each call of :meth:`add` is a request."""

    def __init__(self) -> None:
        self.objects: dict[str, str] = {}

    def add(self, rows: Sequence[Sequence[Any]], time: datetime) -> None:
        data = "".join(",".join(map(str, row)) + "\n" for row in rows)
        record = {
            "captureData": {"endpointInput": {"observedContentType": "text/csv", "data": data, "encoding": "CSV"}},
            "eventMetadata": {"eventId": "1", "inferenceTime": f"{time:%Y-%m-%dT%H:%M:%SZ}"},
        }
        key = f"{PREFIX}{time:%Y/%m/%d/%H}/{len(self.objects):04d}.jsonl"
        self.objects[key] = json.dumps(record) + "\n"

    def keys(self, prefix: str) -> Iterator[str]:
        yield from sorted(key for key in self.objects if key.startswith(prefix))

    def download(self, key: str, path: Path) -> object:
        return path.write_text(self.objects[key])


class Metrics:
    def __init__(self) -> None:
        self.sent: list[Any] = []

    def put_metric_data(self, *, Namespace: str, MetricData: list[Any]) -> object:  # noqa: N803
        self.sent += MetricData
        return {}

    def value(self, name: str) -> list[float]:
        return [datum["Value"] for datum in self.sent if datum["MetricName"] == name]


def request(hours: int = 3, **settings: Any) -> DriftRequest:
    drift = Drift(**{"psi_threshold": 0.25, "minimum_rows": 100, **settings})
    return DriftRequest("dev", "diagnosis", LABEL, drift, NOW - timedelta(hours=hours), NOW)


def run(captured: Captured, statistics: Statistics, **settings: Any) -> tuple[DriftReport, Metrics]:
    metrics = Metrics()
    return run_drift(request(**settings), statistics, captured, PREFIX, metrics, now=NOW), metrics


def test_traffic_like_the_training_data_does_not_breach(measurements: Rows, statistics: Statistics) -> None:
    captured = Captured()
    for index in range(0, 200, 5):
        captured.add(measurements[index : index + 5], NOW - timedelta(minutes=index / 10))
    report, metrics = run(captured, statistics)
    (window,) = report.windows
    assert (window.rows, window.malformed) == (200, 0)
    assert len(window.features) == 30
    assert all(0 <= drift.psi < 0.25 for drift in window.features)
    assert not report.breached
    assert metrics.value("PsiMax") == [window.features[0].psi]
    assert metrics.value("Heartbeat") == [1]


def test_shifted_traffic_breaches_in_the_features_that_shifted(measurements: Rows, statistics: Statistics) -> None:
    captured = Captured()
    shifted = [[value * 1.6 if index < 3 else value for index, value in enumerate(row)] for row in measurements[:200]]
    captured.add(shifted, NOW)
    report, metrics = run(captured, statistics)
    drifts = report.windows[0].features
    assert {drift.feature for drift in drifts[:3]} == {"mean radius", "mean texture", "mean perimeter"}
    assert all(drift.psi > 1 for drift in drifts[:3])
    assert all(drift.psi < 0.25 for drift in drifts[3:])
    assert report.breached
    assert report.worst == drifts[0]
    assert [drift.psi for drift in drifts] == sorted((drift.psi for drift in drifts), reverse=True)
    assert len(metrics.value("Psi")) == 30


def test_the_threshold_itself_breaches_as_it_does_for_the_alarm(measurements: Rows, statistics: Statistics) -> None:
    captured = Captured()
    captured.add(measurements[:100], NOW)
    worst = run(captured, statistics)[0].worst
    assert worst is not None
    assert run(captured, statistics, psi_threshold=worst.psi)[0].breached
    assert not run(captured, statistics, psi_threshold=worst.psi * 1.000001)[0].breached


def test_values_that_go_missing_are_drift(measurements: Rows, statistics: Statistics) -> None:
    captured = Captured()
    captured.add([["" if i % 2 else "n/k", *row[1:]] for i, row in enumerate(measurements[:200])], NOW)
    report, _ = run(captured, statistics)
    worst = report.worst
    assert worst is not None
    assert (worst.feature, worst.missing, worst.not_numeric) == ("mean radius", 200, 100)
    assert worst.psi > 5


def test_a_window_with_few_rows_is_reported_and_not_judged(measurements: Rows, statistics: Statistics) -> None:
    captured = Captured()
    captured.add([[value * 10 for value in row] for row in measurements[:99]], NOW)
    captured.add([[1, 2, 3]], NOW)
    report, metrics = run(captured, statistics)
    assert [(w.rows, w.malformed, w.features, w.breached) for w in report.windows] == [(99, 1, (), False)]
    assert report.judged == ()
    assert report.worst is None
    assert not report.breached
    assert [datum["MetricName"] for datum in metrics.sent] == ["Rows", "MalformedPercent", "Heartbeat"]


def test_no_traffic(statistics: Statistics) -> None:
    report, metrics = run(Captured(), statistics)
    assert report.windows == ()
    assert not report.breached
    assert [datum["MetricName"] for datum in metrics.sent] == ["Heartbeat"]


def test_windows_are_whole_and_the_open_one_is_measured(measurements: Rows, statistics: Statistics) -> None:
    captured = Captured()
    for minutes in (0, 21, 81, 139, 141, 201):
        captured.add(measurements[:100], NOW - timedelta(minutes=minutes))
    report, _ = run(captured, statistics, hours=2)
    assert [(f"{window.start:%H:%M}", window.rows) for window in report.windows] == [
        ("10:00", 200),
        ("11:00", 100),
        ("12:00", 100),
    ]


@pytest.mark.parametrize("minutes", [5, 10, 15, 30, 60])
def test_a_request_covers_whole_windows(minutes: int) -> None:
    asked = request(window_minutes=minutes)
    for edge in (asked.first, asked.end):
        assert edge.timestamp() % (minutes * 60) == 0
    assert asked.first <= asked.since < asked.first + timedelta(minutes=minutes)
    assert asked.end - timedelta(minutes=minutes) < asked.until <= asked.end


def test_the_report_as_json(measurements: Rows, statistics: Statistics) -> None:
    captured = Captured()
    captured.add(measurements[:100], NOW)
    report, _ = run(captured, statistics, minimum_rows=1)
    record = json.loads(json.dumps(report.as_record()))
    assert record["windows"][0]["start"] == "2026-11-20T12:00:00+00:00"
    assert record["windows"][0]["features"][0] == record["worst"]
    assert (record["rows"], record["malformed"], record["unreadable"]) == (100, 0, 0)


def test_a_request_for_a_model_of_the_project() -> None:
    project = load_project(ROOT)
    environment = project.first_stage
    asked = DriftRequest.latest(environment, project.models_in(environment)[0], hours=24, now=NOW)
    assert (asked.environment, asked.label, asked.until - asked.since) == (
        environment.name,
        project.models_in(environment)[0].label,
        timedelta(hours=24),
    )


def test_a_range_that_ends_before_it_starts(statistics: Statistics) -> None:
    with pytest.raises(UsageError, match="before it starts"):
        measure(DriftRequest("dev", "m", LABEL, Drift(), NOW, NOW), statistics, [])


def test_a_baseline_is_two_files(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("y,x\n1,2\n0,3\n")
    written: dict[str, bytes] = {}
    statistics = record_baseline(tmp_path, "y", written.__setitem__)
    assert sorted(written) == [CONSTRAINTS, STATISTICS]
    assert load_statistics(written[STATISTICS], STATISTICS) == statistics
    assert [feature["name"] for feature in json.loads(written[CONSTRAINTS])["features"]] == ["y", "x"]


@pytest.mark.parametrize(
    ("header", "message"), [("x,z\n1,2\n", "no column 'y'.*model file"), ("y\n1\n", "no column beside the label")]
)
def test_a_baseline_needs_the_label_and_a_feature(tmp_path: Path, header: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(header)
    written: dict[str, bytes] = {}
    with pytest.raises(UsageError, match=message):
        record_baseline(tmp_path, "y", written.__setitem__)
    assert not written


def test_without_duckdb_the_message_says_what_to_install(
    statistics: Statistics, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def missing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "duckdb":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(UsageError, match="not installed") as caught:
        measure(request(), statistics, [])
    assert caught.value.hint == "pip install 'mlops-kit[data]'"
