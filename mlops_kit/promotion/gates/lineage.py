"""It is known what the version was made of: data, code, job, artifact and image."""

from __future__ import annotations

from mlops_kit.promotion.events import Verdict
from mlops_kit.promotion.evidence import Evidence, GatePolicy

GATE = "lineage"


def lineage(evidence: Evidence, policy: GatePolicy) -> tuple[Verdict, ...]:
    found = evidence.version.lineage
    known = {
        "the data set": found.dataset,
        "the data commit": found.dataset_commit,
        "the code": found.source_sha256,  # the git commit is worth having, and a digest is what proves it
        "the training job": found.training_job,
        "the artifact": found.artifact_sha256,
        "the image": evidence.version.image,
    }
    missing = [what for what, value in known.items() if not value]
    if missing:
        return (Verdict(gate=GATE, passed=False, reason=f"does not say {', '.join(missing)}"),)
    code = found.code_commit[:12] + ("-dirty" if found.code_commit.endswith("-dirty") else "")
    reason = f"{found.dataset}@{found.dataset_commit[:12]}, code {code or found.source_sha256[:12]}"
    return (Verdict(gate=GATE, passed=True, reason=f"{reason}, {found.training_job}"),)
