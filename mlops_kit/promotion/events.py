"""What the ledger consists of: one event a promotion or rollback, and everything that an event says.

Events are kept for years, so fields only ever join, each with a default. See ``docs/promotion.md`` for every field.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from mlops_kit.config.serving import ServingKind
from mlops_kit.objects import canonical_json


class _Record(BaseModel):
    """``later``: fields that were added when there were ledgers already.

    What came later has a default and is left out where it has that default. So an event that was written before looks
    the same when it is written again: its digest is part of the chain, and a config's name is a digest too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    later: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = type(self).model_fields
        return {
            name: value
            for name, value in handler(self).items()
            if name not in self.later or getattr(self, name) != fields[name].default
        }


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
    """Everything a release's SageMaker model and endpoint config are made from: enough to make them again."""

    later = frozenset(
        {"kind", "subnets", "security_groups", "isolated", "serverless", "asynchronous", "batch", "shadow"}
    )

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
    """What one gate found. ``overridden``: the reason for which somebody went ahead although it refused.

    ``tampered``: it refused because something that it reads is not what was written.
    """

    later = frozenset({"overridden", "tampered"})

    gate: str
    passed: bool
    reason: str
    overridden: str = ""
    tampered: bool = False


class Override(_Record):
    """A gate that whoever promotes goes past on purpose, by its full name, and why."""

    gate: str
    reason: str


class CountedApproval(_Record):
    """An approval that the release rests on: its record in the ledger bucket, the record's digest, and whose it is."""

    key: str
    sha256: str
    by: str


class Event(_Record):
    """One thing that happened to the endpoint. ``seq`` counts from 1; ``previous`` is empty on the first event."""

    later = frozenset(
        {
            "ledger",
            "plan",
            "approvals",
            "overrides",
            "data_commit_moved",
            "endpoint",
            "duration_seconds",
            "took_over",
        }
    )

    seq: int
    previous: str
    """SHA-256 of the event before, as it was written."""
    time: str
    actor: str
    action: Literal["promotion", "rollback"]
    outcome: Literal["succeeded", "failed"]
    release: Release
    source: str = ""
    """Environment and version that was promoted, as in ``staging diagnosis@2``; ``release r3`` of a rollback."""
    gates: tuple[Verdict, ...] = ()
    detail: str = ""
    ledger: str = ""
    """Which ledger it belongs to, as in ``production/diagnosis``; :meth:`Ledger.append` fills it in."""
    plan: str = ""
    """SHA-256 of the plan that was carried out, which lies under that name among the model's plans."""
    approvals: tuple[CountedApproval, ...] = ()
    overrides: tuple[Override, ...] = ()
    data_commit_moved: str = ""
    """The data commit that came along, as in ``biopsies@<commit>``; empty if it was there."""
    endpoint: str = ""
    """ARN of what serves the release."""
    duration_seconds: float | None = None
    took_over: str = ""
    """Whose lock was taken over to do this, if somebody's was."""

    def to_json(self) -> bytes:
        return canonical_json(self.model_dump(mode="json"))
