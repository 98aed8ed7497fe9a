"""Who holds a model's lock, as the lock says it, and whether that one is still at work.

A lock may be left behind by a process that was killed. The same command, run again by the same caller on the same host,
takes it over: at once if the process is seen to be gone (``place``), and else (after a reboot, or in a container made
anew) when S3's own clock says that nobody has renewed it for ten minutes. A parked lock was left on purpose, for
whoever runs the same command next.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta

from mlops_kit.errors import ConflictError
from mlops_kit.naming import ModelNames
from mlops_kit.objects import canonical_json
from mlops_kit.objects.strict_json import read_json
from mlops_kit.promotion.place import Place

STALE = timedelta(minutes=10)
"""After so long without a renewal nobody is at work any more who could have been seen."""
_PIDS = 1 << 31
"""No process has a number from here on."""


@dataclass(frozen=True, slots=True)
class Holder:
    """What the lock says. Times are the holder's own, for people to read.

    ``started``, ``took_over``, ``ran`` and ``plan`` are of what is being done, and stay the same when a run that was
    cut off is gone on with.
    """

    id: str
    holder: str
    place: Place
    started: str
    renewed: str
    what: str
    parked: str = ""
    """The endpoint config that is on its way while nobody waits for it; empty as long as somebody is at work."""
    ran: str = ""
    """The endpoint config to go back to, where no release in the ledger says so: what the environment began with."""
    took_over: str = ""
    """Whose lock it was, where somebody took it over who does something else."""
    plan: str = ""
    """SHA-256 of the plan that was begun without waiting: what its gates said counts until it is finished."""

    def to_json(self) -> bytes:
        content = asdict(self)
        place = content.pop("place")
        for name in ("parked", "ran", "took_over", "plan"):
            if not content[name]:
                del content[name]
        return canonical_json(content | place)

    @classmethod
    def parse(cls, body: bytes) -> Holder | None:
        """None if it is no lock of ours, to the last byte."""
        try:
            content = read_json(body)
            place = Place(**{item.name: content.pop(item.name) for item in fields(Place)})
            found = cls(place=place, **content)
            times = [datetime.fromisoformat(time) for time in (found.started, found.renewed)]
            sound = 0 < place.pid < _PIDS and all(time.tzinfo is not None for time in times)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None
        return found if sound and found.to_json() == body else None

    def after(self, other: Holder) -> Holder:
        """What the lock says once it is taken over from ``other``."""
        if other.what != self.what:
            return replace(self, took_over=str(other))
        return replace(self, started=other.started, ran=other.ran, took_over=other.took_over, plan=other.plan)

    def __str__(self) -> str:
        return f"{self.holder} on {self.place.host} (process {self.place.pid}), since {self.started}: {self.what}"


def written(time: datetime) -> str:
    """A time as a lock has it."""
    return time.astimezone(UTC).isoformat(timespec="seconds")


def is_left_behind(other: Holder, mine: Holder, age: timedelta) -> bool:
    """Whether the lock is one that an earlier run of the same command could not release, or left on purpose.

    ``age``: since it was written, by S3's clock alone.
    """
    if other.what != mine.what:
        return False
    if other.parked:
        return True
    if (other.holder, other.place.host) != (mine.holder, mine.place.host):
        return False
    gone = other.place.is_gone()
    return age > STALE if gone is None else gone


def refused(names: ModelNames, other: Holder) -> ConflictError:
    """What everybody else is told."""
    renewed = "" if other.renewed == other.started else f" It was renewed at {other.renewed}."
    if other.parked:
        renewed = f" Nobody waits for it: {other.parked} is on its way, and the same command run again finishes it."
    return ConflictError(
        f"{names.model} in {names.environment.environment} is locked by {other}.{renewed}",
        hint=f"Wait for it to end. If nobody is at work there any more: {_command(names, other.id)}",
    )


def unlock_hint(names: ModelNames, id_: str) -> str:
    return f"Once it is sure that nobody is at work: {_command(names, id_)}"


def _command(names: ModelNames, id_: str) -> str:
    return f"mlops-kit unlock {names.model} --in {names.environment.environment} --id {id_}"
