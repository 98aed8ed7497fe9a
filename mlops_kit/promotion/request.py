"""What was asked for: which version, into which environment, with what of it, and past which gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from mlops_kit.config import Environment, Project
from mlops_kit.errors import UsageError
from mlops_kit.promotion.events import Override

LATEST_APPROVED: Final = "latest-approved"
MAX_REASON = 500

Wanted = int | Literal["latest-approved"]


@dataclass(frozen=True, slots=True)
class PromotionRequest:
    """``version`` of ``model`` in ``source``'s group is to be released in ``target``.

    ``with_data``: the data it was trained on comes along, where the target lacks it. ``wait``: until it is deployed.
    """

    model: str
    version: Wanted
    source: Environment
    target: Environment
    with_data: bool = True
    overrides: tuple[Override, ...] = ()
    wait: bool = True

    @property
    def asked(self) -> str:
        """The version as it was asked for, like ``churn@3`` or ``churn@latest-approved``."""
        return f"{self.model}@{self.version}"

    @property
    def within(self) -> bool:
        """The first stage releases its own versions: nothing moves."""
        return self.source.name == self.target.name


def parse_version(text: str) -> tuple[str, Wanted]:
    """``MODEL@VERSION`` -> (model, version). There is no "latest" to be surprised by, but ``@latest-approved``: the
    newest that was released in the source. The plan says which one that is, and nobody looks again afterwards.
    """
    model, _, version = text.partition("@")
    if model and version == LATEST_APPROVED:
        return model, "latest-approved"
    # A version is a number of a few digits; without a limit, Python would refuse to read it only at 4300.
    if not model or not version.isascii() or not version.isdecimal() or len(version) > 9 or int(version) < 1:
        raise UsageError(
            f"{text!r} does not name a model version.",
            hint=f"Write MODEL@VERSION, for example churn@3, or MODEL@{LATEST_APPROVED}.",
        )
    return model, int(version)


def overrides(gates: Sequence[str], reasons: Sequence[str]) -> tuple[Override, ...]:
    """``--override`` and ``--reason`` as they stand on the command line: one reason for all, or one each, in order.

    Raises:
        UsageError: a reason is missing, empty or too long, one is left over, or a gate is named twice.
    """
    if len(reasons) != len(gates) and not (gates and len(reasons) == 1):
        raise UsageError(
            f"--override is given {len(gates)} times and --reason {len(reasons)} times: they do not belong together.",
            hint="Give one --reason for all overrides, or one after each.",
        )
    if len(set(gates)) < len(gates):
        raise UsageError("--override names a gate twice.")
    hint = "It is recorded in the ledger: say why the release is right although the gate refuses it."
    said = [stated(reason, hint) for reason in reasons]
    shared = said * len(gates) if len(said) == 1 else said
    return tuple(Override(gate=gate, reason=reason) for gate, reason in zip(gates, shared, strict=True))


def stated(reason: str, hint: str | None = None) -> str:
    """A reason as it is recorded.

    Raises:
        UsageError: there is none, or it is more than a line of text.
    """
    if not reason.strip() or len(reason) > MAX_REASON or not reason.isprintable():
        raise UsageError(f"A --reason is a line of text of at most {MAX_REASON} characters.", hint=hint)
    return reason.strip()


def stages(project: Project, to: str, from_: str | None) -> tuple[Environment, Environment]:
    """(source, target) of a promotion to ``to``; ``from_`` may only confirm the stage order, not skip a stage.

    Raises:
        UsageError: a stage would be skipped.
    """
    target = project.environment(to)
    source = project.source_of(target)
    if from_ is not None and project.environment(from_) != source:
        raise UsageError(
            f"{target.name} promotes from {source.name}, not from {from_}: a stage cannot be skipped.",
            hint=f"Promote to {source.name} first, then from there to {target.name}.",
        )
    return source, target


def request(
    project: Project,
    version: str,
    to: str,
    from_: str | None = None,
    *,
    with_data: bool = True,
    overrides: tuple[Override, ...] = (),
    wait: bool = True,
) -> PromotionRequest:
    """What the command line says, checked against the project."""
    model, wanted = parse_version(version)
    source, target = stages(project, to, from_)
    project.model(model, target)
    return PromotionRequest(model, wanted, source, target, with_data, overrides, wait)
