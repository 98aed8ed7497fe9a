"""Gates: pure functions from evidence to a verdict. All are evaluated and all are shown; one refusal blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlops_kit.config import MetricGate
from mlops_kit.errors import GateError
from mlops_kit.promotion.ledger import Verdict
from mlops_kit.registry import APPROVED, ModelVersion


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the gates look at, read beforehand."""

    version: ModelVersion
    metrics: Mapping[str, float]
    source_is_first: bool
    data_in_target: bool
    target: str


def metric(gate: MetricGate, metrics: Mapping[str, float]) -> Verdict:
    """The version's training metric keeps its bounds. A metric that was not measured does not pass."""
    name = f"metric {gate.metric}"
    value = metrics.get(gate.metric)
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


def stage_order(evidence: Evidence) -> Verdict:
    """The version was released in the stage before. The first stage is where versions are made, so it need not."""
    if evidence.source_is_first:
        return Verdict(gate="stage order", passed=True, reason="comes from the first stage")
    passed = evidence.version.status == APPROVED
    reason = "was released in the stage before" if passed else "was never released in the stage before"
    return Verdict(gate="stage order", passed=passed, reason=reason)


def data_present(evidence: Evidence) -> Verdict:
    """The data the version was trained on is in the target, so that the target stands without the source."""
    lineage = evidence.version.lineage
    data = f"{lineage.dataset}@{lineage.dataset_commit[:12]}"
    if evidence.data_in_target:
        return Verdict(gate="data present", passed=True, reason=f"{data} is in {evidence.target}")
    return Verdict(
        gate="data present",
        passed=False,
        reason=f"run `mlops-kit promote dataset {data} --to {evidence.target}` first",
    )


def evaluate(gates: Sequence[MetricGate], evidence: Evidence) -> tuple[Verdict, ...]:
    """Every gate's verdict, in a fixed order."""
    return (
        stage_order(evidence),
        data_present(evidence),
        *(metric(gate, evidence.metrics) for gate in gates),
    )


def require(verdicts: Sequence[Verdict], what: str) -> None:
    """Raises GateError with every refusal."""
    refused = [verdict for verdict in verdicts if not verdict.passed]
    if refused:
        lines = "\n".join(f"  {verdict.gate}: {verdict.reason}" for verdict in refused)
        raise GateError(f"{what} was refused by {len(refused)} of {len(verdicts)} gates:\n{lines}")
