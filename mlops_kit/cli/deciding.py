"""What ``approve`` and ``reject`` share: read the version, record the decision, say what it was about."""

from __future__ import annotations

from typing import Literal

import click
from botocore.exceptions import ClientError

from mlops_kit import registry
from mlops_kit.cli import render
from mlops_kit.cli.session import Session, now, tell
from mlops_kit.errors import AccessError, IntegrityError, UsageError
from mlops_kit.objects import codes
from mlops_kit.promotion import approvals, request


def decide(
    session: Session, kind: Literal["approve", "reject"], version: str, to: str, reason: str, as_json: bool
) -> None:
    """Bind the decision to the artifact that ``version`` of the stage before is right now."""
    source, target = request.stages(session.project, to, None)
    model, number = request.parse_version(version)
    if not isinstance(number, int):
        raise UsageError(f"{version!r} is not one version.", hint=f"Name it by its number, for example {model}@3.")
    session.project.model(model, target)
    names, cloud = target.names.model(model), session.cloud(target)
    found = registry.read_version(cloud.sagemaker, source.names.model(model), number)
    sha256 = found.lineage.artifact_sha256
    if not sha256:
        raise IntegrityError(f"{found.arn} does not say which artifact it is: its metadata has no artifact_sha256.")
    tell(f"{found.name} of {source.name} is artifact {sha256}, trained on {found.lineage.dataset}")
    ledger = cloud.store("ledger")
    decision = approvals.decide(
        kind,
        names,
        version=number,
        artifact_sha256=sha256,
        by=cloud.actor,
        reason=reason,
        policy=target.approvals,
        now=now(),
    )
    try:
        recorded = approvals.record(ledger, names, decision)
    except ClientError as exc:
        if codes.of(exc) not in codes.REFUSED:
            raise
        raise AccessError(
            f"{cloud.actor} may not decide about releases in {to}.",
            hint=f"Only approvers may: act as {target.names.role_arn('approver')}.",
        ) from exc
    # Who will ask for the release is not known yet; whether it may be one of the approvers is decided then.
    policy = target.approvals.model_copy(update={"distinct_from_requester": False})
    state = approvals.evaluate(approvals.read(ledger, names, sha256), policy, "", to, sha256, now())
    tell(f"{len(state.counted)} of {state.needed} approvals: {state.state}")
    if as_json:
        render.as_json(
            {
                "key": recorded.key,
                "sha256": recorded.sha256,
                "decision": decision,
                "state": state.state,
                "counted": len(state.counted),
                "needed": state.needed,
            }
        )
        return
    until = f" until {decision.expires:%Y-%m-%d %H:%M} UTC" if decision.expires else ""
    verb = "approved" if kind == "approve" else "rejected"
    click.echo(f"{verb} {found.name} ({sha256[:12]}) for {to} as {decision.principal}{until}")
