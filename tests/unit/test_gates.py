"""Gates are pure: evidence in, verdicts out, one refusal blocks."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mlops_kit.config import MetricGate
from mlops_kit.errors import GateError
from mlops_kit.promotion import gates
from mlops_kit.registry import APPROVED, PENDING, Lineage, ModelVersion


def version(status: str = APPROVED) -> ModelVersion:
    lineage = Lineage("biopsies", "c" * 64, "", "s" * 64, "job", "a" * 64)
    created = datetime(2026, 1, 1, tzinfo=UTC)
    return ModelVersion("diagnosis", 3, "arn", "image", "s3://a", "s3://m", status, created, lineage)


def evidence(**changes: object) -> gates.Evidence:
    known: dict[str, object] = {
        "version": version(),
        "metrics": {"accuracy": 0.95},
        "source_is_first": False,
        "data_in_target": True,
        "target": "production",
    }
    return gates.Evidence(**(known | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("gate", "value", "passed"),
    [
        (MetricGate(metric="m", at_least=0.9), 0.9, True),
        (MetricGate(metric="m", at_least=0.9), 0.8999, False),
        (MetricGate(metric="m", at_most=0.1), 0.1, True),
        (MetricGate(metric="m", at_most=0.1), 0.11, False),
        (MetricGate(metric="m", at_least=0.1, at_most=0.2), 0.15, True),
        (MetricGate(metric="m", at_least=0.1, at_most=0.2), 0.25, False),
        (MetricGate(metric="m", at_least=0.0), float("nan"), False),
    ],
)
def test_metric_bounds(gate: MetricGate, value: float, passed: bool) -> None:
    assert gates.metric(gate, {"m": value}).passed is passed


def test_a_metric_that_was_not_measured_does_not_pass() -> None:
    assert not gates.metric(MetricGate(metric="m", at_least=0.0), {}).passed


def test_a_stage_cannot_be_skipped() -> None:
    assert gates.stage_order(evidence()).passed
    assert not gates.stage_order(evidence(version=version(PENDING))).passed
    assert gates.stage_order(evidence(version=version(PENDING), source_is_first=True)).passed


def test_missing_data_blocks_and_says_the_command() -> None:
    verdict = gates.data_present(evidence(data_in_target=False))
    assert not verdict.passed
    assert "mlops-kit promote dataset biopsies@cccccccccccc --to production" in verdict.reason


def test_every_refusal_is_shown_at_once() -> None:
    found = gates.evaluate(
        [MetricGate(metric="accuracy", at_least=0.99), MetricGate(metric="recall", at_least=0.9)],
        evidence(data_in_target=False, version=version(PENDING)),
    )
    with pytest.raises(GateError) as caught:
        gates.require(found, "diagnosis@3 to production")
    assert caught.value.exit_code == 3
    assert "refused by 4 of 4 gates" in caught.value.message
    gates.require(gates.evaluate([MetricGate(metric="accuracy", at_least=0.9)], evidence()), "diagnosis@3")
