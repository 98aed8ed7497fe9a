"""The scheduled drift job: what it is told, what it reads, what it publishes, how it ends."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops_kit.config import Drift, Environment, Model, load_project
from mlops_kit.drift.baseline import record_baseline
from mlops_kit.errors import AccessError, IntegrityError, NotFoundError, UsageError
from mlops_kit.jobs import drift_entry
from mlops_kit.jobs.drift_entry import DriftTask
from mlops_kit.objects import Version
from mlops_kit.promotion.ledger import Event, Release, ReleaseSpec

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)
SHA256 = "a" * 64
RELEASE = Release(
    id="r1",
    config="c",
    spec=ReleaseSpec(
        image="i",
        artifact_uri="s3://b/k",
        environment={},
        instance_type="ml.m5.large",
        instance_count=1,
        capture_percent=100,
        encrypt_volume=True,
    ),
    version=1,
    artifact_sha256=SHA256,
    dataset="payments",
    dataset_commit="c" * 64,
    code_commit="",
    training_job="job",
)


def gallery() -> tuple[Environment, Model]:
    project = load_project(ROOT / "tests" / "gallery")
    environment = project.environment("secure")
    return environment, project.model("fraud", environment)


@pytest.fixture
def task() -> DriftTask:
    environment, model = gallery()
    return DriftTask(environment=environment, model=model)


class Bucket:
    """The part of a store that the job needs, in memory."""

    def __init__(self, objects: dict[str, bytes] | None = None, bucket: str = "bucket") -> None:
        self.objects, self.bucket = objects or {}, bucket

    def get(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix))

    def versions(self, prefix: str) -> list[Version]:
        return [Version(key, "1", "", 0, datetime.now(UTC), True, False) for key in self.keys(prefix)]

    def download(self, key: str, path: Path) -> None:
        path.write_bytes(self.objects[key])

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"


class FakeCloud:
    """Stores by kind, and what was published."""

    def __init__(self, **stores: Bucket) -> None:
        self.stores, self.published = stores, list[dict[str, Any]]()
        self.cloudwatch = self

    def store(self, kind: str) -> Bucket:
        return self.stores.get(kind) or Bucket()

    def put_metric_data(self, **given: Any) -> None:
        self.published.append(given)


def released(task: DriftTask) -> Bucket:
    names = task.model.names(task.environment.names)
    event = Event(
        seq=1, previous="", time=NOW.isoformat(), actor="a", action="promotion", outcome="succeeded", release=RELEASE
    )
    return Bucket({names.ledger_key(1): event.to_json()})


def baseline(task: DriftTask, tmp_path: Path) -> Bucket:
    """Recorded from 400 rows of x = 0 … 19."""
    data = tmp_path / "data"
    data.mkdir()
    rows = "".join(f"{i % 20},{i % 2}\n" for i in range(400))
    (data / "rows.csv").write_text(f"x,{task.model.label}\n{rows}")
    prefix = f"models/fraud/{SHA256}/baseline/"
    found: dict[str, bytes] = {}
    record_baseline(data, task.model.label, lambda name, body: found.__setitem__(prefix + name, body))
    return Bucket(found)


def captured(task: DriftTask, values: list[int]) -> Bucket:
    """One request of all ``values``, half an hour before NOW."""
    at = NOW - timedelta(minutes=45)
    body = "".join(f"{value}\n" for value in values)
    record = {
        "captureData": {
            "endpointInput": {"observedContentType": "text/csv", "mode": "INPUT", "data": body, "encoding": "CSV"},
            "endpointOutput": {"observedContentType": "text/csv", "mode": "OUTPUT", "data": "0", "encoding": "CSV"},
        },
        "eventMetadata": {"eventId": "e", "inferenceTime": at.strftime("%Y-%m-%dT%H:%M:%SZ")},
        "eventVersion": "0",
    }
    prefix = task.model.names(task.environment.names).capture_prefix
    return Bucket({f"{prefix}{at:%Y/%m/%d/%H}/1.jsonl": json.dumps(record).encode() + b"\n"})


@pytest.mark.parametrize(("values", "verdict"), [(list(range(20)) * 20, "0 drifted"), ([99] * 400, "1 drifted")])
def test_it_measures_the_last_windows_and_publishes(
    task: DriftTask, tmp_path: Path, values: list[int], verdict: str
) -> None:
    cloud: Any = FakeCloud(ledger=released(task), artifacts=baseline(task, tmp_path), capture=captured(task, values))
    asked: list[str] = []

    def connect(environment: Environment) -> Any:
        asked.append(environment.name)
        return cloud

    said = drift_entry.run(task, connect, NOW)
    assert said.startswith("400 rows in ")
    assert verdict in said
    assert asked == ["secure"]
    names = {datum["MetricName"] for put in cloud.published for datum in put["MetricData"]}
    assert {"Psi", "PsiMax", "Rows", "Heartbeat"} <= names
    assert {put["Namespace"] for put in cloud.published} == {"MlopsKit/Drift"}


def test_nothing_released_and_nothing_recorded(task: DriftTask) -> None:
    nothing: Any = FakeCloud()
    with pytest.raises(UsageError, match="No version of fraud was released in secure yet"):
        drift_entry.run(task, lambda _: nothing, NOW)
    no_baseline: Any = FakeCloud(ledger=released(task))
    with pytest.raises(NotFoundError, match="has no baseline"):
        drift_entry.run(task, lambda _: no_baseline, NOW)


@pytest.mark.parametrize(("windows", "minutes", "hours"), [(3, 60, 4), (1, 5, 1), (12, 5, 2), (24, 60, 25)])
def test_it_looks_back_as_far_as_the_alarm_does(windows: int, minutes: Any, hours: int) -> None:
    assert drift_entry.hours(Drift(windows=windows, window_minutes=minutes)) == hours


def test_what_the_stack_writes_is_read_back_as_it_was(tmp_path: Path) -> None:
    environment, model = gallery()
    file = tmp_path / "fraud.json"
    told = {"environment": environment.model_dump(mode="json"), "model": model.model_dump(mode="json")}
    file.write_text(json.dumps(told))
    found = drift_entry.read_task({"MLOPS_KIT_DRIFT_JOB": str(file)})
    assert (found.environment, found.model) == (environment, model)


def test_a_file_of_another_version(tmp_path: Path) -> None:
    file = tmp_path / "fraud.json"
    file.write_text('{"environment": {}, "model": {}, "more": 1}')
    with pytest.raises(IntegrityError, match="does not describe a drift job of this version"):
        drift_entry.read_task({"MLOPS_KIT_DRIFT_JOB": str(file)})


def test_the_exit_codes_are_those_of_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    message = tmp_path / "message"
    assert drift_entry.main({}, message) == UsageError.exit_code
    said = "MLOPS_KIT_DRIFT_JOB is '', which is no file."
    assert message.read_text() == said
    assert capsys.readouterr().err == f"mlops-kit: {said}\n"

    def refused(*_: Any) -> str:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject")

    environment, model = gallery()
    file = tmp_path / "fraud.json"
    file.write_text(DriftTask(environment=environment, model=model).model_dump_json())
    monkeypatch.setattr(drift_entry, "run", refused)
    assert drift_entry.main({"MLOPS_KIT_DRIFT_JOB": str(file)}, message) == AccessError.exit_code
    assert "AWS refused GetObject: AccessDenied: no" in message.read_text()

    monkeypatch.setattr(drift_entry, "run", lambda *_: "400 rows")
    assert drift_entry.main({"MLOPS_KIT_DRIFT_JOB": str(file)}, message) == 0
    assert capsys.readouterr().out == "400 rows\n"
