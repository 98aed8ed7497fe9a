"""The release ledger of one model in one environment: append-only, numbered, hash-chained events.

An event is one JSON object at ``<model>/<seq>.json``, written create-only into a bucket with object lock, and names the
SHA-256 of the event before it. So two writers cannot both take a number, and an edited or removed event breaks the
chain. What runs, what ran before and what a rollback means are folds over the events; nothing else stores the current
state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, ValidationError, model_serializer

from mlops_kit.config.serving import ServingKind
from mlops_kit.errors import ConflictError, IntegrityError, NotFoundError, UsageError
from mlops_kit.naming import ModelNames
from mlops_kit.objects import Store, canonical_json, sha256_bytes


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ServerlessSpec(_Record):
    """Kind ``serverless``: what SageMaker may use for it."""

    memory_mb: int
    max_concurrency: int
    provisioned_concurrency: int | None = None


class AsynchronousSpec(_Record):
    """Kind ``async``: how many requests an instance works on at the same time."""

    concurrent_per_instance: int


class BatchSpec(_Record):
    """Kind ``batch``: what the scheduled job reads, and how. ``input_prefix`` lies in the lake bucket."""

    input_prefix: str
    content_type: str
    max_payload_mb: int


class ShadowSpec(_Record):
    """Another version that gets copies of requests; ``version`` is registered in the same environment."""

    version: int
    image: str
    artifact_uri: str
    percent: int
    instance_type: str
    instance_count: int


class ReleaseSpec(_Record):
    """Everything a release's SageMaker model and endpoint config are made from: enough to make them again.

    What came later has a default and is left out where it has that default. So an event that was written before looks
    the same when it is written again: its digest is part of the chain, and its config's name is a digest too.
    """

    image: str
    artifact_uri: str
    environment: dict[str, str]
    instance_type: str
    """Empty for kind ``serverless``."""
    instance_count: int
    capture_percent: int
    """Counts for kind ``realtime``; the others are not captured."""
    encrypt_volume: bool
    """False for instances with local disks, which encrypt themselves and refuse a key, and where there are none."""
    kind: ServingKind = "realtime"
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    isolated: bool = False
    """Whether the container has no network at all."""
    serverless: ServerlessSpec | None = None
    asynchronous: AsynchronousSpec | None = None
    batch: BatchSpec | None = None
    shadow: ShadowSpec | None = None

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = type(self).model_fields
        return {
            name: value
            for name, value in handler(self).items()
            if fields[name].is_required() or getattr(self, name) != fields[name].default
        }


class Release(_Record):
    """One release. ``id`` is r1, r2, … in the order of first success; ``config`` names model and endpoint config."""

    id: str
    config: str
    spec: ReleaseSpec
    version: int
    artifact_sha256: str
    dataset: str
    dataset_commit: str
    code_commit: str
    training_job: str


class Verdict(_Record):
    """What one gate found."""

    gate: str
    passed: bool
    reason: str


class Event(_Record):
    """One thing that happened to the endpoint. ``seq`` counts from 1; ``previous`` is empty on the first event."""

    seq: int
    previous: str
    time: str
    actor: str
    action: Literal["promotion", "rollback"]
    outcome: Literal["succeeded", "failed"]
    release: Release
    source: str = ""
    """Environment and version that was promoted, as in ``staging diagnosis@2``."""
    gates: tuple[Verdict, ...] = ()
    detail: str = ""

    def to_json(self) -> bytes:
        return canonical_json(self.model_dump(mode="json"))


class Ledger:
    """Reads and appends the events of one model."""

    def __init__(self, store: Store, names: ModelNames) -> None:
        self._store = store
        self._names = names

    def events(self) -> tuple[Event, ...]:
        """All events in order, the chain verified.

        Raises:
            IntegrityError: an event is missing, edited, or not readable.
        """
        events: list[Event] = []
        previous = ""
        for expected, key in enumerate(self._store.keys(self._names.ledger_prefix), start=1):
            if key != self._names.ledger_key(expected):
                raise IntegrityError(f"The ledger has {self._store.uri(key)} where event {expected} should be.")
            body = self._store.get(key)
            try:
                event = Event.model_validate_json(body or b"")
            except ValidationError as exc:
                raise IntegrityError(f"{self._store.uri(key)} is not a ledger event: {exc}") from exc
            if event.seq != expected or event.previous != previous:
                raise IntegrityError(
                    f"The ledger's chain breaks at {self._store.uri(key)}: it does not follow the event before it.",
                    hint="Compare the object's versions in the ledger bucket; an event was edited or removed.",
                )
            events.append(event)
            previous = sha256_bytes(event.to_json())
        return tuple(events)

    def append(self, events: Sequence[Event], event: Event) -> Event:
        """Write ``event`` after ``events``, the ones its writer has seen.

        Raises:
            ConflictError: somebody else wrote an event since.
        """
        last = events[-1] if events else None
        chained = event.model_copy(
            update={"seq": len(events) + 1, "previous": sha256_bytes(last.to_json()) if last else ""}
        )
        key = self._names.ledger_key(chained.seq)
        body = chained.to_json()
        if not self._store.put_new(key, body, "application/json") and self._store.get(key) != body:
            raise ConflictError(
                f"Somebody else recorded event {chained.seq} of {self._names.model} first.",
                hint="See `mlops-kit history`, then run the command again.",
            )
        return chained


def _line(events: Sequence[Event]) -> list[Release]:
    """The releases that led to the current one, oldest first: a promotion adds one, a rollback goes back to one."""
    line: list[Release] = []
    for event in events:
        if event.outcome != "succeeded":
            continue
        if event.action == "rollback":
            ids = [release.id for release in line]
            if event.release.id in ids:
                del line[ids.index(event.release.id) + 1 :]
                continue
        line.append(event.release)
    return line


def current(events: Sequence[Event]) -> Release | None:
    """What the endpoint is meant to run; None before the first release."""
    line = _line(events)
    return line[-1] if line else None


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


def next_id(events: Sequence[Event]) -> str:
    return f"r{len(released(events)) + 1}"


def rollback_target(events: Sequence[Event], wanted: str | None = None) -> Release:
    """The release before the current one, or the named one.

    Raises:
        NotFoundError: no such release.
        UsageError: nothing to go back to, or already there.
    """
    line = _line(events)
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
