"""A plan for people, and for machines: the same object, whether it is carried out or only looked at."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from mlops_kit.cli import render
from mlops_kit.promotion import gates
from mlops_kit.promotion.events import Verdict
from mlops_kit.promotion.plan import ModelPlan


def show(planned: ModelPlan, tell: Callable[[str], None]) -> None:
    """Line by line: what moves, what is registered and deployed, what it costs, and every gate's verdict."""
    wanted, incumbent = planned.request, planned.incumbent
    named = "" if wanted.asked == planned.version.name else f" ({wanted.asked})"
    tell(f"plan: {planned.version.name}{named} from {wanted.source.name} to {wanted.target.name}")
    for item in planned.copies:
        tell(f"  {'have' if item.present else 'copy'}     {item.name} ({render.size(item.size)})")
    tell(f"  {_data(planned)}")
    tell(f"  {'have' if planned.registered else 'register'} {wanted.model} in {wanted.target.name}")
    running = f"{incumbent.id} (version {incumbent.version})" if incumbent else "the initial model"
    tell(f"  deploy   {planned.config} ({planned.spec.kind}), replacing {running}")
    if planned.spec.shadow is not None:
        tell(
            f"  shadow   {wanted.model}@{planned.spec.shadow.version}, {planned.spec.shadow.percent} % of the requests"
        )
    tell(f"  cost     {planned.cost}")
    for verdict in planned.verdicts:
        tell(f"  gate     {verdict.gate}: {outcome(verdict)}, {verdict.reason}")
    if unasked := gates.off(planned.verdicts):
        tell(f"  not asked for in {wanted.target.name}: {', '.join(unasked)}")
    tell(f"  plan id  {planned.sha256}")


def outcome(verdict: Verdict) -> str:
    """An override never turns a refusal into anything else: it stands beside it."""
    if verdict.passed:
        return "passed"
    return f"REFUSED, overridden ({verdict.overridden})" if verdict.overridden else "REFUSED"


def _data(planned: ModelPlan) -> str:
    lineage = planned.version.lineage
    name = f"{lineage.dataset}@{lineage.dataset_commit[:12]}"
    if planned.data is not None:
        files = render.some(len(planned.data.missing), "file")
        return f"copy     {name} ({files}, {render.size(planned.data.size)})"
    if any(verdict.gate == "data present" and not verdict.passed for verdict in planned.verdicts):
        return f"lack     {name}"
    return f"leave    {name} where it is" if not planned.request.with_data else f"have     {name}"


def as_json(planned: ModelPlan) -> dict[str, Any]:
    """The plan as it is stored, and besides how much of it an earlier run has done."""
    stored, moved = json.loads(planned.to_json()), planned.data
    return {
        **stored,
        "id": planned.sha256,
        "copies": planned.copies,
        "data": {
            **stored["data"],
            "missing_files": len(moved.missing) if moved else 0,
            "missing_size": moved.size if moved else 0,
        },
        "registered": planned.registered.version if planned.registered else None,
        "cost": {**_cost_json(planned), "text": str(planned.cost)},
        "allowed": planned.allowed,
    }


def _cost_json(planned: ModelPlan) -> dict[str, Any]:
    found = planned.cost
    return {"before_usd": found.before_usd, "after_usd": found.after_usd, "change_usd": found.change_usd}
