"""Go back to an earlier release: planned from the ledger alone, no bytes copied, recorded like a promotion.

Whoever goes back has a reason to, and no time: the lock is taken over from whoever has it, which is recorded, and an
endpoint that is busy with another release is waited for. The plan reads only as many events as it needs, and nothing
stands between it and the update that does not have to: at most 12 calls to AWS, if the release's config is still there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mlops_kit.datasets import pointers
from mlops_kit.datasets.read import exists
from mlops_kit.errors import NotFoundError, UsageError
from mlops_kit.naming import ModelNames
from mlops_kit.objects import Store
from mlops_kit.promotion import ledger, lock
from mlops_kit.promotion.execute import Deployment, roll_back
from mlops_kit.promotion.holder import Holder
from mlops_kit.promotion.ledger import Event, Ledger, Release
from mlops_kit.promotion.lock import Held


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """From which release to which, and the newest events of the ledger. ``with_data``: the data's ref goes back too.

    ``named``: somebody said which release, instead of asking for the one before.
    """

    current: Release | None
    target: Release
    events: tuple[Event, ...]
    with_data: bool = False
    named: bool = False

    @property
    def done(self) -> bool:
        """The ledger says already that this runs: all there is to do is to look whether it does."""
        return self.current is not None and self.current.id == self.target.id

    @property
    def what(self) -> str:
        """What the lock says is being done."""
        return f"roll back to {self.target.id}"


def plan(
    book: Ledger,
    wanted: str | None = None,
    *,
    with_data: bool = False,
    unfinished: Callable[[Release], bool] = lambda release: False,
) -> RollbackPlan:
    """To the release before the current one, or to the release ``wanted``; reads only the ledger.

    ``unfinished`` is asked where there is nothing to go back to: whether a rollback to the current release was cut off
    when all was done but letting the lock go (:func:`left_behind`). That one is finished then.

    Raises:
        UsageError: nothing to go back to, or it was served in another way.
    """
    events = book.recent(lambda newest: ledger.know_target(newest, wanted))
    current = ledger.current(events)
    if current is not None and current.id == wanted:
        return RollbackPlan(current, current, events, with_data)
    try:
        target = ledger.rollback_target(events, wanted)
    except UsageError:
        if wanted is None and current is not None and unfinished(current):
            return RollbackPlan(current, current, events, with_data)
        raise
    if current is not None and current.spec.kind != target.spec.kind:
        raise UsageError(
            f"{target.id} was served as {target.spec.kind!r}, and {current.id} is served as {current.spec.kind!r}: one "
            "cannot be turned into the other.",
            hint=f"Release its version {target.version} again with `mlops-kit promote model`.",
        )
    return RollbackPlan(current, target, events, with_data, named=wanted is not None)


def execute(plan: RollbackPlan, deployment: Deployment) -> Event:
    """Deploy the earlier release's own config, made again only if it was deleted, verify it, and record it.

    Raises:
        NotFoundError: the data cannot go back: its commit is gone. Nothing was done.
        ConflictError: somebody else recorded something, or moved the data's ref, at the same time.
        DeploymentError: the endpoint does not run it; the failure is recorded.
    """
    current = plan.current
    with deployment.hold(plan.what, force=True) as held:
        finishing = _finishing(plan, held)
        if finishing is not None:
            deployment.tell(
                f"an earlier rollback to {finishing.id} was cut off after it was recorded: finishing that one"
            )
        target = finishing or plan.target
        event = Event(
            seq=0,
            previous="",
            time="",
            actor=deployment.cloud.actor,
            action="rollback",
            outcome="succeeded",
            release=target,
            source=f"release {current.id}" if current else "",
        )
        if plan.with_data:
            _require_data(target, deployment)
            event = event.model_copy(update={"data_commit_moved": f"{target.dataset}@{target.dataset_commit}"})
        return roll_back(event, plan.events, deployment, held, _data_back if plan.with_data else None)


def _finishing(plan: RollbackPlan, held: Held) -> Release | None:
    """The current release, if the lock is that of a rollback to it which only had to let the lock go.

    Without this, running ``rollback`` again after it was cut off would go back by one release more.
    """
    before, current = held.took_over, plan.current
    if plan.named or before is None or current is None or not _is_left_by(before, held.holder.holder, current):
        return None
    return current


def left_behind(artifacts: Store, names: ModelNames, actor: str, release: Release) -> bool:
    """Whether the lock is still that of a rollback to ``release``, by ``actor``, who is not at work any more."""
    holder = lock.show(artifacts, names)
    return holder is not None and _is_left_by(holder, actor, release)


def _is_left_by(holder: Holder, actor: str, release: Release) -> bool:
    back_to_it = RollbackPlan(None, release, ()).what
    return (holder.holder, holder.what) == (actor, back_to_it) and holder.place.is_gone() is not False


def _require_data(release: Release, deployment: Deployment) -> None:
    """Raises:
    NotFoundError: the commit that the release was trained on is not there any more. Nothing was done.
    """
    lake, dataset, commit = deployment.cloud.store("lake"), release.dataset, release.dataset_commit
    if not exists(lake, dataset, commit):
        raise NotFoundError(
            f"{dataset}@{commit} is not in {lake.bucket}: the data cannot go back to it.",
            hint="Nothing was done. Without --with-data, the model alone goes back.",
        )


def _data_back(release: Release, deployment: Deployment) -> None:
    """Point the environment's data ref to the commit that the release was trained on.

    Raises:
        ConflictError: somebody else moved the ref at the same time.
    """
    lake, dataset, commit = deployment.cloud.store("lake"), release.dataset, release.dataset_commit
    seen = pointers.read(lake, dataset, pointers.DEFAULT_REF)
    pointers.move(lake, dataset, pointers.DEFAULT_REF, commit, seen, deployment.cloud.actor, deployment.now())
    deployment.tell(f"{dataset}@{pointers.DEFAULT_REF} is at {commit[:12]}")
