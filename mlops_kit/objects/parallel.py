"""Many at once: a function over a stream of items, in threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_GRACE = 1.0
"""Seconds that work under way is given to end after Ctrl-C."""


def each(function: Callable[[Item], Result], items: Iterable[Item], *, at_once: int = 64) -> list[Result]:
    """Call ``function`` with every item, at most ``at_once`` at a time; its results, in the order of the items.

    Items are taken as they are needed, by one thread at a time, so they may come from a generator of a million. The
    first error ends it: nothing new is begun, what is under way is waited for, and the error is raised. Ctrl-C is not
    kept waiting for more than a second.
    """
    work = _Work(function, items, at_once)
    try:
        return work.run()
    except BaseException:
        work.stop()
        raise


class _Work(Generic[Item, Result]):
    def __init__(self, function: Callable[[Item], Result], items: Iterable[Item], at_once: int) -> None:
        self._function, self._items, self._at_once = function, iter(items), at_once
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._results: list[Result] = []
        self._error: BaseException | None = None
        self._stopped = False

    def run(self) -> list[Result]:
        self._start_one()
        position = 0
        while position < len(self._threads):  # each thread starts the next one, if there is work for it
            self._threads[position].join()
            position += 1
        if self._error is not None:
            raise self._error
        return self._results

    def stop(self) -> None:
        self._stopped = True
        deadline = time.monotonic() + _GRACE
        for thread in tuple(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))

    def _start_one(self) -> None:
        # Daemons: a process that was told to end does not wait for a server that keeps silent.
        thread = threading.Thread(target=self._run, name=f"each-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self) -> None:
        try:
            while (taken := self._take()) is not None:
                position, item = taken
                self._results[position] = self._function(item)
        except BaseException as exc:
            with self._lock:
                self._stopped = True
                self._error = self._error or exc

    def _take(self) -> tuple[int, Item] | None:
        with self._lock:
            if self._stopped:
                return None
            try:
                item = next(self._items)
            except StopIteration:
                self._stopped = True
                return None
            self._results.append(None)  # type: ignore[arg-type]  # its place, until the result is there
            if len(self._threads) < self._at_once:
                self._start_one()
            return len(self._results) - 1, item
