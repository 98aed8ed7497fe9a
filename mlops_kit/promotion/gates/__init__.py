"""Gates: pure functions from evidence to verdicts, one a module.

All are evaluated, in the order of ``GATES``, and all verdicts are shown; one refusal blocks. A gate that the
environment does not ask for gives no verdict. A person may go past a refusal with a reason, where the environment lists
the gate as overridable: the verdict stays what it is, and carries the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mlops_kit.config.release_gates import GATES, NEVER_OVERRIDABLE, PER_METRIC, gate_family
from mlops_kit.errors import GateError, IntegrityError, UsageError
from mlops_kit.promotion.events import Override, Verdict
from mlops_kit.promotion.evidence import Evidence, GatePolicy
from mlops_kit.promotion.gates.approvals import approvals
from mlops_kit.promotion.gates.budget import budget
from mlops_kit.promotion.gates.data_checks import data_checks
from mlops_kit.promotion.gates.data_present import data_present
from mlops_kit.promotion.gates.digests import digests
from mlops_kit.promotion.gates.image import image
from mlops_kit.promotion.gates.image_scan import image_scan
from mlops_kit.promotion.gates.incumbent import incumbent
from mlops_kit.promotion.gates.lineage import lineage
from mlops_kit.promotion.gates.metric import metric
from mlops_kit.promotion.gates.no_downgrade import no_downgrade
from mlops_kit.promotion.gates.signature import signature
from mlops_kit.promotion.gates.soak import soak
from mlops_kit.promotion.gates.source_alarms import source_alarms
from mlops_kit.promotion.gates.stage_order import stage_order

Gate = Callable[[Evidence, GatePolicy], tuple[Verdict, ...]]

ALL: dict[str, Gate] = {
    "stage order": stage_order,
    "no downgrade": no_downgrade,
    "data present": data_present,
    "data checks": data_checks,
    "lineage": lineage,
    "digests": digests,
    "signature": signature,
    "image": image,
    "image scan": image_scan,
    "metric": metric,
    "incumbent": incumbent,
    "source alarms": source_alarms,
    "soak": soak,
    "approvals": approvals,
    "budget": budget,
}

__all__ = ["ALL", "Gate", "evaluate", "gate_family", "off", "override", "require"]


def evaluate(evidence: Evidence, policy: GatePolicy, overrides: Sequence[Override] = ()) -> tuple[Verdict, ...]:
    """Every gate's verdicts, in a fixed order, with the overrides that count.

    Raises:
        UsageError: an override names no gate.
    """
    verdicts = tuple(verdict for name in GATES for verdict in ALL[name](evidence, policy))
    return override(verdicts, policy, overrides, evidence.target.name)


def override(
    verdicts: Sequence[Verdict], policy: GatePolicy, overrides: Sequence[Override], target: str
) -> tuple[Verdict, ...]:
    """The same verdicts in the same order. A refusal that may be overridden, and is, carries the reason besides.

    Raises:
        UsageError: an override names no gate.
    """
    names = [verdict.gate for verdict in verdicts]
    idle = [name for name in GATES if name not in (*names, *PER_METRIC)]
    wanted = {one.gate: one.reason for one in overrides}
    for gate in wanted:
        if gate not in (*names, *idle):
            known = ", ".join((*names, *idle))
            raise UsageError(f"There is no gate {gate!r}.", hint=f"Gates of this release: {known}.")
    return tuple(_overridden(verdict, policy, wanted, target) for verdict in verdicts)


def _overridden(verdict: Verdict, policy: GatePolicy, wanted: dict[str, str], target: str) -> Verdict:
    if verdict.passed or verdict.gate not in wanted:
        return verdict
    if verdict.tampered:
        return verdict.model_copy(update={"reason": f"{verdict.reason} (which nobody can override)"})
    allowed = policy.gates.overridable
    if verdict.gate in allowed or gate_family(verdict.gate) in allowed:
        return verdict.model_copy(update={"overridden": wanted[verdict.gate]})
    return verdict.model_copy(update={"reason": f"{verdict.reason} ({target} lets nobody override this gate)"})


def off(verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """Gates that said nothing, because nobody asks for them here."""
    heard = {gate_family(verdict.gate) for verdict in verdicts}
    return tuple(name for name in GATES if name not in heard)


def require(verdicts: Sequence[Verdict], what: str) -> None:
    """Every refusal at once.

    Raises:
        IntegrityError: bytes are not what they should be, or nobody could see that they are.
        GateError: another gate refused.
    """
    refused = [verdict for verdict in verdicts if not verdict.passed and not verdict.overridden]
    if not refused:
        return
    lines = "\n".join(f"  {verdict.gate}: {verdict.reason}" for verdict in refused)
    message = f"{what} was refused by {len(refused)} of {len(verdicts)} gates:\n{lines}"
    if any(verdict.tampered or verdict.gate in NEVER_OVERRIDABLE for verdict in refused):
        raise IntegrityError(message)
    raise GateError(message)
