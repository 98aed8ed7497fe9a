"""The artifact is signed by a key that the target trusts, where signatures are required. Nobody can override that."""

from __future__ import annotations

from mlops_kit.promotion.events import Verdict
from mlops_kit.promotion.evidence import Evidence, GatePolicy, Unread

GATE = "signature"


def signature(evidence: Evidence, policy: GatePolicy) -> tuple[Verdict, ...]:
    if policy.gates.signature == "off":
        return ()
    found = evidence.signature
    if found is None or isinstance(found, Unread):
        reason = "nobody verified it" if found is None else found.reason
        return (Verdict(gate=GATE, passed=False, reason=reason),)
    return (Verdict(gate=GATE, passed=found.valid, reason=found.reason),)
