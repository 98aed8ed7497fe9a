"""The ledger: what is appended is chained, and anything else than what was appended is an integrity failure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from mlops_kit.errors import ConflictError, IntegrityError, MlopsKitError
from mlops_kit.objects import canonical_json, sha256_bytes
from mlops_kit.promotion import ledger, releases
from mlops_kit.promotion.ledger import CountedApproval, Event, Override, Verdict
from tests.ledgers import ENVIRONMENT, LEDGER, NAMES, World, event, world
from tests.s3 import Fault
from tests.stores import IMPATIENT, race

BEFORE = Path(__file__).parent / "ledger_before"
"""A ledger as it was written when events had none of the fields that are optional now."""
DIGESTS = (
    "61dd0c453b74f7e816c61405a770efbb3c03733b7460e757f432e96b777c2be0",
    "1beb6431d6cbdef9e13fae34f6203f4c94eed6582475a5dcf2c59e749a61beb2",
    "6f7cc6679e07cd649980e86aa86ed4da8df05584bf63df5a785b014881bdce03",
)


@pytest.fixture
def here() -> Iterator[World]:
    with world() as made:
        yield made


def key(number: int) -> str:
    return NAMES.ledger_key(number)


# --- what is written


def test_events_are_numbered_chained_and_say_which_ledger_they_are_of(here: World) -> None:
    here.write(event(1), event(2), event(1, "rollback"))
    found = here.book.events()
    assert [e.seq for e in found] == [1, 2, 3]
    assert [e.previous for e in found] == ["", *(sha256_bytes(e.to_json()) for e in found[:-1])]
    assert {e.ledger for e in found} == {"dev/churn"}
    assert [here.records.current(key(e.seq)).data for e in found] == [e.to_json() for e in found]  # type: ignore[union-attr]


def test_a_ledger_from_before_keeps_its_bytes_and_digests(here: World) -> None:
    bodies = [path.read_bytes() for path in sorted(BEFORE.iterdir())]
    assert tuple(map(sha256_bytes, bodies)) == DIGESTS
    for number, body in enumerate(bodies, 1):
        here.records.put(key(number), body)
    events = here.book.events()
    assert [e.to_json() for e in events] == bodies
    assert here.book.append(events, event(4)).previous == DIGESTS[2]
    assert len(here.book.events()) == 4


def test_what_is_left_at_its_default_is_not_written(here: World) -> None:
    here.write(event(1))
    body = here.records.current(key(1)).data  # type: ignore[union-attr]
    later = Event.later - {"ledger"}
    assert len(later) > 5
    assert not any(f'"{name}"'.encode() in body for name in later)
    assert b"overridden" not in body
    assert b'"kind"' not in body


def test_every_field_is_kept(here: World) -> None:
    plan = here.book.keep_plan(canonical_json({"what": "everything"}))
    full = event(
        1,
        gates=(Verdict(gate="metric auc", passed=False, reason="0.8", overridden="a known outlier"),),
        plan=plan,
        approvals=(CountedApproval(key="_approvals/churn/x", sha256="0" * 64, by="bob"),),
        overrides=(Override(gate="metric auc", reason="a known outlier"),),
        data_commit_moved="d@" + "c" * 64,
        endpoint=ENVIRONMENT.arn("sagemaker", "endpoint/acme-dev-churn"),
        duration_seconds=61,
        took_over="bob on laptop",
        detail="all of it",
    )
    here.write(full)
    (found,) = here.book.events()
    changed = {"seq": 1, "ledger": "dev/churn", "duration_seconds": 61.0}
    assert found == full.model_copy(update=changed)
    assert here.book.plan(plan) == b'{"what":"everything"}'
    assert here.book.plan("0" * 64) is None


def test_values_of_another_type_come_back_as_they_were_chained(here: World) -> None:
    """``model_copy`` does not validate: an int where a float belongs must not break the chain when it is read."""
    here.write(event(1).model_copy(update={"duration_seconds": 61}), event(2))
    assert [e.duration_seconds for e in here.book.events()] == [61.0, None]


def test_a_plan_is_stored_once(here: World) -> None:
    plan = canonical_json({"a": 1})
    assert here.book.keep_plan(plan) == here.book.keep_plan(plan) == sha256_bytes(plan)
    assert len(here.records.versions(NAMES.plan_key(sha256_bytes(plan)))) == 1
    here.records.put(NAMES.plan_key(sha256_bytes(plan)), b"{}")
    with pytest.raises(IntegrityError, match="is not the plan with this digest"):
        here.book.keep_plan(plan)
    with pytest.raises(IntegrityError, match="is not the plan with this digest"):
        here.book.plan(sha256_bytes(plan))
    here.write(event(1))
    assert len(here.book.events()) == 1, "plans are no events"


# --- more than one writer


def test_of_two_writers_one_wins_and_the_other_is_told(here: World) -> None:
    here.write(event(1))
    seen = here.book.events()
    here.book.append(seen, event(2))
    with pytest.raises(ConflictError, match="recorded event 2"):
        here.book.append(seen, event(3))
    assert len(here.records.snapshot()) == 2


def test_a_repeated_write_of_the_same_event_is_no_conflict(here: World) -> None:
    here.write(event(1))
    seen = here.book.events()
    assert here.book.append(seen, event(2)) == here.book.append(seen, event(2))
    assert len(here.records.snapshot()) == 2


def test_of_32_writers_one_wins_each_round_whatever_answers_are_lost(here: World) -> None:
    turn = count()
    here.s3.faults.append(Fault("lost", operation="PutObject", times=None, when=lambda _: next(turn) % 3 == 0))
    rounds = 20
    for number in range(1, rounds + 1):
        seen = here.book.events()

        def write(writer: int, seen: tuple[Event, ...] = seen, number: int = number) -> Event:
            return here.book.append(seen, event(number, actor=f"{number}-{writer}"))

        outcomes = race(32, write)
        won = [outcome for outcome in outcomes if isinstance(outcome, Event)]
        lost = [outcome for outcome in outcomes if isinstance(outcome, ConflictError)]
        assert (len(won), len(lost)) == (1, 31)
        assert here.book.events() == (*seen, won[0])
    assert here.s3.faults[0].struck >= rounds
    assert [len(here.records.versions(key(number))) for number in range(1, rounds + 1)] == [1] * rounds


PASSING = ["503", "500", "409", "timeout", "timeout-after", "reset", "lost", "expired", "denied", "truncated"]
LASTING = ["503", "reset", "lost", "expired", "denied"]
CASES = [(kind, 1) for kind in PASSING] + [(kind, None) for kind in LASTING]


@pytest.mark.parametrize(("kind", "times"), CASES, ids=[f"{kind} {times or 'for ever'}" for kind, times in CASES])
def test_an_append_that_is_cut_off_anywhere_is_finished_by_the_next_one(kind: Any, times: int | None) -> None:
    def act(here: World) -> None:
        here.book.keep_plan(b"{}")
        events = here.book.events()
        if len(events) < 2:  # as a promotion finds out that it was recorded
            here.book.append(events, event(2, plan=sha256_bytes(b"{}")))

    for nth in range(1, 7):
        with world(read_timeout=IMPATIENT) as here:
            here.write(event(1))
            here.s3.faults.append(Fault(kind, nth=nth, times=times))
            try:
                act(here)
            except (MlopsKitError, ClientError, BotoCoreError):
                assert here.s3.faults[0].struck
            here.s3.faults.clear()
            act(here)
            act(here)
            assert [e.release.id for e in here.book.events()] == ["r1", "r2"]
            assert {name: len(versions) for name, versions in here.s3.snapshot_versions(LEDGER).items()} == {
                key(1): 1,
                key(2): 1,
                NAMES.plan_key(sha256_bytes(b"{}")): 1,
            }


# --- what was tampered with


def edited(body: bytes) -> bytes:
    return body.replace(b'"training_job":"job"', b'"training_job":"jab"')


TAMPERS: dict[str, Any] = {
    "first gone": lambda b: b.remove(key(1)),
    "middle gone": lambda b: b.remove(key(2)),
    "middle hidden": lambda b: b.delete(key(2)),
    "last hidden": lambda b: b.delete(key(3)),
    "edited": lambda b: b.put(key(1), edited(b.current(key(1)).data)),
    "last edited": lambda b: b.put(key(3), edited(b.current(key(3)).data)),
    "edited in place": lambda b: b.overwrite(key(2), edited(b.current(key(2)).data)),
    "replaced": lambda b: replaced(b, key(2), edited(b.current(key(2)).data)),
    "white space": lambda b: replaced(b, key(3), b.current(key(3)).data + b"\n"),
    "swapped": lambda b: replaced(b, key(2), b.current(key(1)).data),
    "emptied": lambda b: replaced(b, key(2), b"{}"),
    "garbage": lambda b: replaced(b, key(2), b"not json"),
    "stray": lambda b: b.put(f"{NAMES.ledger_prefix}stray.json", b"{}"),
    "another model's": lambda b: replaced(b, key(3), another_models(b.current(key(3)).data)),
}


def replaced(bucket: Any, name: str, body: bytes) -> None:
    """As if the object lock had not been there: no version is left to tell."""
    bucket.remove(name)
    bucket.put(name, body)


def another_models(body: bytes) -> bytes:
    return Event.model_validate_json(body).model_copy(update={"ledger": "dev/fraud"}).to_json()


@pytest.mark.parametrize("tamper", TAMPERS.values(), ids=TAMPERS.keys())
def test_tampering_is_an_integrity_failure(tamper: Any, here: World) -> None:
    here.write(event(1), event(2), event(3))
    tamper(here.records)
    with pytest.raises(IntegrityError) as caught:
        here.book.events()
    assert f"s3://{LEDGER}/churn/" in caught.value.message
    assert caught.value.hint


# --- reading from the end


def test_only_as_many_events_are_read_as_are_needed(here: World) -> None:
    here.write(*(event(number) for number in range(1, 9)), event(7, "rollback"))
    here.s3.forget()
    recent = here.book.recent(releases.know_target)
    assert [call.operation for call in here.s3.calls] == ["ListObjectVersions", *["GetObject"] * 4]
    assert ledger.rollback_target(recent).id == ledger.rollback_target(here.book.events()).id == "r6"
    assert here.book.append(recent, event(9)).seq == 10
    assert len(here.book.events()) == 10


def test_a_chain_that_breaks_among_the_newest_is_found(here: World) -> None:
    here.write(event(1), event(2), event(3))
    replaced(here.records, key(2), edited(here.records.current(key(2)).data))  # type: ignore[union-attr]
    with pytest.raises(IntegrityError, match="chain breaks at"):
        here.book.recent(releases.know_target)
