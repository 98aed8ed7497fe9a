"""The data the version was trained on passed its data tests, against the constraints that the project has now."""

from __future__ import annotations

from mlops_kit.promotion.events import Verdict
from mlops_kit.promotion.evidence import Evidence, GatePolicy, Unread
from mlops_kit.promotion.gates.unread import unread

GATE = "data checks"


def data_checks(evidence: Evidence, policy: GatePolicy) -> tuple[Verdict, ...]:
    wanted, found, lineage = policy.gates.data_checks, evidence.data_check, evidence.version.lineage
    if wanted == "off":
        return ()
    if isinstance(found, Unread):
        return (unread(GATE, found),)
    if found is None:
        return (Verdict(gate=GATE, passed=False, reason="nobody read the result"),)
    data = f"{lineage.dataset}@{lineage.dataset_commit[:12]}"
    if found.constraints is None:
        reason = f"{lineage.dataset} has no file in environments/datasets, so there is nothing to test"
        return (Verdict(gate=GATE, passed=wanted == "if_configured", reason=reason),)
    if found.record is None:
        reason = f"nobody tested {data}: run `mlops-kit dataset check {data} --env {evidence.source.name}`"
        return (Verdict(gate=GATE, passed=False, reason=reason),)
    results = found.record.results
    failed = sum(not result.passed for result in results)
    reason = f"{data} keeps {len(results) - failed} of {len(results)} constraints"
    return (Verdict(gate=GATE, passed=found.record.passed, reason=reason),)
