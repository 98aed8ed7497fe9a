"""The data that a version was trained on, brought along to the environment that it is released in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mlops_kit.datasets import copy, pointers
from mlops_kit.datasets.ancestry import walk
from mlops_kit.datasets.copy import CopyPlan
from mlops_kit.errors import NotFoundError
from mlops_kit.objects import Store
from mlops_kit.promotion.plan import ModelPlan

if TYPE_CHECKING:
    from mlops_kit.promotion.execute import Deployment


def bring(plan: ModelPlan, deployment: Deployment) -> str:
    """Copy the data commit, if the target lacks it; returns it if it came along, now or in an earlier run.

    The target's ref says for which release it was moved, so that a run which finishes what another one began knows it.
    """
    lineage, target = plan.version.lineage, deployment.cloud.store("lake")
    name, mark = f"{lineage.dataset}@{lineage.dataset_commit}", f"(for {plan.config})"
    if plan.data is None:
        if plan.released or plan.request.within or not plan.request.with_data:
            return ""
        ref = pointers.read(target, lineage.dataset, pointers.DEFAULT_REF)
        came = ref is not None and ref.commit == lineage.dataset_commit and ref.by.endswith(mark)
        return name if came else ""
    source, planned = deployment.cloud.store("lake", plan.request.source), plan.data
    if planned.target_ref is not None and _is_newer(source, planned):
        # The target's data is newer than the model: the older commit joins it, and the ref stays.
        planned = replace(planned, target_ref=replace(planned.target_ref, commit=planned.commit.id))
    by = f"{deployment.cloud.actor} {mark}"
    copy.execute(planned, source, target, by, deployment.now(), progress=deployment.progress)
    deployment.tell(f"copied, digests verified: {lineage.dataset}@{lineage.dataset_commit[:12]}")
    return name


def _is_newer(source: Store, planned: CopyPlan) -> bool:
    """Whether the target's ref is at a descendant of the commit, by the history that the source has."""
    ref, commit = planned.target_ref, planned.commit
    if ref is None or ref.commit == commit.id:
        return False
    try:
        return any(one.id == commit.id for one in walk(source, commit.dataset, ref.commit))
    except NotFoundError:
        return False  # the source never had it
