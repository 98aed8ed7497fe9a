"""Carry out a plan: the only writer of a promotion.

Account guard, lock, plan stored, data, artifacts, approvals once more, registration, deployment, smoke request, version
approved, event, count, clean-up, lock released: in this order. Every step finds what an earlier, interrupted run has
done, so running the same promotion again finishes it and changes nothing twice. Success is recorded only after the
endpoint was seen to run the release, and to answer.

The lock is asked for once more before each step that cannot be taken back: a rollback may have taken it away.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime

from mlops_kit import registry, serving
from mlops_kit.aws import Cloud
from mlops_kit.config import Rollout
from mlops_kit.errors import ConflictError, DeploymentError, GateError
from mlops_kit.naming import ModelNames
from mlops_kit.progress import SILENT, Progress
from mlops_kit.promotion import approvals, data, ledger, lock
from mlops_kit.promotion.begun import settle
from mlops_kit.promotion.count import count
from mlops_kit.promotion.deploy import deploy
from mlops_kit.promotion.gates.approvals import GATE as APPROVALS
from mlops_kit.promotion.guard import guard, serving_arn
from mlops_kit.promotion.ledger import Event, Ledger, Override, Release
from mlops_kit.promotion.lock import Held
from mlops_kit.promotion.plan import ModelPlan
from mlops_kit.promotion.releases import already
from mlops_kit.promotion.smoke import SmokeTest
from mlops_kit.registry import ModelVersion

KEPT_RELEASES = 3
"""Configs kept beside the current one, so that a rollback to one of them is immediate."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where a release goes and how: the target's clients and names, its rollout, a clock, and somebody to tell.

    Without a rollout the traffic moves at once and no alarm can stop it: a rollback's way. ``smoke``: what the release
    has to answer. ``wait``: until it runs. ``patient``: an endpoint that is busy with another release is waited for.
    """

    cloud: Cloud
    names: ModelNames
    rollout: Rollout | None
    now: Callable[[], datetime]
    tell: Callable[[str], None] = lambda line: None
    sleep: Callable[[float], None] = time.sleep
    smoke: SmokeTest | None = None
    wait: bool = True
    patient: bool = False
    progress: Progress = SILENT

    def hold(self, what: str, *, force: bool = False) -> AbstractContextManager[Held]:
        """The model's lock; see :func:`mlops_kit.promotion.lock.hold`."""
        return lock.hold(
            self.cloud.store("artifacts"),
            self.names,
            what=what,
            holder=self.cloud.actor,
            now=self.now,
            tell=self.tell,
            force=force,
        )


@dataclass(frozen=True, slots=True)
class Begun:
    """A deployment that goes on by itself: nothing is recorded yet, and the lock is parked until somebody finishes."""

    release: Release


def execute(plan: ModelPlan, deployment: Deployment) -> Event | Begun:
    """Do what ``plan`` says and return the event that records it.

    Raises:
        GateError: a gate refused, and nothing was written; or an approval was taken back before it was registered.
        AccessError: something would be written to another account or region; nothing was written.
        IntegrityError: a copied object does not have its digest; nothing was registered.
        ConflictError: somebody else holds the lock, is deploying, or recorded something first.
        DeploymentError: the endpoint kept its old release, or has it again; the failure is recorded.
    """
    plan = settle(plan, deployment.cloud, deployment.names, deployment.tell)
    guard(plan, deployment.cloud, deployment.names)
    book = Ledger(deployment.cloud.store("ledger"), deployment.names)
    with deployment.hold(plan.what) as held:
        _require_newest(book, plan.events, deployment.names)
        if not plan.released:  # or all that is left to do was planned before, under another id
            book.keep_plan(plan.to_json())
        moved = data.bring(plan, deployment)
        _copy(plan, deployment)
        if not held.holder.plan:  # what was begun is registered, and may serve
            _require_approvals(plan, deployment)
        held.check()
        version = _register(plan, deployment)
        event = Event(
            seq=0,
            previous="",
            time="",
            actor=deployment.cloud.actor,
            action="promotion",
            outcome="succeeded",
            release=_release(plan, version),
            source=f"{plan.request.source.name} {plan.version.name}",
            gates=plan.verdicts,
            plan=plan.sha256,
            approvals=plan.approvals,
            overrides=_effective(plan),
            data_commit_moved=moved,
        )
        rollout = _Rollout(deployment, book, held)
        if not rollout.deploy(event, plan.events):
            held.park(event.release.config, plan.sha256, deployment.now())
            return Begun(event.release)
        return rollout.finish(event, plan.events, version)


def roll_back(
    event: Event,
    events: tuple[Event, ...],
    deployment: Deployment,
    held: Held,
    then: Callable[[Release, Deployment], None] | None = None,
) -> Event:
    """Deploy the event's release, an earlier one, verify it, and append the event to ``events``, the newest ones.

    ``then``: what is to be done once it runs, and before that is recorded.
    """
    book = Ledger(deployment.cloud.store("ledger"), deployment.names)
    _require_newest(book, events, deployment.names)
    rollout = _Rollout(deployment, book, held, then)
    rollout.deploy(event, events)
    return rollout.finish(event, events, None)


@dataclass(frozen=True, slots=True)
class _Rollout:
    """What is the same for promotions and rollbacks: from the deployment on."""

    deployment: Deployment
    book: Ledger
    held: Held
    then: Callable[[Release, Deployment], None] | None = None

    def deploy(self, event: Event, events: tuple[Event, ...]) -> bool:
        """False if it only began. A failed deployment is recorded, then raised."""
        try:
            return deploy(event.release, self.deployment, ledger.current(events), self.held)
        except DeploymentError as exc:
            self.held.check()  # a rollback that took the lock away is no failure of ours
            self._record(event.model_copy(update={"outcome": "failed", "detail": exc.message}), events)
            raise

    def finish(self, event: Event, events: tuple[Event, ...], version: ModelVersion | None) -> Event:
        """Approve ``version`` and record, unless the ledger says so already."""
        release, deployment = event.release, self.deployment
        if self.then is not None:
            self.held.check()
            self.then(release, deployment)
        if version is not None and version.status != registry.APPROVED:
            self.held.check()
            registry.approve(deployment.cloud.sagemaker, version, f"Released as {release.id} by {event.actor}")
        if (known := already(events, event)) is not None:
            self._prune(events)
            return known
        recorded = self._record(event, events)
        self._prune((*events, recorded))
        return recorded

    def _record(self, event: Event, events: tuple[Event, ...]) -> Event:
        deployment, holder = self.deployment, self.held.holder
        now = deployment.now()
        self.held.check()
        recorded = self.book.append(
            events,
            event.model_copy(
                update={
                    "time": now.isoformat(timespec="seconds"),
                    "endpoint": serving_arn(deployment.names, event.release.spec.kind),
                    "duration_seconds": max(0.0, (now - datetime.fromisoformat(holder.started)).total_seconds()),
                    "took_over": holder.took_over,
                }
            ),
        )
        count(deployment.cloud.cloudwatch, deployment.names, recorded, deployment.tell)
        return recorded

    def _prune(self, events: tuple[Event, ...]) -> None:
        """Remove the one config that the newest release pushed out of those that are kept.

        A rollback has read the newest events only; what else there is, is read now that nobody waits for it.
        """
        if events and events[0].seq > 1:
            events = self.book.recent(lambda newest: ledger.superseded(newest, KEPT_RELEASES) is not None)
        old = ledger.superseded(events, KEPT_RELEASES)
        if old is None:
            return
        deployment = self.deployment
        self.held.check()
        if serving.delete_release(deployment.cloud.sagemaker, deployment.names, old.config, old.spec):
            deployment.tell(
                f"removed the config of {old.id}; only the last {KEPT_RELEASES} before the current one are kept"
            )


def _require_newest(book: Ledger, events: tuple[Event, ...], names: ModelNames) -> None:
    """What was planned before the lock was there is worth nothing if somebody else was faster."""
    if book.went_on(events):
        raise ConflictError(
            f"Somebody else recorded a release of {names.model} in {names.environment.environment} since this one was "
            "planned.",
            hint=f"See `mlops-kit history {names.model} --in {names.environment.environment}`, then run the command "
            "again: it plans anew.",
        )


def _require_approvals(plan: ModelPlan, deployment: Deployment) -> None:
    """Once more: to confirm and to copy takes a while, and people may have second thoughts meanwhile."""
    if plan.released or any(verdict.gate == APPROVALS and verdict.overridden for verdict in plan.verdicts):
        return
    cloud, target, sha256 = deployment.cloud, plan.request.target, plan.version.lineage.artifact_sha256
    said = approvals.read(cloud.store("ledger"), deployment.names, sha256)
    found = approvals.evaluate(said, target.approvals, cloud.actor, target.name, sha256, deployment.now())
    if not found.passed:
        why = "".join(f"\n  {reason}" for reason in found.reasons)
        raise GateError(f"{plan.version.name} is not approved for {target.name} any more:{why}")


def _effective(plan: ModelPlan) -> tuple[Override, ...]:
    """The overrides without which a gate would have stopped it; one of a gate that passed has overridden nothing."""
    overridden = {verdict.gate for verdict in plan.verdicts if verdict.overridden}
    return tuple(one for one in plan.request.overrides if one.gate in overridden)


def _copy(plan: ModelPlan, deployment: Deployment) -> None:
    source = deployment.cloud.store("artifacts", plan.request.source)
    target = deployment.cloud.store("artifacts")
    for item in plan.copies:
        if item.present:
            target.verify(item.key, item.sha256, size=item.size)
            copied = False
        else:
            copied = target.copy_new(item.key, source, item.source_key, item.sha256)
        deployment.tell(f"{'copied' if copied else 'already there'}, digest verified: {item.name}")


def _register(plan: ModelPlan, deployment: Deployment) -> ModelVersion:
    artifacts, names = deployment.cloud.store("artifacts"), deployment.names
    sha256 = plan.version.lineage.artifact_sha256
    if plan.registered is not None:
        deployment.tell(f"already registered as {plan.registered.name}")
        return plan.registered
    version = registry.register(
        deployment.cloud.sagemaker,
        names,
        lineage=replace(plan.version.lineage, source_package=plan.version.arn),
        image=plan.version.image,
        artifact_uri=artifacts.uri(names.artifact_key(sha256)),
        metrics_uri=artifacts.uri(names.metrics_key(sha256)),
        environment=plan.spec.environment,
        description=f"Promoted from {plan.request.source.name} {plan.version.name}, artifact {sha256}",
    )
    version = registry.point(deployment.cloud.sagemaker, names, artifacts, version)
    deployment.tell(f"registered as {version.name}")
    return version


def _release(plan: ModelPlan, version: ModelVersion) -> Release:
    if plan.released and plan.incumbent is not None:
        return plan.incumbent
    lineage = plan.version.lineage
    return Release(
        id=ledger.next_id(plan.events),
        config=plan.config,
        spec=plan.spec,
        version=version.version,
        artifact_sha256=lineage.artifact_sha256,
        dataset=lineage.dataset,
        dataset_commit=lineage.dataset_commit,
        code_commit=lineage.code_commit,
        training_job=lineage.training_job,
    )
