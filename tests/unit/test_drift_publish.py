"""Reports -> PutMetricData: which metrics, within which limits, in which order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from mlops_kit.drift import publish as publishing
from mlops_kit.drift.publish import batches, dimension_value, metric_data, publish
from mlops_kit.drift.report import DriftReport, FeatureDrift, WindowDrift
from mlops_kit.naming import DRIFT_NAMESPACE

NOW = datetime(2026, 11, 20, 12, 34, tzinfo=UTC)
TEN = datetime(2026, 11, 20, 10, tzinfo=UTC)
ENVIRONMENT = {"Name": "Environment", "Value": "dev"}
MODEL = {"Name": "Model", "Value": "diagnosis"}


def report(*windows: WindowDrift) -> DriftReport:
    return DriftReport(
        environment="dev",
        model="diagnosis",
        threshold=0.25,
        window=timedelta(hours=1),
        minimum_rows=50,
        windows=windows,
        unreadable=0,
        breached=any(window.breached for window in windows),
    )


def window(start: datetime, **features: float) -> WindowDrift:
    drifts = sorted((FeatureDrift(name, value, 0, 0) for name, value in features.items()), key=lambda d: -d.psi)
    return WindowDrift(start, 200, 0, tuple(drifts), breached=any(value > 0.25 for value in features.values()))


def data(found: DriftReport) -> list[tuple[str, float, datetime, str | None]]:
    return [
        (
            datum["MetricName"],
            datum["Value"],
            datum["Timestamp"],
            next((d["Value"] for d in datum["Dimensions"] if d["Name"] == "Feature"), None),
        )
        for datum in metric_data(found, now=NOW)
    ]


def test_every_feature_the_worst_the_rows_and_last_the_heartbeat() -> None:
    assert data(report(window(TEN, radius=0.4, texture=0.1))) == [
        ("Psi", 0.4, TEN, "radius"),
        ("Psi", 0.1, TEN, "texture"),
        ("PsiMax", 0.4, TEN, None),
        ("Rows", 200, TEN, None),
        ("MalformedPercent", 0, TEN, None),
        ("Heartbeat", 1, NOW, None),
    ]


def test_a_window_that_was_not_judged_has_no_psi() -> None:
    few = WindowDrift(TEN, 3, 1, (), breached=False)
    assert data(report(few)) == [
        ("Rows", 3, TEN, None),
        ("MalformedPercent", 25, TEN, None),
        ("Heartbeat", 1, NOW, None),
    ]


def test_rows_that_are_all_malformed_are_a_hundred_percent() -> None:
    wrong = WindowDrift(TEN, 0, 7, (), breached=False)
    assert ("MalformedPercent", 100, TEN, None) in data(report(wrong))


def test_a_run_without_traffic_still_has_a_heartbeat() -> None:
    assert data(report()) == [("Heartbeat", 1, NOW, None)]


def test_windows_that_cloudwatch_would_refuse_are_left_out() -> None:
    old, young = NOW - timedelta(days=14), NOW - timedelta(days=14) + timedelta(minutes=1)
    assert [at for name, _, at, _ in data(report(window(old, x=0.1), window(young, x=0.1))) if name == "Psi"] == [young]


def test_what_boto3_is_given_is_what_the_service_takes() -> None:
    cloudwatch = boto3.client("cloudwatch", region_name="us-east-1")
    with Stubber(cloudwatch) as stub:
        stub.add_response("put_metric_data", {}, {"Namespace": DRIFT_NAMESPACE, "MetricData": ANY})
        sent = publish(report(window(TEN, größe=0.1)), cloudwatch, now=NOW)
        stub.assert_no_pending_responses()
    assert sent == 5


def test_dimensions_are_those_that_the_alarms_are_made_of() -> None:
    found = list(metric_data(report(window(TEN, radius=0.4)), now=NOW))
    dimensions = {datum["MetricName"]: datum["Dimensions"] for datum in found}
    assert dimensions == {
        "Psi": [ENVIRONMENT, MODEL, {"Name": "Feature", "Value": "radius"}],
        "PsiMax": [ENVIRONMENT, MODEL],
        "Rows": [ENVIRONMENT, MODEL],
        "MalformedPercent": [ENVIRONMENT, MODEL],
        "Heartbeat": [ENVIRONMENT, MODEL],
    }


class Sink:
    def __init__(self, fail_at: int = -1) -> None:
        self.requests: list[list[Any]] = []
        self.fail_at = fail_at

    def put_metric_data(self, *, Namespace: str, MetricData: list[Any]) -> object:  # noqa: N803
        if len(self.requests) == self.fail_at:
            raise RuntimeError("throttled")
        self.requests.append(MetricData)
        return {}


def test_a_thousand_metrics_a_request() -> None:
    sink = Sink()
    features = {f"f{i}": i / 1000 for i in range(450)}
    sent = publish(report(*(window(TEN + timedelta(hours=h), **features) for h in range(5))), sink, now=NOW)
    assert [len(request) for request in sink.requests] == [1000, 1000, 266]
    assert sent == 5 * 453 + 1
    assert sink.requests[-1][-1]["MetricName"] == "Heartbeat"


def test_a_megabyte_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    datum: Any = {"MetricName": "Psi", "Dimensions": [{"Name": "Feature", "Value": "x" * 1000}]}
    found = list(batches([datum] * 1000))
    assert [len(batch) for batch in found] == [642, 358]
    monkeypatch.setattr(publishing, "MAX_BYTES", 10)
    assert [len(batch) for batch in batches([datum] * 3)] == [1, 1, 1], "one that is too large still goes alone"


def test_no_heartbeat_after_a_failure() -> None:
    sink = Sink(fail_at=1)
    features = {f"f{i}": 0.1 for i in range(1500)}
    with pytest.raises(RuntimeError):
        publish(report(window(TEN, **features)), sink, now=NOW)
    assert all(datum["MetricName"] == "Psi" for datum in sink.requests[0])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mean radius", "mean radius"),
        ("worst concave points (%)", "worst concave points (%25)"),
        ("größe", "gr%C3%B6%C3%9Fe"),
        ("a\tb\n", "a%09b%0A"),
        (" ", "%20"),
        ("", "%"),
        (":x/\"'", ":x/\"'"),
    ],
)
def test_names_become_printable_ascii(name: str, value: str) -> None:
    assert dimension_value(name) == value


def test_names_that_are_too_long_are_cut() -> None:
    assert len(dimension_value("ü" * 1000)) == 1024
