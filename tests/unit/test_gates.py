"""Gates are pure: evidence in, verdicts out. Each passes, refuses, and refuses what could not be read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlops_kit.config import Approvals, Budget, Dataset, Environment, Gates, ImageScan, MetricGate
from mlops_kit.config.release_gates import GATES
from mlops_kit.errors import GateError, IntegrityError
from mlops_kit.promotion import gates
from mlops_kit.promotion.approvals import Approval
from mlops_kit.promotion.events import Event, Release, ReleaseSpec, Verdict
from mlops_kit.promotion.evidence import (
    AlarmsFound,
    ArtifactFound,
    BudgetFound,
    CheckFound,
    DataFound,
    Evidence,
    GatePolicy,
    ImageFound,
    Running,
    ScanFound,
    Unread,
)
from mlops_kit.quality.record import CheckRecord
from mlops_kit.quality.results import Result
from mlops_kit.registry import APPROVED, PENDING, Lineage, ModelVersion
from mlops_kit.signing import SignatureCheck

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)
DIGEST, OTHER = "sha256:" + "d" * 64, "sha256:" + "e" * 64
ARTIFACT = "a" * 64
OWN = "333333333333.dkr.ecr.us-east-1.amazonaws.com/acme/diagnosis"
UNREAD = Unread("it could not be read: AccessDenied")


def environment(name: str, account: str, before: str | None) -> Environment:
    return Environment(
        name=name,
        account=account,
        region="us-east-1",
        project="acme",
        owner="ml@example.com",
        promotes_from=before,
        budget=Budget(monthly_usd=100),
    )


DEV = environment("dev", "111111111111", None)
STAGING = environment("staging", "222222222222", "dev")
PRODUCTION = environment("production", "333333333333", "staging")


def version(number: int = 3, status: str = APPROVED, **lineage: str) -> ModelVersion:
    made_of = replace(Lineage("biopsies", "c" * 64, "", "s" * 64, "job", ARTIFACT), **lineage)
    created = datetime(2026, 1, 1, tzinfo=UTC)
    return ModelVersion("diagnosis", number, "arn", "image:1", "s3://a", "s3://m", status, created, made_of)


def release(id_: str, artifact: str) -> Release:
    spec = ReleaseSpec(
        image="image:1",
        artifact_uri="s3://a",
        environment={},
        instance_type="ml.m5.large",
        instance_count=1,
        capture_percent=100,
        encrypt_volume=True,
    )
    return Release(
        id=id_,
        config=id_,
        spec=spec,
        version=1,
        artifact_sha256=artifact,
        dataset="biopsies",
        dataset_commit="c" * 64,
        code_commit="",
        training_job="job",
    )


def event(
    seq: int, released: Release, action: str = "promotion", outcome: str = "succeeded", source: str = ""
) -> Event:
    return Event.model_validate(
        {
            "seq": seq,
            "previous": "",
            "time": "2026-01-01T00:00:00+00:00",
            "actor": "arn",
            "action": action,
            "outcome": outcome,
            "release": released.model_dump(),
            "source": source,
        }
    )


def evidence(**changes: Any) -> Evidence:
    """Of a release that every gate lets pass."""
    known: dict[str, Any] = {
        "version": version(),
        "source": STAGING,
        "target": PRODUCTION,
        "now": NOW,
        "events": (),
        "incumbent": release("r1", "b" * 64),
        "metrics": {"accuracy": 0.95, "loss": 0.2},
        "incumbent_metrics": {"accuracy": 0.95, "loss": 0.2},
        "artifact": ArtifactFound(ARTIFACT),
        "data": DataFound(in_target=True),
        "data_readable": True,
        "data_check": CheckFound(Dataset(), check(passed=True)),
        "image": ImageFound(f"{OWN}@{DIGEST}", PRODUCTION.account, "acme/diagnosis", DIGEST, pinned=True, present=True),
        "image_scan": ScanFound("COMPLETE", True, {"HIGH": 5}),
        "source_alarms": AlarmsFound(quiet=("errors", "latency")),
        "running": Running("r7", ARTIFACT, NOW - timedelta(hours=24)),
        "approvals": Approval("approved", (), 0, ()),
        "signature": SignatureCheck(True, "key", "signed by key"),
        "budget": BudgetFound(100.0, 50.0, 90.0, 5.0),
    }
    return Evidence(**(known | changes))


def check(*, passed: bool) -> CheckRecord:
    result = Result("required", "*.csv", "a", passed, 0 if passed else 1, 10, (), "")
    return CheckRecord("biopsies", "c" * 64, "0" * 64, passed, {}, (result,), "2026-01-01T00:00:00+00:00", "arn")


ALL = GatePolicy(
    gates=Gates(
        soak_hours=24,
        source_alarms=True,
        data_checks="required",
        image_scan=ImageScan(),
        signature="required",
        budget="block",
    ),
    approvals=Approvals(required=0),
    metrics=(
        MetricGate(metric="accuracy", at_least=0.9, not_worse_than_incumbent=0.01),
        MetricGate(metric="loss", not_worse_than_incumbent=0.01, lower_is_better=True),
    ),
)


def asking(**settings: Any) -> GatePolicy:
    """``ALL`` with other settings of the environment's gates."""
    return replace(ALL, gates=ALL.gates.model_copy(update=settings))


def approving(required: int) -> GatePolicy:
    return replace(ALL, approvals=Approvals(required=required))


ONE, TWO, THREE = release("r1", "1" * 64), release("r2", ARTIFACT), release("r3", "3" * 64)
TAG = ImageFound(f"{OWN}:1", PRODUCTION.account, "acme/diagnosis", "", pinned=False, present=None)
AWS = ImageFound("image", "683313688378", "sagemaker-scikit-learn", "", pinned=False, of_aws=True)
STRANGER = ImageFound("image", "999999999999", "x", DIGEST, pinned=True)
OUTSIDE = ImageFound("registry.example.com/x:1", "", "", "", pinned=False)

PASSES: list[tuple[str, Evidence, GatePolicy, str]] = [
    ("stage order", evidence(), ALL, "was released in the stage before"),
    ("stage order", evidence(source=DEV, version=version(status=PENDING)), ALL, "the first stage"),
    ("no downgrade", evidence(), ALL, "first release"),
    ("no downgrade", evidence(events=(event(1, ONE),)), ALL, "follows r1"),
    ("no downgrade", evidence(events=(event(1, TWO),)), ALL, "is what r2 runs"),
    # Rolled back, which is no replacement: it may be tried again.
    ("no downgrade", evidence(events=(event(1, ONE), event(2, TWO), event(3, ONE, "rollback"))), ALL, "follows r1"),
    ("no downgrade", evidence(events=(event(1, ONE), event(2, TWO, outcome="failed"))), ALL, "follows r1"),
    ("no downgrade", evidence(events=(event(1, ONE, source="staging diagnosis@2"),)), ALL, "follows r1"),
    ("no downgrade", evidence(events=(event(1, ONE, source="elsewhere diagnosis@9"),)), ALL, "follows r1"),
    ("data present", evidence(), ALL, "is in production"),
    ("data present", evidence(data=DataFound(in_target=False, comes=True)), ALL, "comes along"),
    ("data checks", evidence(), ALL, "1 of 1 constraints"),
    ("data checks", evidence(data_check=CheckFound(None)), asking(data_checks="if_configured"), "nothing to test"),
    ("lineage", evidence(), ALL, "biopsies@cccccccccccc"),
    ("digests", evidence(), ALL, "the artifact is aaaaaaaaaaaa; the data is cccccccccccc"),
    ("digests", evidence(artifact=ArtifactFound(None)), ALL, "the copy is held against"),
    ("digests", evidence(data_readable=False), ALL, "not in reach"),
    ("signature", evidence(), ALL, "signed by key"),
    ("image", evidence(), ALL, "is in the registry of production"),
    ("image", evidence(version=version(image_digest=DIGEST)), ALL, "is in the registry of production"),
    ("image", evidence(image=AWS), ALL, "of AWS, not verified; named by a tag"),
    ("image", evidence(image=STRANGER), ALL, "of account 999999999999, not verified; pinned to sha256:dddd"),
    ("image", evidence(image=OUTSIDE), ALL, "a registry outside of AWS"),
    ("image scan", evidence(), ALL, "0 critical of at most 0, 5 high of at most 5"),
    ("image scan", evidence(image_scan=ScanFound("ACTIVE", True, {})), ALL, "0 critical"),
    ("image scan", evidence(image=AWS, image_scan=None), ALL, "an image of AWS, which scans it"),
    ("metric accuracy", evidence(metrics={"accuracy": 0.9}), ALL, "0.9, wanted at least 0.9"),
    ("incumbent accuracy", evidence(metrics={"accuracy": 0.94}), ALL, "0.94, and r1 has 0.95"),
    ("incumbent accuracy", evidence(incumbent=None, incumbent_metrics=None), ALL, "no release to be compared with"),
    ("incumbent accuracy", evidence(incumbent=TWO, incumbent_metrics=None), ALL, "is what r2 runs"),
    ("incumbent loss", evidence(metrics={"loss": 0.21}), ALL, "may be higher by 0.01"),
    ("source alarms", evidence(), ALL, "all 2 are quiet in staging"),
    ("soak", evidence(), ALL, "runs in staging as r7 since 2026-01-09 12:00 UTC, wanted 24 h"),
    ("approvals", evidence(approvals=Approval("approved", (), 1, ("approved by a: good",))), approving(1), "good"),
    ("budget", evidence(), ALL, "50.00 of 100.00 USD spent, 90.00 forecast, +5.00 a month"),
    ("budget", evidence(budget=BudgetFound(100, 101, None)), asking(budget="warn"), "warning: it is spent"),
    ("budget", evidence(budget=UNREAD), asking(budget="warn"), "warning: it could not be read"),
    ("budget", evidence(budget=None), asking(budget="warn"), "warning: nobody read it"),
]

REFUSES: list[tuple[str, Evidence, GatePolicy, str]] = [
    ("stage order", evidence(version=version(status=PENDING)), ALL, "was never released in the stage before"),
    ("no downgrade", evidence(events=(event(1, TWO), event(2, THREE))), ALL, "diagnosis --in production --to r2"),
    ("no downgrade", evidence(events=(event(1, ONE, source="staging diagnosis@4"),)), ALL, "older than r1"),
    ("data present", evidence(data=DataFound(False)), ALL, "biopsies@cccccccccccc --to production` first"),
    ("data present", evidence(data=DataFound(False), source=DEV, target=DEV), ALL, "where it was committed"),
    ("data checks", evidence(data_check=CheckFound(Dataset(), check(passed=False))), ALL, "0 of 1 constraints"),
    ("data checks", evidence(data_check=CheckFound(Dataset())), ALL, "mlops-kit dataset check biopsies@cccccccccccc"),
    ("data checks", evidence(data_check=CheckFound(None)), ALL, "no file in environments/datasets"),
    ("data checks", evidence(data_check=None), ALL, "nobody read"),
    ("lineage", evidence(version=version(source_sha256="", training_job="")), ALL, "the code, the training job"),
    ("digests", evidence(artifact=ArtifactFound("b" * 64)), ALL, "SHA-256 bbbbbbbbbbbb, and the version says aaaa"),
    ("signature", evidence(signature=SignatureCheck(False, "", "another key")), ALL, "another key"),
    ("signature", evidence(signature=None), ALL, "nobody verified it"),
    ("image", evidence(image=replace(TAG, present=False)), ALL, "is it pushed, and replicated"),
    ("image", evidence(version=version(image_digest=OTHER)), ALL, "would serve it with sha256:dddd"),
    ("image", evidence(version=version(image_digest=DIGEST), image=AWS), ALL, "by a tag, which can move"),
    ("image scan", evidence(image_scan=ScanFound("COMPLETE", True, {"CRITICAL": 1})), ALL, "1 critical of at most 0"),
    ("image scan", evidence(image_scan=ScanFound("COMPLETE", True, {"HIGH": 6})), ALL, "6 high of at most 5"),
    ("image scan", evidence(image_scan=ScanFound("IN_PROGRESS", False, {})), ALL, "it is IN_PROGRESS"),
    ("image scan", evidence(image=STRANGER, image_scan=None), ALL, "its findings cannot be read"),
    ("image scan", evidence(image_scan=None), ALL, "nobody read the findings"),
    ("metric accuracy", evidence(metrics={"accuracy": 0.8999}), ALL, "0.8999, wanted at least 0.9"),
    ("metric accuracy", evidence(metrics={"accuracy": float("nan")}), ALL, "nan"),
    ("metric accuracy", evidence(metrics={}), ALL, "did not report it"),
    ("incumbent accuracy", evidence(metrics={"accuracy": 0.9399}), ALL, "may be lower by 0.01"),
    ("incumbent accuracy", evidence(metrics={"accuracy": float("nan")}), ALL, "nan"),
    ("incumbent accuracy", evidence(metrics={}), ALL, "did not report it"),
    ("incumbent accuracy", evidence(incumbent_metrics={}), ALL, "the training job of r1 did not report it"),
    ("incumbent accuracy", evidence(incumbent_metrics=None), ALL, "nobody read the metrics of r1"),
    ("incumbent loss", evidence(metrics={"loss": 0.2101}), ALL, "may be higher by 0.01"),
    (
        "source alarms",
        evidence(source_alarms=AlarmsFound(("errors",), ("latency",))),
        ALL,
        "errors went off in staging",
    ),
    ("source alarms", evidence(source_alarms=AlarmsFound(missing=("drift",))), ALL, "drift does not exist in staging"),
    ("source alarms", evidence(source_alarms=None), ALL, "nobody read"),
    ("soak", evidence(running=Running("r7", ARTIFACT, NOW - timedelta(hours=23))), ALL, "over at 2026-01-10 13:00"),
    ("soak", evidence(running=Running("r7", "b" * 64, NOW - timedelta(hours=99))), ALL, "runs r7, which is another"),
    ("soak", evidence(running=None), ALL, "nothing was released in staging"),
    ("approvals", evidence(approvals=Approval("pending", (), 2, ())), approving(2), "0 of 2; who may approve runs"),
    ("approvals", evidence(approvals=Approval("rejected", (), 0, ("rejected by b: no",))), ALL, "rejected by b: no"),
    ("budget", evidence(budget=UNREAD), ALL, "it could not be read"),
    ("budget", evidence(budget=None), ALL, "nobody read it"),
    ("budget", evidence(budget=BudgetFound(100, 101, None)), ALL, "it is spent"),
    ("budget", evidence(budget=BudgetFound(100, 50, 101)), ALL, "it will not last the month"),
    ("budget", evidence(budget=BudgetFound(100, 50, 96, 5)), ALL, "it will not last the month"),
    ("budget", evidence(budget=BudgetFound(100, 96, None, 5)), ALL, "it will not last the month"),
]

NEEDS = {
    "data present": "data",
    "data checks": "data_check",
    "digests": "artifact",
    "signature": "signature",
    "image": "image",
    "image scan": "image_scan",
    "metric accuracy": "metrics",
    "incumbent accuracy": "incumbent_metrics",
    "incumbent loss": "metrics",
    "source alarms": "source_alarms",
    "soak": "running",
    "approvals": "approvals",
}
"""Gate -> the piece of evidence without which it refuses. The others look at what planning cannot do without."""


def found(gate: str, evidence_: Evidence, policy: GatePolicy) -> Verdict:
    (verdict,) = [one for one in gates.evaluate(evidence_, policy) if one.gate == gate]
    return verdict


@pytest.mark.parametrize(("gate", "seen", "policy", "reason"), PASSES)
def test_passes(gate: str, seen: Evidence, policy: GatePolicy, reason: str) -> None:
    verdict = found(gate, seen, policy)
    assert verdict.passed, verdict.reason
    assert reason in verdict.reason


@pytest.mark.parametrize(("gate", "seen", "policy", "reason"), REFUSES)
def test_refuses(gate: str, seen: Evidence, policy: GatePolicy, reason: str) -> None:
    verdict = found(gate, seen, policy)
    assert not verdict.passed, verdict.reason
    assert reason in verdict.reason


@pytest.mark.parametrize(("gate", "piece"), NEEDS.items())
def test_what_could_not_be_read_refuses_and_says_why(gate: str, piece: str) -> None:
    verdict = found(gate, evidence(**{piece: UNREAD}), ALL)
    assert not verdict.passed
    assert UNREAD.reason in verdict.reason


def test_data_that_cannot_be_proven_is_refused_by_the_digests() -> None:
    assert not found("digests", evidence(data_readable=UNREAD), ALL).passed
    assert not found("image scan", evidence(image=UNREAD), ALL).passed


def test_a_piece_that_could_not_be_read_stops_no_other_gate() -> None:
    pieces = sorted(set(NEEDS.values()))
    verdicts = gates.evaluate(evidence(**dict.fromkeys(pieces, UNREAD)), ALL)
    refused = {verdict.gate for verdict in verdicts if not verdict.passed}
    assert refused == {*NEEDS, "incumbent accuracy"}
    assert [verdict.gate for verdict in verdicts if verdict.passed] == [
        "stage order",
        "no downgrade",
        "lineage",
        "budget",
    ]


def test_every_gate_has_a_case_that_passes_and_one_that_refuses() -> None:
    for cases in (PASSES, REFUSES):
        families = {gates.gate_family(gate) for gate, *_ in cases}
        assert families == set(GATES)
    assert set(gates.ALL) == set(GATES)


def test_a_release_that_is_in_order_passes_every_gate_in_the_fixed_order() -> None:
    verdicts = gates.evaluate(evidence(), ALL)
    gates.require(verdicts, "diagnosis@3 to production")
    names = [verdict.gate for verdict in verdicts]
    assert names == sorted(names, key=lambda name: GATES.index(gates.gate_family(name)))
    assert gates.off(verdicts) == ("approvals",), "nobody is asked"


def test_what_an_environment_does_not_ask_for_is_not_judged() -> None:
    nothing = GatePolicy(Gates(), Approvals(), ())
    verdicts = gates.evaluate(evidence(), nothing)
    asked = ("stage order", "no downgrade", "data present", "lineage", "digests", "image")
    assert tuple(verdict.gate for verdict in verdicts) == asked
    assert set(gates.off(verdicts)) == set(GATES) - set(asked)


@pytest.mark.parametrize("gate", ["source alarms", "soak"])
def test_within_the_first_stage_there_is_no_stage_before(gate: str) -> None:
    verdicts = gates.evaluate(evidence(source=DEV, target=DEV, running=None, source_alarms=None), ALL)
    assert gate not in [verdict.gate for verdict in verdicts]


@pytest.mark.parametrize(
    ("bounds", "value", "passed"),
    [
        ({"at_most": 0.1}, 0.1, True),
        ({"at_most": 0.1}, 0.11, False),
        ({"at_least": 0.1, "at_most": 0.2}, 0.15, True),
        ({"at_least": 0.1, "at_most": 0.2}, 0.25, False),
    ],
)
def test_metric_bounds(bounds: dict[str, float], value: float, passed: bool) -> None:
    policy = replace(ALL, metrics=(MetricGate(metric="m", **bounds),))
    assert found("metric m", evidence(metrics={"m": value}), policy).passed is passed


def test_every_refusal_is_shown_at_once() -> None:
    seen = evidence(data=DataFound(False), version=version(status=PENDING), metrics={})
    with pytest.raises(GateError) as caught:
        gates.require(gates.evaluate(seen, ALL), "diagnosis@3 to production")
    assert caught.value.exit_code == 3
    assert "diagnosis@3 to production was refused by 5 of 15 gates" in caught.value.message
    for gate in ("stage order", "data present", "metric accuracy", "incumbent accuracy", "incumbent loss"):
        assert f"\n  {gate}: " in caught.value.message


@pytest.mark.parametrize(
    "broken", [{"artifact": ArtifactFound("b" * 64)}, {"signature": SignatureCheck(False, "", "another key")}]
)
def test_wrong_bytes_are_an_integrity_failure_whatever_else_refuses(broken: dict[str, Any]) -> None:
    verdicts = gates.evaluate(evidence(**broken, metrics={}), ALL)
    with pytest.raises(IntegrityError) as caught:
        gates.require(verdicts, "diagnosis@3 to production")
    assert caught.value.exit_code == 7
    assert "metric accuracy" in caught.value.message


def test_the_gates_look_at_the_evidence_and_at_no_clock() -> None:
    assert gates.evaluate(evidence(), ALL) == gates.evaluate(evidence(), ALL)
    assert not found("soak", evidence(now=NOW - timedelta(hours=1)), ALL).passed
