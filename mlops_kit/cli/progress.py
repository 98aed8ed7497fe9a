"""Progress for people: a bar on a terminal, now and then a plain line elsewhere. Always on stderr.

What is quick shows nothing. What is long, and is ended by an error or by Ctrl-C, leaves the terminal as it was, or a
last line that says how far it came.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from mlops_kit.cli import render
from mlops_kit.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BEFORE_BARS = 0.3
ROOM_FOR_COUNTS = 66
"""Columns of a terminal; a bar gets no more than the rest, so that nothing moves when the numbers grow."""


@contextmanager
def shown() -> Iterator[Progress]:
    """Progress on stderr for as long as the block runs."""
    on_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    reporter = Bars() if on_terminal else Lines()
    try:
        yield reporter
    finally:
        reporter.close()


class _Counted:
    """Counts from any thread; subclasses show the counts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._running = False

    def start(self, what: str, objects: int | None = None, bytes_: int | None = None) -> None:
        with self._lock:
            self._what, self._objects, self._bytes = what, objects, bytes_
            self._done_objects = self._done_bytes = 0
            self._began = self._clock()
            self._running = True
            self._begin()

    def add(self, objects: int = 0, bytes_: int = 0) -> None:
        with self._lock:
            self._done_objects += objects
            self._done_bytes += bytes_
            if self._running:
                self._added()

    def done(self) -> None:
        with self._lock:
            if self._running:
                self._running = False
                self._end("done in")

    def close(self) -> None:
        """Whatever still runs was given up."""
        with self._lock:
            if self._running:
                self._running = False
                self._end("stopped after")

    def _begin(self) -> None: ...

    def _added(self) -> None: ...

    def _end(self, how: str) -> None: ...

    @property
    def _seconds(self) -> float:
        return max(self._clock() - self._began, 1e-3)

    def _counts(self) -> list[str]:
        """Objects, bytes and rate, as far as they are known."""
        parts = []
        if self._objects or self._done_objects:
            done = f"{self._done_objects:,} of " if self._objects else ""
            parts.append(done + render.some(self._objects or self._done_objects, "object"))
        if self._bytes or self._done_bytes:
            of = f" of {render.size(self._bytes)}" if self._bytes else ""
            parts.append(f"{render.size(self._done_bytes)}{of}")
        if self._done_bytes:
            parts.append(f"{render.size(int(self._done_bytes / self._seconds))}/s")
        elif self._done_objects:
            parts.append(f"{self._done_objects / self._seconds:,.0f}/s")
        return parts

    def _left(self) -> list[str]:
        """The time left, by the slower of objects and bytes: small files cost requests, large ones bandwidth."""
        shares = [
            done / total
            for done, total in ((self._done_objects, self._objects), (self._done_bytes, self._bytes))
            if total
        ]
        if not shares or min(shares) <= 0 or min(shares) >= 1:
            return []
        return [f"{_time(self._seconds * (1 / min(shares) - 1))} left"]


class Lines(_Counted):
    """A line every so often, and none for what is over before the first is due."""

    def __init__(
        self,
        tell: Callable[[str], None] = lambda line: click.echo(line, err=True),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(clock)
        self._tell = tell

    def _begin(self) -> None:
        self._next = self._began + SECONDS_BETWEEN_LINES

    def _added(self) -> None:
        if self._clock() >= self._next:
            self._next = self._clock() + SECONDS_BETWEEN_LINES
            self._tell(f"{self._what}: {', '.join([*self._counts(), *self._left()])}")

    def _end(self, how: str) -> None:
        if self._seconds >= SECONDS_BETWEEN_LINES:
            self._tell(f"{self._what}: {', '.join([*self._counts(), f'{how} {_time(self._seconds)}'])}")


class Bars(_Counted):
    """One bar, drawn by rich in a thread of its own; it disappears when all is over."""

    def __init__(self, console: Console | None = None, delay: float = SECONDS_BEFORE_BARS) -> None:
        """``delay``: seconds that an operation has to take before anything is drawn."""
        super().__init__()
        self._console = console
        self._delay = delay
        self._timer: threading.Timer | None = None
        self._live: Any = None

    def close(self) -> None:
        super().close()
        if self._live is not None:
            self._live.stop()

    def _begin(self) -> None:
        if self._live is None and self._delay:
            self._timer = threading.Timer(self._delay, self._appear)
            self._timer.daemon = True
            self._timer.start()
        elif self._live is None:
            self._draw()

    def _end(self, how: str) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _appear(self) -> None:
        with self._lock:
            if self._running and self._live is None:
                self._draw()

    def _draw(self) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.spinner import Spinner

        self._spinner = Spinner("dots")
        self._console = self._console or Console(stderr=True)
        self._live = Live(get_renderable=self._row, console=self._console, refresh_per_second=10, transient=True)
        self._live.start(refresh=True)

    def _row(self) -> Any:
        # Without the lock: whoever holds it may be waiting for the drawing to end.
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        if not self._running or self._console is None:
            return Group()
        width = max(6, min(30, self._console.width - ROOM_FOR_COUNTS - len(self._what)))
        total, completed = (self._bytes, self._done_bytes) if self._bytes else (self._objects, self._done_objects)
        row = Table.grid(padding=(0, 1))
        row.add_column(no_wrap=True, min_width=1)
        row.add_column(no_wrap=True, min_width=len(self._what))
        row.add_column(no_wrap=True, width=width)
        row.add_column(no_wrap=True)
        bar = ProgressBar(total=total or None, completed=completed, pulse=not total, width=width)
        row.add_row(self._spinner, self._what, bar, Text(", ".join([*self._counts(), *self._left()])))
        return row


def _time(seconds: float) -> str:
    """Seconds for people: 42 s, 3 min, 2.5 h."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
