"""Lineage: back across accounts to files and code, forward to releases, and three ways to show it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal
from uuid import UUID

import pytest
from botocore.exceptions import ClientError
from jsonschema import Draft202012Validator
from rich.console import Console

from mlops_kit.config import Dataset, Model, Project, load_project
from mlops_kit.datasets.records import Commit
from mlops_kit.errors import IntegrityError, NotFoundError, UsageError
from mlops_kit.lineage import backward, forward, mermaid, openlineage
from mlops_kit.lineage.backward import Reader
from mlops_kit.lineage.graph import Edge, Graph, Node
from mlops_kit.lineage.tree import tree
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store
from mlops_kit.promotion.ledger import Event, Ledger, Release, ReleaseSpec
from mlops_kit.quality import record
from mlops_kit.quality.results import Report, Result
from mlops_kit.registry import Lineage
from tests import commits
from tests.s3 import Fault, LoopbackS3
from tests.stores import store_of

STAGES = {"dev": "111111111111", "staging": "222222222222", "production": "333333333333"}
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
JOB = "acme-dev-churn-20260304050607-abcdef"
SHA, SOURCE, IMAGE = "a" * 64, "5" * 64, "sha256:" + "d" * 64
SCHEMA = json.loads((Path(__file__).parent / "openlineage" / "schema.json").read_text())


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "project"
    (root / "environments" / "models").mkdir(parents=True)
    (root / "code").mkdir()
    for script in ("train.py", "inference.py"):
        (root / "code" / script).touch()
    training = {"source_dir": "../../code", "image": "registry.example.com/a/b:1"}
    model = {"name": "churn", "dataset": "pets", "label": "y", "training": training}
    (root / "environments" / "models" / "churn.yaml").write_text(json.dumps(model))
    before = None
    for name, account in STAGES.items():
        text: dict[str, Any] = {"name": name, "account": account, "region": "us-east-1", "project": "acme"}
        text |= {"owner": "o@example.com", "budget": {"monthly_usd": 9}, "models": ["churn"]}
        text |= {"promotes_from": before} if before else {}
        (root / "environments" / f"{name}.yaml").write_text(json.dumps(text))
        before = name
    return load_project(root)


@pytest.fixture
def s3() -> Iterator[LoopbackS3]:
    buckets = {
        f"acme-{name}-{account}-{kind}": account for name, account in STAGES.items() for kind in ("lake", "ledger")
    }
    with LoopbackS3(buckets) as server:
        yield server


def denied(operation: str, code: str = "AccessDeniedException") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "m"}}, operation)


@dataclass
class SageMaker:
    """Packages by ARN, and what DescribeEndpoint and DescribeTrainingJob say. ``hidden``: accounts that refuse."""

    packages: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    config: str = ""
    hidden: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)

    def describe_model_package(self, ModelPackageName: str) -> dict[str, Any]:  # noqa: N803
        self.asked.append(ModelPackageName)
        if ModelPackageName.split(":")[4] in self.hidden:
            raise denied("DescribeModelPackage")
        if ModelPackageName not in self.packages:
            raise denied("DescribeModelPackage", "ValidationException")
        return self.packages[ModelPackageName]

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803
        if TrainingJobName not in self.jobs:
            raise denied("DescribeTrainingJob", "ValidationException")
        return self.jobs[TrainingJobName]

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:  # noqa: N803
        if not self.config:
            raise denied("DescribeEndpoint", "ValidationException")
        return {"EndpointStatus": "InService", "EndpointConfigName": self.config, "LastModifiedTime": NOW}

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_model_packages"
        return SimpleNamespace(paginate=self._list)

    def _list(self, ModelPackageGroupName: str, **_: str) -> list[dict[str, Any]]:  # noqa: N803
        start = ModelPackageGroupName.replace(":model-package-group/", ":model-package/") + "/"
        found = [{"ModelPackageArn": arn} for arn in reversed(self.packages) if arn.startswith(start)]
        return [{"ModelPackageSummaryList": found}]


class World:
    """One artifact: trained in dev as version 3, promoted to staging as 2 and to production as 1, released there."""

    def __init__(self, project: Project, s3: LoopbackS3) -> None:
        self.project, self.s3, self.sagemaker = project, s3, SageMaker(config="config-1")
        self.parent = commits.write(self.store("dev", "lake"), {"a.csv": b"1"})
        files = {f"f{number}.csv": b"x" * number for number in range(1, 9)}
        self.commit = self.everywhere(files, self.parent.id)
        self.lineage = Lineage("pets", self.commit.id, "c0ffee" * 6, SOURCE, JOB, SHA, image_digest=IMAGE)
        self.arns = {"dev": self.register("dev", 3, self.lineage)}
        self.arns["staging"] = self.register("staging", 2, replace(self.lineage, source_package=self.arns["dev"]))
        self.arns["production"] = self.register(
            "production", 1, replace(self.lineage, source_package=self.arns["staging"])
        )
        self.sagemaker.jobs[JOB] = {
            "TrainingJobStatus": "Completed",
            "TrainingStartTime": NOW,
            "TrainingEndTime": NOW.replace(minute=59),
            "AlgorithmSpecification": {"TrainingImage": "registry.example.com/a/b:1"},
        }

    def everywhere(self, files: dict[str, bytes], parent: str) -> Commit:
        (made,) = {commits.write(self.store(name, "lake"), files, parent=parent) for name in STAGES}
        return made

    def store(self, name: str, kind: Literal["lake", "ledger"]) -> Store:
        return store_of(self.s3, self.project.environment(name).names.bucket(kind))

    def register(self, name: str, number: int, lineage: Lineage) -> str:
        names = self.project.environment(name).names.model("churn")
        arn = names.package_arn(number)
        uri = f"s3://{names.environment.bucket('artifacts')}/{names.artifact_key(SHA)}"
        self.sagemaker.packages[arn] = {
            "InferenceSpecification": {
                "Containers": [{"Image": f"registry.example.com/a/serve@{IMAGE}", "ModelDataUrl": uri}]
            },
            "ModelApprovalStatus": "Approved",
            "CreationTime": NOW,
            "CustomerMetadataProperties": lineage.to_metadata(),
        }
        return arn

    def reader(self, name: str = "production", files: int | None = 5) -> Reader:
        sagemaker: Any = self.sagemaker
        stage = self.project.environment(name)
        return Reader(self.project, stage, sagemaker, None, self.store(name, "lake"), self.store(name, "ledger"), files)

    def model(self, name: str = "production") -> Model:
        return self.project.model("churn", self.project.environment(name))

    def release(self, number: int = 1, version: int = 1, name: str = "production", **changes: Any) -> Event:
        spec = ReleaseSpec(
            image="i",
            artifact_uri="s3://bucket/model.tar.gz",
            environment={},
            instance_type="ml.m5.large",
            instance_count=1,
            capture_percent=0,
            encrypt_volume=True,
        )
        known: dict[str, Any] = {
            "dataset": "pets",
            "dataset_commit": self.commit.id,
            "artifact_sha256": SHA,
            "code_commit": "",
            "training_job": JOB,
        }
        made = Release(id=f"r{number}", config=f"config-{number}", spec=spec, version=version, **(known | changes))
        book = Ledger(self.store(name, "ledger"), self.project.environment(name).names.model("churn"))
        event = Event(
            seq=0,
            previous="",
            time=f"2026-03-0{number}T00:00:00+00:00",
            actor="arn:aws:sts::3:assumed-role/p/alice",
            action="promotion",
            outcome="succeeded",
            release=made,
            source="staging churn@2",
        )
        return book.append(book.events(), event)


@pytest.fixture
def world(project: Project, s3: LoopbackS3) -> World:
    return World(project, s3)


def path(graph: Graph) -> list[tuple[str, str, str]]:
    """The edges by the kinds of their ends."""
    return [(graph.node(e.start).kind, e.relation, graph.node(e.end).kind) for e in graph.edges]


# --- back


def test_from_the_endpoint_back_to_the_files(world: World) -> None:
    world.release()
    graph = backward.of_serving(world.reader(), world.model())
    assert path(graph) == [
        ("endpoint", "runs", "release"),
        ("release", "of", "version"),
        ("version", "promoted from", "version"),
        ("version", "promoted from", "version"),
        ("version", "trained by", "job"),
        ("job", "ran", "code"),
        ("job", "ran", "source"),
        ("version", "served by", "image"),
        ("job", "trained on", "data"),
        ("data", "after", "data"),
        *[("data", "holds", "file")] * 5,
        ("data", "holds", "files"),
    ]
    assert [node.id for node in graph.of("version")] == [world.arns[name] for name in ("production", "staging", "dev")]
    assert graph.node(graph.root).id == "arn:aws:sagemaker:us-east-1:333333333333:endpoint/acme-production-churn"
    (release,) = graph.of("release")
    assert release.facts["config"] == "config-1"
    assert release.facts["source"] == "staging churn@2"
    (job,) = graph.of("job")
    assert job.id == f"arn:aws:sagemaker:us-east-1:111111111111:training-job/{JOB}"
    assert "only to be seen in dev" in job.note
    (source,) = graph.of("source")
    assert (
        source.facts["uri"] == f"s3://acme-dev-111111111111-artifacts/training/churn/source/{SOURCE}/sourcedir.tar.gz"
    )
    (image,) = graph.of("image")
    assert image.id == IMAGE
    data, parent = graph.of("data")
    assert (data.facts["files"], data.facts["bytes"]) == ("8", "36")
    assert parent.note == "not in acme-production-333333333333-lake"
    (rest,) = graph.of("files")
    assert rest.facts == {"files": "3", "bytes": str(6 + 7 + 8)}
    assert not any(node.note for node in graph.of("version"))


def test_all_files_where_they_are_asked_for(world: World) -> None:
    graph = backward.of_version(world.reader("dev", files=None), world.model("dev"), 3)
    assert len(graph.of("file")) == 8
    assert graph.of("files") == ()


def test_where_it_was_trained_the_job_is_described_and_the_parent_is_there(world: World) -> None:
    graph = backward.of_version(world.reader("dev"), world.model("dev"), 3)
    (job,) = graph.of("job")
    assert job.label == f"{JOB} (Completed)"
    assert (job.facts["started"], job.note) == ("2026-03-04T05:06:07+00:00", "")
    assert graph.of("data")[1].facts["message"] == "m"
    world.sagemaker.jobs.clear()
    (job,) = backward.of_version(world.reader("dev"), world.model("dev"), 3).of("job")
    assert "does not know it any more" in job.note


def test_a_stage_that_may_not_be_read_is_named_and_passed_over(world: World) -> None:
    world.sagemaker.hidden = (STAGES["dev"],)
    graph = backward.of_version(world.reader(), world.model(), 1)
    unread = graph.node(world.arns["dev"])
    assert unread.note == "the role in production may not read dev (AccessDeniedException)"
    assert unread.label == "churn@3 in dev"
    assert Edge(unread.id, "trained by", graph.of("job")[0].id) in graph.edges
    assert graph.of("data")[0].facts["files"] == "8", "it was promoted along"


def test_a_stage_before_that_may_not_be_read_hides_those_before_it(world: World) -> None:
    world.sagemaker.hidden = (STAGES["staging"], STAGES["dev"])
    graph = backward.of_version(world.reader(), world.model(), 1)
    assert [node.id for node in graph.of("version")] == [world.arns["production"], world.arns["staging"]]
    assert graph.of("job")[0].facts["environment"] == "dev", "a job's name says whose it was"


@pytest.mark.parametrize("code", ["ThrottlingException", "ExpiredTokenException"])
def test_trouble_is_not_taken_for_a_refusal(world: World, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    find = SageMaker.describe_model_package

    def refuse(self: SageMaker, ModelPackageName: str) -> dict[str, Any]:  # noqa: N803
        if ModelPackageName == world.arns["dev"]:
            raise denied("DescribeModelPackage", code)
        return find(self, ModelPackageName)

    monkeypatch.setattr(SageMaker, "describe_model_package", refuse)
    with pytest.raises(ClientError):
        backward.of_version(world.reader(), world.model(), 1)


def test_a_lake_that_may_not_be_read(world: World, s3: LoopbackS3) -> None:
    key = DatasetKeys("pets").commit(world.commit.id)
    s3.faults.append(Fault("denied", times=None, when=lambda request: request.key == key))
    (data,) = backward.of_version(world.reader(), world.model(), 1).of("data")
    assert data.note == "this role may not read it (AccessDenied)"
    assert data.label == f"pets@{world.commit.id[:12]}"
    s3.faults[:] = [Fault("expired", times=None, when=lambda request: request.key == key)]
    with pytest.raises(ClientError):
        backward.of_version(world.reader(), world.model(), 1)


def test_a_version_that_is_gone_from_the_stage_before(world: World) -> None:
    del world.sagemaker.packages[world.arns["staging"]]
    graph = backward.of_version(world.reader(), world.model(), 1)
    assert graph.node(world.arns["staging"]).note == "not registered in staging any more"
    assert graph.of("job")


def test_versions_that_contradict_each_other(world: World) -> None:
    world.register("dev", 3, replace(world.lineage, dataset_commit="e" * 64))
    graph = backward.of_version(world.reader(), world.model(), 1)
    assert "says otherwise" in graph.node(world.arns["dev"]).note
    assert "dataset_commit" in graph.node(world.arns["dev"]).note


@pytest.mark.parametrize("source", ["arn:aws:sagemaker:eu-west-1:999999999999:model-package/x/1", "nonsense", "a/b/c"])
def test_a_source_that_no_environment_has(world: World, source: str) -> None:
    world.register("production", 1, replace(world.lineage, source_package=source))
    graph = backward.of_version(world.reader(), world.model(), 1)
    assert "belongs to no environment" in graph.node(source).note
    assert graph.of("job")


def test_metadata_that_goes_in_circles_ends(world: World) -> None:
    world.register("dev", 3, replace(world.lineage, source_package=world.arns["production"]))
    graph = backward.of_version(world.reader(), world.model(), 1)
    assert len(graph.of("version")) == 3
    assert len(world.sagemaker.asked) < 10
    assert openlineage.run_events(graph)
    assert mermaid.flowchart(graph)
    assert shown(graph)


def test_what_is_missing_is_said(world: World) -> None:
    bare = Lineage("pets", "e" * 64, "c0ffee-dirty", "", "", SHA)
    world.register("dev", 4, bare)
    graph = backward.of_version(world.reader("dev"), world.model("dev"), 4)
    assert "not committed" in graph.of("code")[0].note
    assert graph.of("data")[0].note.startswith("not in acme-dev")
    assert "a tag" in graph.of("image")[0].note
    assert graph.of("job") == graph.of("source") == ()


def test_a_version_that_serves_has_its_endpoint_above_it(world: World) -> None:
    world.release()
    assert backward.of_version(world.reader(), world.model(), 1).of("endpoint")
    world.register("production", 2, world.lineage)
    graph = backward.of_version(world.reader(), world.model(), 2)
    assert graph.node(graph.root).kind == "version"


def test_an_endpoint_that_runs_something_else(world: World) -> None:
    world.release()
    world.sagemaker.config = "config-9"
    graph = backward.of_serving(world.reader(), world.model())
    assert graph.node(graph.root).note == "runs config-9, and the ledger says config-1"
    world.sagemaker.config = ""
    graph = backward.of_serving(world.reader(), world.model())
    assert "absent" in graph.node(graph.root).label


def test_a_released_version_that_is_not_registered_any_more(world: World) -> None:
    world.release()
    del world.sagemaker.packages[world.arns["production"]]
    graph = backward.of_serving(world.reader(), world.model())
    assert "what the ledger says" in graph.of("version")[0].note
    assert graph.of("job")
    assert graph.of("data")[0].facts["files"] == "8"


def test_another_artifact_than_was_released(world: World) -> None:
    world.release(artifact_sha256="b" * 64)
    with pytest.raises(IntegrityError, match="released"):
        backward.of_serving(world.reader(), world.model())


def test_nothing_serves_and_nothing_is_registered(world: World) -> None:
    with pytest.raises(NotFoundError, match="Nothing was released"):
        backward.of_serving(world.reader(), world.model())
    with pytest.raises(NotFoundError, match="churn@9"):
        backward.of_version(world.reader(), world.model(), 9)


def test_data_tests_are_part_of_it(world: World) -> None:
    lake = world.store("production", "lake")
    good = Result("unique", "*.csv", "id", True, 0, 9, (), "")
    for number, results in enumerate([(good,), (good, replace(good, passed=False))]):
        constraints = Dataset.model_validate({"files": ({"match": "*.csv", "min_count": number},)})
        record.record(lake, "pets", world.commit.id, constraints, Report(results, {}), actor="me", now=NOW)
    lake.put_new(DatasetKeys("pets").check(world.commit.id, "f" * 64), b"nonsense")
    labels = sorted(node.label for node in backward.of_version(world.reader(), world.model(), 1).of("check"))
    assert len(labels) == 3
    assert [label for label in labels if ": 1 passed at 2026-03-04" in label]
    assert [label for label in labels if ": 1 of 2 failed" in label]
    assert [node.note for node in backward.of_version(world.reader(), world.model(), 1).of("check") if node.note]


def test_a_damaged_file_list_is_a_note(world: World) -> None:
    world.store("production", "lake").put(DatasetKeys("pets").file_list(world.commit.id), b"nonsense")
    (files,) = backward.of_version(world.reader(), world.model(), 1).of("files")
    assert "cannot be unpacked" in files.note


# --- forward


def test_what_was_made_of_data(world: World) -> None:
    world.register("production", 2, replace(world.lineage, training_job="other"))
    world.register("production", 3, replace(world.lineage, dataset_commit=world.parent.id))
    world.release(1, 1)
    world.release(2, 2)
    world.release(3, 3, dataset_commit=world.parent.id)
    world.release(4, 9)
    graph = forward.of_data(world.reader(), "pets", world.commit.id)
    found = {
        (graph.node(e.start).label.split(" ")[0], e.relation, graph.node(e.end).label.split(" ")[0])
        for e in graph.edges
    }
    data = f"pets@{world.commit.id[:12]}"
    assert found == {
        (data, "trained", "churn@1"),
        (data, "trained", "churn@2"),
        ("churn@1", "released as", "r1"),
        ("churn@2", "released as", "r2"),
        (data, "released of churn as", "r4"),
    }, "of a version that is not registered any more, the ledger knows"
    assert next(node.label for node in graph.of("release") if "runs now" in node.label).startswith("r4")


def test_data_that_nobody_used(world: World) -> None:
    graph = forward.of_data(world.reader(), "pets", "e" * 64)
    assert graph.edges == ()
    assert graph.nodes[0].note.startswith("not in")


def test_a_model_that_is_not_deployed_any_more_has_its_ledger(world: World) -> None:
    stage = world.project.environment("production")
    gone = world.release().release
    book = Ledger(world.store("production", "ledger"), stage.names.model("old"))
    book.append((), Event(seq=0, previous="", time="2026-01-01T00:00:00+00:00", actor="me", action="promotion",
                          outcome="succeeded", release=gone))  # fmt: skip
    graph = forward.of_data(world.reader(), "pets", world.commit.id)
    assert "released of old as" in {edge.relation for edge in graph.edges}


def test_a_failed_release_is_none(world: World) -> None:
    book = Ledger(world.store("production", "ledger"), world.project.environment("production").names.model("churn"))
    done = world.release()
    book.append(
        (done,), done.model_copy(update={"outcome": "failed", "release": done.release.model_copy(update={"id": "r2"})})
    )
    assert len(forward.of_data(world.reader(), "pets", world.commit.id).of("release")) == 1


# --- shown


def shown(graph: Graph) -> str:
    console = Console(width=300, record=False)
    with console.capture() as capture:
        console.print(tree(graph))
    return capture.get()


HOSTILE = 'x"];\nend --> `y` #quot; <script>%%{init}%% \x1b[31m|z|'


def hostile() -> Graph:
    nodes = (Node("end", "data", HOSTILE), Node('a"b', "file", "[bold]b[/bold]", note='n\n"o'))
    return Graph("end", nodes, (Edge("end", 'h"|o', 'a"b'), Edge('a"b', "back", "end")))


def test_the_tree(world: World) -> None:
    world.release()
    world.sagemaker.hidden = (STAGES["dev"],)
    lines = [line.rstrip() for line in shown(backward.of_serving(world.reader(), world.model())).splitlines()]
    assert lines[0] == "endpoint acme-production-churn (InService)"
    assert lines[1].endswith("runs release r1 (version 1) at 2026-03-01T00:00:00+00:00 by alice")
    assert any("may not read dev" in line for line in lines)
    assert lines[-2].endswith("holds files 3 more files")
    assert len(lines) == 17


def test_the_tree_is_text_and_nothing_else() -> None:
    text = shown(hostile())
    assert "\x1b[31m" not in text
    assert "[bold]b[/bold]" in text
    assert "(shown once)" in text


def test_the_flowchart(world: World) -> None:
    graph = backward.of_version(world.reader(), world.model(), 1)
    lines = mermaid.flowchart(graph).splitlines()
    assert lines[0] == "flowchart LR"
    assert f'    n0["version churn{"@"}1 in production (Approved)"]' in lines
    assert '    n0 -->|"promoted from"| n1' in lines
    assert sum("-->" in line for line in lines) == len(graph.edges)


def test_a_hostile_label_stays_in_its_quotes() -> None:
    node, other, edge, back, *classes = mermaid.flowchart(hostile()).splitlines()[1:]
    for line in (node, other):
        assert re.fullmatch(
            r'    n\d\["[^"`\[\]{}<>|%;\x00-\x1f]*(?:(?:#\d+;|<br/>)[^"`\[\]{}<>|%;\x00-\x1f]*)*"\]', line
        )
    assert edge == '    n0 -->|"h#34;#124;o"| n1'
    assert back == '    n1 -->|"back"| n0'
    assert classes == ["    classDef noted stroke-dasharray: 4", "    class n1 noted"]


def valid(events: list[dict[str, Any]]) -> None:
    validator = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
    for event in events:
        assert [error.message for error in validator.iter_errors(event)] == []
        datetime.fromisoformat(event["eventTime"])
        UUID(event["run"]["runId"])


def test_openlineage_events_are_valid_and_whole(world: World) -> None:
    world.release()
    events = openlineage.run_events(backward.of_serving(world.reader(), world.model()))
    valid(events)
    assert [(event["eventType"], event["job"]["namespace"], event["job"]["name"]) for event in events] == [
        (kind, f"mlops-kit://{stage}", f"churn.{what}")
        for stage, what in (
            ("dev", "training"),
            ("staging", "promotion"),
            ("production", "promotion"),
            ("production", "release"),
        )
        for kind in ("START", "COMPLETE")
    ]
    training, last = events[0], events[-1]
    (data,) = training["inputs"]
    assert data["name"] == "datasets/pets"
    assert data["facets"]["version"]["datasetVersion"] == world.commit.id
    assert data["inputFacets"]["inputStatistics"]["fileCount"] == 8
    assert training["job"]["facets"]["sourceCodeLocation"]["version"] == "c0ffee" * 6
    for before, after in zip(events[::2], events[2::2], strict=False):
        assert before["outputs"][0]["name"] == after["inputs"][0]["name"], "the runs hang together"
        assert before["outputs"][0]["namespace"] == after["inputs"][0]["namespace"]
    assert last["run"]["facets"]["mlopsKit_run"]["config"] == "config-1"
    assert last["schemaURL"] == "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
    assert len({event["run"]["runId"] for event in events}) == 4


def test_the_same_run_has_the_same_id_wherever_it_is_asked_for(world: World) -> None:
    there = openlineage.run_events(backward.of_version(world.reader(), world.model(), 1))
    here = openlineage.run_events(backward.of_version(world.reader("dev"), world.model("dev"), 3))
    assert there[0]["run"]["runId"] == here[0]["run"]["runId"]
    assert (here[0]["eventTime"], here[1]["eventTime"]) == ("2026-03-04T05:06:07+00:00", "2026-03-04T05:59:07+00:00")


def test_openlineage_of_what_could_not_be_read_is_valid(world: World) -> None:
    world.sagemaker.hidden = (STAGES["dev"], STAGES["staging"])
    events = openlineage.run_events(backward.of_version(world.reader(), world.model(), 1))
    valid(events)
    assert len(events) == 4
    world.sagemaker.hidden = ()
    world.register("dev", 4, Lineage("pets", "e" * 64, "", "", "job", SHA))
    valid(openlineage.run_events(backward.of_version(world.reader("dev"), world.model("dev"), 4)))


def test_the_schema_refuses_what_is_no_event(world: World) -> None:
    event = openlineage.run_events(backward.of_version(world.reader("dev"), world.model("dev"), 3))[0]
    for broken in (
        {**event, "eventType": "DONE"},
        {**event, "run": {"runId": "7"}},
        {**event, "job": {"name": "x"}},
        {key: value for key, value in event.items() if key != "producer"},
        {**event, "inputs": [{"namespace": "n", "name": "n", "facets": {"version": {"datasetVersion": "1"}}}]},
    ):
        with pytest.raises(AssertionError):
            valid([broken])


def test_no_version_no_runs() -> None:
    with pytest.raises(UsageError):
        openlineage.run_events(hostile())


def test_json_has_everything(world: World) -> None:
    graph = backward.of_version(world.reader(), world.model(), 1)
    found = json.loads(json.dumps(graph.to_json()))
    ids = {node["id"] for node in found["nodes"]}
    assert found["root"] in ids
    assert len(ids) == len(graph.nodes)
    assert all({edge["start"], edge["end"]} <= ids for edge in found["edges"])
    assert {"id", "kind", "label", "facts", "note"} == set(found["nodes"][0])
