"""Promotions against the AWS on loopback: that they do there what they do elsewhere, and how often they ask AWS."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlops_kit.errors import AccessError
from mlops_kit.promotion import ledger
from mlops_kit.promotion.ledger import Event, Ledger
from tests.aws import Fault
from tests.aws.project import DATASET, MODEL
from tests.aws.world import ALICE, World

FILES = {"a.csv": b"left,x\n0,1\n"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as made:
        made.aws.sagemaker.looks = 0  # nobody has to wait for an endpoint
        commit = made.commit("dev", FILES)
        for _ in range(6):
            made.train(commit)
        yield made


def ok(world: World, *arguments: str) -> None:
    done = world.cli(*arguments)
    assert done.code == 0, done.err


def events(world: World, stage: str) -> tuple[Event, ...]:
    return Ledger(world.cloud(stage).store("ledger"), world.names(stage)).events()


def running(world: World, stage: str) -> str:
    names = world.names(stage)
    return world.aws.sagemaker.of(names.environment.account).endpoints[names.endpoint].config


def released(world: World, stage: str = "staging") -> ledger.Release:
    current = ledger.current(events(world, stage))
    assert current is not None
    return current


def test_a_commit_and_a_version_go_through_all_stages(world: World) -> None:
    for stage in ("staging", "production"):
        ok(world, "promote", "dataset", DATASET, "--to", stage, "--yes")
        ok(world, "promote", "model", f"{MODEL}@1", "--to", stage, "--yes")
        names = world.names(stage)
        account = names.environment.account
        assert running(world, stage) == released(world, stage).config
        (package,) = world.aws.sagemaker.packages(account, names.package_group)
        assert package["ModelApprovalStatus"] == "Approved"
        sha256 = world.trained[0]
        assert world.aws.snapshot(names.environment.bucket("artifacts"))[names.artifact_key(sha256)] == sha256
        model = world.aws.sagemaker.of(account).models[released(world, stage).config]
        assert ("VpcConfig" in model) == (stage == "production")  # by what network.json says
        assert [metric["MetricName"] for metric in world.aws.cloudwatch.of(account).metrics] == ["Succeeded"]
    assert [event.actor for event in events(world, "production")] == [ALICE]


def test_the_next_version_and_back(world: World) -> None:
    ok(world, "promote", "dataset", DATASET, "--to", "staging")
    ok(world, "promote", "model", f"{MODEL}@1", "--to", "staging")
    first = running(world, "staging")
    ok(world, "promote", "model", f"{MODEL}@2", "--to", "staging")
    assert running(world, "staging") != first
    ok(world, "rollback", MODEL, "--in", "staging")
    assert running(world, "staging") == first
    assert [event.release.id for event in events(world, "staging")] == ["r1", "r2", "r1"]
    assert "CopyObject" not in [call.operation for call in world.aws.calls[-15:]]


def test_an_alarm_brings_the_old_one_back(world: World) -> None:
    ok(world, "promote", "dataset", DATASET, "--to", "staging")
    ok(world, "promote", "model", f"{MODEL}@1", "--to", "staging")
    first, account = running(world, "staging"), world.stage("staging").account
    alarm = world.names("staging").rollback_alarms[0]
    world.aws.cloudwatch.set_alarm(account, alarm, "ALARM")
    # Rolling back is one more look at the endpoint, and so one pause of half a second.
    done = world.cli("promote", "model", f"{MODEL}@2", "--to", "staging")
    assert (done.code, alarm in done.err) == (5, True)
    assert running(world, "staging") == first
    assert [event.outcome for event in events(world, "staging")] == ["succeeded", "failed"]


def test_whoever_acts_is_on_record_and_times_are_the_worlds(world: World) -> None:
    assert world.cloud("staging").actor == ALICE
    ok(world, "promote", "dataset", DATASET, "--to", "staging")
    ok(world, "promote", "model", f"{MODEL}@1", "--to", "staging")
    assert {datetime.fromisoformat(event.time) for event in events(world, "staging")} == {
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    }


def test_a_role_that_cannot_be_assumed(world: World) -> None:
    world.aws.faults.append(Fault("denied", operation="AssumeRole", times=None))
    with pytest.raises(AccessError, match="999999999999"):
        world.cloud("staging")
    assert {call.service for call in world.aws.calls} == {"sts"}


def test_how_often_aws_is_asked(world: World) -> None:
    """By a whole command, STS included. A budget, not a target: whoever makes it more has a reason."""
    promote = ("promote", "model", f"{MODEL}@1", "--to", "staging")
    counted = {}
    for what, arguments in {
        "data": ("promote", "dataset", DATASET, "--to", "staging"),
        "looked at": (*promote, "--dry-run"),
        "first": promote,
        "again": promote,
        "next": ("promote", "model", f"{MODEL}@2", "--to", "staging"),
        "back": ("rollback", MODEL, "--in", "staging"),
    }.items():
        world.aws.forget()
        done = world.cli(*arguments, fresh=True)
        assert done.code == 0, done.err
        counted[what] = [call.operation for call in world.aws.calls]
    found = {what: len(calls) for what, calls in counted.items()}
    assert found == {"data": 18, "looked at": 17, "first": 52, "again": 34, "next": 53, "back": 19}
    assert {call[:3] for call in counted["looked at"]} <= {"Get", "Ass", "Des", "Lis", "Hea"}
    assert counted["back"].index("UpdateEndpoint") <= 12
    assert not {"UpdateEndpoint", "CreateModelPackage", "CopyObject"} & set(counted["again"])
    assert counted["again"].count("PutObject") == 1, "the lock"
