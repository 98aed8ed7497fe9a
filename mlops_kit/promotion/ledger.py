"""The release ledger of one model in one environment: append-only, numbered, hash-chained events.

An event is one JSON object at ``<model>/<seq>.json``, written create-only into a bucket with object lock, and names the
SHA-256 of the event before it. So two writers cannot both take a number, and an edited or removed event breaks the
chain. Because the bucket keeps versions, not even a chain that was forged anew from one event on goes unnoticed: an
event has one version, or it was tampered with. What runs, what ran before and what a rollback means are folds over the
events (``releases``); nothing else stores the current state.

The plans that were carried out lie beside the events, at ``<model>/plans/<sha256>.json``; ``ledger_verify`` compares
all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from pydantic import ValidationError

from mlops_kit.errors import ConflictError, IntegrityError
from mlops_kit.naming import ModelNames
from mlops_kit.objects import Store, each, sha256_bytes
from mlops_kit.promotion.events import (
    AsynchronousSpec,
    BatchSpec,
    CountedApproval,
    Event,
    Override,
    Release,
    ReleaseSpec,
    ServerlessSpec,
    ShadowSpec,
    Verdict,
)
from mlops_kit.promotion.releases import current, know_target, next_id, released, rollback_target, superseded

__all__ = [
    "AsynchronousSpec",
    "BatchSpec",
    "CountedApproval",
    "Event",
    "Ledger",
    "Override",
    "Release",
    "ReleaseSpec",
    "ServerlessSpec",
    "ShadowSpec",
    "Verdict",
    "current",
    "know_target",
    "next_id",
    "parse",
    "released",
    "rollback_target",
    "superseded",
    "title",
]

AT_ONCE = 16
"""Events read at the same time."""


class Ledger:
    """Reads and appends the events of one model."""

    def __init__(self, store: Store, names: ModelNames) -> None:
        self._store = store
        self._names = names

    def events(self) -> tuple[Event, ...]:
        """All events in order, the chain verified.

        Raises:
            IntegrityError: an event is missing, edited, overwritten, or not readable.
        """
        keys = self._keys()
        return tuple(self._chained(each(self._read, keys, at_once=AT_ONCE)))

    def recent(self, enough: Callable[[Sequence[Event]], bool]) -> tuple[Event, ...]:
        """The newest events in order, as few as ``enough`` is content with: each costs a request.

        Raises:
            IntegrityError: as of :meth:`events`; of older events, only that one is missing or was overwritten.
        """
        found: tuple[Event, ...] = ()
        for key in reversed(self._keys()):
            found = tuple(self._chained([self._read(key), *found]))
            if enough(found):
                break
        return found

    def went_on(self, events: Sequence[Event]) -> bool:
        """Whether somebody recorded something after ``events``: they are not the newest any more."""
        return self._store.head(self._names.ledger_key(events[-1].seq + 1 if events else 1)) is not None

    def append(self, events: Sequence[Event], event: Event) -> Event:
        """Write ``event`` after ``events``, the ones its writer has seen; of these the last is what counts.

        Raises:
            ConflictError: somebody else wrote an event since.
        """
        last = events[-1] if events else None
        numbered = event.model_copy(
            update={
                "seq": last.seq + 1 if last else 1,
                "previous": sha256_bytes(last.to_json()) if last else "",
                "ledger": title(self._names),
            }
        )
        # Once more through validation: what is read back has to be the same to the last digit.
        chained = Event.model_validate(numbered.model_dump())
        key = self._names.ledger_key(chained.seq)
        body = chained.to_json()
        if not self._store.put_new(key, body, "application/json") and self._store.get(key) != body:
            raise ConflictError(
                f"Somebody else recorded event {chained.seq} of {self._names.model} first.",
                hint="See `mlops-kit history`, then run the command again.",
            )
        return chained

    def keep_plan(self, plan: bytes) -> str:
        """Store a plan, as canonical JSON, once and for all; its SHA-256 is what the plan is called from then on.

        Raises:
            IntegrityError: something else is stored under this digest.
        """
        sha256 = sha256_bytes(plan)
        key = self._names.plan_key(sha256)
        if not self._store.put_new(key, plan, "application/json") and self._store.get(key) != plan:
            raise IntegrityError(f"{self._store.uri(key)} is not the plan with this digest.", hint=self._hint)
        return sha256

    def plan(self, sha256: str) -> bytes | None:
        """The plan of this digest, None if there is none.

        Raises:
            IntegrityError: it has another digest by now.
        """
        key = self._names.plan_key(sha256)
        body = self._store.get(key)
        if body is not None and sha256_bytes(body) != sha256:
            raise IntegrityError(f"{self._store.uri(key)} is not the plan with this digest.", hint=self._hint)
        return body

    @property
    def _hint(self) -> str:
        return verify_hint(self._names)

    def _keys(self) -> list[str]:
        """The events' keys in order. Asking for versions costs what asking for keys does, and shows what was hidden."""
        keys: list[str] = []
        for version in self._store.versions(self._names.ledger_prefix):
            if version.key.startswith(self._names.plans_prefix):
                continue
            expected = self._names.ledger_key(len(keys) + 1)
            if keys and version.key == keys[-1]:
                raise IntegrityError(
                    f"{self._store.uri(version.key)} was overwritten or deleted: it has several versions.",
                    hint=self._hint,
                )
            if version.deleted or version.key != expected:
                what = "a deleted" if version.deleted else "a"
                raise IntegrityError(
                    f"The ledger has {what} {self._store.uri(version.key)} where event {len(keys) + 1} should be.",
                    hint=self._hint,
                )
            keys.append(version.key)
        return keys

    def _read(self, key: str) -> Event:
        body = self._store.get(key)
        event = parse(body or b"")
        if event is None:
            raise IntegrityError(f"{self._store.uri(key)} is not a ledger event.", hint=self._hint)
        if self._names.ledger_key(event.seq) != key or event.ledger not in ("", title(self._names)):
            raise IntegrityError(f"{self._store.uri(key)} holds another event: {event.seq}.", hint=self._hint)
        return event

    def _chained(self, events: Iterable[Event]) -> Iterator[Event]:
        last: Event | None = None
        for event in events:
            if event.seq == 1 or last is not None:
                expected = sha256_bytes(last.to_json()) if last else ""
                if event.previous != expected:
                    key = self._names.ledger_key(event.seq)
                    raise IntegrityError(
                        f"The ledger's chain breaks at {self._store.uri(key)}: it does not follow the event before it.",
                        hint=self._hint,
                    )
            last = event
            yield event


def parse(body: bytes) -> Event | None:
    """The event that ``body`` is, to the last byte; None if it is anything else."""
    try:
        event = Event.model_validate_json(body)
    except ValidationError:
        return None
    return event if event.to_json() == body else None


def title(names: ModelNames) -> str:
    """What a ledger is called in its events."""
    return f"{names.environment.environment}/{names.model}"


def verify_hint(names: ModelNames) -> str:
    """What to do about a record that is not what was written."""
    return (
        f"Run `mlops-kit ledger verify {names.model} --in {names.environment.environment}`: it names what was tampered "
        "with, and how to get back what was recorded."
    )
