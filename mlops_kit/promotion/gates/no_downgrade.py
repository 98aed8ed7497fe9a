"""What was replaced does not come back as if it were new: going back is a rollback, which says so and copies nothing.

A downgrade is an artifact that led to the current release and was replaced, or a version with a lower number in the
source than the one that runs. What was undone by a rollback may be tried again: nothing replaced it.
"""

from __future__ import annotations

from mlops_kit.promotion.events import Event, Verdict
from mlops_kit.promotion.evidence import Evidence, GatePolicy
from mlops_kit.promotion.releases import line

GATE = "no downgrade"


def no_downgrade(evidence: Evidence, policy: GatePolicy) -> tuple[Verdict, ...]:
    releases = line(evidence.events)
    if not releases:
        return (Verdict(gate=GATE, passed=True, reason="is the first release here"),)
    current, sha256 = releases[-1], evidence.version.lineage.artifact_sha256
    if current.artifact_sha256 == sha256:
        return (Verdict(gate=GATE, passed=True, reason=f"is what {current.id} runs"),)
    replaced = next((r for r in reversed(releases[:-1]) if r.artifact_sha256 == sha256), None)
    if replaced is not None:
        where = f"{evidence.version.model} --in {evidence.target.name} --to {replaced.id}"
        reason = f"{replaced.id} ran it, and was replaced; `mlops-kit rollback {where}` goes back to it"
        return (Verdict(gate=GATE, passed=False, reason=reason),)
    number = _number_in_source(evidence.events, current.id, evidence.source.name)
    if number is not None and evidence.version.version < number:
        reason = f"{evidence.version.name} is older than {current.id}, which was {evidence.source.name}'s @{number}"
        return (Verdict(gate=GATE, passed=False, reason=reason),)
    return (Verdict(gate=GATE, passed=True, reason=f"follows {current.id}"),)


def _number_in_source(events: tuple[Event, ...], release: str, source: str) -> int | None:
    """Which version of the source became ``release``; None if it came from elsewhere, or nobody knows."""
    for event in events:
        if event.action == "promotion" and event.outcome == "succeeded" and event.release.id == release:
            stage, _, version = event.source.partition(" ")
            number = version.rpartition("@")[2]
            return int(number) if stage == source and number.isdecimal() else None
    return None
