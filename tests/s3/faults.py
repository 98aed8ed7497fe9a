"""Faults: what goes wrong, with which call, and how often.

A fault with a plain error answers without doing anything. "timeout" never answers and keeps the connection until the
client gives up; "reset" cuts it. Of each there is a form that does the work first ("timeout-after", "lost"), because
those are what makes retries dangerous.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tests.s3.messages import Request

Kind = Literal[
    "503",  # SlowDown, nothing done
    "500",  # InternalError, nothing done
    "409",  # ConditionalRequestConflict, nothing done
    "expired",  # 400 ExpiredToken, nothing done
    "denied",  # 403 AccessDenied, nothing done
    "200-error",  # status 200 with an InternalError in the body, nothing done
    "timeout",  # nothing done, no answer
    "timeout-after",  # done, no answer
    "reset",  # nothing done, connection reset
    "lost",  # done, connection reset
    "truncated",  # half of the body, then the connection is closed
    "corrupt",  # one byte in the middle of the body is another
    "crash-before",  # ``callback`` is called, nothing done, connection reset
    "crash-after",  # done, ``callback`` is called, connection reset
    "before",  # ``callback`` is called, then all goes on: somebody else was faster
    "after",  # done, ``callback`` is called, then the answer is sent
]

ERRORS = {
    "503": "SlowDown",
    "500": "InternalError",
    "409": "ConditionalRequestConflict",
    "expired": "ExpiredToken",
    "denied": "AccessDenied",
    "200-error": "InternalError",
}
NEVER_DONE = frozenset({*ERRORS, "timeout", "reset", "crash-before"})
SILENT = frozenset({"timeout", "timeout-after"})
RESET = frozenset({"reset", "lost", "crash-before", "crash-after"})
CALLED_BEFORE = frozenset({"crash-before", "before"})
CALLED_AFTER = frozenset({"crash-after", "after"})
ONLY_FOR = {
    "200-error": ("CopyObject", "UploadPartCopy", "CompleteMultipartUpload"),
    "truncated": ("GetObject",),
    "corrupt": ("GetObject",),
}


@dataclass
class Fault:
    """Something that goes wrong with some of the calls that match.

    Calls match by ``operation`` (any, if None) and ``when``, and are counted from 1, since the fault was added. It
    strikes from the ``nth`` on (the first, if None), ``times`` times in a row (for ever, if None).

    ``callback`` runs in the server's thread: it may kill a process or tamper with the buckets, but a request that it
    sends to the server is never answered.
    """

    kind: Kind
    nth: int | None = None
    operation: str | None = None
    times: int | None = 1
    when: Callable[[Request], bool] | None = None
    callback: Callable[[], object] | None = None
    seen: int = field(default=0, init=False)  # calls that matched
    struck: int = field(default=0, init=False)

    def matches(self, request: Request) -> bool:
        if self.operation is not None and request.operation != self.operation:
            return False
        if request.operation not in ONLY_FOR.get(self.kind, (request.operation,)):
            return False
        return self.when is None or self.when(request)

    def due(self, request: Request) -> bool:
        """Count ``request`` if it matches; whether the fault strikes it."""
        if not self.matches(request):
            return False
        self.seen += 1
        first = self.nth or 1
        return self.seen >= first and (self.times is None or self.seen < first + self.times)

    def call(self) -> None:
        if self.callback is not None:
            self.callback()


def strike(faults: Sequence[Fault], request: Request) -> Fault | None:
    """The fault that ``request`` meets: the first that is due, while all of them count it."""
    due = [fault for fault in tuple(faults) if fault.due(request)]
    if not due:
        return None
    due[0].struck += 1
    return due[0]
