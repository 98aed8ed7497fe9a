"""The data the version was trained on is in the target, or comes along: the target stands without the source."""

from __future__ import annotations

from mlops_kit.promotion.events import Verdict
from mlops_kit.promotion.evidence import Evidence, GatePolicy, Unread
from mlops_kit.promotion.gates.unread import unread

GATE = "data present"


def data_present(evidence: Evidence, policy: GatePolicy) -> tuple[Verdict, ...]:
    lineage, found, target = evidence.version.lineage, evidence.data, evidence.target.name
    data = f"{lineage.dataset}@{lineage.dataset_commit[:12]}"
    if isinstance(found, Unread):
        return (unread(GATE, found, f"{data}: "),)
    if found.comes:
        # The same words whether the target has all of it, some or none: a promotion that is run again, because it was
        # cut off, has the same plan.
        return (Verdict(gate=GATE, passed=True, reason=f"{data} comes along, as far as {target} lacks it"),)
    if found.in_target:
        return (Verdict(gate=GATE, passed=True, reason=f"{data} is in {target}"),)
    if evidence.within:
        return (Verdict(gate=GATE, passed=False, reason=f"{data} is not in {target}, where it was committed"),)
    reason = f"run `mlops-kit promote dataset {data} --to {target}` first, or promote without --without-data"
    return (Verdict(gate=GATE, passed=False, reason=reason),)
