"""The whole story, on real Terraform and a real endpoint. The fixture has told it once; here its claims are checked
from outside, without trusting the demo's own checks."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import joblib
import numpy as np
import pytest
from botocore.exceptions import ClientError

from mlops_kit import aws
from mlops_kit.config import Environment, load_project
from mlops_kit.errors import ServiceError
from mlops_kit.local import lifecycle, state
from mlops_kit.local.state import Layout
from mlops_kit.naming import DatasetKeys
from tests.cloud import Cli

SAMPLE = ".mlops-kit/demo/sample.csv"


def direct(cloud: Cli, version: int, environment: str = "production") -> list[float]:
    """Predictions of a registered version's artifact, loaded without any endpoint."""
    project = load_project(cloud.project)
    stage = project.environment(environment)
    versions = cloud.json("model", "list", "diagnosis", "--env", environment)
    sha256 = next(v["lineage"]["artifact_sha256"] for v in versions if v["version"] == version)
    store = aws.connect(stage, local_endpoint=state.require(Layout(cloud.project)).url).store("artifacts")
    body = store.get(stage.names.model("diagnosis").artifact_key(sha256))
    assert body is not None
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        member = tar.extractfile("model.joblib")
        assert member is not None
        model = joblib.load(io.BytesIO(member.read()))["model"]
    with (cloud.project / SAMPLE).open() as file:
        rows = [[float(cell) for cell in row[:-1]] for row in list(csv.reader(file))[1:]]
    return [float(p) for p in model.predict_proba(np.array(rows))[:, 1]]


def served(cloud: Cli, environment: str, batch_size: int = 1000) -> list[float]:
    """The endpoint's answers; by default all rows in one request, as :func:`direct` predicts them in one call."""
    answer = cloud.ok("invoke", "diagnosis", "--in", environment, "--data", SAMPLE, "--batch-size", str(batch_size))
    return [float(line) for line in answer.out.split()]


def releases(cloud: Cli, environment: str) -> Sequence[tuple[str, str, str]]:
    events = cloud.json("history", "diagnosis", "--in", environment)
    return [(e["action"], e["outcome"], e["release"]["id"]) for e in reversed(events)]


def test_the_history_tells_the_story(cloud: Cli) -> None:
    assert releases(cloud, "production")[:4] == [
        ("promotion", "succeeded", "r1"),
        ("promotion", "succeeded", "r2"),
        ("rollback", "succeeded", "r1"),
        ("promotion", "failed", "r3"),
    ]
    events = cloud.json("history", "diagnosis", "--in", "production")
    failed = next(event for event in events if event["outcome"] == "failed")
    assert "acme-production-diagnosis-errors" in failed["detail"]
    assert [approval["by"].rsplit("/", 1)[1] for approval in failed["approvals"]] == ["approver@example.com"]


def quiet(cloud: Cli, environment: str) -> None:
    """Wait until no request of the last minute was an error: as long as one was, a release is rolled back by it."""
    until = time.monotonic() + 150
    while any(
        alarm["name"].endswith("-errors") and alarm["state"] == "ALARM"
        for alarm in cloud.json("alarms", "--in", environment)
    ):
        assert time.monotonic() < until, "the errors alarm never rests"
        time.sleep(2)


def test_production_answers_as_the_released_model_does_row_by_row(cloud: Cli) -> None:
    """After the demo's rollback version 1 serves; promoting version 2 again makes version 2 serve; and back."""
    first, second = direct(cloud, 1), direct(cloud, 2)
    assert first != second
    assert served(cloud, "production") == first
    # Cut into small requests, linear algebra may round the last bit differently; nothing else may differ.
    assert served(cloud, "production", batch_size=7) == pytest.approx(first, rel=1e-12)

    quiet(cloud, "production")
    cloud.ok("promote", "model", "diagnosis@2", "--to", "production", "--yes")
    assert served(cloud, "production") == second
    cloud.ok("rollback", "diagnosis", "--in", "production", "--yes")
    assert served(cloud, "production") == first


def test_promoting_what_runs_changes_nothing(cloud: Cli) -> None:
    before = releases(cloud, "staging")
    promotions = [e for e in cloud.json("history", "diagnosis", "--in", "staging") if e["outcome"] == "succeeded"]
    source, version = promotions[0]["source"].split()
    assert source == "dev"
    cloud.ok("promote", "model", version, "--to", "staging")
    assert releases(cloud, "staging") == before
    versions = [v["version"] for v in cloud.json("model", "list", "diagnosis", "--env", "staging")]
    assert len(versions) == len(set(versions))


def test_a_version_names_everything_it_was_made_from(cloud: Cli) -> None:
    newest = cloud.json("model", "list", "diagnosis", "--env", "production")[0]
    lineage = newest["lineage"]
    assert lineage["source_package"].startswith("arn:aws:sagemaker:us-east-1:222222222222:model-package/")
    commits = cloud.json("dataset", "log", "biopsies", "--env", "production")
    assert lineage["dataset_commit"] in {commit["commit"] for commit in commits}
    for digest in ("artifact_sha256", "source_sha256", "dataset_commit"):
        assert len(lineage[digest]) == 64
    assert lineage["training_job"].startswith("acme-dev-diagnosis-")


def test_a_commit_has_the_same_id_in_every_environment(cloud: Cli) -> None:
    ids = [cloud.json("dataset", "log", "biopsies", "--env", env) for env in ("dev", "staging", "production")]
    assert ids[0] == ids[1] == ids[2]
    assert len(ids[0]) == 2


@pytest.mark.parametrize("environment", ["dev", "staging", "production"])
def test_a_plan_after_the_story_has_no_changes(cloud: Cli, environment: str) -> None:
    layout = Layout(cloud.project)
    stage = load_project(cloud.project).environment(environment)
    terraform = lifecycle.terraform_for(layout, state.require(layout), stage)
    changes = terraform.has_changes(layout.stack(environment))
    assert changes is None, changes


def test_cdktf_s_own_synth_shares_the_state_of_local_up(cloud: Cli, tmp_path: Path) -> None:
    """``npx cdktf deploy`` after ``local up`` goes on from there instead of making everything a second time."""
    lines = cloud.ok("local", "env", "dev").out.splitlines()
    variables = dict(shlex.split(line)[1].split("=", 1) for line in lines)
    command = [sys.executable, "-m", "stacks.app", "--environment", "dev", "--out", str(tmp_path)]
    subprocess.run(command, cwd=cloud.project, env={**os.environ, **variables}, check=True, capture_output=True)
    layout = Layout(cloud.project)
    stack = tmp_path / "stacks" / "dev"
    terraform = lifecycle.terraform_for(layout, state.require(layout), load_project(cloud.project).environment("dev"))
    terraform.init(stack)
    changes = terraform.has_changes(stack)
    assert changes is None, changes


def test_up_on_a_running_cloud_changes_nothing(cloud: Cli) -> None:
    before = Layout(cloud.project).state_file.read_text()
    done = cloud.ok("local", "up")
    for environment in ("dev", "staging", "production"):
        assert f"{environment}: no changes" in done.err
    assert Layout(cloud.project).state_file.read_text() == before


def test_the_checkout_of_a_promoted_commit_is_the_data_that_was_committed(cloud: Cli, tmp_path: Path) -> None:
    cloud.ok("dataset", "checkout", "biopsies", str(tmp_path / "out"), "--env", "production")
    committed = cloud.project / ".mlops-kit" / "demo" / "data" / "biopsies.csv"
    assert (tmp_path / "out" / "biopsies.csv").read_bytes() == committed.read_bytes()


def test_what_was_deleted_is_back_and_what_was_refused_never_came(cloud: Cli, tmp_path: Path) -> None:
    cloud.ok("dataset", "checkout", "biopsies@v1", str(tmp_path / "out"))
    all_rows = (cloud.project / ".mlops-kit" / "demo" / "data" / "biopsies.csv").read_bytes().splitlines()
    assert (tmp_path / "out" / "biopsies.csv").read_bytes().splitlines() == all_rows[:401]
    assert all(found["intact"] for found in cloud.json("dataset", "verify", "biopsies", "--all"))

    stage = load_project(cloud.project).first_stage
    lake = aws.connect(stage, local_endpoint=state.require(Layout(cloud.project)).url).store("lake")
    versions = list(lake.versions(DatasetKeys("biopsies").files_prefix))
    assert len({version.key for version in versions}) == 2, "the two commits' files, and none of the refused data"
    (deleted,) = [version for version in versions if version.deleted]
    after, *before = [v for v in versions if v.key == deleted.key and not v.deleted]
    assert after.latest
    assert [version.etag for version in before] == [after.etag], "restored from the version that was committed"


def test_a_release_whose_config_was_deleted_can_still_be_rolled_back_to(cloud: Cli) -> None:
    stage = load_project(cloud.project).environment("staging")
    sagemaker = aws.connect(stage, local_endpoint=state.require(Layout(cloud.project)).url).sagemaker
    events = cloud.json("history", "diagnosis", "--in", "staging")
    first = next(e["release"] for e in events if e["release"]["id"] == "r1")
    sagemaker.delete_endpoint_config(EndpointConfigName=first["config"])
    cloud.ok("rollback", "diagnosis", "--in", "staging", "--to", "r1")
    assert served(cloud, "staging") == direct(cloud, 1, "staging")
    cloud.ok("promote", "model", "diagnosis@2", "--to", "staging")


def test_a_ledger_event_can_be_neither_replaced_nor_deleted(cloud: Cli) -> None:
    """Not even by the role that writes the ledger, which the bucket's own policy and its object lock see to."""
    stage = load_project(cloud.project).environment("production")
    connected = aws.connect(stage, local_endpoint=state.require(Layout(cloud.project)).url)
    bucket, key = stage.names.bucket("ledger"), stage.names.model("diagnosis").ledger_key(1)
    before = connected.s3.get_object(Bucket=bucket, Key=key)

    def refused(call: Callable[[], object]) -> str:
        with pytest.raises(ClientError) as caught:
            call()
        return str(caught.value.response["Error"]["Code"])

    s3 = connected.s3
    assert refused(lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"{}")) == "AccessDenied"
    assert refused(lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"{}", IfNoneMatch="*")) == "PreconditionFailed"
    assert refused(lambda: s3.delete_object(Bucket=bucket, Key=key, VersionId=before["VersionId"])) == "AccessDenied"
    assert s3.get_object(Bucket=bucket, Key=key)["VersionId"] == before["VersionId"]


def test_the_first_stage_releases_its_own_versions_and_a_refused_request_says_why(cloud: Cli, tmp_path: Path) -> None:
    """Late, and in dev: a request that the model refuses counts as an error, and a deployment within the next minute
    would be rolled back by the errors alarm. As on AWS."""
    copied = cloud.json("promote", "model", "diagnosis@1", "--to", "dev", "--dry-run")["copies"]
    assert copied == [], "nothing moves within a stage"
    cloud.ok("promote", "model", "diagnosis@1", "--to", "dev")
    assert served(cloud, "dev") == direct(cloud, 1, "dev")

    (tmp_path / "short.csv").write_text("1,2,3\n")
    done = cloud("invoke", "diagnosis", "--in", "dev", "--data", str(tmp_path / "short.csv"))
    assert done.code == 1
    assert "features" in done.err


def test_what_is_protected_is_not_destroyed_and_the_rest_leaves_nothing(cloud: Cli) -> None:
    """The very last: ``protect: true`` refuses, and once it is taken away on purpose, everything can go."""
    layout, project = Layout(cloud.project), load_project(cloud.project)
    running = state.require(layout)

    def destroy(name: str) -> None:
        terraform = lifecycle.terraform_for(layout, running, project.environment(name))
        terraform.destroy(layout.stack(name))

    with pytest.raises(ServiceError, match="prevent_destroy"):
        destroy("production")
    assert cloud.json("status", "--in", "production")[0]["endpoint"] == "InService"

    for name in ("staging", "production"):
        path = cloud.project / "environments" / f"{name}.yaml"
        path.write_text(path.read_text().replace("protect: true", "protect: false"))
    cloud.ok("local", "up")
    names = [stage.name for stage in project.stages]
    for name in names:
        sagemaker = aws.connect(project.environment(name), local_endpoint=running.url).sagemaker
        administrator = client(running.url, project.environment(name), "sagemaker")
        group = project.environment(name).names.model("diagnosis").package_group
        found = sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
        for package in found:  # a person's decision: Terraform does not know them, and keeps a group that has any
            administrator.delete_model_package(ModelPackageName=package["ModelPackageArn"])
    with ThreadPoolExecutor() as pool:
        list(pool.map(destroy, names))
    for name in names:
        stage = project.environment(name)
        assert json.loads((layout.terraform_state / f"{name}.tfstate").read_text())["resources"] == []
        assert client(running.url, stage, "s3").list_buckets()["Buckets"] == []
        assert client(running.url, stage, "sagemaker").list_endpoints()["Endpoints"] == []
        assert client(running.url, stage, "iam").list_roles()["Roles"] == []


def client(url: str, stage: Environment, service: str) -> Any:
    """A client that acts as the account's administrator."""
    return boto3.client(
        service,
        region_name=stage.region,
        endpoint_url=url,
        aws_access_key_id=stage.account,
        aws_secret_access_key="local",
    )
