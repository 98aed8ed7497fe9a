"""A sample of the fault sweeps of promotions; ``python -m tests.faults_promotion`` is all of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.aws import LoopbackAws
from tests.aws.world import World
from tests.faults_promotion.actions import ACTIONS, Action
from tests.faults_promotion.harness import ROOT, Failure, Outcome, kills, sweep
from tests.faults_promotion.injections import ALIKE, every, sample
from tests.faults_promotion.state import differences, state_of
from tests.faults_promotion.watch import Watch
from tests.s3 import Call

INJECTIONS, KILLS = 4, 1
"""For each action, drawn with a fixed seed."""


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_a_disturbed_run_ends_as_an_undisturbed_one(action: Action, tmp_path: Path) -> None:
    with sweep(action, tmp_path) as swept:
        for injection in sample(swept.injections(alike=True), INJECTIONS):
            swept.inject(injection)
        for target, after in kills(swept.calls, KILLS):
            swept.kill(target, after=after)
        assert not swept.outcome.failures, "\n".join(map(str, swept.outcome.failures))
        assert swept.outcome.line() == f"{INJECTIONS} injections, {KILLS} kills, 0 tampers: 0 lost, 0 duplicates"


def test_many_at_once_do_it_once(tmp_path: Path) -> None:
    action = next(action for action in ACTIONS if action.name == "promote model, next version")
    with sweep(action, tmp_path) as swept:
        swept.crowd(8)
        assert not swept.outcome.failures, "\n".join(map(str, swept.outcome.failures))


def test_the_command_ends_with_the_count() -> None:
    options = ("--action", "promote dataset, next", "--sample", "2", "--kills", "1", "--rounds", "0")
    command = [sys.executable, "-m", "tests.faults_promotion", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "2 injections, 1 kills, 0 tampers: 0 lost, 0 duplicates"


def test_a_failure_is_counted_and_told() -> None:
    outcome = Outcome(injections=3, lost=1, failures=[Failure("promote", "503 at x", ("lost: object y",))])
    outcome += Outcome(injections=2, kills=1, tampers=4)
    assert outcome.line() == "5 injections, 1 kills, 4 tampers: 1 lost, 0 duplicates"
    assert [str(failure) for failure in outcome.failures] == ["promote: 503 at x\n    lost: object y"]


def test_only_what_others_plan_as_well_is_left_out_of_a_whole_sweep() -> None:
    whole = {action.name for action in ACTIONS if not action.variant}
    assert whole >= {"promote dataset, first time", "promote model, first time", "rollback", "rollback, with data"}
    made = [("GetObject", "k"), ("PutObject", "k"), ("GetObject", "l")]
    calls = [Call(index, operation, "b", key) for index, (operation, key) in enumerate(made)]
    assert len({one.target for one in every(calls)}) == 3
    assert {one.target.operation for one in every(calls, from_first_write=True)} == {"PutObject", "GetObject"}
    assert len({one.target for one in every(calls, from_first_write=True)}) == 2
    assert {one.way for one in every(calls, alike=True)} - {one.way for one in every(calls)} == ALIKE


def test_what_is_lost_and_what_is_twice_is_told() -> None:
    aws = LoopbackAws({"b": "1" * 12})
    aws.buckets["b"].put("lost", b"1")
    aws.buckets["b"].put("twice", b"1")
    aws.buckets["b"].put("other", b"1")
    wanted = state_of(aws)
    aws.buckets["b"].remove("lost")
    aws.buckets["b"].put("twice", b"1")
    aws.buckets["b"].overwrite("other", b"2")
    aws.buckets["b"].put("more", b"1")
    aws.sagemaker.add_endpoint("1" * 12, "e", "c")
    assert [str(one) for one in differences(wanted, state_of(aws))] == [
        "lost: object s3://b/lost",
        "duplicate: object s3://b/more",
        "changed: object s3://b/other",
        "duplicate: object s3://b/twice",
        "duplicate: endpoint 111111111111 e",
    ]


def test_the_watch_sees_a_success_that_is_none(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.aws.sagemaker.looks = 0
        world.train(world.commit("dev", {"a": b"1"}))
        assert world.cli("promote", "dataset", "customers", "--to", "staging").code == 0
        watch = Watch(world)
        world.aws.observers.append(watch)
        saved = world.aws.save()
        assert world.cli("promote", "model", "churn@1", "--to", "staging").code == 0
        assert watch.seen == []
        event = world.aws.buckets[world.stage("staging").names.bucket("ledger")].version("churn/00000001.json").data
        world.aws.restore(saved)
        # The same event, in a world in which none of it has happened.
        world.cloud("staging").store("ledger").put_new("churn/00000001.json", event)
    told = "\n".join(watch.seen)
    for what in (
        "succeeded, and what runs is InService",
        "its version is not approved",
        "is not there with its digest",
    ):
        assert what in told


def test_the_watch_sees_a_commit_without_its_files(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        commit = world.commit("dev", {"a": b"1"})
        watch = Watch(world)
        world.aws.observers.append(watch)
        lake = world.cloud("staging").store("lake")
        lake.put_new(f"datasets/customers/commits/{commit.id}.json", commit.to_json())
        lake.put_new("datasets/customers/refs/main.json", b'{"commit": "%s"}' % (b"0" * 64))
    assert watch.seen[0].endswith(f"commit {commit.id} is visible, and its records are not there")
    assert "which is not there" in watch.seen[1]
