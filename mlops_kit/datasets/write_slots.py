"""How many small files are written at a time: one where that is fast, many where each one waits for a network.

Threads that create files in the directories of one local file system wait for its locks, some of them by spinning: two
take longer than one. On a file system behind a network each file costs a round trip or two, and there many at a time
are what helps. Which it is shows in how long the first ones take.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

SAMPLES = 24
SLOW_SECONDS = 0.001
"""A local file system creates a file in a tenth of this, and a network has hardly answered by then."""


class WriteSlots:
    """Lets one thread through at a time, and up to ``most`` if that turns out to be slow."""

    def __init__(self, most: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._most = most
        self._clock = clock
        self._free = threading.Semaphore(1)
        self._taken: list[float] | None = []

    @contextmanager
    def slot(self) -> Iterator[None]:
        with self._free:
            began = self._clock()
            yield
            if self._taken is not None:  # only one thread is here while samples are taken
                self._sample(self._taken, self._clock() - began)

    def _sample(self, taken: list[float], seconds: float) -> None:
        taken.append(seconds)
        if len(taken) == SAMPLES:
            self._taken = None
            if median(taken) > SLOW_SECONDS:
                for _ in range(self._most - 1):
                    self._free.release()
