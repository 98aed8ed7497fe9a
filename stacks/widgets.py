"""Widgets of CloudWatch dashboards, on its grid of 24 columns.

Format: "Dashboard body structure and syntax", CloudWatch API reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

COLUMNS = 24
WIDTH = 6
HEIGHT = 6
ALARMS_HEIGHT = 2
TITLE_HEIGHT = 1

Widget = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One metric of a graph. ``dimensions`` in CloudWatch's flat form: name, value, name, value."""

    namespace: str
    metric: str
    dimensions: Sequence[str]
    statistic: str
    label: str


@dataclass(frozen=True, slots=True)
class Graph:
    """``period`` in seconds; ``limit``: where an alarm goes off, in its unit; ``region``: if not the page's."""

    title: str
    lines: Sequence[Line]
    period: int = 300
    limit: float | None = None
    region: str | None = None


@dataclass(slots=True)
class Page:
    """Fills a dashboard from top to bottom."""

    region: str
    widgets: list[Widget] = field(default_factory=list)
    top: int = 0

    def text(self, markdown: str) -> None:
        self._place({"type": "text", "properties": {"markdown": markdown}}, 0, COLUMNS, TITLE_HEIGHT)
        self.top += TITLE_HEIGHT

    def graphs(self, graphs: Sequence[Graph]) -> None:
        """As many rows as they need, four in a row."""
        for index, graph in enumerate(graphs):
            if index and index % (COLUMNS // WIDTH) == 0:
                self.top += HEIGHT
            self._place(self._graph(graph), index * WIDTH % COLUMNS, WIDTH, HEIGHT)
        if graphs:
            self.top += HEIGHT

    def alarms(self, title: str, arns: Sequence[str]) -> None:
        properties = {"title": title, "alarms": list(arns)}
        self._place({"type": "alarm", "properties": properties}, 0, COLUMNS, ALARMS_HEIGHT)
        self.top += ALARMS_HEIGHT

    def _place(self, widget: Widget, left: int, width: int, height: int) -> None:
        self.widgets.append({**widget, "x": left, "y": self.top, "width": width, "height": height})

    def _graph(self, graph: Graph) -> Widget:
        properties: dict[str, Any] = {
            "title": graph.title,
            "view": "timeSeries",
            "region": graph.region or self.region,
            "period": graph.period,
            "metrics": [
                [line.namespace, line.metric, *line.dimensions, {"stat": line.statistic, "label": line.label}]
                for line in graph.lines
            ],
        }
        if graph.limit is not None:
            properties["annotations"] = {"horizontal": [{"label": "alarm", "value": graph.limit}]}
        return {"type": "metric", "properties": properties}
