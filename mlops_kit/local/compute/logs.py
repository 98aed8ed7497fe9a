"""Container output into moto's CloudWatch Logs, line by line as it comes."""

from __future__ import annotations

import threading
import time

from moto.logs.models import logs_backends

from mlops_kit.local.compute import storage
from mlops_kit.local.compute.storage import Place


class LogStream:
    """One stream; its group is made if need be, as SageMaker does. Without the permission for it there is no log."""

    def __init__(self, place: Place, group: str, stream: str) -> None:
        self._backend = logs_backends[place.account][place.region]
        self._place, self._group, self._stream = place, group, stream
        self._lock = threading.Lock()
        self._allowed: bool | None = None

    @property
    def arn(self) -> str:
        backend = self._backend
        return (
            f"arn:{backend.partition}:logs:{backend.region_name}:{backend.account_id}:"
            f"log-group:{self._group}:log-stream:{self._stream}"
        )

    def write(self, line: str) -> None:
        with self._lock:
            if self._allowed is None:
                self._allowed = self._ask()
            if not self._allowed:
                return
            # Every time: a stack may have deleted the group in the meantime.
            self._backend.ensure_log_group(self._group)
            self._backend.ensure_log_stream(self._group, self._stream)
            group = self._backend.groups[self._group]
            group.put_log_events(self._stream, [{"timestamp": int(time.time() * 1000), "message": line or " "}])

    def _ask(self) -> bool:
        """Whether the role may write the stream: asked once, before its first line."""
        names = {"logGroupName": self._group, "logStreamName": self._stream}
        try:
            if self._group not in self._backend.groups:
                storage.require(self._place, "logs", "CreateLogGroup", logGroupName=self._group)
            storage.require(self._place, "logs", "CreateLogStream", **names)
            storage.require(self._place, "logs", "PutLogEvents", **names)
        except storage.DeniedError:
            return False
        return True
