"""The version is what runs in the stage before, and has been for long enough."""

from __future__ import annotations

from datetime import timedelta

from mlops_kit.promotion.events import Verdict
from mlops_kit.promotion.evidence import Evidence, GatePolicy, Unread
from mlops_kit.promotion.gates.unread import unread

GATE = "soak"


def soak(evidence: Evidence, policy: GatePolicy) -> tuple[Verdict, ...]:
    hours = policy.gates.soak_hours
    if not hours or evidence.within:
        return ()
    found, source = evidence.running, evidence.source.name
    if isinstance(found, Unread):
        return (unread(GATE, found),)
    if found is None:
        return (Verdict(gate=GATE, passed=False, reason=f"nothing was released in {source}"),)
    if found.artifact_sha256 != evidence.version.lineage.artifact_sha256:
        reason = f"{source} runs {found.release}, which is another artifact"
        return (Verdict(gate=GATE, passed=False, reason=reason),)
    served = found.since + timedelta(hours=hours)
    since = f"runs in {source} as {found.release} since {found.since:%Y-%m-%d %H:%M} UTC"
    if evidence.now >= served:
        return (Verdict(gate=GATE, passed=True, reason=f"{since}, wanted {hours} h"),)
    reason = f"{since}: {hours} h are over at {served:%Y-%m-%d %H:%M} UTC"
    return (Verdict(gate=GATE, passed=False, reason=reason),)
