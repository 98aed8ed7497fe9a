"""A report -> CloudWatch metrics, in as few requests as the service allows.

================  ============================  =========================================================
metric            dimensions                    value, at
================  ============================  =========================================================
Psi               Environment, Model, Feature   the feature's PSI, at the start of its window
PsiMax            Environment, Model            the largest PSI of the features, at the start of its window
Rows              Environment, Model            rows in the window, at its start
MalformedPercent  Environment, Model            share of the window's rows that could not be read, 0 to 100
Heartbeat         Environment, Model            1, now: also when there was no traffic, and last of all, so
                                                that it says that everything before it arrived
================  ============================  =========================================================

Windows that were not judged have no PSI. A window that is measured again is published again: read these metrics
with the statistic ``Maximum``. Limits: CloudWatch API reference, PutMetricData and Dimension.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from mlops_kit.drift.report import DriftReport
from mlops_kit.naming import DRIFT_NAMESPACE

if TYPE_CHECKING:
    from types_boto3_cloudwatch.literals import StandardUnitType
    from types_boto3_cloudwatch.type_defs import MetricDatumTypeDef

MAX_METRICS = 1000
"""Per request."""
MAX_BYTES = 900_000
"""Per request, by a generous estimate; the service takes 1 MB."""
MAX_AGE = timedelta(days=14)
"""CloudWatch refuses older timestamps."""
MAX_DIMENSION = 1024

_UNITS: dict[str, StandardUnitType] = {"Rows": "Count", "MalformedPercent": "Percent"}
_PRINTABLE = " !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
_METRIC_BYTES = 400
"""What a metric takes beside its dimensions' values."""


class MetricSink(Protocol):
    """The part of a boto3 CloudWatch client that is needed."""

    def put_metric_data(self, *, Namespace: str, MetricData: list[MetricDatumTypeDef]) -> object: ...  # noqa: N803


def publish(report: DriftReport, cloudwatch: MetricSink, *, now: datetime) -> int:
    """Send the report; returns how many metrics were sent."""
    sent = 0
    for batch in batches(metric_data(report, now=now)):
        cloudwatch.put_metric_data(Namespace=DRIFT_NAMESPACE, MetricData=batch)
        sent += len(batch)
    return sent


def metric_data(report: DriftReport, *, now: datetime) -> Iterator[MetricDatumTypeDef]:
    """The report's metrics; windows that are too old for CloudWatch are left out."""
    model = {"Environment": report.environment, "Model": report.model}
    for window in report.windows:
        if window.start <= now - MAX_AGE:
            continue
        for drift in window.features:
            yield _datum("Psi", drift.psi, window.start, {**model, "Feature": dimension_value(drift.feature)})
        if window.worst is not None:
            yield _datum("PsiMax", window.worst.psi, window.start, model)
        yield _datum("Rows", window.rows, window.start, model)
        if received := window.rows + window.malformed:
            yield _datum("MalformedPercent", 100 * window.malformed / received, window.start, model)
    yield _datum("Heartbeat", 1, now, model)


def dimension_value(name: str) -> str:
    """A feature's name as CloudWatch takes it: printable ASCII, 1 to 1024 characters.

    Everything else, and ``%`` itself, is percent-encoded as UTF-8, so that different names stay different; only what is
    longer than CloudWatch allows is cut.
    """
    encoded = quote(name, safe=_PRINTABLE)
    if not encoded.strip():
        encoded = encoded.replace(" ", "%20") or "%"
    return encoded[:MAX_DIMENSION]


def batches(data: Iterable[MetricDatumTypeDef]) -> Iterator[list[MetricDatumTypeDef]]:
    """Split into requests within the limits, in order."""
    batch: list[MetricDatumTypeDef] = []
    size = 0
    for datum in data:
        bytes_ = _METRIC_BYTES + sum(len(quote(dimension["Value"])) for dimension in datum.get("Dimensions", ()))
        if batch and (len(batch) == MAX_METRICS or size + bytes_ > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(datum)
        size += bytes_
    if batch:
        yield batch


def _datum(name: str, value: float, at: datetime, dimensions: dict[str, str]) -> MetricDatumTypeDef:
    return {
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": text} for key, text in dimensions.items()],
        "Timestamp": at,
        "Value": float(value),
        "Unit": _UNITS.get(name, "None"),
    }
