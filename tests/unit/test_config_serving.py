"""How a model is served: what SageMaker would refuse is refused here, with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_kit.config import load_project
from mlops_kit.errors import ConfigError

ENVIRONMENT = """\
name: dev
account: "111111111111"
region: us-east-1
project: acme
owner: owner@example.com
budget: {monthly_usd: 1}
models: [churn]
"""
MODEL = """\
name: churn
dataset: customers
label: churned
training:
  source_dir: ../../code
  image: registry.example.com/team/train:1
serving:
"""
SERVING_LINE = MODEL.count("\n")


def write(root: Path, serving: str, environment: str = "") -> Path:
    (root / "environments" / "models").mkdir(parents=True)
    (root / "code").mkdir()
    for name in ("train.py", "inference.py"):
        (root / "code" / name).touch()
    (root / "environments" / "dev.yaml").write_text(ENVIRONMENT + environment)
    (root / "environments" / "models" / "churn.yaml").write_text(MODEL + serving)
    return root


def problems(root: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_project(root)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("serving", "line", "expected"),
    [
        ("  kind: edge", 1, "'realtime', 'serverless', 'async' or 'batch'"),
        ("  rollout: {strategy: canary, canary_percent: 60}", 1, "less than or equal to 50"),
        ("  rollout:\n    strategy: linear\n    linear_percent: 5", 3, "greater than or equal to 10"),
        ("  rollout: {strategy: linear}", 0, "a linear rollout needs at least 2 instances"),
        ("  kind: async\n  rollout: {strategy: canary}", 0, "a canary rollout needs at least 2 instances"),
        (
            "  autoscaling: {min_instances: 4, max_instances: 4}\n"
            "  rollout: {strategy: linear, linear_percent: 10, bake_minutes: 60}",
            2,
            "10 steps that bake for 60 minutes each take 600 minutes",
        ),
        ("  kind: serverless\n  shadow: {version: 3}", 0, "a shadow needs kind 'realtime', not 'serverless'"),
        ("  kind: async\n  shadow: {version: 3}", 0, "a shadow needs kind 'realtime', not 'async'"),
        ("  shadow: {version: 0}", 1, "greater than or equal to 1"),
        ("  kind: serverless\n  serverless: {memory_mb: 1000}", 2, "1024, 2048, 3072, 4096, 5120 or 6144"),
        (
            "  kind: serverless\n  serverless: {max_concurrency: 2, provisioned_concurrency: 3}",
            2,
            "provisioned_concurrency (3) is larger than max_concurrency (2)",
        ),
        ("  kind: batch\n  batch:\n    schedule: cron(0 4 * * *)", 3, "has 5 fields, a schedule has 6"),
        ("  kind: batch\n  batch:\n    schedule: cron(0 25 ? * * *)", 3, "'25' is not a hours (0 to 23)"),
        ("  kind: batch\n  batch: {timezone: Middle/Earth}", 2, "Middle/Earth"),
        ("  kind: batch\n  batch: {input_prefix: /absolute}", 2, "input_prefix"),
        ("  autoscaling: {min_instances: 0}", 1, "greater than or equal to 1"),
        (
            '  autoscaling:\n    schedule:\n      - {at: "cron(0 20 ? * * *)", min_instances: 0, max_instances: 2}',
            0,
            "no instances at all is for kind 'async', not 'realtime'",
        ),
        (
            '  autoscaling:\n    schedule:\n      - {at: "cron(0 20 ? * * *)", min_instances: 3, max_instances: 2}',
            3,
            "max_instances (2) is smaller than min_instances (3)",
        ),
        (
            '  autoscaling:\n    schedule:\n      - {at: "every night", min_instances: 1, max_instances: 2}',
            3,
            "every night",
        ),
    ],
)
def test_what_sagemaker_would_refuse(serving: str, line: int, expected: str, tmp_path: Path) -> None:
    [problem] = problems(write(tmp_path, serving + "\n"))
    assert problem.startswith(f"environments/models/churn.yaml:{SERVING_LINE + line}: serving")
    assert expected in problem


def test_serverless_and_a_vpc_do_not_go_together(tmp_path: Path) -> None:
    [problem] = problems(write(tmp_path, "  kind: serverless\n", "network: {mode: vpc}\n"))
    assert problem.startswith("environments/dev.yaml:7: ")
    assert "'churn' is served serverless, which SageMaker does not offer inside a VPC" in problem


@pytest.mark.parametrize(
    ("serving", "zero", "endpoint", "instances", "captured"),
    [
        ("  kind: realtime", False, True, True, True),
        ("  kind: serverless", False, True, False, False),
        ("  kind: async", True, True, True, False),
        ("  kind: async\n  asynchronous: {scale_to_zero: false}", False, True, True, False),
        ("  kind: batch", False, False, False, False),
    ],
)
def test_what_each_kind_has(
    serving: str, zero: bool, endpoint: bool, instances: bool, captured: bool, tmp_path: Path
) -> None:
    project = load_project(write(tmp_path, serving + "\n"))
    found = project.model("churn", project.first_stage).serving
    assert found.scales_to_zero is zero
    assert found.has_endpoint is endpoint
    assert found.has_instances is instances
    assert found.is_captured is captured


@pytest.mark.parametrize(
    ("rollout", "bakes"),
    [
        ("{}", 1),
        ("{strategy: canary}", 2),
        ("{strategy: linear, linear_percent: 50}", 2),
        ("{strategy: linear, linear_percent: 30}", 4),
    ],
)
def test_how_often_a_rollout_bakes(rollout: str, bakes: int, tmp_path: Path) -> None:
    text = f"  autoscaling: {{min_instances: 2, max_instances: 2}}\n  rollout: {rollout}\n"
    project = load_project(write(tmp_path, text))
    assert project.model("churn", project.first_stage).serving.rollout.bakes == bakes


def test_off_hours_need_both_ends_and_an_environment_that_may_lose_its_endpoints(tmp_path: Path) -> None:
    text = 'protect: true\noff_hours: {stop: "cron(0 19 ? * * *)", start: "cron(0 7 ? * * *)"}\n'
    [problem] = problems(write(tmp_path, "  kind: realtime\n", text))
    assert "off_hours deletes endpoints, and protect is true" in problem


def test_off_hours_take_no_other_clock_than_a_schedule(tmp_path: Path) -> None:
    [problem] = problems(write(tmp_path, "  kind: realtime\n", "off_hours:\n  stop: 19:00\n  start: rate(1 day)\n"))
    assert problem.startswith("environments/dev.yaml:9: off_hours.stop")


def test_a_scheduled_job_has_a_name_however_long_the_project_s_is(tmp_path: Path) -> None:
    """AWS takes 63 characters, and 36 of them are the execution's id."""
    root = write(tmp_path, "  kind: batch\n")
    path = root / "environments" / "dev.yaml"
    path.write_text(path.read_text().replace("project: acme", f"project: {'p' * 30}"))
    stage = load_project(root).first_stage
    names = [stage.names.model(model).transform_job("e" * 36) for model in ("churn", "fraud")]
    assert [len(name) for name in names] == [63, 63]
    assert all(name.endswith("-" + "e" * 36) for name in names)
    assert len(set(names)) == 2, "and each model its own"
