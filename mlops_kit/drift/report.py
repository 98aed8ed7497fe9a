"""What a drift run found, as plain data. Counts -> report is :func:`judge`; nothing here reads or writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mlops_kit.drift.cells import Cells
from mlops_kit.drift.compare import psi
from mlops_kit.drift.count import Counts, WindowCounts


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """One feature in one window. ``missing`` includes ``not_numeric``: texts where the baseline has numbers."""

    feature: str
    psi: float
    missing: int
    not_numeric: int


@dataclass(frozen=True, slots=True)
class WindowDrift:
    """One window of traffic. ``features``: largest PSI first; empty if the window has too few rows to be judged.

    ``malformed`` rows do not have the baseline's number of columns, or could not be read; they are not in ``rows``.
    """

    start: datetime
    rows: int
    malformed: int
    features: tuple[FeatureDrift, ...]
    breached: bool

    @property
    def worst(self) -> FeatureDrift | None:
        return self.features[0] if self.features else None


@dataclass(frozen=True, slots=True)
class DriftReport:
    """Every window that had traffic, in order of time.

    ``unreadable``: captured lines without a request or without a time. ``breached``: a window's worst feature is at
    ``threshold`` or above, as the drift alarm has it. ``worst`` is the feature with the largest PSI of all windows.
    """

    environment: str
    model: str
    threshold: float
    window: timedelta
    minimum_rows: int
    windows: tuple[WindowDrift, ...]
    unreadable: int
    breached: bool

    @property
    def rows(self) -> int:
        return sum(window.rows for window in self.windows)

    @property
    def malformed(self) -> int:
        return sum(window.malformed for window in self.windows)

    @property
    def judged(self) -> tuple[WindowDrift, ...]:
        """The windows with enough rows."""
        return tuple(window for window in self.windows if window.features)

    @property
    def worst(self) -> FeatureDrift | None:
        found = [window.worst for window in self.windows if window.worst is not None]
        return max(found, key=lambda drift: drift.psi, default=None)

    def as_record(self) -> dict[str, Any]:
        """The report as plain JSON values; times in ISO 8601, UTC."""

        def feature(drift: FeatureDrift) -> dict[str, Any]:
            return {
                "feature": drift.feature,
                "psi": drift.psi,
                "missing": drift.missing,
                "not_numeric": drift.not_numeric,
            }

        return {
            "environment": self.environment,
            "model": self.model,
            "threshold": self.threshold,
            "window_minutes": int(self.window.total_seconds()) // 60,
            "minimum_rows": self.minimum_rows,
            "rows": self.rows,
            "malformed": self.malformed,
            "unreadable": self.unreadable,
            "breached": self.breached,
            "worst": None if self.worst is None else feature(self.worst),
            "windows": [
                {
                    "start": window.start.isoformat(),
                    "rows": window.rows,
                    "malformed": window.malformed,
                    "judged": bool(window.features),
                    "breached": window.breached,
                    "features": [feature(drift) for drift in window.features],
                }
                for window in self.windows
            ],
        }


def judge(
    counts: Counts,
    cells: Sequence[Cells],
    *,
    environment: str,
    model: str,
    threshold: float,
    window_minutes: int,
    minimum_rows: int,
) -> DriftReport:
    """Compare every window that has at least ``minimum_rows`` rows with the baseline."""

    def window(start: datetime, counted: WindowCounts) -> WindowDrift:
        features: list[FeatureDrift] = []
        if counted.rows >= max(minimum_rows, 1):
            features = [
                FeatureDrift(one.name, psi(one.expected, actual), actual[one.missing], bad)
                for one, actual, bad in zip(cells, counted.features, counted.not_numeric, strict=True)
            ]
            features.sort(key=lambda drift: (-drift.psi, drift.feature))
        breached = bool(features) and features[0].psi >= threshold
        return WindowDrift(start, counted.rows, counted.malformed, tuple(features), breached)

    windows = tuple(window(start, counted) for start, counted in counts.windows.items())
    return DriftReport(
        environment=environment,
        model=model,
        threshold=threshold,
        window=timedelta(minutes=window_minutes),
        minimum_rows=minimum_rows,
        windows=windows,
        unreadable=counts.unreadable,
        breached=any(window.breached for window in windows),
    )
