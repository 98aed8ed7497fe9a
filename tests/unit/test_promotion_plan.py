"""Planning a promotion: what it says, what it costs in requests, and that it writes nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mlops_kit.cli import promotion_plan
from mlops_kit.datasets import copy
from mlops_kit.datasets.records import Commit
from mlops_kit.errors import IntegrityError, NotFoundError, UsageError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import canonical_json, sha256_bytes
from mlops_kit.promotion import gates, plan, request
from mlops_kit.promotion.approvals import decide, record
from mlops_kit.promotion.events import Event, Override, Release, ReleaseSpec, Verdict
from mlops_kit.promotion.plan import ModelPlan
from mlops_kit.quality.record import CheckRecord, constraints_sha256
from mlops_kit.registry import APPROVED
from mlops_kit.signing import key_of, sign
from tests.aws import Fault
from tests.aws.ecr import Image
from tests.aws.project import DATASET, MODEL
from tests.aws.world import World

OWN = "333333333333.dkr.ecr.us-east-1.amazonaws.com/acme/churn"
DIGEST = "sha256:" + "d" * 64
READS = ("Get", "Head", "List", "Describe", "AssumeRole")
BOB = "arn:aws:sts::333333333333:assumed-role/acme-production-approver/bob@example.com"

EVERYTHING: dict[str, Any] = {
    "approvals": {"required": 1},
    "gates": {
        "soak_hours": 24,
        "source_alarms": True,
        "data_checks": "required",
        "image_scan": {"max_high": 5},
        "budget": "block",
        "overridable": ["soak", "metric"],
    },
}
"""Every gate but the signature, which has a test of its own."""

PLAIN_CALLS = Counter(
    {"DescribeModelPackage": 1, "GetObject": 7, "HeadObject": 5, "ListObjectVersions": 3, "ListObjectsV2": 3}
)
"""GetObject: settings of the network, commit (target, source), its file list, ref of the target, metrics, pointer to
the package. HeadObject: the four objects of the version, and whether the target has the commit. ListObjectVersions:
ledger, approvals, the version's objects in the source. ListObjectsV2: those in the target, which files of the commit
the target has, and which results of data tests the source has.
"""
STRICT_CALLS = 29
"""With every gate but the signature and the incumbent, an event in the source's ledger and one approval."""

Made = Callable[..., World]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    """Worlds, with a version 1 in dev made from a commit of two files."""
    with ExitStack() as stack:

        def make(**settings: Any) -> World:
            world = stack.enter_context(World(tmp_path, **settings))
            world.train(world.commit("dev", {"a.csv": b"1", "b.csv": b"2"}))
            return world

        yield make


def planned(world: World, to: str = "staging", version: str = f"{MODEL}@1", **options: Any) -> ModelPlan:
    with world.acting():
        asked = request.request(world.project, version, to, **options)
        return plan.plan(asked, world.project, world.cloud(to), world.clock)


def connected(world: World, stage: str) -> None:
    """So that only what planning itself asks is counted."""
    world.cloud(stage)
    world.aws.calls.clear()


def found(one: ModelPlan, gate: str) -> Verdict:
    (verdict,) = [verdict for verdict in one.verdicts if verdict.gate == gate]
    return verdict


def calls(world: World) -> Counter[str]:
    return Counter(call.operation for call in world.aws.calls)


def release_in(
    world: World, stage: str, number: int, *, hours: int = 48, version: int = 1, source: str = ""
) -> Release:
    """The ledger of ``stage`` says that a version of it was released ``hours`` ago, and its package is approved."""
    names = world.names(stage)
    sha256 = world.trained[number - 1]
    spec = ReleaseSpec(
        image="i",
        artifact_uri="s3://a",
        environment={},
        instance_type="ml.m5.large",
        instance_count=1,
        capture_percent=100,
        encrypt_volume=True,
    )
    released = Release(
        id=f"r{version}",
        config=f"config-{number}",
        spec=spec,
        version=version,
        artifact_sha256=sha256,
        dataset=DATASET,
        dataset_commit="c" * 64,
        code_commit="",
        training_job="job",
    )
    bucket = names.environment.bucket("ledger")
    events = [key for key in world.aws.buckets[bucket].snapshot_versions() if key.startswith(f"{MODEL}/0")]
    previous = ""
    if events:
        with world.acting():
            previous = sha256_bytes(world.cloud(stage).store("ledger").get(sorted(events)[-1]) or b"")
    event = Event(
        seq=len(events) + 1,
        previous=previous,
        time=(world.clock - timedelta(hours=hours)).isoformat(timespec="seconds"),
        actor="arn",
        action="promotion",
        outcome="succeeded",
        release=released,
        source=source,
    )
    world.put(bucket, names.ledger_key(event.seq), event.to_json())
    packages = world.aws.sagemaker.of(names.environment.account).groups[names.package_group].packages
    if version in packages:
        packages[version]["ModelApprovalStatus"] = APPROVED
    return released


def in_order(world: World) -> None:
    """Everything that production asks for is there: version 1 of staging, which is artifact 2."""
    staging, production = world.stage("staging"), world.stage("production")
    commit = world.commit("staging", {"a.csv": b"1"})
    world.train(commit, stage="staging")
    release_in(world, "staging", 2)
    for kind in world.project.model(MODEL, staging).alarm_kinds:
        world.aws.cloudwatch.set_alarm(staging.account, world.names("staging").alarm(kind))
    constraints = world.project.dataset(DATASET)
    assert constraints is not None
    digest = constraints_sha256(constraints)
    tested = CheckRecord(DATASET, commit.id, digest, True, {}, (), "2026-01-01T00:00:00+00:00", "arn")
    world.put(staging.names.bucket("lake"), DatasetKeys(DATASET).check(commit.id, digest), tested.to_json())
    world.aws.ecr.add_image(production.account, "acme/churn", Image(DIGEST, findings={"HIGH": 1}))
    approve(world, world.trained[1])


def approve(world: World, sha256: str, by: str = BOB) -> None:
    names = world.names("production")
    with world.acting():
        decision = decide(
            "approve",
            names,
            version=1,
            artifact_sha256=sha256,
            by=by,
            reason="looks right",
            policy=world.stage("production").approvals,
            now=world.clock,
        )
        record(world.cloud("production").store("ledger"), names, decision)
    world.aws.calls.clear()


@pytest.fixture
def strict(made: Made, tmp_path: Path) -> World:
    """Production asks for everything, and everything is there."""
    files = tmp_path / "environments" / "datasets"
    files.mkdir(parents=True)
    (files / f"{DATASET}.yaml").write_text("description: who stayed\n")
    world = made(environments={"production": EVERYTHING}, model={"serving": {"image": f"{OWN}@{DIGEST}"}})
    in_order(world)
    world.aws.calls.clear()
    return world


# ---- what it says ----


def test_a_plan_says_what_moves_and_what_every_gate_found(made: Made) -> None:
    world = made()
    one = planned(world)
    sha256 = world.trained[0]
    assert [c.name for c in one.copies] == [
        "baseline/constraints.json",
        "baseline/statistics.json",
        "metrics.json",
        "model.tar.gz",
    ]
    assert one.copies[-1].sha256 == one.copies[-1].stored == sha256
    assert not any(c.present for c in one.copies)
    assert one.data is not None
    assert (len(one.data.missing), one.data.size) == (2, 2)
    assert (one.registered, one.incumbent, one.released, one.allowed) == (None, None, False, True)
    assert one.cost.change_usd == 0
    gates_ = ["stage order", "no downgrade", "data present", "lineage", "digests", "image", "metric accuracy"]
    assert [verdict.gate for verdict in one.verdicts] == gates_
    assert found(one, "data present").reason.endswith("comes along, as far as staging lacks it")


def test_planning_writes_nothing(made: Made) -> None:
    world = made()
    connected(world, "staging")
    before = {name: bucket.snapshot_versions() for name, bucket in world.aws.buckets.items()}
    planned(world)
    assert {name: bucket.snapshot_versions() for name, bucket in world.aws.buckets.items()} == before
    assert [call.operation for call in world.aws.calls if not call.operation.startswith(READS)] == []


def test_the_json_is_canonical_and_names_the_plan(made: Made) -> None:
    world = made()
    one, again = planned(world), planned(world)
    body = one.to_json()
    assert body == again.to_json() == canonical_json(json.loads(body))
    assert one.sha256 == sha256_bytes(body)
    said = json.loads(body)
    assert (said["asked"], said["version"], said["from"], said["to"]) == (f"{MODEL}@1", f"{MODEL}@1", "dev", "staging")
    assert said["artifact_sha256"] == world.trained[0]
    assert said["data"] == {"commit": f"{DATASET}@{one.version.lineage.dataset_commit}", "files": 2, "size": 2}


def test_a_promotion_that_was_cut_off_has_the_same_plan(made: Made) -> None:
    """After each step that an execution takes before it deploys."""
    world = made()
    first = planned(world)
    with world.acting():
        cloud = world.cloud("staging")
        lakes = cloud.store("lake", world.stage("dev")), cloud.store("lake")
        buckets = cloud.store("artifacts", world.stage("dev")), cloud.store("artifacts")
        assert first.data is not None
        copy.execute(first.data, *lakes, "arn", world.clock)
        after_data = planned(world)
        buckets[1].copy_new(first.copies[0].key, buckets[0], first.copies[0].source_key, first.copies[0].sha256)
        after_copy = planned(world)
    assert after_data.data is None
    assert [c.present for c in after_copy.copies] == [True, False, False, False]
    assert first.sha256 == after_data.sha256 == after_copy.sha256


def test_latest_approved_is_resolved_once_and_shown(made: Made) -> None:
    world = made()
    commit = world.commit("dev", {"a.csv": b"3"})
    for _ in range(3):
        world.train(commit)
    with pytest.raises(NotFoundError, match="No version of churn was released in dev"):
        planned(world, version=f"{MODEL}@latest-approved")
    names = world.names("dev")
    packages = world.aws.sagemaker.of(names.environment.account).groups[names.package_group].packages
    for number in (1, 3):
        packages[number]["ModelApprovalStatus"] = APPROVED
    one = planned(world, version=f"{MODEL}@latest-approved")
    assert (one.version.version, one.request.asked) == (3, f"{MODEL}@latest-approved")
    lines: list[str] = []
    promotion_plan.show(one, lines.append)
    assert lines[0] == "plan: churn@3 (churn@latest-approved) from dev to staging"


def test_no_such_version_is_no_gates_business(made: Made) -> None:
    with pytest.raises(NotFoundError, match="no churn@9 in dev"):
        planned(made(), version=f"{MODEL}@9")


def test_within_the_first_stage_nothing_moves(made: Made) -> None:
    one = planned(made(), to="dev")
    assert (one.copies, one.data) == ((), None)
    assert one.registered == one.version
    assert found(one, "data present").reason.endswith("is in dev")


# ---- data ----


def test_without_data_it_has_to_be_there(made: Made) -> None:
    world = made()
    one = planned(world, with_data=False)
    assert one.data is None
    assert not found(one, "data present").passed
    commit = world.commit("staging", {"a.csv": b"1", "b.csv": b"2"})
    assert commit.id == one.version.lineage.dataset_commit
    assert found(planned(world, with_data=False), "data present").passed


def test_a_ref_that_has_gone_on_is_never_moved_back(made: Made) -> None:
    world = made()
    first = world.commit("staging", {"a.csv": b"1", "b.csv": b"2"})
    world.commit("staging", {"a.csv": b"7"}, first.id, minute=1)
    one = planned(world)
    assert one.version.lineage.dataset_commit == first.id
    assert one.data is None
    assert found(one, "data present").passed


def test_data_whose_ref_was_not_moved_yet_is_not_over(made: Made) -> None:
    world = made()
    world.commit("staging", {"a.csv": b"1", "b.csv": b"2"})
    bucket = world.aws.buckets[world.stage("staging").names.bucket("lake")]
    bucket.remove(DatasetKeys(DATASET).ref("main"))
    one = planned(world)
    assert one.data is not None
    assert (one.data.present, one.data.done) == (True, False)


def test_data_that_the_source_lost_is_no_obstacle_where_the_target_has_it(made: Made) -> None:
    world = made()
    commit = world.commit("staging", {"a.csv": b"1", "b.csv": b"2"})
    lose(world, commit)
    assert found(planned(world), "data present").passed


def test_data_that_is_nowhere_refuses(made: Made) -> None:
    world = made()
    commit = world.commit("dev", {"a.csv": b"1", "b.csv": b"2"})
    lose(world, commit)
    one = planned(world)
    assert one.data is None
    assert not found(one, "data present").passed
    lines: list[str] = []
    promotion_plan.show(one, lines.append)
    assert any(line.startswith("  lack     customers@") for line in lines)


def lose(world: World, commit: Commit) -> None:
    world.aws.buckets[world.stage("dev").names.bucket("lake")].remove(DatasetKeys(DATASET).commit(commit.id))


# ---- what was tampered with ----


@pytest.mark.parametrize("what", ["byte", "missing", "metrics", "swapped"])
def test_a_version_that_was_tampered_with_is_an_integrity_failure(made: Made, what: str) -> None:
    world = made()
    names, sha256 = world.names("dev"), world.trained[0]
    bucket = names.environment.bucket("artifacts")
    key = names.metrics_key(sha256) if what == "metrics" else names.artifact_key(sha256)
    world.aws.buckets[bucket].remove(key)
    if what == "byte":
        world.put(bucket, key, b"artifact 2")
    if what == "swapped":
        world.train(world.commit("dev", {"a.csv": b"1"}))
        world.put(bucket, key, b"artifact 2")
    one = planned(world)
    assert not found(one, "digests").passed
    with pytest.raises(IntegrityError):
        gates.require(one.verdicts, "it")
    done = world.cli("promote", "model", f"{MODEL}@1", "--to", "staging", "--yes")
    assert done.code == 7, done.err
    assert world.aws.sagemaker.of(world.stage("staging").account).groups[world.names("staging").package_group].last == 0


# ---- every gate, for real ----


def test_everything_that_production_asks_for_is_there(strict: World) -> None:
    one = planned(strict, "production")
    assert one.allowed, [verdict for verdict in one.verdicts if not verdict.passed]
    assert gates.off(one.verdicts) == ("signature", "incumbent")
    assert "r1 since 2025-12-31 03:04 UTC" in found(one, "soak").reason
    assert found(one, "image").reason == f"{DIGEST[:19]} is in the registry of production"
    assert found(one, "image scan").reason == "0 critical of at most 0, 1 high of at most 5"
    assert found(one, "approvals").reason.startswith("1 of 1; approved by 333333333333/assumed-role")
    assert [approval.by for approval in one.approvals] == [
        "333333333333/assumed-role/acme-production-approver/bob@example.com"
    ]


@pytest.mark.parametrize(
    ("operation", "gates_"),
    [
        ("DescribeAlarms", {"source alarms"}),
        ("DescribeImages", {"image", "image scan"}),
        ("DescribeImageScanFindings", {"image scan"}),
        ("AssumeRole", {"source alarms", "soak"}),
    ],
)
def test_what_may_not_be_read_refuses_and_everything_else_is_shown(
    strict: World, operation: str, gates_: set[str]
) -> None:
    connected(strict, "production")
    strict.aws.faults.append(Fault("denied", operation=operation, times=None))
    one = planned(strict, "production")
    refused = {verdict.gate for verdict in one.verdicts if not verdict.passed}
    assert refused == gates_
    assert all("could not be read" in found(one, gate).reason for gate in gates_)
    assert len(one.verdicts) == 13


def test_a_budget_that_is_to_block_blocks_if_it_is_spent_or_may_not_be_read(strict: World) -> None:
    strict.aws.faults.append(Fault("denied", operation="DescribeBudget", times=None))
    unread = found(planned(strict, "production"), "budget")
    assert (unread.passed, unread.reason.startswith("the budget could not be read")) == (False, True)
    strict.aws.faults.clear()
    strict.aws.budgets.of(strict.stage("production").account)[strict.stage("production").names.budget].actual = 501
    assert not found(planned(strict, "production"), "budget").passed


def test_an_alarm_in_the_stage_before_refuses(strict: World) -> None:
    alarm = strict.names("staging").alarm("errors")
    strict.aws.cloudwatch.set_alarm(strict.stage("staging").account, alarm, "ALARM")
    verdict = found(planned(strict, "production"), "source alarms")
    assert (verdict.passed, verdict.reason) == (False, f"{alarm} went off in staging")


@pytest.mark.parametrize(("signed", "reason"), [("no", "is not signed"), ("yes", ""), ("for another", "")])
def test_a_signature_that_is_required(made: Made, signed: str, reason: str) -> None:
    settings = {"dev": {"signing": {}}, "staging": {"gates": {"signature": "required"}}}
    world = made(environments=settings)
    dev, sha256 = world.stage("dev"), world.trained[0]
    world.aws.kms.add_key(dev.account, dev.names.signing_key_alias)
    artifacts = dev.names.bucket("artifacts")
    if signed != "no":
        with world.acting():
            cloud = world.cloud("dev")
            sign(cloud.store("artifacts"), world.names("dev"), sha256, key_of(cloud, dev))
    number = 1
    if signed == "for another":
        number = world.train(world.commit("dev", {"a.csv": b"1"}))
        with world.acting():
            body = world.cloud("dev").store("artifacts").get(world.names("dev").signature_key(sha256))
        world.put(artifacts, world.names("dev").signature_key(world.trained[1]), body or b"")
    one = planned(world, version=f"{MODEL}@{number}")
    verdict = found(one, "signature")
    assert verdict.passed is (signed == "yes"), verdict.reason
    assert reason in verdict.reason
    if signed == "yes":
        assert "model.sig" in [c.name for c in one.copies], "it travels with the version"
    else:
        with pytest.raises(IntegrityError):
            gates.require(one.verdicts, "it")


def test_an_approval_of_another_artifact_does_not_count(strict: World) -> None:
    strict.train(strict.commit("staging", {"a.csv": b"1"}), stage="staging")
    one = planned(strict, "production", f"{MODEL}@2")
    assert not found(one, "approvals").passed
    assert one.approvals == ()


def test_the_requesters_own_approval_does_not_count(made: Made) -> None:
    world = made(environments={"production": {"approvals": {"required": 1}}})
    world.train(world.commit("staging", {"a.csv": b"1"}), stage="staging")
    release_in(world, "staging", 2)
    approve(world, world.trained[1], BOB.replace("bob@", "alice@"))
    assert "is who asks for it" in found(planned(world, "production"), "approvals").reason


def test_an_incumbent_is_compared_with(made: Made) -> None:
    metric = {"metric": "accuracy", "not_worse_than_incumbent": 0.01}
    world = made(model={"gates": [metric]})
    staging = world.names("staging")
    world.train(world.commit("dev", {"a.csv": b"3"}), accuracy=0.93)
    before = release_in(world, "staging", 1, source=f"dev {MODEL}@1")
    unread = found(planned(world, version=f"{MODEL}@2"), "incumbent accuracy")
    assert not unread.passed
    assert "metrics of r1 could not be read" in unread.reason
    bucket = staging.environment.bucket("artifacts")
    world.put(bucket, staging.metrics_key(before.artifact_sha256), b'{"accuracy":0.95}')
    verdict = found(planned(world, version=f"{MODEL}@2"), "incumbent accuracy")
    assert (verdict.passed, verdict.reason) == (False, "0.93, and r1 has 0.95; accuracy may be lower by 0.01")


def test_what_was_replaced_is_a_downgrade_unless_somebody_answers_for_it(made: Made) -> None:
    world = made(environments={"staging": {"gates": {"overridable": ["no downgrade"]}}})
    world.train(world.commit("dev", {"a.csv": b"3"}))
    release_in(world, "staging", 1, source=f"dev {MODEL}@1")
    release_in(world, "staging", 2, version=2, source=f"dev {MODEL}@2")
    assert "mlops-kit rollback churn --in staging --to r1" in found(planned(world), "no downgrade").reason
    assert not planned(world).allowed
    overridden = planned(world, overrides=(Override(gate="no downgrade", reason="2 is wrong"),))
    assert overridden.allowed
    assert found(overridden, "no downgrade").overridden == "2 is wrong"
    assert json.loads(overridden.to_json())["overrides"] == [{"gate": "no downgrade", "reason": "2 is wrong"}]
    with pytest.raises(UsageError, match="no gate 'downgrades'"):
        planned(world, overrides=(Override(gate="downgrades", reason="x"),))


# ---- what it costs ----


def test_planning_asks_as_little_as_it_can(made: Made) -> None:
    """The default gates, a first release: no call but these."""
    world = made()
    connected(world, "staging")
    one = planned(world)
    assert one.allowed
    assert calls(world) == PLAIN_CALLS


def test_planning_with_every_gate_adds_a_few_calls(strict: World) -> None:
    connected(strict, "production")
    planned(strict, "production")
    assert sum(calls(strict).values()) == STRICT_CALLS, calls(strict)
    assert calls(strict)["DescribeModelPackage"] == 1
    asked = {call.operation: call.account for call in strict.aws.calls}
    assert asked["DescribeAlarms"] == strict.stage("staging").account, "as its auditor: CloudWatch knows no other way"


def test_how_often_aws_is_asked_with_every_gate(strict: World) -> None:
    """By whole commands, both sides' STS included, and the data comes along."""
    promote = ("promote", "model", f"{MODEL}@1", "--to", "production")
    counted = {}
    for what, arguments in {"looked at": (*promote, "--dry-run"), "first": promote, "again": promote}.items():
        strict.aws.forget()
        done = strict.cli(*arguments, *(() if what == "looked at" else ("--yes",)), fresh=True)
        assert done.code == 0, done.err
        counted[what] = sum(calls(strict).values())
    assert counted == {"looked at": 32, "first": 77, "again": 43}


def test_planning_does_not_look_at_every_version(made: Made) -> None:
    world = made()
    commit = world.commit("dev", {"a.csv": b"3"})
    for stage in ("dev", "staging"):
        for _ in range(20):
            world.train(commit, stage=stage)
    world.aws.calls.clear()
    planned(world)
    counted = calls(world)
    assert (counted["DescribeModelPackage"], counted["ListModelPackages"]) == (1, 0)


def test_a_registered_version_is_found_by_its_pointer(made: Made) -> None:
    world = made()
    names, sha256 = world.names("staging"), world.trained[0]
    world.train(world.commit("staging", {"a.csv": b"1"}), stage="staging", artifact_sha256=sha256)
    bucket = names.environment.bucket("artifacts")
    pointer = {"version": 1, "arn": names.package_arn(1)}
    world.put(bucket, names.package_key(sha256), canonical_json(pointer))
    world.aws.calls.clear()
    one = planned(world)
    assert one.registered is not None
    assert (one.registered.arn, calls(world)["DescribeModelPackage"]) == (names.package_arn(1), 2)


def test_a_pointer_to_another_artifact_is_an_integrity_failure(made: Made) -> None:
    world = made()
    names, sha256 = world.names("staging"), world.trained[0]
    world.train(world.commit("staging", {"a.csv": b"1"}), stage="staging")
    bucket = names.environment.bucket("artifacts")
    world.put(bucket, names.package_key(sha256), canonical_json({"version": 1, "arn": names.package_arn(1)}))
    with pytest.raises(IntegrityError, match="another artifact"):
        planned(world)


# ---- the command ----


def test_a_dry_run_shows_the_plan_that_would_be_carried_out(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    world = made()
    carried_out: list[ModelPlan] = []

    def execute(one: ModelPlan, *rest: Any, **options: Any) -> Event:
        carried_out.append(one)
        raise UsageError("far enough")

    monkeypatch.setattr("mlops_kit.cli.promote.execute", execute)
    connected(world, "staging")
    arguments = ("promote", "model", f"{MODEL}@1", "--to", "staging")
    said = world.cli(*arguments, "--dry-run")
    as_json = world.cli(*arguments, "--dry-run", "--json")
    real = world.cli(*arguments, "--yes")
    (one,) = carried_out
    assert (said.code, as_json.code, real.code) == (0, 0, 2)
    assert f"  plan id  {one.sha256}" in said.out.splitlines()
    assert as_json.json["id"] == one.sha256
    assert said.out.splitlines() == real.err.splitlines()[: len(said.out.splitlines())]
    for verdict in one.verdicts:
        assert f"  gate     {verdict.gate}: passed, {verdict.reason}" in said.out
    assert "not asked for in staging: data checks, signature, image scan" in said.out


def test_a_refused_dry_run_shows_everything_and_ends_with_3(made: Made) -> None:
    world = made(model={"gates": [{"metric": "accuracy", "at_least": 0.99}]})
    connected(world, "staging")
    done = world.cli("promote", "model", f"{MODEL}@1", "--to", "staging", "--dry-run", "--json")
    assert done.code == 3
    assert done.json["allowed"] is False
    assert [v["gate"] for v in done.json["gates"] if not v["passed"]] == ["metric accuracy"]


def test_the_command_takes_overrides(made: Made) -> None:
    bound = [{"metric": "accuracy", "at_least": 0.99}]
    world = made(model={"gates": bound}, environments={"staging": {"gates": {"overridable": ["metric"]}}})
    arguments = ("promote", "model", f"{MODEL}@1", "--to", "staging", "--dry-run", "--override", "metric accuracy")
    connected(world, "staging")
    done = world.cli(*arguments, "--reason", "the label was wrong")
    assert done.code == 0, done.err
    assert "metric accuracy: REFUSED, overridden (the label was wrong), 0.95, wanted at least 0.99" in done.out
    assert world.cli(*arguments).code == 2, "a reason is needed"
    without = world.cli("promote", "model", f"{MODEL}@1", "--to", "staging", "--dry-run", "--without-data", "--json")
    assert without.code == 3
    assert "data present" in without.err
