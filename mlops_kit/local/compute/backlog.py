"""The queue of an asynchronous endpoint: requests wait in it until the endpoint has an instance, and go one by one."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from mlops_kit.local.compute.storage import Uri

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
REPORT_SECONDS = 10.0
"""How often the state is reported while requests wait for an instance: alarms look at the last minute."""
DEFAULT_TTL = 21600
DEFAULT_TIMEOUT = 900


@dataclass(frozen=True, slots=True)
class Waiting:
    """One request. ``input`` is where its body is, unless it came with the request itself."""

    inference_id: str
    input: Uri | None
    body: bytes
    content_type: str
    accept: str
    attributes: str | None
    output: Uri
    failure: Uri | None
    ttl: float
    """Seconds that it may wait."""
    timeout: float
    """Seconds that the model may take."""
    received: datetime
    since: float
    """When it was received, on the monotonic clock."""

    @property
    def waited(self) -> float:
        """Seconds since it was received."""
        return time.monotonic() - self.since


@dataclass(frozen=True, slots=True)
class State:
    """What the metrics of a backlog say. A request counts until it is done; ages are in seconds."""

    size: int
    oldest: float


class Backlog:
    """``instances`` tells how many there are now; ``process`` does one request; ``changed`` hears of it."""

    def __init__(
        self,
        name: str,
        gone: threading.Event,
        instances: Callable[[], int],
        process: Callable[[Waiting], None],
        changed: Callable[[State], None],
    ) -> None:
        self._name, self._gone = name, gone
        self._instances, self._process, self._changed = instances, process, changed
        self._waiting: deque[Waiting] = deque()
        self._condition = threading.Condition()
        threading.Thread(target=self._work, name=f"backlog of {name}", daemon=True).start()

    def put(self, request: Waiting) -> None:
        with self._condition:
            self._waiting.append(request)
            self._condition.notify()
            state = self._state()
        self._changed(state)

    def _state(self) -> State:
        return State(len(self._waiting), self._waiting[0].waited if self._waiting else 0.0)

    def _next(self) -> Waiting | None:
        """The oldest request once it can be done or has waited too long; None when the endpoint is gone."""
        reported = time.monotonic()
        while not self._gone.is_set():
            with self._condition:
                if not self._waiting:
                    self._condition.wait(POLL_SECONDS)
                    continue
                oldest, state = self._waiting[0], self._state()
            if self._instances() > 0 or oldest.waited > oldest.ttl:
                return oldest
            if time.monotonic() - reported > REPORT_SECONDS:
                reported = time.monotonic()
                self._changed(state)
            self._gone.wait(POLL_SECONDS)
        return None

    def _work(self) -> None:
        while (request := self._next()) is not None:
            try:
                self._process(request)
            except Exception:
                log.exception("asynchronous endpoint %s: request %s", self._name, request.inference_id)
            with self._condition:
                self._waiting.popleft()
                state = self._state()
            self._changed(state)


def now() -> tuple[datetime, float]:
    """``received`` and ``since`` of a request that comes in now."""
    return datetime.now(UTC), time.monotonic()
