"""The version's training metrics keep their bounds: one verdict a metric. What was not measured does not pass."""

from __future__ import annotations

from mlops_kit.config import MetricGate
from mlops_kit.promotion.events import Verdict
from mlops_kit.promotion.evidence import Evidence, GatePolicy, Unread
from mlops_kit.promotion.gates.unread import unread


def metric(evidence: Evidence, policy: GatePolicy) -> tuple[Verdict, ...]:
    bounded = [gate for gate in policy.metrics if gate.at_least is not None or gate.at_most is not None]
    return tuple(_verdict(gate, evidence) for gate in bounded)


def _verdict(gate: MetricGate, evidence: Evidence) -> Verdict:
    name = f"metric {gate.metric}"
    if isinstance(evidence.metrics, Unread):
        return unread(name, evidence.metrics)
    value = evidence.metrics.get(gate.metric)
    if value is None:
        return Verdict(gate=name, passed=False, reason="the training job did not report it")
    bounds = []
    passed = True
    if gate.at_least is not None:
        bounds.append(f"at least {gate.at_least:g}")
        passed &= value >= gate.at_least
    if gate.at_most is not None:
        bounds.append(f"at most {gate.at_most:g}")
        passed &= value <= gate.at_most
    return Verdict(gate=name, passed=passed, reason=f"{value:g}, wanted {' and '.join(bounds)}")
