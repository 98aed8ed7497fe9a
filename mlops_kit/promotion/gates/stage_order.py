"""The version was released in the stage before. The first stage is where versions are made, so it need not be."""

from __future__ import annotations

from mlops_kit.promotion.events import Verdict
from mlops_kit.promotion.evidence import Evidence, GatePolicy
from mlops_kit.registry import APPROVED

GATE = "stage order"


def stage_order(evidence: Evidence, policy: GatePolicy) -> tuple[Verdict, ...]:
    if evidence.source.promotes_from is None:
        return (Verdict(gate=GATE, passed=True, reason="comes from the first stage"),)
    passed = evidence.version.status == APPROVED
    reason = "was released in the stage before" if passed else "was never released in the stage before"
    return (Verdict(gate=GATE, passed=passed, reason=reason),)
