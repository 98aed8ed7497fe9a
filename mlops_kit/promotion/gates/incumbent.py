"""The version is not worse than what it replaces by more than a margin: one verdict a metric that has one.

Both values were measured by the training jobs, each on its own validation data: a margin of zero asks for more than
they can tell.
"""

from __future__ import annotations

from mlops_kit.config import MetricGate
from mlops_kit.promotion.events import Verdict
from mlops_kit.promotion.evidence import Evidence, GatePolicy, Unread
from mlops_kit.promotion.gates.unread import unread

ROUNDING = 1e-12
"""0.95 - 0.94 is a little more than 0.01 to a computer."""


def incumbent(evidence: Evidence, policy: GatePolicy) -> tuple[Verdict, ...]:
    return tuple(
        _verdict(gate, gate.not_worse_than_incumbent, evidence)
        for gate in policy.metrics
        if gate.not_worse_than_incumbent is not None
    )


def _verdict(gate: MetricGate, margin: float, evidence: Evidence) -> Verdict:
    name, before = f"incumbent {gate.metric}", evidence.incumbent
    if before is None:
        return Verdict(gate=name, passed=True, reason="there is no release to be compared with")
    if before.artifact_sha256 == evidence.version.lineage.artifact_sha256:
        return Verdict(gate=name, passed=True, reason=f"is what {before.id} runs")
    theirs, ours = evidence.incumbent_metrics, evidence.metrics
    for found in (ours, theirs):
        if isinstance(found, Unread):
            return unread(name, found)
    if theirs is None or isinstance(theirs, Unread) or isinstance(ours, Unread):
        return Verdict(gate=name, passed=False, reason=f"nobody read the metrics of {before.id}")
    if gate.metric not in ours:
        return Verdict(gate=name, passed=False, reason="the training job did not report it")
    if gate.metric not in theirs:
        return Verdict(gate=name, passed=False, reason=f"the training job of {before.id} did not report it")
    new, old = ours[gate.metric], theirs[gate.metric]
    worse_by = new - old if gate.lower_is_better else old - new
    allowed = f"{gate.metric} may be {'higher' if gate.lower_is_better else 'lower'} by {margin:g}"
    reason = f"{new:g}, and {before.id} has {old:g}; {allowed}"
    return Verdict(gate=name, passed=worse_by <= margin + ROUNDING, reason=reason)
