"""What the gates look at, as it was read: one frozen dataclass, so that a gate is a function of it and of nothing else.

Reading is :mod:`mlops_kit.promotion.gather`'s. A piece that could not be read is an :class:`Unread` in its place: the
gate that needs it refuses and says why, and all the others still say what they found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mlops_kit.config import Approvals, Dataset, Environment, Gates, MetricGate, Model
from mlops_kit.promotion.approvals import Approval
from mlops_kit.promotion.events import Event, Release
from mlops_kit.quality.record import CheckRecord
from mlops_kit.registry import ModelVersion
from mlops_kit.signing.verify import SignatureCheck


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """What is asked of a release: the environment's ``gates`` and ``approvals``, and the model's gates on metrics."""

    gates: Gates
    approvals: Approvals
    metrics: tuple[MetricGate, ...]

    @classmethod
    def of(cls, environment: Environment, model: Model) -> GatePolicy:
        return cls(environment.gates, environment.approvals, model.gates)


@dataclass(frozen=True, slots=True)
class Unread:
    """A piece of evidence that could not be read, and why, in a sentence. ``tampered``: it is not what was written."""

    reason: str
    tampered: bool = False


@dataclass(frozen=True, slots=True)
class DataFound:
    """``in_target``: the commit is there and, where data is to come along, the target's ref reaches it. ``comes``: the
    promotion brings it.
    """

    in_target: bool
    comes: bool = False


@dataclass(frozen=True, slots=True)
class CheckFound:
    """The data test of the version's commit: ``constraints`` as the project has them now, and its result against these.

    None: the data set has no file, or nobody tested the commit against it.
    """

    constraints: Dataset | None
    record: CheckRecord | None = None


@dataclass(frozen=True, slots=True)
class ArtifactFound:
    """``stored``: the SHA-256 that S3 computed when the source's object was written; None if it was sent in parts."""

    stored: str | None


@dataclass(frozen=True, slots=True)
class ImageFound:
    """The serving image. ``account``: whose registry it is in, empty outside of ECR. ``digest``: pinned, or what its
    tag stands for in the target's registry; empty if nobody knows. ``present``: None if it was not looked for, because
    it is not the target's.
    """

    address: str
    account: str
    repository: str
    digest: str
    pinned: bool
    of_aws: bool = False
    present: bool | None = None


@dataclass(frozen=True, slots=True)
class ScanFound:
    """What ECR's scan says. ``complete``: there is a result. ``counts``: findings by severity, like ``CRITICAL``."""

    status: str
    complete: bool
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class AlarmsFound:
    """The model's alarms in the stage before. ``missing``: those that it should have and that do not exist."""

    in_alarm: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Running:
    """The current release of the stage before, and since when it is."""

    release: str
    artifact_sha256: str
    since: datetime


@dataclass(frozen=True, slots=True)
class BudgetFound:
    """US dollars of this month. ``forecast``: None if AWS gives none. ``change_usd``: what the release adds a month."""

    limit_usd: float
    actual_usd: float
    forecast_usd: float | None
    change_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the gates look at. ``None``: there is no such thing, or nobody asked for it.

    ``metrics``: of the version, and ``incumbent_metrics`` of the release that it would replace. ``events``: the
    target's ledger.
    """

    version: ModelVersion
    source: Environment
    target: Environment
    now: datetime
    events: tuple[Event, ...]
    incumbent: Release | None
    metrics: Mapping[str, float] | Unread
    incumbent_metrics: Mapping[str, float] | Unread | None
    artifact: ArtifactFound | Unread
    data: DataFound | Unread
    data_readable: bool | Unread
    data_check: CheckFound | Unread | None
    image: ImageFound | Unread
    image_scan: ScanFound | Unread | None
    source_alarms: AlarmsFound | Unread | None
    running: Running | Unread | None
    approvals: Approval | Unread
    signature: SignatureCheck | Unread | None
    budget: BudgetFound | Unread | None

    @property
    def within(self) -> bool:
        """The stage releases its own versions: there is no stage before."""
        return self.source.name == self.target.name
