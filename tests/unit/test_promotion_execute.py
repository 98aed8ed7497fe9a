"""Carrying out a promotion: what it leaves, how it goes on, and what it refuses to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from mlops_kit import registry
from mlops_kit.errors import AccessError, ConflictError, DeploymentError, GateError, NotFoundError
from mlops_kit.objects import sha256_bytes
from mlops_kit.promotion import approvals, lock
from mlops_kit.promotion.execute import _register, execute
from mlops_kit.promotion.holder import Holder
from mlops_kit.promotion.ledger import Override
from mlops_kit.promotion.place import Place
from tests.aws import Fault
from tests.aws.project import DATASET
from tests.aws.world import ALICE
from tests.ledgers import ended_process
from tests.releases import FILES, Releases, releases

SMOKE: dict[str, Any] = {"smoke": {"request": "smoke.csv", "expect": {"lines": 1, "at_least": 0, "at_most": 1}}}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Releases]:
    with releases(tmp_path) as made:
        yield made


def smoking(directory: Path) -> Path:
    (directory / "code").mkdir()
    (directory / "code" / "smoke.csv").write_text("1\n")
    return directory


# --- What is recorded.


def test_an_event_says_how_it_came_about(here: Releases) -> None:
    planned = here.plan(1)
    event = here.promote(1)
    assert event.plan == planned.sha256
    assert here.book.plan(event.plan) == planned.to_json()
    assert event.endpoint == "arn:aws:sagemaker:us-east-1:222222222222:endpoint/acme-staging-churn"
    assert (event.duration_seconds, event.took_over, event.data_commit_moved) == (0.0, "", "")
    assert event.actor == ALICE
    assert event.gates == planned.verdicts
    assert here.lock is None
    assert here.book.events() == (event,)


def test_data_comes_along_and_that_is_recorded(tmp_path: Path) -> None:
    with releases(tmp_path, data=False) as here:
        event = here.promote(1)
        commit = event.release.dataset_commit
        assert event.data_commit_moved == f"{DATASET}@{commit}"
        lake = here.world.cloud("staging").store("lake")
        ref = json.loads(lake.get(f"datasets/{DATASET}/refs/main.json") or b"")
        assert (ref["commit"], ref["by"]) == (commit, f"{ALICE} (for {event.release.config})")
        assert here.promote(2).data_commit_moved == ""


def test_a_run_that_finishes_what_another_began_knows_that_the_data_came_along(tmp_path: Path) -> None:
    with releases(tmp_path, data=False) as here:
        here.world.aws.faults.append(Fault("denied", operation="CreateModelPackage"))
        with pytest.raises(Exception, match="CreateModelPackage"):
            here.promote(1)
        assert here.plan(1).data is None
        event = here.promote(1)
        assert event.data_commit_moved == f"{DATASET}@{event.release.dataset_commit}"


def test_data_that_is_to_stay_stays(tmp_path: Path) -> None:
    with releases(tmp_path, data=False) as here, pytest.raises(Exception, match="data present"):
        here.promote(1, asked={"with_data": False})


def test_newer_data_is_not_moved_back_by_an_older_model(here: Releases) -> None:
    world = here.world
    older = world.cloud("staging").store("lake").get(f"datasets/{DATASET}/refs/main.json")
    assert older is not None
    old = json.loads(older)["commit"]
    middle = world.commit("dev", {**FILES, "b.csv": b"left,x\n1,1\n"}, old, minute=1)
    number = world.train(middle)
    newest = world.commit("dev", {**FILES, "c.csv": b"left,x\n1,1\n"}, middle.id, minute=2)
    assert world.cli("promote", "dataset", DATASET, "--to", "staging").code == 0
    event = here.promote(number)
    assert event.data_commit_moved == f"{DATASET}@{middle.id}"
    lake = world.cloud("staging").store("lake")
    assert json.loads(lake.get(f"datasets/{DATASET}/refs/main.json") or b"")["commit"] == newest.id
    assert lake.head(f"datasets/{DATASET}/commits/{middle.id}.json") is not None


def test_overrides_are_recorded(tmp_path: Path) -> None:
    allowed = {"staging": {"gates": {"overridable": ["metric"]}}}
    with releases(tmp_path, environments=allowed) as here:
        bad = here.world.train(here.world.commit("dev", FILES), accuracy=0.1)
        override = Override(gate="metric accuracy", reason="urgent")
        event = here.promote(bad, asked={"overrides": (override,)})
        assert event.overrides == (override,)
        good = here.world.train(here.world.commit("dev", FILES))
        assert here.promote(good, asked={"overrides": (override,)}).overrides == (), "there was nothing to override"


def decision(here: Releases, kind: Any, who: str, hours: float = 0) -> None:
    names, stage = here.names, here.world.stage("staging")
    said = approvals.decide(
        kind,
        names,
        version=1,
        artifact_sha256=here.world.trained[0],
        by=ALICE.replace("alice", who),
        reason="looked at it",
        policy=stage.approvals,
        now=here.world.clock - timedelta(hours=hours),
    )
    approvals.record(here.world.cloud("staging").store("ledger"), names, said)


def test_an_approval_that_is_taken_back_after_planning_stops_it_before_it_is_registered(tmp_path: Path) -> None:
    with releases(tmp_path, environments={"staging": {"approvals": {"required": 1}}}) as here:
        decision(here, "approve", "bob", hours=1)
        planned = here.plan(1)
        decision(here, "reject", "carol")
        with pytest.raises(GateError, match=r"not approved for staging any more:\n  rejected by .*carol") as caught:
            execute(planned, here.deployment())
        assert caught.value.exit_code == 3
        assert here.packages == []
        assert here.endpoint.updates == []
        assert here.lock is None
        decision(here, "approve", "carol", hours=-0.01)
        assert here.promote(1).outcome == "succeeded"


def test_an_approval_that_expires_between_planning_and_registering_does_not_count(tmp_path: Path) -> None:
    with releases(tmp_path, environments={"staging": {"approvals": {"required": 1}}}) as here:
        decision(here, "approve", "bob", hours=71)
        planned = here.plan(1)
        late = here.deployment(now=lambda: here.world.clock + timedelta(hours=2))
        with pytest.raises(GateError, match="expired at"):
            execute(planned, late)
        assert here.packages == []


def test_an_override_of_the_approvals_is_not_asked_for_again(tmp_path: Path) -> None:
    settings = {"staging": {"approvals": {"required": 1}, "gates": {"overridable": ["approvals"]}}}
    with releases(tmp_path, environments=settings) as here:
        override = Override(gate="approvals", reason="urgent")
        assert here.promote(1, asked={"overrides": (override,)}).overrides == (override,)


# --- Registration.


def test_a_version_is_registered_once_and_pointed_to(here: Releases) -> None:
    event = here.promote(1)
    (package,) = here.packages
    assert package["CustomerMetadataProperties"]["artifact_sha256"] == event.release.artifact_sha256
    pointer = here.world.cloud("staging").store("artifacts").get(here.names.package_key(event.release.artifact_sha256))
    assert json.loads(pointer or b"") == {"version": 1, "arn": here.names.package_arn(1)}


@pytest.mark.parametrize("named", [True, False])
def test_a_lost_pointer_is_found_again_by_listing(here: Releases, named: bool) -> None:
    here.promote(1)
    here.promote(2)
    here.back()
    for package in here.packages:
        if not named:
            package["ModelPackageDescription"] = "Promoted by an older kit"
    bucket = here.world.aws.buckets[here.names.environment.bucket("artifacts")]
    key = here.names.package_key(here.world.trained[1])
    bucket.remove(key)
    here.world.aws.forget()
    assert here.promote(2).release.version == 2
    assert len(here.packages) == 2
    assert here.world.cloud("staging").store("artifacts").head(key) is not None
    read = [call for call in here.world.aws.calls if call.operation == "DescribeModelPackage"]
    assert len(read) == 2, "the source's, and here the one that it is: newest first"


@pytest.mark.parametrize("token_is_known", [True, False])
def test_two_registrations_that_race_end_with_one_version(
    here: Releases, monkeypatch: pytest.MonkeyPatch, token_is_known: bool
) -> None:
    """Both have looked before either has written."""
    planned = here.plan(1)
    monkeypatch.setattr(registry, "find_artifact", lambda *_: None)
    first = _register(planned, here.deployment())
    if not token_is_known:  # SageMaker does not promise for how long it remembers one
        here.world.aws.sagemaker.of("222222222222").groups[here.names.package_group].tokens.clear()
    assert _register(planned, here.deployment()) == first
    assert len(here.packages) == (1 if token_is_known else 2)
    assert here.plan(1).registered == first


# --- One at a time.


def test_whoever_planned_before_somebody_elses_release_is_refused(here: Releases) -> None:
    late = here.plan(2)
    here.promote(1)
    here.world.aws.forget()
    with pytest.raises(ConflictError, match="since this one was planned"):
        execute(late, here.deployment())
    assert "UpdateEndpoint" not in here.writes()
    assert here.lock is None


def test_a_lock_that_somebody_holds_refuses_others_and_nothing_is_written(here: Releases) -> None:
    artifacts = here.world.cloud("staging").store("artifacts")
    held = lock.acquire(artifacts, here.names, what="something else", holder=ALICE, now=here.world.clock)
    planned = here.plan(1)
    here.world.aws.forget()
    with pytest.raises(ConflictError, match=r"locked by .*something else"):
        execute(planned, here.deployment())
    assert here.writes() == ["PutObject"], "the lock's, which was refused"
    held.check()


def test_what_a_killed_run_left_behind_is_no_takeover_to_record(here: Releases) -> None:
    artifacts, planned = here.world.cloud("staging").store("artifacts"), here.plan(1)
    gone = ended_process()
    lock.acquire(artifacts, here.names, what=planned.what, holder=ALICE, now=here.world.clock, place=gone)
    assert here.promote(1).took_over == ""
    assert here.lock is None


def test_a_lock_that_was_taken_away_stops_the_promotion_before_the_endpoint_is_updated(here: Releases) -> None:
    def unlock() -> None:
        here.world.aws.buckets[here.names.environment.bucket("artifacts")].remove(here.names.lock_key)

    here.world.aws.faults.append(Fault("before", operation="CreateEndpointConfig", callback=unlock))
    with pytest.raises(ConflictError, match="was taken away"):
        here.promote(1)
    assert here.endpoint.updates == []
    assert here.book.events() == ()


def deploy_another(here: Releases, looks: int) -> None:
    """Somebody who does not ask for the lock, between our look at the endpoint and our update; seen ``looks`` times."""

    def begin() -> None:
        endpoint = here.endpoint
        there = here.world.aws.sagemaker.of("222222222222").configs
        there["by-hand"] = {**there[endpoint.config], "EndpointConfigName": "by-hand"}
        endpoint.update({"EndpointConfigName": "by-hand"}, looks, here.world.clock.timestamp() + 1)

    here.world.aws.faults.append(Fault("before", operation="UpdateEndpoint", callback=begin))


@pytest.mark.parametrize(
    ("looks", "says"),
    [
        (2, "is Updating to by-hand: another deployment is under way"),
        (0, "was updated by somebody else just now: it runs by-hand"),
    ],
    ids=["goes on", "is over"],
)
def test_a_deployment_that_began_after_we_looked_is_a_conflict(here: Releases, looks: int, says: str) -> None:
    here.promote(1)
    deploy_another(here, looks)
    done = here.world.cli("promote", "model", "churn@2", "--to", "staging")
    assert done.code == 4, done.err
    assert says in done.err
    assert "mlops-kit status" in done.err
    assert here.endpoint.updates[-1] == "by-hand"
    assert [event.release.version for event in here.book.events()] == [1]
    assert here.lock is None


def test_an_update_that_is_refused_for_another_reason_is_told_as_it_is(here: Releases) -> None:
    here.world.aws.faults.append(Fault("denied", operation="UpdateEndpoint"))
    assert here.world.cli("promote", "model", "churn@1", "--to", "staging").code == 6


# --- The account guard.


def wrong_owner(here: Releases) -> None:
    here.world.aws.buckets[here.names.environment.bucket("artifacts")].owner = "444444444444"


def wrong_source_owner(here: Releases) -> None:
    here.world.aws.buckets[here.world.names("dev").environment.bucket("artifacts")].owner = "444444444444"


def wrong_region(here: Releases) -> None:
    here.endpoint.arn = here.endpoint.arn.replace("us-east-1", "eu-west-1")


def wrong_account(here: Releases) -> None:
    here.endpoint.arn = here.endpoint.arn.replace("222222222222", "444444444444")


def not_deployed(here: Releases) -> None:
    del here.world.aws.sagemaker.of("222222222222").endpoints[here.names.endpoint]


@pytest.mark.parametrize(
    ("make_wrong", "code"),
    [(wrong_owner, 6), (wrong_source_owner, 7), (wrong_region, 6), (wrong_account, 6), (not_deployed, 2)],
)
def test_the_wrong_account_or_region_sees_no_mutating_call(here: Releases, make_wrong: Any, code: int) -> None:
    make_wrong(here)
    here.world.aws.forget()
    done = here.world.cli("promote", "model", "churn@1", "--to", "staging")
    assert (done.code, here.writes()) == (code, []), done.err


@pytest.mark.parametrize(
    "arguments",
    [("promote", "dataset", DATASET, "--to", "staging"), ("rollback", "churn", "--in", "staging")],
    ids=["promote dataset", "rollback"],
)
def test_in_the_wrong_account_data_and_rollbacks_write_nothing_either(
    here: Releases, arguments: tuple[str, ...]
) -> None:
    here.promote(1)
    here.promote(2)
    for name, bucket in here.world.aws.buckets.items():
        if "staging" in name:
            bucket.owner = "444444444444"
    here.world.aws.forget()
    assert here.world.cli(*arguments).code == 6
    assert here.writes() == []


def test_a_plan_for_another_place_is_not_carried_out(here: Releases) -> None:
    planned = here.plan(1)
    other = replace(here.deployment(), cloud=here.world.cloud("production"))
    stranger = replace(planned, version=replace(planned.version, arn=planned.version.arn.replace("1111", "4444")))
    here.world.aws.forget()
    with pytest.raises(AccessError, match="The plan is for churn in staging"):
        execute(planned, other)
    with pytest.raises(AccessError, match="another account or region"):
        execute(stranger, here.deployment())
    assert here.writes() == []


# --- Failed deployments.


def test_a_rollback_by_sagemaker_names_the_alarm_and_the_incumbent_serves(here: Releases) -> None:
    first = here.promote(1)
    name = here.alarm("ALARM")
    here.world.aws.sagemaker.looks = 2
    with pytest.raises(DeploymentError, match=f"{name} went off: .* was not updated") as caught:
        here.promote(2)
    assert caught.value.exit_code == 5
    assert here.endpoint.config == first.release.config
    failed = here.book.events()[-1]
    assert (failed.outcome, name in failed.detail, failed.plan != "") == ("failed", True, True)
    assert any("10 %" in line or "100 % of the traffic" in line for line in here.told)
    assert any("alarms: errors ALARM, latency OK" in line for line in here.told)
    here.alarm("OK")
    assert here.promote(2).outcome == "succeeded"


def test_a_reason_that_is_no_alarm_is_told_as_it_is(here: Releases) -> None:
    here.endpoint.refusals.append("The container did not pass the ping health check.")
    with pytest.raises(DeploymentError, match="ping health check") as caught:
        here.promote(1)
    assert "went off" not in caught.value.message


def test_alarms_that_cannot_be_read_do_not_stop_a_deployment(here: Releases) -> None:
    here.world.aws.sagemaker.looks = 1
    here.world.aws.faults.append(Fault("denied", operation="DescribeAlarms", times=None))
    assert here.promote(1).outcome == "succeeded"
    assert any("alarms: not known (AccessDeniedException)" in line for line in here.told)


def test_a_failed_smoke_request_brings_the_incumbent_back_and_is_recorded(tmp_path: Path) -> None:
    with releases(smoking(tmp_path), model=SMOKE) as here:
        first = here.promote(1)
        asked: list[tuple[str, bytes]] = []

        def answer(endpoint: Any, body: bytes) -> bytes:
            asked.append((endpoint.config, body))
            return b"7\n"

        here.world.aws.runtime.model = answer
        done = here.world.cli("promote", "model", "churn@2", "--to", "staging")
        assert done.code == 5
        assert "failed its smoke request: the answer has 7 in it" in done.err
        assert here.endpoint.config == first.release.config
        failed = here.book.events()[-1]
        assert asked == [(failed.release.config, b"1\n")]
        assert (failed.outcome, "smoke request" in failed.detail) == ("failed", True)
        assert [package["ModelApprovalStatus"] for package in here.packages] == ["Approved", "PendingManualApproval"]
        assert here.lock is None


@pytest.mark.parametrize("version", [1, 2])
def test_a_smoke_request_that_fails_when_nobody_had_waited_brings_the_incumbent_back(
    tmp_path: Path, version: int
) -> None:
    with releases(smoking(tmp_path), model=SMOKE) as here:
        if version == 2:
            here.promote(1)
        before = here.endpoint.config
        here.world.aws.sagemaker.looks = 1
        here.begin(version)
        here.world.aws.runtime.model = lambda endpoint, body: b"7\n"
        with pytest.raises(DeploymentError, match=f"runs {before} again"):
            here.promote(version)
        assert here.endpoint.config == before
        assert here.lock is None


def test_an_endpoint_that_nobody_reached_is_not_taken_back(tmp_path: Path) -> None:
    with releases(smoking(tmp_path), model=SMOKE) as here:
        here.world.aws.faults.append(Fault("denied", operation="InvokeEndpoint"))
        gone = ended_process()
        with patch.object(Place, "here", lambda: gone):
            done = here.world.cli("promote", "model", "churn@1", "--to", "staging")
        assert (done.code, "the lock of churn stays" in done.err) == (6, True)
        assert here.book.events() == ()
        assert here.promote(1).outcome == "succeeded"
        assert len(here.endpoint.updates) == 1


# --- Being cut off.


def test_a_run_that_died_before_it_pruned_is_finished_by_the_next(here: Releases) -> None:
    for version in (1, 2, 3, 4):
        here.promote(version)
    first = here.book.events()[0].release.config
    here.world.aws.faults.append(Fault("denied", operation="DeleteModel"))
    with pytest.raises(Exception, match="DeleteModel"):
        here.promote(5)
    there = here.world.aws.sagemaker.of("222222222222")
    assert (first in there.configs, first in there.models) == (False, True)
    here.promote(5)
    assert first not in there.models
    assert [event.release.id for event in here.book.events()] == ["r1", "r2", "r3", "r4", "r5"]


def test_running_again_changes_nothing(here: Releases) -> None:
    event = here.promote(1)
    here.world.aws.forget()
    assert here.promote(1) == event
    assert here.writes() == ["PutObject", "DeleteObject"], "the lock's"


# --- Without waiting.


def test_not_waiting_records_nothing_and_lets_nobody_in_between(tmp_path: Path) -> None:
    with releases(tmp_path, looks=10) as here:
        begun = here.begin(1)
        assert (here.endpoint.pending, here.book.events()) == (begun.release.config, ())
        with pytest.raises(ConflictError, match="Nobody waits for it") as caught:
            here.promote(2)
        assert caught.value.exit_code == 4
        assert here.begin(1) == begun
        event = here.promote(1)
        assert (event.outcome, event.release, event.took_over) == ("succeeded", begun.release, "")
        assert here.endpoint.updates == [begun.release.config]
        assert here.lock is None


def test_whoever_may_finishes_it_from_wherever(tmp_path: Path) -> None:
    with releases(tmp_path, looks=1) as here:
        here.begin(1)
        here.world.person = ALICE.replace("alice", "bob")
        here.world._clouds.clear()
        assert here.promote(1).actor.endswith("bob@example.com")


def test_what_was_begun_is_finished_though_a_gate_refuses_by_now(tmp_path: Path) -> None:
    with releases(tmp_path, looks=1) as here:
        here.begin(1)
        begun = Holder.parse(here.lock or b"")
        assert begun is not None
        assert here.world.cli("reject", "churn@1", "--to", "staging", "--reason", "too late").code == 0
        refused = here.plan(1)
        assert not refused.allowed
        event = here.promote(1)
        assert (event.outcome, event.plan) == ("succeeded", begun.plan)
        assert all(verdict.passed for verdict in event.gates)
        assert "a gate refuses by now, but this was begun when all let it pass: finishing it" in here.told
        assert here.lock is None


def test_what_was_begun_is_finished_though_a_run_that_finished_it_was_cut_off(tmp_path: Path) -> None:
    with releases(tmp_path, looks=5) as here:
        here.begin(1)
        assert here.world.cli("reject", "churn@1", "--to", "staging", "--reason", "too late").code == 0
        with pytest.raises(KeyboardInterrupt):
            here.promote(1, sleep=_interrupt)
        parked = Holder.parse(here.lock or b"")
        assert parked is not None
        assert parked.parked == here.endpoint.pending, "somebody else may finish it"
        assert here.promote(1).outcome == "succeeded"


def _interrupt(seconds: float) -> None:
    raise KeyboardInterrupt


def test_another_version_s_gates_are_its_own(tmp_path: Path) -> None:
    with releases(tmp_path, looks=1) as here:
        here.begin(1)
        assert here.world.cli("reject", "churn@2", "--to", "staging", "--reason", "no").code == 0
        with pytest.raises(GateError, match="rejected by"):
            here.promote(2)


def test_what_failed_while_nobody_waited_is_recorded_and_not_begun_again(tmp_path: Path) -> None:
    with releases(tmp_path, looks=0) as here:
        here.promote(1)
        here.world.aws.sagemaker.looks = 1
        here.begin(2)
        name = here.alarm("ALARM")
        while here.endpoint.busy:
            here.world.cloud("staging").sagemaker.describe_endpoint(EndpointName=here.names.endpoint)
        here.alarm("OK")
        updates = list(here.endpoint.updates)
        with pytest.raises(DeploymentError, match=f"{name} went off"):
            here.promote(2)
        assert here.endpoint.updates == updates
        assert here.book.events()[-1].outcome == "failed"
        here.world.aws.sagemaker.looks = 0
        assert here.promote(2).outcome == "succeeded"


def test_a_deployment_that_is_over_at_once_is_recorded_at_once(here: Releases) -> None:
    done = execute(here.plan(1), here.deployment(wait=False))
    assert done == here.book.events()[0]


def test_the_command_says_how_to_go_on(tmp_path: Path) -> None:
    with releases(tmp_path, looks=10) as here:
        done = here.world.cli("promote", "model", "churn@1", "--to", "staging", "--no-wait")
        assert (done.code, done.out) == (0, f"begun churn@1 {here.endpoint.pending}\n")
        assert "mlops-kit status churn --in staging --follow" in done.err
        again = here.world.cli("promote", "model", "churn@1", "--to", "staging", "--no-wait", "--json")
        assert again.json["begun"] == here.endpoint.pending
        assert sha256_bytes(here.book.plan(again.json["plan"]) or b"") == again.json["plan"]


def test_an_environment_without_an_endpoint_says_what_to_do(here: Releases) -> None:
    not_deployed(here)
    with pytest.raises(NotFoundError, match="no endpoint"):
        here.promote(1)
