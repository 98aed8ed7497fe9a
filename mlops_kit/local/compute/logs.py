"""Container output into moto's CloudWatch Logs, line by line as it comes."""

from __future__ import annotations

import threading
import time

from moto.logs.models import logs_backends

from mlops_kit.local.compute.storage import Place


class LogStream:
    """One stream; its group is made if need be, as SageMaker does."""

    def __init__(self, place: Place, group: str, stream: str) -> None:
        self._backend = logs_backends[place.account][place.region]
        self._group, self._stream = group, stream
        self._lock = threading.Lock()

    @property
    def arn(self) -> str:
        backend = self._backend
        return (
            f"arn:{backend.partition}:logs:{backend.region_name}:{backend.account_id}:"
            f"log-group:{self._group}:log-stream:{self._stream}"
        )

    def write(self, line: str) -> None:
        with self._lock:
            # Every time: a stack may have deleted the group in the meantime.
            self._backend.ensure_log_group(self._group)
            self._backend.ensure_log_stream(self._group, self._stream)
            group = self._backend.groups[self._group]
            group.put_log_events(self._stream, [{"timestamp": int(time.time() * 1000), "message": line or " "}])
