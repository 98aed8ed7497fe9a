"""The verdict of a gate whose evidence could not be read: it refuses, and says why."""

from __future__ import annotations

from mlops_kit.promotion.events import Verdict
from mlops_kit.promotion.evidence import Unread


def unread(gate: str, found: Unread, about: str = "") -> Verdict:
    """``about``: what the reason is to be introduced with."""
    return Verdict(gate=gate, passed=False, reason=about + found.reason, tampered=found.tampered)
