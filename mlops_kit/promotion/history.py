"""The ledger as a story: what each event did to what runs, and how it came about. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlops_kit.promotion.approvals import person
from mlops_kit.promotion.events import Event
from mlops_kit.promotion.releases import current


@dataclass(frozen=True, slots=True)
class Entry:
    """One event and what became of it.

    ``replaced``: the release that ran until then. ``left_by``: the number of the rollback that went away from it, if
    the event's release was ever gone back from. ``runs``: its release runs now, and this is the event that brought it.
    """

    event: Event
    replaced: str
    left_by: int | None
    runs: bool

    @property
    def overridden(self) -> tuple[str, ...]:
        return tuple(override.gate for override in self.event.overrides)

    @property
    def approved_by(self) -> tuple[str, ...]:
        return tuple(person(approval.by) for approval in self.event.approvals)

    @property
    def by(self) -> str:
        """The actor, as short as it can be."""
        return self.event.actor.rsplit(":", 1)[-1]

    def to_json(self) -> dict[str, object]:
        """The event's own fields, and what they come to."""
        return {
            **self.event.model_dump(mode="json"),
            "replaced": self.replaced,
            "rolled_back_by": self.left_by,
            "runs": self.runs,
        }


def entries(events: Sequence[Event]) -> tuple[Entry, ...]:
    """All events in order."""
    running = current(events)
    brought = max((e.seq for e in events if e.outcome == "succeeded"), default=None)
    before = [current(events[:position]) for position in range(len(events))]
    brought_by: dict[str, int] = {}
    left_by: dict[int, int] = {}
    for event, was in zip(events, before, strict=True):
        if event.outcome != "succeeded":
            continue
        if event.action == "rollback" and was is not None and was.id != event.release.id and was.id in brought_by:
            left_by[brought_by[was.id]] = event.seq
        brought_by[event.release.id] = event.seq
    return tuple(
        Entry(
            event=event,
            replaced=was.id if was is not None and was.id != event.release.id else "",
            left_by=left_by.get(event.seq),
            runs=running is not None and event.seq == brought,
        )
        for event, was in zip(events, before, strict=True)
    )


def notes(entry: Entry) -> str:
    """What else there is to say about an event, in a few words."""
    event = entry.event
    found = [f"overrode {gate}" for gate in entry.overridden]
    if event.took_over:
        found.append(f"took the lock over from {event.took_over}")
    if entry.left_by is not None:
        found.append(f"rolled back by #{entry.left_by}")
    if event.data_commit_moved:
        found.append("took the data back as well" if event.action == "rollback" else "brought its data along")
    if event.detail:
        found.append(event.detail)
    return "; ".join(found)


def duration(seconds: float | None) -> str:
    """For people: ``47 s``, ``12 min``, ``1 h 05 min``; empty if it is not known."""
    if seconds is None:
        return ""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"
