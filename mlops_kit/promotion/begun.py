"""A promotion that was begun without waiting is finished by what its gates said then.

The release may serve by now. An approval that has expired meanwhile, or an alarm of the stage before, does not undo
that: refusing to finish would leave it serving, and the ledger without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mlops_kit.aws import Cloud
from mlops_kit.errors import GateError
from mlops_kit.naming import ModelNames
from mlops_kit.objects.strict_json import read_json
from mlops_kit.promotion import gates, lock
from mlops_kit.promotion.events import CountedApproval, Override, Verdict
from mlops_kit.promotion.ledger import Ledger
from mlops_kit.promotion.plan import ModelPlan


def settle(plan: ModelPlan, cloud: Cloud, names: ModelNames, tell: Callable[[str], None]) -> ModelPlan:
    """``plan``, if its gates let it pass; else with the verdicts that the same promotion was begun by.

    Raises:
        GateError: a gate refuses, and nothing was begun.
        IntegrityError: something is not what was written. That is no gate's opinion, and nothing goes on from there.
    """
    try:
        gates.require(plan.verdicts, f"{plan.version.name} to {plan.request.target.name}")
    except GateError:
        found = _begun(plan, cloud, names)
        if found is None:
            raise
        tell("a gate refuses by now, but this was begun when all let it pass: finishing it")
        return found
    return plan


def _begun(plan: ModelPlan, cloud: Cloud, names: ModelNames) -> ModelPlan | None:
    holder = lock.show(cloud.store("artifacts"), names)
    if holder is None or not holder.plan or holder.what != plan.what:
        return None
    body = Ledger(cloud.store("ledger"), names).plan(holder.plan)
    if body is None:
        return None
    said = read_json(body)
    return replace(
        plan,
        request=replace(plan.request, overrides=tuple(Override.model_validate(one) for one in said["overrides"])),
        verdicts=tuple(Verdict.model_validate(one) for one in said["gates"]),
        approvals=tuple(CountedApproval.model_validate(one) for one in said["approvals"]),
    )
