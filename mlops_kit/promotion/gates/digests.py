"""Artifact and data are the bytes that the version says they are. Nobody can override that."""

from __future__ import annotations

from mlops_kit.promotion.events import Verdict
from mlops_kit.promotion.evidence import Evidence, GatePolicy, Unread

GATE = "digests"


def digests(evidence: Evidence, policy: GatePolicy) -> tuple[Verdict, ...]:
    parts = (_artifact(evidence), _data(evidence))
    wrong = [text for right, text in parts if not right]
    return (Verdict(gate=GATE, passed=not wrong, reason="; ".join(wrong or [text for _, text in parts])),)


def _artifact(evidence: Evidence) -> tuple[bool, str]:
    wanted, found = evidence.version.lineage.artifact_sha256, evidence.artifact
    if isinstance(found, Unread):
        return False, f"artifact: {found.reason}"
    if found.stored is None:
        return True, f"the artifact was stored in parts: the copy is held against {wanted[:12]}"
    if found.stored != wanted:
        return False, f"the artifact has SHA-256 {found.stored[:12]}, and the version says {wanted[:12]}"
    return True, f"the artifact is {wanted[:12]}"


def _data(evidence: Evidence) -> tuple[bool, str]:
    found = evidence.data_readable
    if isinstance(found, Unread):
        return False, f"data: {found.reason}"
    if not found:
        return True, "the data is not in reach: see the gate on it"
    return True, f"the data is {evidence.version.lineage.dataset_commit[:12]}"
