"""From a model file to what the ledger keeps of a release, for each serving kind."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlops_kit import registry, release_requests
from mlops_kit.cli.run import run
from mlops_kit.config import Model, Shadow, load_project
from mlops_kit.network import JobNetwork
from mlops_kit.promotion.ledger import BatchSpec, ReleaseSpec
from mlops_kit.promotion.specification import release_spec
from mlops_kit.registry import Lineage, ModelVersion

GALLERY = Path(__file__).resolve().parents[1] / "gallery"
PROJECT = load_project(GALLERY)
SANDBOX = PROJECT.environment("sandbox")
INSIDE = JobNetwork(("subnet-1", "subnet-2"), ("sg-1",), isolated=True)


def model(name: str) -> Model:
    return PROJECT.model(name, SANDBOX)


def spec(
    name: str, network: JobNetwork | None = None, *, wanted: Shadow | None = None, shadow: ModelVersion | None = None
) -> ReleaseSpec:
    found = model(name)
    found = found.model_copy(update={"serving": found.serving.model_copy(update={"shadow": wanted})})
    names = found.names(SANDBOX.names)
    return release_spec(found, names, "s3://bucket/key", network=network or JobNetwork(), shadow=shadow)


def test_each_kind_says_what_it_needs_and_nothing_else() -> None:
    realtime, serverless, asynchronous, batch = (spec(name) for name in ("fraud", "chat", "papers", "churn"))
    assert (realtime.kind, realtime.instance_type, realtime.instance_count) == ("realtime", "ml.g5.xlarge", 2)
    assert (realtime.capture_percent, realtime.encrypt_volume) == (100, False), "a g5 encrypts its own disks"
    assert (serverless.instance_type, serverless.instance_count, serverless.encrypt_volume) == ("", 0, False)
    assert serverless.serverless is not None
    assert serverless.serverless.model_dump() == {
        "memory_mb": 4096,
        "max_concurrency": 20,
        "provisioned_concurrency": 2,
    }
    assert asynchronous.asynchronous is not None
    assert asynchronous.asynchronous.concurrent_per_instance == 8
    assert (asynchronous.capture_percent, asynchronous.encrypt_volume) == (0, True)
    assert batch.batch == BatchSpec(input_prefix="raw/churn/", content_type="text/csv", max_payload_mb=6)
    assert batch.instance_count == 2
    for found in (realtime, serverless, asynchronous, batch):
        parts = (found.serverless, found.asynchronous, found.batch)
        assert sum(part is not None for part in parts) == (0 if found.kind == "realtime" else 1)
        assert ReleaseSpec.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize("name", ["fraud", "papers", "churn"])
def test_a_release_runs_in_the_environments_network(name: str) -> None:
    found = spec(name, INSIDE)
    assert (found.subnets, found.security_groups, found.isolated) == (("subnet-1", "subnet-2"), ("sg-1",), True)
    names = model(name).names(SANDBOX.names)
    moved = release_requests.release_name(names, found)
    assert moved != release_requests.release_name(names, spec(name)), "another network is another release"


def test_serverless_is_neither_isolated_nor_in_a_vpc() -> None:
    assert spec("chat", INSIDE) == spec("chat")


def test_a_shadow_is_the_version_as_it_was_registered_here() -> None:
    version = ModelVersion(
        model="fraud",
        version=12,
        arn="arn",
        image="registry.example.com/team/train:2",
        artifact_uri="s3://bucket/12.tar.gz",
        metrics_uri="",
        status=registry.PENDING,
        created=datetime(2026, 1, 1, tzinfo=UTC),
        lineage=Lineage("d", "c", "", "", "job", "1" * 64),
    )
    found = spec("fraud", wanted=Shadow(version=12, percent=30), shadow=version).shadow
    assert found is not None
    assert (found.version, found.image, found.artifact_uri) == (12, version.image, version.artifact_uri)
    assert (found.percent, found.instance_type, found.instance_count) == (30, "ml.g5.xlarge", 1)


def test_a_batch_model_cannot_be_asked(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--project", str(GALLERY), "invoke", "churn", "--in", "sandbox", "--data", "rows.csv"]
    assert run(arguments) == 2
    said = capsys.readouterr().err
    assert "churn is served in batches and has no endpoint to ask" in said
    assert "s3://gallery-sandbox-666666666666-lake/raw/churn/" in said
    assert "predictions/churn/" in said
