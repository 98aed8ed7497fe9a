"""Mends: CloudWatch metric data.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
every query walks over every datapoint,     an index by namespace, name and dimensions
once for each period
GetMetricData starts periods at the start   periods are aligned to the clock, as on AWS; dimensions and namespace have
time, mixes up metrics of other dimensions  to match exactly; percentiles; expressions of :mod:`metric_math`
or namespaces, has no percentiles
GetMetricStatistics has no percentiles      ExtendedStatistics, likewise
datapoints are kept for ever                15 days
==========================================  ===========================================================================
"""

from __future__ import annotations

import bisect
import math
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch.exceptions import ValidationError
from moto.cloudwatch.models import CloudWatchBackend, MetricAggregatedDatum, MetricDatum
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from mlops_kit.local.overlay import guard, metric_math
from mlops_kit.local.overlay.alarm_evaluation import Sample, statistic

Key = tuple[str, str, frozenset[tuple[str, str]]]
RETENTION = timedelta(days=15)
STORE = "mlops_kit_store"


class MetricStore(list[Any]):
    """moto's list of datapoints, which also knows where those of one metric are."""

    def __init__(self) -> None:
        super().__init__()
        self._series: dict[Key, list[tuple[float, Sample]]] = defaultdict(list)
        self._listed: set[Key] = set()
        self._lock = threading.Lock()

    def append(self, datum: Any) -> None:
        key = (datum.namespace, datum.name, frozenset((d.name, d.value) for d in datum.dimensions))
        moment = _epoch(datum.timestamp)
        with self._lock:
            series = self._series[key]
            bisect.insort(series, (moment, _sample(datum)), key=lambda entry: entry[0])
            oldest = moment - RETENTION.total_seconds()
            if series[0][0] < oldest:
                del series[: bisect.bisect_left(series, oldest, key=lambda entry: entry[0])]
            if key not in self._listed:
                self._listed.add(key)
                super().append(datum)  # ListMetrics needs one of each; more would only make it slow

    def between(self, key: Key, start: float, end: float) -> list[tuple[float, Sample]]:
        """The metric's samples with ``start <= time < end``, in order."""
        with self._lock:
            series = self._series.get(key, [])
            low = bisect.bisect_left(series, start, key=lambda entry: entry[0])
            high = bisect.bisect_left(series, end, key=lambda entry: entry[0])
            return series[low:high]


def install() -> None:
    construct = guard.original(CloudWatchBackend, "__init__", "self", "region_name", "account_id")
    guard.original(CloudWatchBackend, "get_metric_data", "self", "queries", "start_time", "end_time", "scan_by")
    guard.original(CloudWatchResponse, "get_metric_statistics", "self")

    def initialize(self: Any, region_name: str, account_id: str) -> None:
        construct(self, region_name, account_id)
        guard.require_attributes(self, "metric_data", "alarms")
        self.metric_data = MetricStore()

    def get_metric_data(
        self: Any,
        queries: list[dict[str, Any]],
        start_time: datetime,
        end_time: datetime,
        scan_by: str = "TimestampDescending",
    ) -> list[dict[str, Any]]:
        start, end = _epoch(start_time), _epoch(end_time)
        if start >= end:
            raise ValidationError("The parameter EndTime must be greater than StartTime.")
        store, results = self.metric_data, []
        period = _common_period(queries)
        times = _periods(start, end, period)
        try:
            series = query_series(store, queries, times, period)
        except ValueError as exc:
            raise ValidationError(str(exc)) from exc
        for query in queries:
            if not query.get("ReturnData", True):
                continue
            points = [(t, v) for t, v in zip(times, series[query["Id"]], strict=True) if v is not None]
            if scan_by != "TimestampAscending":
                points.reverse()
            results.append(
                {
                    "id": query["Id"],
                    "label": query.get("Label") or _label(query),
                    "values": [value for _, value in points],
                    "timestamps": [_moment(t) for t, _ in points],
                    "status_code": "Complete",
                }
            )
        return results

    def get_metric_statistics(self: Any) -> Any:
        store = self.cloudwatch_backend.metric_data
        period = int(self._get_param("Period"))
        key = key_of(self._get_param("Namespace"), self._get_param("MetricName"), self._get_param("Dimensions") or [])
        start, end = _epoch(self._get_param("StartTime")), _epoch(self._get_param("EndTime"))
        simple, extended = self._get_param("Statistics") or [], self._get_param("ExtendedStatistics") or []
        points = []
        for time in _periods(start, end, period):
            samples = [s for _, s in store.between(key, max(time, start), min(time + period, end))]
            if samples:
                point: dict[str, Any] = {"Timestamp": _moment(time), "Unit": self._get_param("Unit") or "None"}
                point.update({name: statistic(name, samples) for name in simple})
                if extended:
                    point["ExtendedStatistics"] = {name: statistic(name, samples) for name in extended}
                points.append(point)
        return ActionResult({"Label": self._get_param("MetricName"), "Datapoints": points})

    guard.replace(CloudWatchBackend, "__init__", initialize)
    guard.replace(CloudWatchBackend, "get_metric_data", get_metric_data)
    guard.replace(CloudWatchResponse, "get_metric_statistics", get_metric_statistics)


def key_of(namespace: Any, name: Any, dimensions: Iterable[Any]) -> Key:
    """The identity of a metric; ``dimensions`` as the API has them, or as moto's objects."""
    pairs = ((d["Name"], d["Value"]) if isinstance(d, dict) else (d.name, d.value) for d in dimensions)
    return str(namespace), str(name), frozenset((str(n), str(v)) for n, v in pairs)


def query_series(
    store: MetricStore, queries: Sequence[Mapping[str, Any]], times: Sequence[float], period: float
) -> dict[str, list[float | None]]:
    """One value per query and period; the periods begin at ``times``.

    Raises:
        ValueError: a statistic or an expression that is not supported.
        ValidationError: an expression over ids that are not there, or in a circle.
    """
    series: dict[str, list[float | None]] = {}
    waiting = []
    for query in queries:
        if "MetricStat" not in query:
            waiting.append((query["Id"], metric_math.parse(str(query["Expression"]))))
            continue
        stat = query["MetricStat"]
        metric = stat["Metric"]
        key = key_of(metric.get("Namespace"), metric.get("MetricName"), metric.get("Dimensions") or [])
        series[query["Id"]] = [
            statistic(stat["Stat"], [s for _, s in store.between(key, time, time + period)]) for time in times
        ]
    while waiting:
        ready = [(name, tree) for name, tree in waiting if metric_math.names(tree) <= series.keys()]
        if not ready:
            raise ValidationError(f"Error in expression {waiting[0][0]!r}: unknown or circular identifiers.")
        for name, tree in ready:
            series[name] = [
                metric_math.evaluate(tree, {other: values[i] for other, values in series.items()})
                for i in range(len(times))
            ]
            waiting.remove((name, tree))
    return series


def _common_period(queries: Sequence[Mapping[str, Any]]) -> int:
    periods = [int(q["MetricStat"]["Period"]) for q in queries if "MetricStat" in q]
    periods += [int(q["Period"]) for q in queries if q.get("Period")]
    return max(periods, default=60)


def _periods(start: float, end: float, period: float) -> list[float]:
    first = math.floor(start / period) * period
    return [first + i * period for i in range(max(0, math.ceil((end - first) / period)))]


def _label(query: Mapping[str, Any]) -> str:
    return str(query["MetricStat"]["Metric"]["MetricName"]) if "MetricStat" in query else str(query["Id"])


def _sample(datum: Any) -> Sample:
    if isinstance(datum, MetricAggregatedDatum):
        return Sample(float(datum.sample_count), float(datum.sum), float(datum.min), float(datum.max))
    if not isinstance(datum, MetricDatum):
        raise guard.MotoChangedError(f"moto stores metrics as {type(datum).__name__}, which the overlay does not know")
    value = float(datum.value)
    return Sample(1.0, value, value, value)


def _epoch(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _moment(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC).replace(tzinfo=None)
