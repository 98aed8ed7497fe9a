"""The history tells of every event what it replaced, what became of it, and who is behind it."""

from __future__ import annotations

import pytest

from mlops_kit.promotion import history
from mlops_kit.promotion.events import CountedApproval, Event, Override
from tests.ledgers import ALICE, event


def entries(*events: Event) -> tuple[history.Entry, ...]:
    return history.entries([one.model_copy(update={"seq": number}) for number, one in enumerate(events, 1)])


def test_every_event_is_linked_to_what_it_replaced_and_what_became_of_it() -> None:
    found = entries(event(1), event(2), event(3, outcome="failed"), event(1, "rollback"), event(3))
    assert [(entry.replaced, entry.left_by, entry.runs) for entry in found] == [
        ("", None, False),
        ("r1", 4, False),
        ("r2", None, False),
        ("r2", None, False),
        ("r1", None, True),
    ]
    assert history.notes(found[1]) == "rolled back by #4"


def test_after_a_rollback_its_event_is_what_runs() -> None:
    found = entries(event(1), event(2), event(1, "rollback"), event(1, "rollback", outcome="failed"))
    assert [entry.runs for entry in found] == [False, False, True, False]
    assert entries() == ()


def test_a_release_that_is_left_twice_is_linked_each_time() -> None:
    found = entries(event(1), event(2), event(1, "rollback"), event(2, "rollback"), event(1, "rollback"))
    assert [entry.left_by for entry in found] == [None, 3, 4, 5, None]


def test_what_is_said_about_an_event() -> None:
    (entry,) = entries(
        event(
            1,
            actor=ALICE,
            overrides=(Override(gate="soak", reason="urgent"), Override(gate="metric auc", reason="urgent")),
            approvals=(CountedApproval(key="k", sha256="s", by=ALICE.replace("alice", "bob")),),
            took_over="bob on laptop",
            data_commit_moved="d@c",
            detail="the end",
        )
    )
    assert (entry.by, entry.approved_by) == ("assumed-role/acme-dev-promoter/alice@example.com", ("bob@example.com",))
    assert history.notes(entry) == (
        "overrode soak; overrode metric auc; took the lock over from bob on laptop; brought its data along; the end"
    )
    assert entry.to_json()["rolled_back_by"] is None
    assert entry.to_json()["action"] == "promotion"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.4, "0 s"),
        (47, "47 s"),
        (119, "119 s"),
        (720, "12 min"),
        (7199, "2 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations_for_people(seconds: float | None, text: str) -> None:
    assert history.duration(seconds) == text
