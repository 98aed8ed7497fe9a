"""Approvals: bound to one artifact, one target and one principal; what they come to is a pure fold."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Literal

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from mlops_kit.config import Approvals
from mlops_kit.errors import IntegrityError, MlopsKitError, UsageError
from mlops_kit.promotion import approvals
from mlops_kit.promotion.approvals import Approval, Decision, Recorded
from tests.ledgers import ALICE, LEDGER, NAMES, NOW, World, world
from tests.s3 import Fault
from tests.stores import ACCOUNT, IMPATIENT, race

ARTIFACT, OTHER = "a" * 64, "b" * 64
POLICY = Approvals(required=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def here() -> Iterator[World]:
    with world() as made:
        yield made


def approver(name: str, role: str = "acme-dev-approver") -> str:
    return f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}@example.com"


def decision(
    name: str = "bob",
    kind: Literal["approve", "reject"] = "approve",
    now: datetime = NOW,
    artifact: str = ARTIFACT,
    policy: Approvals = POLICY,
    **changed: Any,
) -> Decision:
    by = name if name.startswith("arn:") else approver(name)
    made = approvals.decide(
        kind, NAMES, version=3, artifact_sha256=artifact, by=by, reason="looks good", policy=policy, now=now
    )
    return made.model_copy(update=changed)


def recorded(*decisions: Decision) -> list[Recorded]:
    return [Recorded(f"key-{number}", "", made) for number, made in enumerate(decisions)]


def evaluate(*decisions: Decision, policy: Approvals = POLICY, requester: str = ALICE, now: datetime = NOW) -> Approval:
    return approvals.evaluate(recorded(*decisions), policy, requester, "dev", ARTIFACT, now)


# --- who it is


@pytest.mark.parametrize(
    ("arn", "principal", "person"),
    [
        (approver("bob"), f"{ACCOUNT}/assumed-role/acme-dev-approver/bob@example.com", "bob@example.com"),
        (f"arn:aws:iam::{ACCOUNT}:user/team/bob", f"{ACCOUNT}/user/team/bob", "bob"),
        (f"arn:aws:iam::{ACCOUNT}:root", f"{ACCOUNT}/root", "root"),
        (f"arn:aws-us-gov:sts::{ACCOUNT}:federated-user/bob", f"{ACCOUNT}/federated-user/bob", "bob"),
    ],
)
def test_a_principal_is_account_role_and_session(arn: str, principal: str, person: str) -> None:
    assert approvals.principal(arn) == principal
    assert approvals.person(principal) == person


@pytest.mark.parametrize("arn", ["", "bob", "arn:aws:s3:::bucket", f"arn:aws:iam::{ACCOUNT}:"])
def test_what_is_no_caller_is_refused(arn: str) -> None:
    with pytest.raises(UsageError, match="is not the ARN of a caller"):
        approvals.principal(arn)


# --- what is decided


def test_a_decision_says_what_it_is_about() -> None:
    made = decision(now=NOW.replace(microsecond=5), policy=Approvals(expire_hours=5))
    assert made == Decision(
        kind="approve",
        model="churn",
        version=3,
        artifact_sha256=ARTIFACT,
        target="dev",
        by=approver("bob"),
        principal=approvals.principal(approver("bob")),
        reason="looks good",
        time=NOW,
        expires=NOW + 5 * HOUR,
    )
    assert decision(kind="reject").expires is None


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "\x1b[31mred", "x" * 501])
def test_a_reason_is_a_line_of_text(reason: str) -> None:
    with pytest.raises(UsageError, match="a line of text"):
        approvals.decide(
            "approve", NAMES, version=1, artifact_sha256=ARTIFACT, by=ALICE, reason=reason, policy=POLICY, now=NOW
        )


# --- what decisions come to


def test_nobody_has_to_be_asked_where_none_is_required() -> None:
    found = evaluate(policy=Approvals())
    assert (found.state, found.counted, found.needed, found.passed) == ("approved", (), 0, True)


def test_without_an_approval_it_waits() -> None:
    found = evaluate()
    assert (found.state, found.needed, found.reasons, found.passed) == ("pending", 1, (), False)


def test_an_approval_is_enough_where_one_is_required() -> None:
    found = evaluate(decision())
    assert (found.state, len(found.counted)) == ("approved", 1)
    assert found.reasons == (f"approved by {approvals.principal(approver('bob'))}: looks good",)


def test_two_are_two_people() -> None:
    two = Approvals(required=2)
    assert evaluate(decision("bob"), policy=two).state == "pending"
    assert evaluate(decision("bob"), decision("bob", now=NOW - HOUR), policy=two).state == "pending"
    assert evaluate(decision("bob"), decision("carol"), policy=two).state == "approved"
    again = evaluate(decision("bob"), decision(approver("bob", "another-role")), policy=two)
    assert again.state == "pending"
    assert any("is one person" in reason for reason in again.reasons)


def test_who_asks_for_it_cannot_approve_it_in_another_role_either() -> None:
    for own in (ALICE, approver("alice"), f"arn:aws:iam::{ACCOUNT}:user/alice@example.com"):
        found = evaluate(decision(own))
        assert (found.state, found.counted) == ("pending", ())
        assert any("is who asks for it" in reason for reason in found.reasons)
        assert evaluate(decision(own), policy=Approvals(required=1, distinct_from_requester=False)).passed


def test_an_approval_of_something_else_never_counts() -> None:
    assert evaluate(decision(artifact=OTHER)).state == "pending"
    assert evaluate(decision(target="production")).state == "pending"
    assert evaluate(decision(kind="reject", artifact=OTHER), decision()).state == "approved"


def test_an_approval_expires() -> None:
    made = decision(policy=Approvals(expire_hours=2))
    assert evaluate(made, now=NOW + 2 * HOUR - timedelta(seconds=1)).state == "approved"
    late = evaluate(made, now=NOW + 2 * HOUR)
    assert late.state == "pending"
    assert any("expired at 2026-01-01 14:00 UTC" in reason for reason in late.reasons)
    renewed = decision(now=NOW + HOUR, policy=Approvals(expire_hours=2))
    assert evaluate(made, renewed, now=NOW + 2 * HOUR).state == "approved"


def test_the_policy_of_today_limits_what_a_record_wishes_for() -> None:
    wished = decision(expires=NOW + timedelta(days=1000))
    forever = decision(expires=None)
    for made in (wished, forever):
        assert evaluate(made, now=NOW + 71 * HOUR).state == "approved"
        assert evaluate(made, now=NOW + 72 * HOUR).state == "pending"


def test_a_decision_from_the_future_does_not_count_yet() -> None:
    assert evaluate(decision(now=NOW + timedelta(minutes=5))).state == "approved", "clocks differ a little"
    found = evaluate(decision(now=NOW + timedelta(minutes=6)))
    assert found.state == "pending"
    assert any("yet to come" in reason for reason in found.reasons)


def test_a_rejection_blocks_until_the_same_principal_approves() -> None:
    rejected = decision("bob", "reject")
    for policy in (Approvals(), POLICY, Approvals(required=2)):
        found = evaluate(rejected, decision("carol"), decision("dave"), policy=policy)
        assert (found.state, found.passed) == ("rejected", False)
        assert found.reasons[0].startswith("rejected by")
    assert evaluate(rejected, decision("carol"), now=NOW + timedelta(days=1000)).state == "rejected", "it never expires"
    assert evaluate(rejected, decision("bob", now=NOW + timedelta(minutes=1))).state == "approved"
    assert evaluate(decision("bob"), decision("bob", "reject", now=NOW + timedelta(minutes=1))).state == "rejected"
    assert evaluate(decision("bob"), rejected).state == "rejected", "in the same second, the safe side"


def test_the_requester_can_reject() -> None:
    assert evaluate(decision(ALICE, "reject"), decision("bob")).state == "rejected"


def test_the_order_of_the_records_does_not_matter() -> None:
    made = [decision("bob"), decision("bob", "reject", now=NOW + HOUR), decision("carol")]
    assert {evaluate(*order, now=NOW + HOUR).state for order in (made, made[::-1])} == {"rejected"}


# --- what is stored


def test_a_decision_is_stored_once_and_read_back(here: World) -> None:
    made = decision()
    first = approvals.record(here.ledger, NAMES, made)
    assert approvals.record(here.ledger, NAMES, made) == first
    later = approvals.record(here.ledger, NAMES, decision(now=NOW + HOUR))
    assert first.key == f"_approvals/churn/{ARTIFACT}/20260101T120000Z-{first.sha256[:12]}.json"
    assert approvals.read(here.ledger, NAMES, ARTIFACT) == (first, later)
    assert approvals.read(here.ledger, NAMES, OTHER) == ()


def test_a_repeated_approval_begins_its_time_anew(here: World) -> None:
    policy = Approvals(required=1, expire_hours=2)
    for hours in (0, 1):
        approvals.record(here.ledger, NAMES, decision(now=NOW + hours * HOUR, policy=policy))
    found = approvals.read(here.ledger, NAMES, ARTIFACT)
    state = approvals.evaluate(found, policy, ALICE, "dev", ARTIFACT, NOW + 2 * HOUR)
    assert (state.state, len(state.counted)) == ("approved", 1)


def test_thirty_two_at_once_are_all_kept(here: World) -> None:
    race(32, lambda number: approvals.record(here.ledger, NAMES, decision(f"person-{number}")))
    found = approvals.read(here.ledger, NAMES, ARTIFACT)
    assert len({one.decision.principal for one in found}) == 32


TAMPERS: dict[str, Any] = {
    "edited": lambda b, key: b.put(key, b.current(key).data.replace(b"looks good", b"looks fine")),
    "edited in place": lambda b, key: b.overwrite(key, b.current(key).data.replace(b"looks good", b"looks fine")),
    "deleted": lambda b, key: b.delete(key),
    "written again": lambda b, key: b.put(key, b.current(key).data),
    "replaced": lambda b, key: moved(b, key, key, b"looks good", b"looks fine"),
    "of another digest": lambda b, key: moved(b, key, key.replace(ARTIFACT, "c" * 64), b"", b""),
    "cut off": lambda b, key: moved(b, key, key, b.current(key).data[-20:], b""),
    "no JSON": lambda b, key: moved(b, key, key, b.current(key).data, b"yes"),
}


def moved(bucket: Any, key: str, to: str, old: bytes, new: bytes) -> None:
    """As if the object lock had not been there: no version is left to tell."""
    body = bucket.current(key).data
    bucket.remove(key)
    bucket.put(to, body.replace(old, new) if old else body)


@pytest.mark.parametrize("tamper", TAMPERS.values(), ids=TAMPERS.keys())
def test_a_decision_that_was_tampered_with_is_an_integrity_failure(tamper: Any, here: World) -> None:
    made = approvals.record(here.ledger, NAMES, decision())
    tamper(here.records, made.key)
    artifact = here.records.keys()[0].split("/")[2]
    with pytest.raises(IntegrityError, match=f"s3://{LEDGER}/_approvals/churn/"):
        approvals.read(here.ledger, NAMES, artifact)


def test_another_record_under_the_same_name_is_refused(here: World) -> None:
    made = approvals.record(here.ledger, NAMES, decision())
    here.records.put(made.key, b"{}")
    with pytest.raises(IntegrityError, match="is not the decision that its name says"):
        approvals.record(here.ledger, NAMES, decision())


PASSING = ["503", "500", "409", "timeout", "timeout-after", "reset", "lost", "expired", "denied", "truncated"]
LASTING = ["503", "reset", "lost", "expired", "denied"]
CASES = [(kind, 1) for kind in PASSING] + [(kind, None) for kind in LASTING]


@pytest.mark.parametrize(("kind", "times"), CASES, ids=[f"{kind} {times or 'for ever'}" for kind, times in CASES])
def test_an_approval_that_is_cut_off_anywhere_is_finished_by_the_next_run(kind: Any, times: int | None) -> None:
    def act(here: World, minutes: int) -> Approval:
        made = decision(now=NOW + timedelta(minutes=minutes))
        approvals.record(here.ledger, NAMES, made)
        found = approvals.read(here.ledger, NAMES, ARTIFACT)
        return approvals.evaluate(found, POLICY, ALICE, "dev", ARTIFACT, NOW + HOUR)

    for nth in range(1, 4):
        with world(read_timeout=IMPATIENT) as here:
            fault = Fault(kind, nth=nth, times=times)
            here.s3.faults.append(fault)
            try:
                act(here, 0)
            except (MlopsKitError, ClientError, BotoCoreError):
                assert fault.struck
            here.s3.faults.clear()
            found = act(here, 1)
            assert (found.state, len(found.counted)) == ("approved", 1)
            assert all(len(versions) == 1 for versions in here.s3.snapshot_versions(LEDGER).values())
            assert act(here, 1) == found
