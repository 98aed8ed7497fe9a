"""Approvals: who agreed, or refused, that one artifact is released in one environment.

A decision is bound to the artifact's SHA-256, never to a version number: whoever trains again asks again. It is one
JSON object at ``_approvals/<model>/<artifact sha256>/<time>-<digest>.json`` in the ledger bucket of the environment it
is for, create-only, and named by its own digest. Decisions are never changed: a newer one of the same principal takes
the place of the older. What holds now is a fold over all of them (:func:`evaluate`), which is pure.

Who decided is what STS says of the caller, down to the name of the session: two people in one role are two principals.
So the identity provider has to set the session names, and the roles' trust must not let people choose their own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from mlops_kit.config import Approvals
from mlops_kit.errors import IntegrityError, UsageError
from mlops_kit.naming import ModelNames
from mlops_kit.objects import Store, canonical_json, each, sha256_bytes
from mlops_kit.promotion.ledger import verify_hint
from mlops_kit.promotion.request import stated

CLOCKS_DIFFER = timedelta(minutes=5)
"""How far the clocks of two people may be apart: a decision from later than that is from no honest clock."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Decision(BaseModel):
    """One person's word. Times are in UTC, to the second."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["approve", "reject"]
    model: str
    version: int
    """Its number in the stage that it comes from: for people, nothing is decided by it."""
    artifact_sha256: str
    target: str
    by: str
    """ARN of the caller, by STS."""
    principal: str
    reason: str
    time: AwareDatetime
    expires: AwareDatetime | None
    """An approval is not for ever. A rejection is, until the same principal approves."""

    def to_json(self) -> bytes:
        return canonical_json(self.model_dump(mode="json"))


@dataclass(frozen=True, slots=True)
class Recorded:
    """A decision as it is stored."""

    key: str
    sha256: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class Approval:
    """What the decisions come to. ``reasons``: one line a decision that matters, or that does not count and why."""

    state: Literal["approved", "pending", "rejected"]
    counted: tuple[Recorded, ...]
    needed: int
    reasons: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return self.state == "approved"


def principal(arn: str) -> str:
    """Who an ARN of STS or IAM is, without what differs from one login to the next: account, then user or role and
    session, as in ``111111111111/assumed-role/approver/alice@example.com``.
    """
    parts = arn.split(":", 5)
    if len(parts) < 6 or not parts[4] or not parts[5]:
        raise UsageError(f"{arn!r} is not the ARN of a caller.")
    return f"{parts[4]}/{parts[5]}"


def person(principal: str) -> str:
    """The name of the session or of the user: the same person in another role is still the same person."""
    return principal.rsplit("/", 1)[-1]


def decide(
    kind: Literal["approve", "reject"],
    names: ModelNames,
    *,
    version: int,
    artifact_sha256: str,
    by: str,
    reason: str,
    policy: Approvals,
    now: datetime,
) -> Decision:
    """A new decision about the artifact of a version, for the environment of ``names``.

    Raises:
        UsageError: there is no reason, or it is more than a line of text.
    """
    said = stated(reason)
    time = now.astimezone(UTC).replace(microsecond=0)
    return Decision(
        kind=kind,
        model=names.model,
        version=version,
        artifact_sha256=artifact_sha256,
        target=names.environment.environment,
        by=by,
        principal=principal(by),
        reason=said,
        time=time,
        expires=time + timedelta(hours=policy.expire_hours) if kind == "approve" else None,
    )


def record(store: Store, names: ModelNames, decision: Decision) -> Recorded:
    """Store a decision. Once more is harmless: the same decision has the same key, a later one begins its time anew.

    Raises:
        IntegrityError: something else has this key.
    """
    body = decision.to_json()
    sha256 = sha256_bytes(body)
    key = names.approval_key(decision.artifact_sha256, decision.time, sha256)
    if not store.put_new(key, body, "application/json") and store.get(key) != body:
        raise IntegrityError(f"{store.uri(key)} is not the decision that its name says.", hint=verify_hint(names))
    return Recorded(key, sha256, decision)


def read(store: Store, names: ModelNames, artifact_sha256: str) -> tuple[Recorded, ...]:
    """All decisions about an artifact, oldest first.

    Raises:
        IntegrityError: one was edited, overwritten or deleted.
    """
    versions = list(store.versions(names.approvals_of(artifact_sha256)))
    keys = [version.key for version in versions]
    for version in versions:
        if version.deleted or keys.count(version.key) > 1:
            raise IntegrityError(f"{store.uri(version.key)} was overwritten or deleted.", hint=verify_hint(names))
    return tuple(each(lambda key: _read(store, names, key), keys, at_once=16))


def _read(store: Store, names: ModelNames, key: str) -> Recorded:
    found = parse(names, key, store.get(key) or b"")
    if found is None:
        raise IntegrityError(f"{store.uri(key)} is not the decision that its name says.", hint=verify_hint(names))
    return found


def parse(names: ModelNames, key: str, body: bytes) -> Recorded | None:
    """The decision that ``body`` is, if it is the one that its key names; None if it is anything else."""
    try:
        decision = Decision.model_validate_json(body)
    except ValidationError:
        return None
    sha256 = sha256_bytes(body)
    named = _DIGEST.fullmatch(decision.artifact_sha256) and decision.model == names.model
    if decision.to_json() != body or not named:
        return None
    if key != names.approval_key(decision.artifact_sha256, decision.time, sha256):
        return None
    return Recorded(key, sha256, decision)


def evaluate(
    records: Sequence[Recorded],
    policy: Approvals,
    requester: str,
    target: str,
    artifact_sha256: str,
    now: datetime,
) -> Approval:
    """Whether the artifact may be released in ``target``, asked for by ``requester`` (an ARN).

    Only decisions about this very artifact and target are looked at, and of each principal only the newest. A rejection
    blocks, even where no approval is needed. Approvals count once a person, while they last, and not if they are the
    requester's own.
    """
    newest: dict[str, Recorded] = {}
    for found in sorted(records, key=lambda one: (one.decision.time, one.decision.kind == "reject", one.key)):
        if (found.decision.artifact_sha256, found.decision.target) == (artifact_sha256, target):
            newest[found.decision.principal] = found
    rejections, counted, reasons = [], {}, []
    for found in newest.values():
        said = found.decision
        if said.kind == "reject":
            rejections.append(f"rejected by {said.principal}: {said.reason}")
        elif (why_not := _discounted(said, policy, requester, now)) is not None:
            reasons.append(f"the approval by {said.principal} does not count: {why_not}")
        elif (name := person(said.principal)) in counted:
            reasons.append(f"the approval by {said.principal} does not count: {name} is one person")
        else:
            counted[name] = found
    approved = [f"approved by {one.decision.principal}: {one.decision.reason}" for one in counted.values()]
    enough = len(counted) >= policy.required
    return Approval(
        state="rejected" if rejections else "approved" if enough else "pending",
        counted=tuple(counted.values()),
        needed=policy.required,
        reasons=(*rejections, *approved, *reasons),
    )


def _discounted(said: Decision, policy: Approvals, requester: str, now: datetime) -> str | None:
    """Why an approval does not count, if it does not."""
    if said.time > now + CLOCKS_DIFFER:
        return f"it is from {said.time:%Y-%m-%d %H:%M} UTC, which is yet to come"
    # The policy of today: whoever wrote the record may have wished for more time.
    until = said.time + timedelta(hours=policy.expire_hours)
    if said.expires is not None and said.expires < until:
        until = said.expires
    if now >= until:
        return f"it expired at {until:%Y-%m-%d %H:%M} UTC"
    if policy.distinct_from_requester and person(said.principal) == person(principal(requester)):
        return f"{person(said.principal)} is who asks for it"
    return None
