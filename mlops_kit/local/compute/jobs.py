"""What processing and transform jobs have in common: one thread of work that ends Completed, Failed or Stopped."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

from mlops_kit.local.compute import storage
from mlops_kit.local.compute.runtime import Runtime
from mlops_kit.local.compute.storage import Place

log = logging.getLogger(__name__)

REASON_LENGTH = 1024
STOP_GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL when a job is stopped. AWS gives 120; nobody waits that long for a laptop."""

FINAL = ("Completed", "Failed", "Stopped")


class JobFailedError(Exception):
    """Ends the job as Failed with this reason."""


def _tell_nobody(run: JobRun) -> None:
    pass


@dataclass(eq=False)
class JobRun(ABC):
    """A job while it runs and afterwards. ``request`` is what created it; all public methods are for any thread.

    ``on_change`` is told of every status, the first included. It must not raise or wait.
    """

    kind: ClassVar[str]
    """``Processing`` or ``Transform``, as in the names of the API's members."""

    request: Mapping[str, Any]
    place: Place
    runtime: Runtime
    on_change: Callable[[JobRun], None] = _tell_nobody
    status: str = "InProgress"
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: datetime | None = None
    ended: datetime | None = None
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))
    failure_reason: str | None = None
    stopping: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def name(self) -> str:
        return str(self.request[f"{self.kind}JobName"])

    @property
    def final(self) -> bool:
        return self.status in FINAL

    def start(self) -> None:
        self.on_change(self)
        threading.Thread(target=self._run, name=f"{self.kind} job {self.name}", daemon=True).start()

    def stop(self) -> None:
        """Ask the job to end; returns at once."""
        with self.lock:
            if self.final or self.stopping.is_set():
                return
            self.stopping.set()
            self.status, self.modified = "Stopping", datetime.now(UTC)
            self.on_change(self)
            self.interrupt()

    def mark_started(self) -> None:
        self.started = self.modified = datetime.now(UTC)

    def _run(self) -> None:
        status, reason = "Failed", None
        try:
            self.work()
            status = "Stopped" if self.stopping.is_set() else "Completed"
        except JobFailedError as exc:
            reason = str(exc)
        except storage.MissingDataError as exc:
            reason = f"ClientError: {exc}"
        except Exception as exc:
            log.exception("%s job %s", self.kind, self.name)
            reason = f"InternalServerError: {type(exc).__name__}: {exc}"
        with self.lock:
            if reason and self.stopping.is_set():
                status, reason = "Stopped", None  # what fails because it is being stopped has not failed
            self.ended = self.modified = datetime.now(UTC)
            self.failure_reason = reason[:REASON_LENGTH] if reason else None
            self.status = status
        self.on_change(self)
        log.info("%s job %s: %s%s", self.kind, self.name, status, f": {reason}" if reason else "")

    @abstractmethod
    def work(self) -> None:
        """The job itself; sets ``stopping`` when its own time is up.

        Raises:
            JobFailedError: with the FailureReason.
            storage.MissingDataError: input or output bucket that is not there.
        """

    @abstractmethod
    def interrupt(self) -> None:
        """End what runs right now, if anything does. Called once, with the lock held."""

    def describe(self) -> dict[str, Any]:
        """What Describe says beyond the request and the ARN."""
        with self.lock:
            found = {
                f"{self.kind}JobStatus": self.status,
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
                f"{self.kind}StartTime": self.started,
                f"{self.kind}EndTime": self.ended,
                "FailureReason": self.failure_reason,
            }
        return {name: value for name, value in found.items() if value is not None}
