"""The model's alarms in the stage before are quiet. An alarm that does not exist is not quiet: nobody watched."""

from __future__ import annotations

from mlops_kit.promotion.events import Verdict
from mlops_kit.promotion.evidence import Evidence, GatePolicy, Unread
from mlops_kit.promotion.gates.unread import unread

GATE = "source alarms"


def source_alarms(evidence: Evidence, policy: GatePolicy) -> tuple[Verdict, ...]:
    if not policy.gates.source_alarms or evidence.within:
        return ()
    found, source = evidence.source_alarms, evidence.source.name
    if isinstance(found, Unread):
        return (unread(GATE, found),)
    if found is None:
        return (Verdict(gate=GATE, passed=False, reason=f"nobody read the alarms of {source}"),)
    if found.in_alarm:
        reason = f"{', '.join(found.in_alarm)} went off in {source}"
        return (Verdict(gate=GATE, passed=False, reason=reason),)
    if found.missing:
        reason = f"{', '.join(found.missing)} {'does' if len(found.missing) == 1 else 'do'} not exist in {source}"
        return (Verdict(gate=GATE, passed=False, reason=reason),)
    return (Verdict(gate=GATE, passed=True, reason=f"all {len(found.quiet)} are quiet in {source}"),)
