"""One drift run: download what was captured, count it, compare it with the baseline, publish the result."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from mlops_kit.config import Drift, Environment, Model
from mlops_kit.drift.capture import CaptureStore, download
from mlops_kit.drift.cells import request_cells
from mlops_kit.drift.count import count
from mlops_kit.drift.publish import MetricSink, publish
from mlops_kit.drift.report import DriftReport, judge
from mlops_kit.drift.statistics import Statistics
from mlops_kit.errors import UsageError
from mlops_kit.tabular.engine import session


@dataclass(frozen=True, slots=True)
class DriftRequest:
    """Which traffic is measured: ``since`` (inclusive) to ``until`` (exclusive), widened to whole windows."""

    environment: str
    model: str
    label: str
    settings: Drift
    since: datetime
    until: datetime

    @classmethod
    def latest(cls, environment: Environment, model: Model, *, hours: int, now: datetime) -> Self:
        """The last ``hours`` hours, with the window that is still open."""
        return cls(environment.name, model.name, model.label, model.drift, now - timedelta(hours=hours), now)

    @property
    def first(self) -> datetime:
        """Start of the first window."""
        return _floor(self.since, self.settings.window_minutes)

    @property
    def end(self) -> datetime:
        """End of the last window."""
        start = _floor(self.until, self.settings.window_minutes)
        return start if start == self.until else start + timedelta(minutes=self.settings.window_minutes)


def run_drift(
    request: DriftRequest,
    statistics: Statistics,
    store: CaptureStore,
    prefix: str,
    cloudwatch: MetricSink,
    *,
    now: datetime,
) -> DriftReport:
    """Measure the captured traffic below ``prefix`` and publish it, heartbeat included."""
    report = measure_captured(request, statistics, store, prefix)
    publish(report, cloudwatch, now=now)
    return report


def measure_captured(request: DriftRequest, statistics: Statistics, store: CaptureStore, prefix: str) -> DriftReport:
    """Measure without publishing: what a dry run shows. ``prefix`` ends in ``/``, before the year."""
    with tempfile.TemporaryDirectory(prefix="mlops-kit-capture-") as directory:
        files = download(store, prefix, request.first, request.end, Path(directory))
        return measure(request, statistics, files)


def measure(request: DriftRequest, statistics: Statistics, files: Sequence[Path]) -> DriftReport:
    """Compare captured files that are already here with the baseline.

    Raises:
        UsageError: the request ends before it starts, the baseline has nothing but the label, or DuckDB is missing.
    """
    if request.until <= request.since:
        raise UsageError(f"The time range ends ({request.until}) before it starts ({request.since}).")
    cells = request_cells(statistics, request.label)
    if not cells:
        raise UsageError(f"The baseline of {request.model} has no column beside the label {request.label!r}.")
    settings = request.settings
    with session() as connection:
        counts = count(
            connection,
            files,
            cells,
            window_minutes=settings.window_minutes,
            since=request.first,
            until=request.end,
        )
    return judge(
        counts,
        cells,
        environment=request.environment,
        model=request.model,
        threshold=settings.psi_threshold,
        window_minutes=settings.window_minutes,
        minimum_rows=settings.minimum_rows,
    )


def _floor(time: datetime, minutes: int) -> datetime:
    seconds = minutes * 60
    return datetime.fromtimestamp(int(time.timestamp()) // seconds * seconds, UTC)
