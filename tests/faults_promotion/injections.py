"""What can go wrong with a call, as the faults of the loopback that do it.

================  ======================================================================================================
way               what happens
================  ======================================================================================================
503, 500          once: repeating the call helps
409               once, to a write: somebody else was at it
200-error         once, to a copy: status 200, an error in the body
timeout           once: nothing is done, no answer comes
timeout-after     once, to a write: it is done, no answer comes
reset             once: nothing is done, the connection breaks
lost              once, to a write: it is done, the connection breaks
always-lost       to a write: every attempt of it is done, and every answer lost
outage            503 from this call on
denied            this operation from this call on
expired           every call from this one on
crash-before      the caller is gone before the call is done
crash-after       to a write: the caller is gone when the call is done
================  ======================================================================================================

After a call that only reads nothing is different from before the next one, so the ways that do the work first are for
writes. A caller that is gone sends nothing any more: here, nothing that it sends arrives.

Some ways look like another one to whoever calls: those are ``ALIKE``, and tried only where that is asked for.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tests.s3 import Call, Fault
from tests.s3.faults import Kind
from tests.s3.messages import Request

Way = Literal[
    "503",
    "500",
    "409",
    "200-error",
    "timeout",
    "timeout-after",
    "reset",
    "lost",
    "always-lost",
    "outage",
    "denied",
    "expired",
    "crash-before",
    "crash-after",
]
TO_READS: tuple[Way, ...] = ("503", "500", "timeout", "reset", "outage", "denied", "expired", "crash-before")
TO_WRITES: tuple[Way, ...] = (*TO_READS, "409", "timeout-after", "lost", "always-lost", "crash-after")
ALIKE = frozenset({"500", "reset", "timeout-after", "outage"})
"""503, timeout, lost, and expired."""
READS = ("Get", "Head", "List", "Describe", "BatchGet", "AssumeRole", "Verify")
FIRST: dict[Way, Kind] = {"always-lost": "lost", "outage": "503"}
"""The kind of fault that a way begins with, where it has another name."""
THEN: dict[Way, Kind] = {
    "always-lost": "lost",
    "outage": "503",
    "denied": "denied",
    "expired": "expired",
    "crash-before": "reset",
    "crash-after": "reset",
}
"""What happens from then on."""


@dataclass(frozen=True)
class Target:
    """A call: the ``nth`` (from 1) of this operation about this thing, however many others come between."""

    operation: str
    about: str
    nth: int

    def __str__(self) -> str:
        return f"{self.operation} {self.about} #{self.nth}"


@dataclass(frozen=True)
class Injection:
    target: Target
    way: Way

    def faults(self, on_crash: Callable[[], object] = lambda: None) -> list[Fault]:
        """``on_crash`` is called at the moment of a crash."""
        begun: list[bool] = []

        def strikes(request: Request) -> bool:
            return about(request) == (self.target.operation, self.target.about)

        def goes_on(request: Request) -> bool:
            if not begun:
                return False
            if self.way == "denied":
                return request.operation == self.target.operation
            return strikes(request) if self.way == "always-lost" else True

        kind: Kind = FIRST.get(self.way, self.way)  # type: ignore[arg-type]  # the others are called as the kinds are
        seen = [0]

        def begins(request: Request) -> bool:
            if begun or not strikes(request):
                return False
            seen[0] += 1
            if seen[0] == self.target.nth:
                begun.append(True)
            return bool(begun)

        first = Fault(kind, when=begins, callback=on_crash if self.way.startswith("crash") else None)
        return [first, Fault(THEN[self.way], times=None, when=goes_on)] if self.way in THEN else [first]

    def __str__(self) -> str:
        return f"{self.way} at {self.target}"


def about(request: Request) -> tuple[str, str]:
    place = f"{request.bucket}/{request.key}" if request.service in ("s3", "sts") else request.about
    return request.operation, place


def targets(calls: Sequence[Call]) -> list[Target]:
    """The calls of an undisturbed run."""
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for call in calls:
        place = f"{call.bucket}/{call.key}" if call.service in ("s3", "sts") else call.key
        seen[call.operation, place] += 1
        found.append(Target(call.operation, place, seen[call.operation, place]))
    return found


def every(calls: Sequence[Call], *, from_first_write: bool = False, alike: bool = False) -> list[Injection]:
    """Every way for every call; or for those calls alone that are not made while nothing was done yet."""
    chosen = targets(calls)
    if from_first_write:
        chosen = chosen[next(index for index, target in enumerate(chosen) if is_write(target)) :]
    found = [Injection(target, way) for target in chosen for way in ways(target)]
    return [one for one in found if alike or one.way not in ALIKE]


def ways(target: Target) -> tuple[Way, ...]:
    if target.operation.startswith(READS):
        return TO_READS
    copies: tuple[Way, ...] = ("200-error",) if target.operation == "CopyObject" else ()
    return TO_WRITES + copies


def is_write(target: Target) -> bool:
    return not target.operation.startswith(READS)


def sample(injections: Sequence[Injection], count: int, seed: int = 0) -> list[Injection]:
    """``count`` of them, in their order; the same ones every time."""
    if count >= len(injections):
        return list(injections)
    chosen = set(random.Random(seed).sample(range(len(injections)), count))  # noqa: S311 - not a secret
    return [one for index, one in enumerate(injections) if index in chosen]
