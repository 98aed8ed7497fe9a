"""The month's budget has room for the release. One that cannot be read blocks, too, where the budget is to block."""

from __future__ import annotations

from mlops_kit.promotion.events import Verdict
from mlops_kit.promotion.evidence import BudgetFound, Evidence, GatePolicy, Unread

GATE = "budget"


def budget(evidence: Evidence, policy: GatePolicy) -> tuple[Verdict, ...]:
    wanted, found = policy.gates.budget, evidence.budget
    if wanted == "off":
        return ()
    if found is None or isinstance(found, Unread):
        reason = "nobody read it" if found is None else found.reason
        if wanted == "block":
            return (Verdict(gate=GATE, passed=False, reason=reason),)
        return (Verdict(gate=GATE, passed=True, reason=f"warning: {reason}"),)
    over = _over(found)
    if not over:
        return (Verdict(gate=GATE, passed=True, reason=_figures(found)),)
    if wanted == "warn":
        return (Verdict(gate=GATE, passed=True, reason=f"warning: {over}; {_figures(found)}"),)
    return (Verdict(gate=GATE, passed=False, reason=f"{over}; {_figures(found)}"),)


def _over(found: BudgetFound) -> str:
    if found.actual_usd > found.limit_usd:
        return "it is spent"
    # The forecast is of what runs already; the release comes on top.
    expected = (found.forecast_usd or found.actual_usd) + max(found.change_usd or 0.0, 0.0)
    return "it will not last the month" if expected > found.limit_usd else ""


def _figures(found: BudgetFound) -> str:
    parts = [f"{found.actual_usd:.2f} of {found.limit_usd:.2f} USD spent"]
    if found.forecast_usd is not None:
        parts.append(f"{found.forecast_usd:.2f} forecast")
    if found.change_usd:
        parts.append(f"{found.change_usd:+.2f} a month by this release")
    return ", ".join(parts)
