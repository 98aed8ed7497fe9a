"""ECR's scan of the serving image found no more than the environment allows.

Images that AWS publishes for SageMaker pass: only AWS can see their findings, and AWS scans them. Those of any other
account are refused, because nobody here can know.
"""

from __future__ import annotations

from mlops_kit.promotion.events import Verdict
from mlops_kit.promotion.evidence import Evidence, GatePolicy, Unread
from mlops_kit.promotion.gates.unread import unread

GATE = "image scan"


def image_scan(evidence: Evidence, policy: GatePolicy) -> tuple[Verdict, ...]:
    allowed, image, found = policy.gates.image_scan, evidence.image, evidence.image_scan
    if allowed is None:
        return ()
    if isinstance(image, Unread):
        return (unread(GATE, image),)
    if image.of_aws:
        return (Verdict(gate=GATE, passed=True, reason="an image of AWS, which scans it: its findings are AWS's"),)
    if image.account != evidence.target.account:
        reason = f"{image.address} is not in the registry of {evidence.target.name}: its findings cannot be read"
        return (Verdict(gate=GATE, passed=False, reason=reason),)
    if isinstance(found, Unread):
        return (unread(GATE, found),)
    if found is None:
        return (Verdict(gate=GATE, passed=False, reason="nobody read the findings"),)
    if not found.complete:
        return (Verdict(gate=GATE, passed=False, reason=f"the scan has no result: it is {found.status}"),)
    critical, high = found.counts.get("CRITICAL", 0), found.counts.get("HIGH", 0)
    reason = f"{critical} critical of at most {allowed.max_critical}, {high} high of at most {allowed.max_high}"
    passed = critical <= allowed.max_critical and high <= allowed.max_high
    return (Verdict(gate=GATE, passed=passed, reason=reason),)
