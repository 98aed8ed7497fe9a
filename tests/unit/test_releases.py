"""What runs and where a rollback goes are folds over the events; the newest of them are enough."""

from __future__ import annotations

import random

import pytest

from mlops_kit.errors import NotFoundError, UsageError
from mlops_kit.promotion import ledger, releases
from mlops_kit.promotion.events import Event
from tests.ledgers import event


def numbered(*events: Event) -> tuple[Event, ...]:
    return tuple(one.model_copy(update={"seq": number}) for number, one in enumerate(events, 1))


def current(*events: Event) -> str | None:
    found = ledger.current(numbered(*events))
    return found.id if found else None


def test_the_current_release_is_a_fold_over_the_events() -> None:
    assert current() is None
    assert current(event(1, outcome="failed")) is None
    assert current(event(1)) == "r1"
    assert current(event(1), event(2)) == "r2"
    assert current(event(1), event(2), event(3, outcome="failed")) == "r2"
    assert current(event(1), event(2), event(1, "rollback")) == "r1"
    assert current(event(1), event(2), event(1, "rollback"), event(3)) == "r3"


def target(*events: Event, wanted: str | None = None) -> str:
    return ledger.rollback_target(numbered(*events), wanted).id


def test_a_rollback_goes_to_the_release_before_the_current_one() -> None:
    assert target(event(1), event(2)) == "r1"
    assert target(event(1), event(2), event(3)) == "r2"
    assert target(event(1), event(2), event(3), event(2, "rollback")) == "r1", "not forward to r3 again"
    assert target(event(1), event(2), event(1, "rollback"), event(3)) == "r1", "r2 was given up"
    assert target(event(1), event(2), event(3, outcome="failed")) == "r1"
    assert target(event(1), event(2), event(3), wanted="r1") == "r1"


def test_what_cannot_be_rolled_back_to_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to roll back"):
        target()
    with pytest.raises(UsageError, match="first release"):
        target(event(1))
    with pytest.raises(NotFoundError, match="no release 'r9'"):
        target(event(1), event(2), wanted="r9")
    with pytest.raises(UsageError, match="what runs now"):
        target(event(1), event(2), wanted="r2")


def test_release_ids_count_the_successes() -> None:
    assert ledger.next_id(numbered(event(1), event(2, outcome="failed"), event(1, "rollback"))) == "r2"


def test_each_success_lets_go_of_at_most_one_old_config() -> None:
    def old(*events: Event) -> str | None:
        found = ledger.superseded(numbered(*events), keep=2)
        return found.id if found else None

    assert old(event(1), event(2), event(3)) is None
    assert old(event(1), event(2), event(3), event(4)) == "r1"
    assert old(event(1), event(2), event(3), event(4), event(5)) == "r2"
    assert old(event(1), event(2), event(3), event(1, "rollback"), event(4)) == "r2", "r1 ran after r2"
    assert old(event(1), event(2), event(3), event(4, outcome="failed")) is None


def decided(events: tuple[Event, ...]) -> tuple[str | None, str | None]:
    """What runs, and where a rollback would go."""
    current = releases.current(events)
    runs = current.id if current else None
    try:
        return runs, releases.rollback_target(events).id
    except UsageError:
        return runs, None


def test_the_newest_events_say_the_same_as_all_of_them() -> None:
    """Of 300 histories: wherever the newest events claim to be enough, they are."""
    cut = 0
    for seed in range(300):
        dice = random.Random(seed)  # noqa: S311 - to repeat a history, not to keep a secret
        events: list[Event] = []
        made = 0
        for _ in range(dice.randint(2, 14)):
            if made > 1 and dice.random() < 0.45:
                events.append(event(dice.randint(1, made), "rollback"))
            else:
                made += 1
                events.append(event(made))
        history = numbered(*events)
        for start in range(len(history)):
            if releases.know_target(history[start:]):
                assert decided(history[start:]) == decided(history), (seed, start)
                cut += start > 0
    assert cut > 300, "most of the time a few events are enough"
