"""Go back to an earlier release: planned from the ledger alone, no bytes copied, recorded like a promotion."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_kit.errors import UsageError
from mlops_kit.promotion import ledger
from mlops_kit.promotion.execute import Deployment, roll_out
from mlops_kit.promotion.ledger import Event, Ledger, Release


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """From which release to which, and the ledger as it was read."""

    current: Release | None
    target: Release
    events: tuple[Event, ...]


def plan(book: Ledger, wanted: str | None = None) -> RollbackPlan:
    """To the release before the current one, or to the release ``wanted``; reads only the ledger.

    Raises:
        UsageError: nothing to go back to, or it was served in another way.
    """
    events = book.events()
    current, target = ledger.current(events), ledger.rollback_target(events, wanted)
    if current is not None and current.spec.kind != target.spec.kind:
        raise UsageError(
            f"{target.id} was served as {target.spec.kind!r}, and {current.id} is served as {current.spec.kind!r}: one "
            "cannot be turned into the other.",
            hint=f"Release its version {target.version} again with `mlops-kit promote model`.",
        )
    return RollbackPlan(current, target, events)


def execute(plan: RollbackPlan, deployment: Deployment) -> Event:
    """Deploy the earlier release's own config, made again only if it was deleted, verify it, and record it."""
    event = Event(
        seq=0,
        previous="",
        time=deployment.now().isoformat(timespec="seconds"),
        actor=deployment.cloud.actor,
        action="rollback",
        outcome="succeeded",
        release=plan.target,
        source=f"release {plan.current.id}" if plan.current else "",
    )
    return roll_out(event, plan.events, deployment)
