"""What runs is what was registered: the serving image is the digest of the lineage, and the target can pull it.

An image of the target's own registry has to be there. One of another account cannot be looked at from here: its digest,
if it is pinned, is all that is known, and the reason says so.
"""

from __future__ import annotations

from mlops_kit.promotion.events import Verdict
from mlops_kit.promotion.evidence import Evidence, GatePolicy, Unread
from mlops_kit.promotion.gates.unread import unread

GATE = "image"


def image(evidence: Evidence, policy: GatePolicy) -> tuple[Verdict, ...]:
    found, wanted, target = evidence.image, evidence.version.lineage.image_digest, evidence.target.name
    if isinstance(found, Unread):
        return (unread(GATE, found),)
    if found.present is False:
        reason = f"{found.address} is not in the registry of {target}: is it pushed, and replicated to there?"
        return (Verdict(gate=GATE, passed=False, reason=reason),)
    if wanted and found.digest and found.digest != wanted:
        reason = f"was registered with {wanted[:19]}, and {target} would serve it with {found.digest[:19]}"
        return (Verdict(gate=GATE, passed=False, reason=reason),)
    if wanted and not found.digest:
        reason = f"was registered with {wanted[:19]}, and {target} names {found.address} by a tag, which can move"
        return (Verdict(gate=GATE, passed=False, reason=reason),)
    if found.present:
        return (Verdict(gate=GATE, passed=True, reason=f"{found.digest[:19]} is in the registry of {target}"),)
    whose = "AWS" if found.of_aws else f"account {found.account}" if found.account else "a registry outside of AWS"
    how = f"pinned to {found.digest[:19]}" if found.pinned else "named by a tag, which its owner can move"
    return (Verdict(gate=GATE, passed=True, reason=f"of {whose}, not verified; {how}"),)
