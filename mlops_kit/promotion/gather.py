"""Read the evidence: what the gates of one release need, and nothing that no gate asks for.

As the target's promoter, who may read the source's data, models and packages; the source's releases and alarms are read
as the source's auditor, because CloudWatch answers nobody from another account.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from mlops_kit.aws import Cloud, error_code, translate_botocore
from mlops_kit.config import Project
from mlops_kit.config.release_gates import Gates
from mlops_kit.errors import AccessError, IntegrityError, MlopsKitError
from mlops_kit.naming import ModelNames
from mlops_kit.objects import Store
from mlops_kit.objects.strict_json import number, read_json
from mlops_kit.promotion import approvals
from mlops_kit.promotion.approvals import Approval
from mlops_kit.promotion.events import Event, Release
from mlops_kit.promotion.evidence import (
    AlarmsFound,
    ArtifactFound,
    BudgetFound,
    CheckFound,
    DataFound,
    Evidence,
    GatePolicy,
    ImageFound,
    Running,
    ScanFound,
    Unread,
)
from mlops_kit.promotion.images import is_here, read_image, read_scan
from mlops_kit.promotion.ledger import Ledger
from mlops_kit.promotion.request import PromotionRequest
from mlops_kit.promotion.watch import read_alarms
from mlops_kit.quality import record
from mlops_kit.registry import ModelVersion
from mlops_kit.signing import SignatureCheck, trusted, verify_signature

T = TypeVar("T")

_CALLER = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired", "InvalidClientTokenId"}
"""Not about a piece of evidence, but about whoever asks: nothing can be read any more."""


def attempt(what: str, read: Callable[[], T]) -> T | Unread:
    """What ``read`` returns, or why it could not: then the gate that needs it refuses, and the others still speak."""
    try:
        return read()
    except MlopsKitError as exc:
        return Unread(f"{what} could not be read: {exc.message}", tampered=isinstance(exc, IntegrityError))
    except ClientError as exc:
        if error_code(exc) in _CALLER:
            raise
        return Unread(f"{what} could not be read: {exc.operation_name} was refused ({error_code(exc)})")
    except BotoCoreError as exc:
        if isinstance(ours := translate_botocore(exc), AccessError):
            raise
        return Unread(f"{what} could not be read: {ours.message}")


@dataclass(frozen=True, slots=True)
class Known:
    """What planning has read before: the evidence repeats none of it."""

    request: PromotionRequest
    version: ModelVersion
    events: tuple[Event, ...]
    incumbent: Release | None
    artifact: ArtifactFound | Unread
    data: DataFound | Unread
    data_readable: bool | Unread
    image: str
    """The address that the release would be served with."""
    change_usd: float | None


def gather(known: Known, policy: GatePolicy, project: Project, cloud: Cloud, now: datetime) -> Evidence:
    """Everything that the gates of ``policy`` look at. Failures are part of it: see :func:`attempt`."""
    return _Gathering(known, policy.gates, project, cloud, now).evidence(policy)


class _Gathering:
    def __init__(self, known: Known, gates: Gates, project: Project, cloud: Cloud, now: datetime) -> None:
        self.known, self.gates, self.project, self.cloud, self.now = known, gates, project, cloud, now
        self.source, self.target = known.request.source, known.request.target
        self.source_names = self.source.names.model(known.request.model)
        self.names = self.target.names.model(known.request.model)
        self.sha256 = known.version.lineage.artifact_sha256

    @cached_property
    def observed(self) -> Cloud:
        return self.cloud.observe(self.source)

    def evidence(self, policy: GatePolicy) -> Evidence:
        known, gates = self.known, self.gates
        elsewhere = not known.request.within
        image = attempt("the image", self._image)
        return Evidence(
            version=known.version,
            source=self.source,
            target=self.target,
            now=self.now,
            events=known.events,
            incumbent=known.incumbent,
            metrics=attempt("the metrics", self._metrics) if policy.metrics else {},
            incumbent_metrics=self._incumbent_metrics(policy),
            artifact=known.artifact,
            data=known.data,
            data_readable=known.data_readable,
            data_check=attempt("the data test", self._check) if gates.data_checks != "off" else None,
            image=image,
            image_scan=self._scan(image),
            source_alarms=attempt("the alarms", self._alarms) if gates.source_alarms and elsewhere else None,
            running=attempt("the releases", self._running) if gates.soak_hours and elsewhere else None,
            approvals=attempt("the approvals", self._approvals),
            signature=attempt("the signature", self._signature) if gates.signature == "required" else None,
            budget=attempt("the budget", self._budget) if gates.budget != "off" else None,
        )

    def _metrics(self) -> dict[str, float]:
        return read_metrics(self.cloud.store("artifacts", self.source), self.source_names, self.sha256)

    def _incumbent_metrics(self, policy: GatePolicy) -> Mapping[str, float] | Unread | None:
        before = self.known.incumbent
        asked = any(gate.not_worse_than_incumbent is not None for gate in policy.metrics)
        if before is None or not asked or before.artifact_sha256 == self.sha256:
            return None
        return attempt(
            f"the metrics of {before.id}",
            lambda: read_metrics(self.cloud.store("artifacts"), self.names, before.artifact_sha256),
        )

    def _check(self) -> CheckFound:
        lineage = self.known.version.lineage
        constraints = self.project.dataset(lineage.dataset)
        if constraints is None:
            return CheckFound(None)
        digest = record.constraints_sha256(constraints)
        lake = self.cloud.store("lake", self.source)
        return CheckFound(constraints, record.read(lake, lineage.dataset, lineage.dataset_commit, digest))

    def _image(self) -> ImageFound:
        place = self.known.image, self.target.account, self.target.region
        # A client takes a tenth of a second to make, and most images are AWS's.
        return read_image(self.cloud.ecr if is_here(*place) else None, *place)

    def _scan(self, image: ImageFound | Unread) -> ScanFound | Unread | None:
        if self.gates.image_scan is None or isinstance(image, Unread) or not image.present:
            return None
        return attempt("the scan", lambda: read_scan(self.cloud.ecr, image))

    def _alarms(self) -> AlarmsFound:
        model = self.project.model(self.known.request.model, self.source)
        wanted = [self.source_names.alarm(kind) for kind in model.alarm_kinds]
        states = read_alarms(self.observed.cloudwatch, wanted)
        return AlarmsFound(
            in_alarm=tuple(name for name in wanted if states.get(name) == "ALARM"),
            quiet=tuple(name for name in wanted if states.get(name, "ALARM") != "ALARM"),
            missing=tuple(name for name in wanted if name not in states),
        )

    def _running(self) -> Running | None:
        """The event that a release began with is the newest one that succeeded, be it a promotion or a rollback."""
        book = Ledger(self.observed.store("ledger"), self.source_names)
        events = book.recent(lambda newest: any(event.outcome == "succeeded" for event in newest))
        for event in reversed(events):
            if event.outcome == "succeeded":
                return Running(event.release.id, event.release.artifact_sha256, datetime.fromisoformat(event.time))
        return None

    def _approvals(self) -> Approval:
        found = approvals.read(self.cloud.store("ledger"), self.names, self.sha256)
        policy = self.target.approvals
        return approvals.evaluate(found, policy, self.cloud.actor, self.target.name, self.sha256, self.now)

    def _signature(self) -> SignatureCheck:
        artifacts = self.cloud.store("artifacts", self.source)
        keys = trusted(self.cloud, self.project, self.target)
        return verify_signature(artifacts, self.source_names, self.sha256, keys)

    def _budget(self) -> BudgetFound:
        name = self.target.names.budget
        found = self.cloud.budgets.describe_budget(AccountId=self.target.account, BudgetName=name)["Budget"]
        spent = found.get("CalculatedSpend", {})
        forecast = spent.get("ForecastedSpend", {}).get("Amount")
        return BudgetFound(
            limit_usd=float(found["BudgetLimit"]["Amount"]),
            actual_usd=float(spent.get("ActualSpend", {}).get("Amount", 0.0)),
            forecast_usd=None if forecast is None else float(forecast),
            change_usd=self.known.change_usd,
        )


def read_metrics(artifacts: Store, names: ModelNames, sha256: str) -> dict[str, float]:
    """The metrics that the training job of an artifact reported.

    Raises:
        IntegrityError: they are missing, or are no mapping of names to numbers.
    """
    key = names.metrics_key(sha256)
    body = artifacts.get(key)
    if body is None:
        raise IntegrityError(f"{artifacts.uri(key)} is missing: the version has no recorded metrics.")
    return parse_metrics(body, artifacts.uri(key))


def parse_metrics(body: bytes, uri: str) -> dict[str, float]:
    """Raises:
    IntegrityError: it is no mapping of names to numbers.
    """
    try:
        return {str(name): number(value) for name, value in read_json(body).items()}
    except (ValueError, TypeError, AttributeError) as exc:
        raise IntegrityError(f"{uri} is not what a training job reports: {exc}") from exc
