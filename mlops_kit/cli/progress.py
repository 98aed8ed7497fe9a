"""Progress for people: bars on a terminal, now and then a plain line elsewhere. Always on stderr."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from mlops_kit.cli import render
from mlops_kit.progress import Progress

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_DRAWINGS = 0.1


@contextmanager
def shown() -> Iterator[Progress]:
    """Progress on stderr for as long as the block runs."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    with Bars() as bars:
        yield bars


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
            self._began = self._shown = self._clock()
            self._running = True
            self._begin()

    def add(self, objects: int = 0, bytes_: int = 0) -> None:
        with self._lock:
            self._done_objects += objects
            self._done_bytes += bytes_
            if self._running and self._clock() - self._shown >= self._pause:
                self._shown = self._clock()
                self._show()

    def done(self) -> None:
        with self._lock:
            if self._running:
                self._running = False
                self._end()

    _pause = 0.0

    def _begin(self) -> None: ...

    def _show(self) -> None: ...

    def _end(self) -> None: ...

    @property
    def _seconds(self) -> float:
        return max(self._clock() - self._began, 1e-3)

    def _counts(self) -> str:
        """Objects, bytes, rate and time left, as far as they are known."""
        parts = []
        if self._objects or self._done_objects:
            of = f" of {self._objects}" if self._objects else ""
            parts.append(f"{self._done_objects}{of} objects")
        if self._bytes or self._done_bytes:
            of = f" of {render.size(self._bytes)}" if self._bytes else ""
            parts.append(f"{render.size(self._done_bytes)}{of}")
            parts.append(f"{render.size(int(self._done_bytes / self._seconds))}/s")
        left = self._seconds_left()
        if left is not None:
            parts.append(f"{_time(left)} left")
        return ", ".join(parts)

    def _seconds_left(self) -> float | None:
        """From the slower of objects and bytes: small files cost requests, large ones bandwidth."""
        shares = [
            done / total
            for done, total in ((self._done_objects, self._objects), (self._done_bytes, self._bytes))
            if total
        ]
        if not shares or min(shares) <= 0:
            return None
        return self._seconds * (1 / min(shares) - 1)


class Lines(_Counted):
    """A line every so often, and none for what is over before the first is due."""

    _pause = SECONDS_BETWEEN_LINES

    def __init__(
        self,
        tell: Callable[[str], None] = lambda line: click.echo(line, err=True),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(clock)
        self._tell = tell

    def _show(self) -> None:
        self._tell(f"{self._what}: {self._counts()}")

    def _end(self) -> None:
        if self._seconds >= self._pause:
            counts = self._counts().replace(", 0 s left", "")
            self._tell(f"{self._what}: {counts}, done in {_time(self._seconds)}")


class Bars(_Counted):
    """One bar an operation, by rich; it disappears when the operation is complete."""

    _pause = SECONDS_BETWEEN_DRAWINGS

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        self._bars: Any = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[counts]}"),
            console=Console(stderr=True),
            transient=True,
        )

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bars.stop()

    def _begin(self) -> None:
        for task in self._bars.task_ids:
            self._bars.remove_task(task)
        self._task = self._bars.add_task(self._what, total=self._bytes or self._objects, counts="")

    def _show(self) -> None:
        completed = self._done_bytes if self._bytes else self._done_objects
        self._bars.update(self._task, completed=completed, counts=self._counts())

    def _end(self) -> None:
        self._bars.remove_task(self._task)


def _time(seconds: float) -> str:
    """Seconds for people: 42 s, 3 min, 2.5 h."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
