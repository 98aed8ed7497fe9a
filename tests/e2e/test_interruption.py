"""A promotion that dies again and again: each run goes one step further, and the end is that of one undisturbed run."""

from __future__ import annotations

from datetime import UTC, datetime

from mlops_kit import aws, registry, serving
from mlops_kit.config import load_project
from mlops_kit.local import state
from mlops_kit.local.state import Layout
from mlops_kit.promotion import plan, request
from mlops_kit.promotion.execute import Deployment, execute
from tests.cloud import Cli


class DiedError(Exception):
    """Stands for the laptop that was closed."""


class Dying:
    """Somebody to tell, who dies when told for the nth time: after each step of a promotion in turn."""

    def __init__(self, at: int) -> None:
        self.left = at
        self.told: list[str] = []

    def __call__(self, line: str) -> None:
        self.told.append(line)
        self.left -= 1
        if self.left == 0:
            raise DiedError(line)


def test_a_promotion_cut_off_after_every_step_ends_as_one_that_was_not(edited: Cli) -> None:
    model = edited.project / "environments" / "models" / "diagnosis.yaml"
    model.write_text(model.read_text().replace("{regularization: 1.0}", "{regularization: 0.25}"))
    trained = edited.json("train", "diagnosis")
    edited.ok("promote", "dataset", "biopsies", "--to", "staging")
    before = edited.json("history", "diagnosis", "--in", "staging")

    project = load_project(edited.project)
    cloud = aws.connect(project.environment("staging"), local_endpoint=state.require(Layout(edited.project)).url)
    wanted = request.request(project, f"diagnosis@{trained['version']}", "staging")
    config = project.model("diagnosis", wanted.target)
    names = wanted.target.names.model("diagnosis")

    deaths: list[str] = []
    while True:
        dying = Dying(at=len(deaths) + 1)
        planned = plan.plan(wanted, project, cloud, datetime.now(UTC))
        deployment = Deployment(cloud, names, config.serving.rollout, lambda: datetime.now(UTC), dying)
        try:
            event = execute(planned, deployment)
            break
        except DiedError as exc:
            deaths.append(str(exc))

    assert any("registered" in line for line in deaths)
    assert any("deploying" in line for line in deaths)
    assert any("verified: " in line for line in deaths)
    sha256 = trained["lineage"]["artifact_sha256"]
    registered = [v for v in registry.list_versions(cloud.sagemaker, names) if v.lineage.artifact_sha256 == sha256]
    assert [v.status for v in registered] == [registry.APPROVED], "registered once, approved"
    after = edited.json("history", "diagnosis", "--in", "staging")
    assert len(after) == len(before) + 1, "recorded once"
    assert after[0]["release"]["id"] == event.release.id
    endpoint = serving.require_endpoint(cloud.sagemaker, names)
    assert (endpoint.status, endpoint.config) == ("InService", event.release.config)
    versions = cloud.s3.list_object_versions(
        Bucket=wanted.target.names.bucket("artifacts"), Prefix=names.artifact_prefix(sha256)
    )["Versions"]
    assert len(versions) == len({v["Key"] for v in versions}), "every object was written once"
