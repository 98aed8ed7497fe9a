"""Going back: fast, without a byte copied, past whoever is stuck, and recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_kit.errors import NotFoundError, UsageError
from mlops_kit.promotion import history, lock, rollback
from tests.aws import Fault
from tests.aws.project import DATASET
from tests.aws.world import ALICE
from tests.ledgers import ended_process
from tests.releases import FILES, Releases, releases


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Releases]:
    with releases(tmp_path) as made:
        made.promote(1)
        made.promote(2)
        yield made


def calls_before_the_update(here: Releases) -> list[str]:
    operations = [call.operation for call in here.world.aws.calls]
    return operations[: operations.index("UpdateEndpoint")]


def test_at_most_twelve_calls_come_before_the_update(here: Releases) -> None:
    here.world.aws.forget()
    assert here.world.cli("rollback", "churn", "--in", "staging", fresh=True).code == 0
    assert len(calls_before_the_update(here)) == 10
    # As many releases later, and with somebody's lock in the way, it is not much more.
    for version in (3, 4):
        here.promote(version)
    artifacts = here.world.cloud("staging").store("artifacts")
    lock.acquire(artifacts, here.names, what="promote", holder="somebody", now=here.world.clock)
    here.world.aws.forget()
    assert here.world.cli("rollback", "churn", "--in", "staging", fresh=True).code == 0
    assert len(calls_before_the_update(here)) == 12


def test_no_byte_is_copied_and_the_config_is_the_old_one(here: Releases) -> None:
    first = here.book.events()[0].release
    here.world.aws.forget()
    event = here.back()
    assert (event.action, event.release, event.source) == ("rollback", first, "release r2")
    assert here.endpoint.config == first.config
    assert not {"CopyObject", "CreateModel", "CreateEndpointConfig", "CreateModelPackage"} & set(here.writes())
    assert event.endpoint.endswith("endpoint/acme-staging-churn")


def test_a_config_that_was_removed_is_made_again_and_another_one_goes(here: Releases) -> None:
    for version in (3, 4, 5):
        here.promote(version)
    there = here.world.aws.sagemaker.of("222222222222").configs
    first = here.book.events()[0].release.config
    assert first not in there
    here.back("r1")
    assert here.endpoint.config == first
    kept = {event.release.config for event in here.book.events()} & set(there)
    assert len(kept) == 4, "the current one and three others"


def test_a_stuck_promotion_is_pushed_aside_and_that_is_recorded(here: Releases) -> None:
    here.world.aws.sagemaker.looks = 2
    begun = here.begin(3)
    event = here.back("r1")
    assert here.endpoint.config == event.release.config
    assert here.endpoint.updates[-2:] == [begun.release.config, event.release.config]
    assert f"{ALICE} on " in event.took_over
    assert "promote churn@3" in event.took_over
    assert any("cannot be updated before that ends: waiting" in line for line in here.told)
    assert here.lock is None


def test_whose_lock_it_was_is_recorded_also_by_the_run_that_goes_on(here: Releases) -> None:
    here.world.aws.sagemaker.looks = 2
    here.begin(3)
    artifacts = here.world.cloud("staging").store("artifacts")
    what = rollback.RollbackPlan(None, here.book.events()[0].release, ()).what
    lock.acquire(
        artifacts, here.names, what=what, holder=ALICE, now=here.world.clock, force=True, place=ended_process()
    )
    assert "promote churn@3" in here.back("r1").took_over


def test_a_deployment_that_began_after_it_looked_is_waited_for(here: Releases) -> None:
    endpoint, first = here.endpoint, here.book.events()[0].release
    begin = Fault(
        "before",
        operation="UpdateEndpoint",
        callback=lambda: endpoint.update({"EndpointConfigName": endpoint.config}, 1, here.world.clock.timestamp() + 1),
    )
    here.world.aws.faults.append(begin)
    assert here.back().release == first
    assert (begin.struck, endpoint.config) == (1, first.config)
    assert any("cannot be updated before that ends: waiting" in line for line in here.told)


def test_the_data_goes_back_too_where_that_is_wanted(here: Releases) -> None:
    world = here.world
    newer = world.commit("dev", {**FILES, "b.csv": b"left,x\n1,1\n"}, here.book.events()[0].release.dataset_commit)
    here.promote(world.train(newer))

    def at() -> str:
        body = world.cloud("staging").store("lake").get(f"datasets/{DATASET}/refs/main.json")
        return str(json.loads(body or b"")["commit"])

    assert at() == newer.id
    event = here.back()
    assert (at(), event.data_commit_moved) == (newer.id, "")
    here.back("r3")
    done = world.cli("rollback", "churn", "--in", "staging", "--with-data", "--json")
    moved = done.json["event"]["data_commit_moved"]
    assert (done.code, moved) == (0, f"{DATASET}@{at()}")
    assert at() != newer.id


def test_data_that_goes_back_after_its_release_did_is_recorded_once(here: Releases) -> None:
    first = here.back()
    event = here.back("r1", with_data=True)
    assert (event.release, event.source) == (first.release, "release r1")
    assert event.data_commit_moved == f"{DATASET}@{first.release.dataset_commit}"
    assert here.back("r1", with_data=True) == event
    assert here.book.events()[-1] == event
    assert [entry.left_by for entry in history.entries(here.book.events())] == [None, 3, None, None]


def test_data_that_is_gone_cannot_go_back(here: Releases) -> None:
    release = here.book.events()[0].release
    lake = here.world.aws.buckets[here.names.environment.bucket("lake")]
    lake.remove(f"datasets/{DATASET}/commits/{release.dataset_commit}.json")
    runs = here.endpoint.config
    with pytest.raises(NotFoundError, match="the data cannot go back"):
        here.back(with_data=True)
    assert (here.endpoint.config, here.lock) == (runs, None), "nothing was done"
    assert here.book.events()[-1].action == "promotion"
    assert here.back().release == release


def test_going_to_where_one_is_only_looks(here: Releases) -> None:
    here.back()
    before = here.book.events()
    here.world.aws.forget()
    done = here.world.cli("rollback", "churn", "--in", "staging", "--to", "r1")
    assert (done.code, done.out) == (0, "r1 churn@1\n")
    assert "is what runs now" in done.err
    assert here.book.events() == before
    assert here.writes() == ["PutObject", "DeleteObject"], "the lock's"


def test_a_rollback_that_was_cut_off_after_it_was_recorded_does_not_go_back_further(here: Releases) -> None:
    here.promote(3)
    event = here.back()
    assert event.release.id == "r2"
    artifacts = here.world.cloud("staging").store("artifacts")
    what = rollback.RollbackPlan(None, event.release, ()).what
    lock.acquire(artifacts, here.names, what=what, holder=ALICE, now=here.world.clock, place=ended_process())
    assert here.back() == event
    assert here.endpoint.config == event.release.config
    assert here.back().release.id == "r1"


def test_whoever_names_a_release_gets_that_one_whatever_was_cut_off(here: Releases) -> None:
    here.promote(3)
    here.back("r1")
    artifacts = here.world.cloud("staging").store("artifacts")
    lock.acquire(
        artifacts, here.names, what="roll back to r1", holder=ALICE, now=here.world.clock, place=ended_process()
    )
    assert here.back("r3").release.id == "r3"
    assert here.book.events()[-1].release.id == "r3"


def test_a_rollback_to_the_first_release_that_was_cut_off_lets_its_lock_go_when_run_again(here: Releases) -> None:
    first = here.back()
    artifacts = here.world.cloud("staging").store("artifacts")
    what = rollback.RollbackPlan(None, first.release, ()).what
    lock.acquire(artifacts, here.names, what=what, holder=ALICE, now=here.world.clock, place=ended_process())
    done = here.world.cli("rollback", "churn", "--in", "staging")
    assert (done.code, done.out) == (0, "r1 churn@1\n")
    assert here.lock is None
    assert here.world.cli("rollback", "churn", "--in", "staging").code == 2, "and now there is nothing left to finish"


def test_a_rollback_is_not_stopped_by_the_alarm_it_answers_to(here: Releases) -> None:
    here.alarm("ALARM")
    assert here.back().outcome == "succeeded"


def test_a_rollback_that_fails_is_recorded(here: Releases) -> None:
    here.endpoint.refusals.append("There is no capacity.")
    done = here.world.cli("rollback", "churn", "--in", "staging")
    assert (done.code, "There is no capacity." in done.err) == (5, True)
    last = here.book.events()[-1]
    assert (last.action, last.outcome, "capacity" in last.detail) == ("rollback", "failed", True)


def test_a_promotion_that_lost_its_lock_to_a_rollback_records_no_failure(here: Releases) -> None:
    """It waits for its own release, and finds another one."""
    told: list[str] = []

    def intervene() -> None:
        if not told:
            told.append("")
            Releases(here.world).back("r1")

    here.world.aws.sagemaker.looks = 3
    pauses = iter([intervene])

    def sleep(seconds: float) -> None:
        next(pauses, lambda: None)()

    with pytest.raises(Exception, match="was taken away"):
        here.promote(3, sleep=sleep)
    assert [(event.action, event.outcome) for event in here.book.events()[-1:]] == [("rollback", "succeeded")]


def test_with_nothing_to_go_back_to(tmp_path: Path) -> None:
    with releases(tmp_path) as here:
        with pytest.raises(UsageError, match="Nothing was released"):
            here.back()
        here.promote(1)
        with pytest.raises(UsageError, match="first release"):
            here.back()


def test_an_expired_token_leaves_a_rollback_to_be_run_again(here: Releases) -> None:
    here.world.aws.faults.append(Fault("expired", operation="UpdateEndpoint"))
    assert here.world.cli("rollback", "churn", "--in", "staging").code == 6
    assert here.back().outcome == "succeeded"
    assert [event.release.id for event in here.book.events()] == ["r1", "r2", "r1"]
