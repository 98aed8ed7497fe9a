"""The lock: one holder, whoever races; left behind by a killed process, it is taken over by the same command alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from mlops_kit.errors import ConflictError, DeploymentError, IntegrityError, MlopsKitError, NotFoundError
from mlops_kit.promotion import lock
from mlops_kit.promotion.lock import Held
from mlops_kit.promotion.place import Place
from mlops_kit.promotion.unlock import unlock
from tests.ledgers import ALICE, NAMES, NOW, World, ended_process, world
from tests.s3 import Fault
from tests.stores import IMPATIENT, race

ROOT = Path(__file__).resolve().parents[2]
WHAT = "promote churn@2 from dev to dev"
BOB = ALICE.replace("alice", "bob")


@pytest.fixture
def here() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.fixture(scope="module")
def gone() -> Place:
    return ended_process()


def now() -> datetime:
    return NOW


def quiet(line: str) -> None:
    """Nothing is expected to be told."""
    raise AssertionError(line)


def acquire(here: World, **changed: Any) -> Held:
    return lock.acquire(here.artifacts, NAMES, **{"what": WHAT, "holder": ALICE, "now": NOW, **changed})


def versions(here: World) -> int:
    return len(here.locks.versions(NAMES.lock_key))


# --- taking and releasing


def test_the_lock_says_who_holds_it_and_is_gone_afterwards(here: World) -> None:
    with lock.hold(here.artifacts, NAMES, what=WHAT, holder=ALICE, now=now, tell=quiet) as held:
        found = lock.show(here.artifacts, NAMES)
        assert found == held.holder
        assert (found.holder, found.what, found.started) == (ALICE, WHAT, "2026-01-01T12:00:00+00:00")
        assert found.place == Place.here()
        content = json.loads(here.locks.current(NAMES.lock_key).data)  # type: ignore[union-attr]
        assert {"id", "holder", "host", "pid", "started", "renewed", "what"} <= content.keys()
        held.check()
    assert versions(here) == 0, "no version and no delete marker is left"
    assert lock.show(here.artifacts, NAMES) is None


def test_it_is_released_when_the_work_fails(here: World) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        lock.hold(here.artifacts, NAMES, what=WHAT, holder=ALICE, now=now, tell=quiet),
    ):
        raise KeyboardInterrupt
    assert versions(here) == 0


def test_taking_it_is_one_request(here: World) -> None:
    acquire(here)
    assert [call.operation for call in here.s3.calls] == ["PutObject"]


def test_it_is_renewed_until_it_is_released(here: World) -> None:
    renewed = threading.Event()
    here.s3.faults.append(Fault("after", operation="PutObject", nth=4, callback=renewed.set))
    before = {thread.name for thread in threading.enumerate()}
    with lock.hold(here.artifacts, NAMES, what=WHAT, holder=ALICE, now=now, tell=quiet, renew_seconds=0.001) as held:
        assert renewed.wait(30)
        held.check()
    assert versions(here) == 0, "of every renewal"
    assert {thread.name for thread in threading.enumerate()} == before


def test_a_renewal_that_fails_is_tried_again(here: World) -> None:
    renewed = threading.Event()
    here.s3.faults.append(Fault("denied", operation="PutObject", nth=2, times=3))
    here.s3.faults.append(Fault("after", operation="PutObject", nth=6, callback=renewed.set))
    with lock.hold(here.artifacts, NAMES, what=WHAT, holder=ALICE, now=now, tell=quiet, renew_seconds=0.001) as held:
        assert renewed.wait(30)
        held.check()
    assert versions(here) == 0


def test_a_renewal_says_when(here: World) -> None:
    held = acquire(here)
    held.renew(NOW + timedelta(minutes=1))
    found = lock.show(here.artifacts, NAMES)
    assert found is not None
    assert (found.started, found.renewed) == ("2026-01-01T12:00:00+00:00", "2026-01-01T12:01:00+00:00")


def test_a_lock_that_cannot_be_released_is_told(here: World) -> None:
    told: list[str] = []
    with lock.hold(here.artifacts, NAMES, what=WHAT, holder=ALICE, now=now, tell=told.append) as held:
        here.s3.faults.append(Fault("denied", times=None))
    (line,) = told
    assert "could not be released" in line
    assert f"mlops-kit unlock churn --in dev --id {held.holder.id}" in line


# --- more than one


def test_of_32_threads_one_holds_it(here: World) -> None:
    for _ in range(5):
        outcomes = race(32, lambda number: acquire(here, what=f"{WHAT} by {number}"))
        (held,) = [outcome for outcome in outcomes if isinstance(outcome, Held)]
        assert sum(isinstance(outcome, ConflictError) for outcome in outcomes) == 31
        lock.release(here.artifacts, NAMES, held.holder.id)
        assert versions(here) == 0


def test_of_32_that_take_over_from_the_dead_one_holds_it(here: World, gone: Place) -> None:
    dead = acquire(here, place=gone)
    outcomes = race(32, lambda _: acquire(here))
    (held,) = [outcome for outcome in outcomes if isinstance(outcome, Held)]
    assert held.took_over == dead.holder
    assert lock.show(here.artifacts, NAMES) == held.holder
    assert sum(isinstance(outcome, ConflictError) for outcome in outcomes) == 31


def test_never_two_at_once_in_the_critical_section(here: World) -> None:
    inside, most = [0], [0]
    entered = []

    def work(number: int) -> None:
        while number not in entered:
            try:
                with lock.hold(here.artifacts, NAMES, what=f"{number}", holder=ALICE, now=now, tell=quiet):
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    entered.append(number)
                    inside[0] -= 1
            except ConflictError:
                continue

    assert race(8, work) == [None] * 8
    assert (sorted(entered), most) == (list(range(8)), [1])


# --- who may take it over


def test_the_same_command_takes_over_from_its_killed_process(here: World, gone: Place) -> None:
    dead = acquire(here, place=gone)
    told: list[str] = []
    with lock.hold(here.artifacts, NAMES, what=WHAT, holder=ALICE, now=now, tell=told.append) as held:
        assert held.took_over == dead.holder
    assert told == [f"took the lock over from {dead.holder}"]
    assert versions(here) == 0


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"holder": BOB}, {}),
        ({"what": "promote churn@3 from dev to dev"}, {}),
        ({}, {"host": "another-host"}),
        ({}, {"boot": "another run of the kernel"}),
        ({}, {"boot": ""}),
    ],
    ids=["another person", "another command", "another host", "after a reboot", "nothing known of the process"],
)
def test_everybody_else_is_refused_and_told_what_to_do(
    changed: dict[str, Any], place: dict[str, Any], here: World, gone: Place
) -> None:
    dead = acquire(here, place=replace(gone, **place), **changed)
    with pytest.raises(ConflictError) as caught:
        acquire(here)
    said = dead.holder
    for expected in (said.holder, said.place.host, said.started, said.what, "churn in dev is locked"):
        assert expected in caught.value.message
    assert f"mlops-kit unlock churn --in dev --id {said.id}" in (caught.value.hint or "")
    assert lock.show(here.artifacts, NAMES) == said


def test_a_process_that_is_alive_keeps_it(here: World) -> None:
    held = acquire(here)
    with pytest.raises(ConflictError, match="is locked by"):
        acquire(here)
    held.check()


def test_a_process_number_that_is_used_again_is_another_process(here: World) -> None:
    acquire(here, place=replace(Place.here(), born="1"))
    assert acquire(here).took_over is not None


def test_a_process_is_gone_when_it_has_ended_even_if_its_parent_has_not_noticed() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        place = Place.of(process.pid)
        assert place.born
        assert place.is_gone() is False
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is not taken notice of
        assert place.is_gone() is True
    assert place.is_gone() is True


@pytest.mark.parametrize("skewed", [timedelta(days=-400), timedelta(), timedelta(days=400)])
@pytest.mark.parametrize(("minutes", "taken"), [(9, False), (11, True)])
def test_after_a_reboot_it_is_s3s_clock_that_counts(
    minutes: int, taken: bool, skewed: timedelta, here: World, gone: Place
) -> None:
    """Whatever the clocks of the two processes said."""
    acquire(here, place=replace(gone, boot="another run of the kernel"), now=NOW + skewed)
    here.locks.version(NAMES.lock_key).modified = time.time() - 60 * minutes
    if taken:
        assert acquire(here).took_over is not None
        return
    with pytest.raises(ConflictError):
        acquire(here)


def test_nobody_else_gets_it_however_long_ago(here: World, gone: Place) -> None:
    acquire(here, holder=BOB, place=gone)
    here.locks.version(NAMES.lock_key).modified = 0
    with pytest.raises(ConflictError):
        acquire(here)


def test_force_takes_it_from_whoever_is_at_work_and_that_one_stops(here: World) -> None:
    with lock.hold(here.artifacts, NAMES, what=WHAT, holder=ALICE, now=now, tell=quiet) as stuck:
        told: list[str] = []
        with lock.hold(
            here.artifacts, NAMES, what="rollback", holder=BOB, now=now, tell=told.append, force=True
        ) as held:
            assert held.took_over == stuck.holder
            with pytest.raises(ConflictError, match="was taken away"):
                stuck.check()
            with pytest.raises(ConflictError, match="was taken away"):
                stuck.renew(NOW)
        assert lock.show(here.artifacts, NAMES) is None, "nothing of the older versions came back"
        acquire(here, holder=BOB)
    assert lock.show(here.artifacts, NAMES) is not None, "only one's own lock is released"


@pytest.mark.parametrize(
    "body",
    [
        b"something",
        b"[" * 5000,
        {"pid": 0},
        {"pid": 1 << 70},
        {"pid": "1"},
        {"started": "yesterday"},
        {"started": "2026-01-01T12:00:00"},
        {"renewed": 7},
        {"another": "field"},
    ],
    ids=lambda body: str(body)[:40],
)
def test_what_is_no_lock_is_not_taken_over(body: bytes | dict[str, Any], here: World) -> None:
    if not isinstance(body, bytes):
        content = json.loads(acquire(here).holder.to_json())
        body = json.dumps({**content, **body}, sort_keys=True, separators=(",", ":")).encode()
    here.locks.put(NAMES.lock_key, body)
    with pytest.raises(IntegrityError, match="is not a lock"):
        acquire(here, force=True)
    with pytest.raises(IntegrityError, match="is not a lock"):
        unlock(here.artifacts, NAMES, "1")


# --- unlock


def test_unlock_wants_the_id(here: World) -> None:
    held = acquire(here)
    held.renew(NOW)
    with pytest.raises(ConflictError, match="has another id") as caught:
        unlock(here.artifacts, NAMES, "0" * 16)
    assert ALICE in caught.value.message
    held.check()
    assert unlock(here.artifacts, NAMES, held.holder.id) == held.holder
    assert versions(here) == 0
    with pytest.raises(ConflictError, match="was taken away"):
        held.check()
    with pytest.raises(NotFoundError, match="Nobody holds the lock of churn in dev"):
        unlock(here.artifacts, NAMES, held.holder.id)


def test_a_lock_renewed_while_it_is_released_is_released_all_the_same(here: World) -> None:
    held = acquire(here)
    body = replace(held.holder, renewed="2026-01-01T12:01:00+00:00").to_json()
    here.s3.faults.append(
        Fault("before", operation="DeleteObject", callback=lambda: here.locks.put(NAMES.lock_key, body))
    )
    unlock(here.artifacts, NAMES, held.holder.id)
    assert versions(here) == 0


def test_a_lock_taken_by_another_while_it_is_released_stays(here: World) -> None:
    held = acquire(here)
    other = replace(held.holder, id="another", holder=BOB)
    here.s3.faults.append(
        Fault("before", operation="DeleteObject", callback=lambda: here.locks.put(NAMES.lock_key, other.to_json()))
    )
    lock.release(here.artifacts, NAMES, held.holder.id)
    assert lock.show(here.artifacts, NAMES) == other


def test_a_lock_below_a_delete_marker_is_no_lock(here: World) -> None:
    here.locks.put(NAMES.lock_key, b"old")
    here.locks.delete(NAMES.lock_key)
    assert lock.show(here.artifacts, NAMES) is None
    with lock.hold(here.artifacts, NAMES, what=WHAT, holder=ALICE, now=now, tell=quiet):
        pass
    assert versions(here) == 0


# --- cut off anywhere


PASSING = ["503", "500", "409", "timeout", "timeout-after", "reset", "lost", "expired", "denied", "truncated"]
LASTING = ["503", "reset", "lost", "expired", "denied"]
CASES = [(kind, 1) for kind in PASSING] + [(kind, None) for kind in LASTING]


@pytest.mark.parametrize(("kind", "times"), CASES, ids=[f"{kind} {times or 'for ever'}" for kind, times in CASES])
def test_a_lock_that_is_cut_off_anywhere_is_taken_and_released_by_the_next_run(
    kind: Any, times: int | None, gone: Place
) -> None:
    def act(here: World, place: Place | None) -> None:
        with lock.hold(
            here.artifacts, NAMES, what=WHAT, holder=ALICE, now=now, tell=lambda _: None, place=place
        ) as held:
            held.renew(NOW)
            held.check()

    struck = 0
    for nth in range(1, 11):
        with world(read_timeout=IMPATIENT) as here:
            fault = Fault(kind, nth=nth, times=times)
            here.s3.faults.append(fault)
            try:
                act(here, gone)  # this process has ended when the next one runs
            except (MlopsKitError, ClientError, BotoCoreError):
                assert fault.struck
            struck += fault.struck > 0
            here.s3.faults.clear()
            act(here, None)
            assert versions(here) == 0
    assert struck


def holding(here: World) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.holding", here.s3.url, ALICE, WHAT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )


def test_a_running_process_is_respected_and_a_killed_one_succeeded(here: World) -> None:
    with holding(here) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(ConflictError, match=f"process {process.pid}"):
            acquire(here)
        process.kill()
    held = acquire(here)
    assert held.took_over is not None
    assert held.took_over.place.pid == process.pid
    lock.release(here.artifacts, NAMES, held.holder.id)
    assert versions(here) == 0


@pytest.mark.parametrize("nth", [1, 2, 3, 4, 6, 7])
@pytest.mark.parametrize("kind", ["crash-before", "crash-after"])
def test_killed_at_any_request_the_next_run_goes_on(kind: Any, nth: int, here: World) -> None:
    with holding(here) as process:
        fault = Fault(kind, nth=nth, callback=process.kill)
        here.s3.faults.append(fault)
        process.communicate()
    assert (fault.struck, process.returncode) == (1, -9)
    with lock.hold(here.artifacts, NAMES, what=WHAT, holder=ALICE, now=now, tell=lambda _: None) as held:
        held.check()
    assert versions(here) == 0


# --- Parked.


def test_a_parked_lock_stays_and_only_the_same_command_takes_it_over_from_anywhere(here: World) -> None:
    with lock.hold(here.artifacts, NAMES, what=WHAT, holder=ALICE, now=now, tell=quiet) as held:
        held.park("churn-config", "a" * 64, NOW)
    left = lock.show(here.artifacts, NAMES)
    assert left is not None
    assert (left.id, left.parked) == (held.holder.id, "churn-config")
    with pytest.raises(ConflictError, match="churn-config is on its way"):
        acquire(here, what="promote churn@3 from dev to dev")
    other = acquire(here, holder=BOB, place=Place("elsewhere", 1))
    assert other.took_over == left
    assert not other.holder.parked
    lock.release(here.artifacts, NAMES, other.holder.id)
    assert versions(here) == 0


def test_what_ran_before_is_kept_for_whoever_goes_on(here: World, gone: Place) -> None:
    acquire(here, place=gone).renew(NOW, ran="initial-config")
    again = acquire(here, place=gone)
    assert (again.holder.ran, again.took_over is not None) == ("initial-config", True)
    third = acquire(here)
    assert third.holder.ran == "initial-config"
    other = acquire(here, what="rollback", force=True)
    assert other.holder.ran == ""


@pytest.mark.parametrize(
    ("noted", "error", "stays"),
    [
        (True, KeyboardInterrupt, True),
        (True, ConflictError, True),
        (True, DeploymentError, False),
        (True, None, False),
        (False, KeyboardInterrupt, False),
    ],
)
def test_a_lock_that_alone_knows_what_ran_before_stays_until_that_is_over(
    noted: bool, error: type[BaseException] | None, stays: bool, here: World
) -> None:
    told: list[str] = []
    with (
        pytest.raises(error) if error else nullcontext(),
        lock.hold(here.artifacts, NAMES, what=WHAT, holder=ALICE, now=now, tell=told.append) as held,
    ):
        if noted:
            held.renew(NOW, ran="initial-config")
        if error is not None:
            raise error("something")
    found = lock.show(here.artifacts, NAMES)
    assert ((found is not None), len(told)) == (stays, int(stays))
    assert found is None or found.ran == "initial-config"


def test_taking_over_with_a_lost_answer_knows_whose_it_was(here: World) -> None:
    with lock.hold(here.artifacts, NAMES, what=WHAT, holder=ALICE, now=now, tell=quiet) as held:
        held.park("churn-config", "a" * 64, NOW)
    here.s3.faults.append(Fault("lost", operation="PutObject", nth=2))
    taken = acquire(here)
    assert taken.took_over is not None
    assert taken.took_over.parked == "churn-config"


def test_a_lock_that_could_not_be_parked_is_released(here: World) -> None:
    here.s3.faults.append(Fault("denied", operation="PutObject", when=lambda request: b"parked" in bytes(request.body)))
    with (
        pytest.raises(ClientError),
        lock.hold(here.artifacts, NAMES, what=WHAT, holder=ALICE, now=now, tell=quiet) as held,
    ):
        held.park("churn-config", "a" * 64, NOW)
    assert lock.show(here.artifacts, NAMES) is None


def test_a_lock_that_is_not_parked_says_nothing_of_it(here: World) -> None:
    assert b"parked" not in acquire(here).holder.to_json()
