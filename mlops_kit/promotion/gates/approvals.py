"""Enough people agree, and nobody disagrees. A rejection blocks where no approval is asked for, too."""

from __future__ import annotations

from mlops_kit.promotion.events import Verdict
from mlops_kit.promotion.evidence import Evidence, GatePolicy, Unread
from mlops_kit.promotion.gates.unread import unread

GATE = "approvals"


def approvals(evidence: Evidence, policy: GatePolicy) -> tuple[Verdict, ...]:
    found = evidence.approvals
    if isinstance(found, Unread):
        return (unread(GATE, found),)
    if found.state != "rejected" and not policy.approvals.required:
        return ()
    said = "".join(f"; {reason}" for reason in found.reasons)
    count = f"{len(found.counted)} of {policy.approvals.required}"
    if found.state == "pending":
        version, where = evidence.version.name, evidence.target.name
        others = ", and not who promotes" if policy.approvals.distinct_from_requester else ""
        said += f"; who may approve runs `mlops-kit approve {version} --to {where}`{others}"
    return (Verdict(gate=GATE, passed=found.passed, reason=count + said),)
