"""Overrides: a person's decision beside a refusal, never in its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mlops_kit.config import Approvals, Gates
from mlops_kit.config.release_gates import GATES, NEVER_OVERRIDABLE, PER_METRIC
from mlops_kit.errors import GateError, IntegrityError, UsageError
from mlops_kit.promotion import gates
from mlops_kit.promotion.events import Override, Verdict
from mlops_kit.promotion.evidence import GatePolicy

METRICS = ("metric accuracy", "metric recall", "incumbent accuracy")
NAMES = (*(name for name in GATES if name not in PER_METRIC), *METRICS)


def policy(*overridable: str) -> GatePolicy:
    return GatePolicy(Gates(overridable=overridable), Approvals(), ())


def refused(gate: str) -> Verdict:
    return Verdict(gate=gate, passed=False, reason="because")


def over(gate: str, reason: str = "an emergency") -> Override:
    return Override(gate=gate, reason=reason)


def apply(verdicts: list[Verdict], allowed: GatePolicy, *overrides: Override) -> tuple[Verdict, ...]:
    return gates.override(verdicts, allowed, overrides, "production")


def test_an_allowed_override_lets_a_release_pass_and_stays_visible() -> None:
    (verdict,) = apply([refused("soak")], policy("soak"), over("soak"))
    assert (verdict.passed, verdict.reason, verdict.overridden) == (False, "because", "an emergency")
    gates.require([verdict], "a@1")


def test_an_override_that_is_not_allowed_changes_nothing_and_says_so() -> None:
    (verdict,) = apply([refused("soak")], policy("budget"), over("soak"))
    assert (verdict.passed, verdict.overridden) == (False, "")
    assert verdict.reason == "because (production lets nobody override this gate)"
    with pytest.raises(GateError, match="lets nobody override"):
        gates.require([verdict], "a@1")


def test_a_gate_that_no_release_has_is_a_mistake_of_the_command_line() -> None:
    with pytest.raises(UsageError) as caught:
        apply([refused("soak"), refused("metric accuracy")], policy("soak"), over("soka"))
    assert caught.value.exit_code == 2
    assert "'soka'" in caught.value.message
    assert caught.value.hint is not None
    for name in ("soak", "metric accuracy", "budget"):
        assert name in caught.value.hint


def test_all_metrics_may_be_overridable_but_each_is_overridden_by_its_own_name() -> None:
    verdicts = [refused("metric accuracy"), refused("metric recall")]
    first, second = apply(verdicts, policy("metric"), over("metric recall"))
    assert (first.overridden, second.overridden) == ("", "an emergency")
    with pytest.raises(UsageError):
        apply(verdicts, policy("metric"), over("metric"))
    (only,) = apply([refused("metric accuracy")], policy("metric recall"), over("metric accuracy"))
    assert only.overridden == ""


def test_what_passed_or_was_not_asked_for_needs_no_override() -> None:
    passed = Verdict(gate="soak", passed=True, reason="long enough")
    assert apply([passed], policy("soak", "budget"), over("soak"), over("budget")) == (passed,)


@pytest.mark.parametrize("gate", NEVER_OVERRIDABLE)
def test_wrong_bytes_cannot_be_configured_to_be_overridable(gate: str) -> None:
    with pytest.raises(ValidationError, match="cannot be overridden"):
        Gates(overridable=(gate,))
    (verdict,) = apply([refused(gate)], policy(), over(gate))
    with pytest.raises(IntegrityError):
        gates.require([verdict], "a@1")


@given(
    results=st.dictionaries(st.sampled_from(NAMES), st.booleans(), min_size=1),
    allowed=st.sets(st.sampled_from([name for name in (*GATES, *METRICS) if name not in NEVER_OVERRIDABLE])),
    asked=st.sets(st.sampled_from(NAMES)),
)
def test_overriding_never_hides_a_verdict(results: dict[str, bool], allowed: set[str], asked: set[str]) -> None:
    verdicts = [Verdict(gate=name, passed=passed, reason=f"of {name}") for name, passed in results.items()]
    named = [over(name) for name in sorted(asked) if name in results or name not in METRICS]
    after = apply(verdicts, policy(*sorted(allowed)), *named)
    assert [(v.gate, v.passed) for v in after] == [(v.gate, v.passed) for v in verdicts]
    for verdict in after:
        assert verdict.reason.startswith(f"of {verdict.gate}")
        family = gates.gate_family(verdict.gate)
        counts = not verdict.passed and verdict.gate in asked and bool({verdict.gate, family} & allowed)
        assert bool(verdict.overridden) is counts
    blocked = [v for v in after if not v.passed and not v.overridden]
    if blocked:
        with pytest.raises((GateError, IntegrityError), match="refused by") as caught:
            gates.require(after, "a@1")
        assert all(verdict.gate in str(caught.value) for verdict in blocked)
    else:
        gates.require(after, "a@1")
