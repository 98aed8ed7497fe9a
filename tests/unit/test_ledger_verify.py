"""``ledger verify``: whatever was done to a ledger is found, and the object is named; an untouched one passes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from mlops_kit.config import Approvals
from mlops_kit.errors import IntegrityError
from mlops_kit.objects import canonical_json, sha256_bytes
from mlops_kit.promotion import approvals, ledger_verify
from mlops_kit.promotion.events import CountedApproval, Event
from mlops_kit.promotion.ledger import Ledger
from mlops_kit.promotion.ledger_verify import Verification
from tests.ledgers import ALICE, ENVIRONMENT, LEDGER, NAMES, NOW, World, event, release, world
from tests.s3.model import Bucket

PLAN = canonical_json({"version": "churn@2"})
PLAN_KEY = NAMES.plan_key(sha256_bytes(PLAN))
ARTIFACT = release(2).artifact_sha256


@pytest.fixture
def here() -> Iterator[World]:
    """Four events, the second with a plan and an approval; one more plan and one rejection that nothing names."""
    with world() as made:
        fill(made)
        yield made


def fill(here: World) -> None:
    def say(kind: str, version: int) -> CountedApproval:
        decision = approvals.decide(
            kind,  # type: ignore[arg-type]
            NAMES,
            version=version,
            artifact_sha256=release(version).artifact_sha256,
            by=ALICE,
            reason="so be it",
            policy=Approvals(),
            now=NOW,
        )
        made = approvals.record(here.ledger, NAMES, decision)
        return CountedApproval(key=made.key, sha256=made.sha256, by=ALICE)

    plan = here.book.keep_plan(PLAN)
    here.book.keep_plan(canonical_json({"version": "churn@9"}))
    say("reject", 9)
    here.write(
        event(1),
        event(2, plan=plan, approvals=(say("approve", 2),)),
        event(1, "rollback"),
        event(3, outcome="failed"),
    )


def key(number: int) -> str:
    return NAMES.ledger_key(number)


def data(bucket: Bucket, name: str) -> bytes:
    found = bucket.current(name)
    assert found is not None
    return found.data


def approval_key(bucket: Bucket) -> str:
    (found,) = [name for name in bucket.snapshot() if name.startswith(NAMES.approvals_of(ARTIFACT))]
    return found


def edited(body: bytes) -> bytes:
    assert b'"training_job":"job"' in body
    return body.replace(b'"training_job":"job"', b'"training_job":"jab"')


def replaced(bucket: Bucket, name: str, body: bytes) -> None:
    """As if the object lock had not been there: no version is left to tell, not even the time."""
    modified = bucket.version(name).modified
    bucket.remove(name)
    bucket.put(name, body).modified = modified


def rechain(bucket: Bucket, put: Callable[[str, bytes], object], change: Callable[[Event], Event]) -> None:
    """Edit event 2 and make the chain whole again, up to the last event."""
    events = [Event.model_validate_json(data(bucket, key(number))) for number in range(1, 5)]
    events[1] = change(events[1])
    for number in range(2, 5):
        before = sha256_bytes(events[number - 2].to_json())
        events[number - 1] = events[number - 1].model_copy(update={"previous": before})
        put(key(number), events[number - 1].to_json())


def blame(seen: Event) -> Event:
    return seen.model_copy(update={"actor": ALICE.replace("alice", "mallory")})


def insert(bucket: Bucket) -> None:
    """Between the first event and the second; all after it are moved up by one."""
    events = [Event.model_validate_json(data(bucket, key(number))) for number in range(1, 5)]
    events.insert(1, blame(events[1]))
    for number in range(2, 6):
        before = sha256_bytes(events[number - 2].to_json())
        events[number - 1] = events[number - 1].model_copy(update={"seq": number, "previous": before})
        bucket.put(key(number), events[number - 1].to_json())


def swap(bucket: Bucket) -> None:
    second, third = data(bucket, key(2)), data(bucket, key(3))
    replaced(bucket, key(2), third)
    replaced(bucket, key(3), second)


def foreign(bucket: Bucket, config: bool) -> None:
    """An event of another model, rightly chained, at the end."""
    last = Event.model_validate_json(data(bucket, key(4)))
    other = last.model_copy(
        update={
            "seq": 5,
            "previous": sha256_bytes(last.to_json()),
            "ledger": "" if config else "dev/fraud",
            "release": release(1, "fraud" if config else "churn"),
        }
    )
    bucket.put(key(5), other.to_json())


def rewrite_approval(bucket: Bucket) -> None:
    """Another approval with a rightful name, in place of the one that the event rests on."""
    name = approval_key(bucket)
    decision = approvals.Decision.model_validate_json(data(bucket, name))
    other = decision.model_copy(
        update={"by": "arn:aws:iam::111111111111:user/bob", "principal": "111111111111/user/bob"}
    )
    bucket.remove(name)
    bucket.put(NAMES.approval_key(ARTIFACT, other.time, sha256_bytes(other.to_json())), other.to_json())


TAMPERS: dict[str, tuple[Callable[[Bucket], object], Callable[[Bucket], str], str]] = {
    "a byte edited": (lambda b: b.put(key(2), edited(data(b, key(2)))), lambda b: key(2), "was overwritten"),
    "a byte edited in place": (
        lambda b: b.overwrite(key(2), edited(data(b, key(2)))),
        lambda b: key(2),
        "was edited",
    ),
    "a byte edited, no version left": (
        lambda b: replaced(b, key(2), edited(data(b, key(2)))),
        lambda b: key(2),
        "was edited: event 3 names another digest",
    ),
    "the newest but one edited, no version left": (
        lambda b: replaced(b, key(3), edited(data(b, key(3)))),
        lambda b: key(4),
        "does not follow event 3",
    ),
    "the last edited": (lambda b: b.put(key(4), edited(data(b, key(4)))), lambda b: key(4), "was overwritten"),
    "edited and chained anew": (lambda b: rechain(b, b.put, blame), lambda b: key(2), "was overwritten"),
    "edited, later, no version left": (
        lambda b: late(b, key(2), edited(data(b, key(2)))),
        lambda b: key(2),
        "was written after event 3",
    ),
    "deleted in the middle": (lambda b: b.delete(key(2)), lambda b: key(2), "a delete marker hides it"),
    "removed in the middle": (lambda b: b.remove(key(2)), lambda b: key(2), "is missing"),
    "removed at the beginning": (lambda b: b.remove(key(1)), lambda b: key(1), "is missing"),
    "deleted at the end": (lambda b: b.delete(key(4)), lambda b: key(4), "a delete marker hides it"),
    "deleted for good, marker left": (
        lambda b: (b.remove(key(4)), b.delete(key(4))),
        lambda b: key(4),
        "was deleted for good",
    ),
    "deleted and written again": (
        lambda b: (b.delete(key(4)), b.put(key(4), edited(data_of_first(b, key(4))))),
        lambda b: key(4),
        "was overwritten",
    ),
    "swapped": (swap, lambda b: key(2), "holds event 3: it was moved or inserted"),
    "inserted": (insert, lambda b: key(2), "was overwritten"),
    "of another model": (lambda b: foreign(b, config=False), lambda b: key(5), "another ledger: dev/fraud"),
    "of another model, from before": (lambda b: foreign(b, config=True), lambda b: key(5), "another ledger: acme-dev-"),
    "a number used twice": (
        lambda b: b.put(key(3), data(b, key(2))),
        lambda b: key(3),
        "was overwritten: it has 2 versions",
    ),
    "written twice alike": (lambda b: b.put(key(3), data(b, key(3))), lambda b: key(3), "was overwritten"),
    "cut off": (lambda b: replaced(b, key(4), data(b, key(4))[:-9]), lambda b: key(4), "edited or cut off"),
    "emptied": (lambda b: replaced(b, key(4), b""), lambda b: key(4), "edited or cut off"),
    "white space added": (lambda b: replaced(b, key(4), data(b, key(4)) + b" "), lambda b: key(4), "edited or cut off"),
    "a number left out": (
        lambda b: b.put(key(6), data(b, key(4)).replace(b'"seq":4', b'"seq":6')),
        lambda b: key(5),
        "is missing",
    ),
    "a plan removed": (lambda b: b.remove(PLAN_KEY), lambda b: PLAN_KEY, "is missing: it is the plan of event 2"),
    "a plan hidden": (lambda b: b.delete(PLAN_KEY), lambda b: PLAN_KEY, "a delete marker hides it"),
    "a plan edited": (lambda b: b.put(PLAN_KEY, b"{}"), lambda b: PLAN_KEY, "was overwritten"),
    "a plan edited, no version left": (
        lambda b: replaced(b, PLAN_KEY, b"{}"),
        lambda b: PLAN_KEY,
        "is not the plan with this digest",
    ),
    "an approval edited": (
        lambda b: b.put(approval_key(b), data(b, approval_key(b)).replace(b"so be it", b"so be IT")),
        approval_key,
        "was overwritten",
    ),
    "an approval edited, no version left": (
        lambda b: replaced(b, approval_key(b), data(b, approval_key(b)).replace(b"so be it", b"so be IT")),
        approval_key,
        "is not the decision that its name says",
    ),
    "an approval hidden": (lambda b: b.delete(approval_key(b)), approval_key, "a delete marker hides it"),
    "junk": (lambda b: b.put("churn/notes.txt", b"hi"), lambda b: "churn/notes.txt", "is no event, plan or approval"),
    "junk among the plans": (
        lambda b: b.put("churn/plans/x.json", b"{}"),
        lambda b: "churn/plans/x.json",
        "is no event, plan or approval",
    ),
    "junk among the approvals": (
        lambda b: b.put(f"_approvals/churn/{ARTIFACT}/x.json", b"{}"),
        lambda b: f"_approvals/churn/{ARTIFACT}/x.json",
        "is not the decision that its name says",
    ),
}


def late(bucket: Bucket, name: str, body: bytes) -> None:
    bucket.remove(name)
    bucket.put(name, body).modified = time.time() + 3600


def data_of_first(bucket: Bucket, name: str) -> bytes:
    return next(version.data for version in reversed(bucket.versions(name)) if not version.is_marker)


def test_an_untouched_ledger_passes(here: World) -> None:
    found = ledger_verify.verify(here.ledger, NAMES)
    assert found == Verification("churn", events=4, plans=2, unused_plans=1, approvals=2, findings=())
    assert found.intact
    ledger_verify.require([found], [], "dev")
    assert ledger_verify.verify_all(here.ledger, ENVIRONMENT) == ([found], [])


def test_an_empty_ledger_passes() -> None:
    with world() as here:
        assert ledger_verify.verify(here.ledger, NAMES).intact
        assert ledger_verify.verify_all(here.ledger, ENVIRONMENT) == ([], [])


@pytest.mark.parametrize("name", TAMPERS)
def test_tampering_is_found_and_named(name: str, here: World) -> None:
    tamper, object_of, problem = TAMPERS[name]
    named = object_of(here.records)
    tamper(here.records)
    found = ledger_verify.verify(here.ledger, NAMES)
    uri = f"s3://{LEDGER}/{named}"
    about = [finding for finding in found.findings if finding.uri == uri]
    assert any(problem in finding.problem for finding in about), found.findings
    assert all(finding.remedy for finding in found.findings)
    everywhere, strays = ledger_verify.verify_all(here.ledger, ENVIRONMENT)
    assert (everywhere, strays) == ([found], [])
    with pytest.raises(IntegrityError) as caught:
        ledger_verify.require([found], [], "dev")
    assert caught.value.exit_code == 7
    assert uri in caught.value.message
    assert caught.value.hint


def test_an_approval_that_an_event_rests_on_cannot_be_exchanged(here: World) -> None:
    name = approval_key(here.records)
    rewrite_approval(here.records)
    found = ledger_verify.verify(here.ledger, NAMES)
    assert [str(finding) for finding in found.findings] == [
        f"s3://{LEDGER}/{name} is missing: event 2 rests on it",
    ]


def test_an_honest_overwrite_by_the_remedy_is_healed(here: World) -> None:
    """What the finding says to do leads back to an intact ledger."""
    here.records.put(key(2), edited(data(here.records, key(2))))
    here.records.delete(PLAN_KEY)
    found = ledger_verify.verify(here.ledger, NAMES)
    for finding in found.findings:
        commands = finding.remedy.partition("administrator: ")[2].split("; ")
        for command in commands:
            words = command.split()
            named, version = words[words.index("--key") + 1].strip("'"), words[words.index("--version-id") + 1]
            here.ledger.delete(named, version)
    assert len(found.findings) == 2
    assert ledger_verify.verify(here.ledger, NAMES).intact


def test_objects_outside_of_every_ledger_are_found(here: World) -> None:
    here.records.put("notes.txt", b"")
    here.records.put("_approvals/notes.txt", b"")
    other = Ledger(here.ledger, ENVIRONMENT.model("fraud"))
    other.append((), event(1, release=release(1, "fraud")))
    found, strays = ledger_verify.verify_all(here.ledger, ENVIRONMENT)
    assert [(one.model, one.intact) for one in found] == [("churn", True), ("fraud", True)]
    assert [finding.uri for finding in strays] == [f"s3://{LEDGER}/_approvals/notes.txt", f"s3://{LEDGER}/notes.txt"]
    with pytest.raises(IntegrityError, match="2 things are wrong with the ledger of dev"):
        ledger_verify.require(found, strays, "dev")


def test_a_model_whose_name_begins_like_another_s_is_another(here: World) -> None:
    other = Ledger(here.ledger, ENVIRONMENT.model("churn-2"))
    other.append((), event(1, release=release(1, "churn-2")))
    assert ledger_verify.verify(here.ledger, NAMES).intact
    assert ledger_verify.verify(here.ledger, ENVIRONMENT.model("churn-2")).intact


def test_s3s_clocks_may_differ_by_seconds(here: World) -> None:
    here.records.version(key(2)).modified = here.records.version(key(3)).modified + timedelta(seconds=30).seconds
    assert ledger_verify.verify(here.ledger, NAMES).intact
