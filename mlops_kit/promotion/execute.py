"""Carry out a plan: copy, register, deploy, verify, record. The only writer of a promotion.

Every step finds what an earlier, interrupted run has done, so running the same promotion again finishes it and changes
nothing twice. Success is recorded last, after the endpoint was seen to run the release.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from mlops_kit import registry, serving
from mlops_kit.aws import Cloud
from mlops_kit.config import Rollout
from mlops_kit.errors import DeploymentError
from mlops_kit.naming import ModelNames
from mlops_kit.promotion import gates, ledger
from mlops_kit.promotion.count import count
from mlops_kit.promotion.deploy import deploy
from mlops_kit.promotion.ledger import Event, Ledger, Release
from mlops_kit.promotion.plan import ModelPlan
from mlops_kit.registry import ModelVersion

KEPT_RELEASES = 3
"""Configs kept beside the current one, so that a rollback to one of them is immediate."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where a release goes and how: the target's clients and names, its rollout, a clock, and somebody to tell.

    Without a rollout the traffic moves at once and no alarm can stop it: a rollback's way.
    """

    cloud: Cloud
    names: ModelNames
    rollout: Rollout | None
    now: Callable[[], datetime]
    tell: Callable[[str], None] = lambda line: None
    sleep: Callable[[float], None] = time.sleep


def execute(plan: ModelPlan, deployment: Deployment) -> Event:
    """Do what ``plan`` says and return the event that records it.

    Raises:
        GateError: a gate refused; nothing was written.
        IntegrityError: a copied object does not have its digest; nothing was registered.
        ConflictError: somebody else is deploying or recorded something first.
        DeploymentError: the endpoint kept its old release; the failure is recorded.
    """
    gates.require(plan.verdicts, f"{plan.version.name} to {plan.request.target.name}")
    _copy(plan, deployment)
    version = _register(plan, deployment)
    event = Event(
        seq=0,
        previous="",
        time=deployment.now().isoformat(timespec="seconds"),
        actor=deployment.cloud.actor,
        action="promotion",
        outcome="succeeded",
        release=_release(plan, version),
        source=f"{plan.request.source.name} {plan.version.name}",
        gates=plan.verdicts,
    )
    return roll_out(event, plan.events, deployment, version)


def roll_out(
    event: Event, events: tuple[Event, ...], deployment: Deployment, version: ModelVersion | None = None
) -> Event:
    """Deploy the event's release, verify it, approve ``version``, and append the event to ``events``.

    A release that the ledger already calls current is only verified. A failed deployment is recorded, then raised.
    """
    release = event.release
    running = ledger.current(events)
    book = Ledger(deployment.cloud.store("ledger"), deployment.names)
    try:
        deploy(release, deployment, running)
    except DeploymentError as exc:
        failed = book.append(events, event.model_copy(update={"outcome": "failed", "detail": exc.message}))
        count(deployment.cloud.cloudwatch, deployment.names, failed, deployment.tell)
        raise
    if version is not None and version.status != registry.APPROVED:
        registry.approve(deployment.cloud.sagemaker, version, f"Released as {release.id} by {event.actor}")
    if running is not None and running.id == release.id:
        return next(e for e in reversed(events) if e.outcome == "succeeded" and e.release.id == release.id)
    recorded = book.append(events, event)
    count(deployment.cloud.cloudwatch, deployment.names, recorded, deployment.tell)
    old = ledger.superseded((*events, recorded), KEPT_RELEASES)
    if old is not None:
        serving.delete_release(deployment.cloud.sagemaker, deployment.names, old.config, old.spec)
        deployment.tell(
            f"removed the config of {old.id}; only the last {KEPT_RELEASES} before the current one are kept"
        )
    return recorded


def _copy(plan: ModelPlan, deployment: Deployment) -> None:
    source = deployment.cloud.store("artifacts", plan.request.source)
    target = deployment.cloud.store("artifacts")
    for copy in plan.copies:
        copied = target.copy_new(copy.key, source, copy.source_key, copy.sha256)
        deployment.tell(f"{'copied' if copied else 'already there'}, digest verified: {copy.name}")


def _register(plan: ModelPlan, deployment: Deployment) -> ModelVersion:
    artifacts = deployment.cloud.store("artifacts")
    sha256 = plan.version.lineage.artifact_sha256
    if plan.registered is not None:
        deployment.tell(f"already registered as {plan.registered.name}")
        return plan.registered
    version = registry.register(
        deployment.cloud.sagemaker,
        deployment.names,
        lineage=replace(plan.version.lineage, source_package=plan.version.arn),
        image=plan.version.image,
        artifact_uri=artifacts.uri(deployment.names.artifact_key(sha256)),
        metrics_uri=artifacts.uri(deployment.names.metrics_key(sha256)),
        environment=plan.spec.environment,
        description=f"Promoted from {plan.request.source.name} {plan.version.name}",
    )
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
