"""Folds over the ledger's events: what runs, what ran, and where a rollback goes. Nothing else stores any of it."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_kit.errors import NotFoundError, UsageError
from mlops_kit.promotion.events import Event, Release


def _line(events: Sequence[Event]) -> tuple[list[Release], bool]:
    """The releases that led to the current one, oldest first, and whether that is all of them.

    A promotion adds one, a rollback goes back to one. Of the newest events alone only the end of the line is known: a
    rollback to a release that is not among them leads to it, from wherever.
    """
    line: list[Release] = []
    whole = not events or events[0].seq <= 1
    for event in events:
        if event.outcome != "succeeded":
            continue
        if event.action == "rollback":
            ids = [release.id for release in line]
            if event.release.id in ids:
                del line[ids.index(event.release.id) + 1 :]
                continue
            if not whole:
                line.clear()
        line.append(event.release)
    return line, whole


def line(events: Sequence[Event]) -> tuple[Release, ...]:
    """The releases that led to the current one, which is the last."""
    return tuple(_line(events)[0])


def current(events: Sequence[Event]) -> Release | None:
    """What the endpoint is meant to run; None before the first release."""
    line, _ = _line(events)
    return line[-1] if line else None


def know_target(events: Sequence[Event], wanted: str | None = None) -> bool:
    """Whether these newest events are enough to say what :func:`rollback_target` says of all of them."""
    line, whole = _line(events)
    if whole:
        return True
    return len(line) > 1 if wanted is None else bool(line) and wanted in released(events)


def released(events: Sequence[Event]) -> dict[str, Release]:
    """Every release that ever succeeded, by id."""
    return {event.release.id: event.release for event in events if event.outcome == "succeeded"}


def superseded(events: Sequence[Event], keep: int) -> Release | None:
    """The release that the last event pushed out of the ``keep`` ones before the current; None if none was.

    Each success brings at most one config to the front, so at most one leaves: removing this one each time is enough.
    """
    configs: dict[str, Release] = {}
    for event in reversed(events):
        if event.outcome == "succeeded":
            configs.setdefault(event.release.config, event.release)
    latest = list(configs.values())
    return latest[keep + 1] if len(latest) > keep + 1 else None


def already(events: Sequence[Event], event: Event) -> Event | None:
    """The event by which the ledger says already what ``event`` would: its release runs, and its data went back."""
    newest = next((one for one in reversed(events) if one.outcome == "succeeded"), None)
    if newest is None or newest.release.id != event.release.id:
        return None
    moved = event.data_commit_moved
    return newest if not moved or (newest.action, newest.data_commit_moved) == ("rollback", moved) else None


def next_id(events: Sequence[Event]) -> str:
    return f"r{len(released(events)) + 1}"


def rollback_target(events: Sequence[Event], wanted: str | None = None) -> Release:
    """The release before the current one, or the named one.

    Raises:
        NotFoundError: no such release.
        UsageError: nothing to go back to, or already there.
    """
    line, _ = _line(events)
    if not line:
        raise UsageError("Nothing was released here yet, so there is nothing to roll back.")
    if wanted is None:
        if len(line) < 2:
            raise UsageError(
                f"{line[-1].id} is the first release: there is none before it.",
                hint="See `mlops-kit history`; name a release with --to.",
            )
        return line[-2]
    known = released(events)
    if wanted not in known:
        raise NotFoundError(f"There is no release {wanted!r}.", hint=f"Releases here: {', '.join(known)}.")
    if wanted == line[-1].id:
        raise UsageError(f"{wanted} is what runs now.")
    return known[wanted]
