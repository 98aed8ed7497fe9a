"""Environment and model files: every mistake is found, with file and line, all at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mlops_kit.config import find_root, load_project
from mlops_kit.config.source import MAX_DEPTH
from mlops_kit.errors import ConfigError, NotFoundError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "environments", tmp_path / "environments")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    return tmp_path


def edit(root: Path, file: str, old: str, new: str) -> int:
    """Replace text in a file of ``environments/``; returns the line where it stood."""
    path = root / "environments" / file
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
    path.write_text(text.replace(old, new))
    return text[: text.index(old)].count("\n") + 1


def problems(root: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_project(root)
    assert caught.value.exit_code == 2
    return [str(problem) for problem in caught.value.problems]


def test_the_shipped_project_is_valid_and_in_stage_order() -> None:
    project = load_project(ROOT)
    assert [stage.name for stage in project.stages] == ["dev", "staging", "production"]
    assert project.source_of(project.environment("production")).name == "staging"
    assert project.source_of(project.environment("dev")).name == "dev"
    assert [stage.name for stage in project.targets_of(project.environment("dev"))] == ["staging"]


def test_overrides_are_laid_over_the_model_file_key_by_key() -> None:
    project = load_project(ROOT)
    dev = project.model("diagnosis", project.environment("dev"))
    production = project.model("diagnosis", project.environment("production"))
    assert dev.serving.rollout.strategy == "all_at_once"
    assert production.serving.rollout.strategy == "canary"
    assert production.serving.capture_percent == dev.serving.capture_percent
    assert production.serving.autoscaling.requests_per_instance_per_minute == 600
    assert [gate.metric for gate in production.gates] == ["accuracy", "recall"], "lists are replaced, not joined"


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("dev.yaml", 'account: "111111111111"', "account: 111111111111", "must be in quotes"),
        ("dev.yaml", 'account: "111111111111"', 'account: "1111"', "it has 12 digits"),
        ("dev.yaml", "region: us-east-1", "region: moon-1", "not an AWS region"),
        ("dev.yaml", "owner: ml-platform@example.com", "owner: nobody", "not an e-mail address"),
        ("dev.yaml", "protect: false", "protect: maybe", "valid boolean"),
        ("dev.yaml", "protect: false", "protcet: false", "unknown key; known keys: access, account, approvals"),
        (
            "dev.yaml",
            "protect: false",
            'operators: ["arn:aws:iam::111111111111:role/*"]',
            "operators.0: 'arn:aws:iam::111111111111:role/*' has a wildcard",
        ),
        ("dev.yaml", "noncurrent_days: 7", "noncurrent: 7", "unknown key; known keys: capture_days"),
        ("dev.yaml", "monthly_usd: 500", "monthly_usd: 0", "greater than or equal to 1"),
        ("dev.yaml", "models: [diagnosis]", "models: [prognosis]", "no file environments/models/prognosis.yaml"),
        ("dev.yaml", "models: [diagnosis]", "models: [diagnosis, diagnosis]", "listed twice"),
        ("dev.yaml", "name: dev", "name: development", "the file is 'dev.yaml'"),
        ("dev.yaml", "name: dev", "name: dev\nname: dev2", "given twice (first on line 2)"),
        ("dev.yaml", "name: dev", "name: &a dev", "anchors and aliases are not allowed"),
        ("dev.yaml", "project: acme", "project: a-project-name-of-forty-characters-xxxx", "AWS allows 63"),
        ("staging.yaml", "222222222222", "111111111111", "each environment has its own"),
        ("staging.yaml", "promotes_from: dev", "promotes_from: qa", "no environment 'qa'"),
        ("staging.yaml", "promotes_from: dev", "promotes_from: production", "circle"),
        (
            "models/diagnosis.yaml",
            "instance_type: ml.m5.large\n  max",
            "instance_type: m5\n  max",
            "instance type like",
        ),
        ("models/diagnosis.yaml", 'recall: "recall=([0-9.]+)"', 'recall: "recall="', "exactly one (group)"),
        ("models/diagnosis.yaml", 'recall: "recall=([0-9.]+)"', 'recall: "recall=("', "not a regular expression"),
        ("models/diagnosis.yaml", "entry_point: train.py", "entry_point: trian.py", "there is no 'trian.py'"),
        ("models/diagnosis.yaml", "source_dir: ../../examples/diagnosis", "source_dir: ../nowhere", "no directory"),
        ("models/diagnosis.yaml", "{metric: accuracy, at_least: 0.90}", "{metric: accuracy}", "at_least or at_most"),
        (
            "models/diagnosis.yaml",
            "{metric: accuracy, at_least: 0.90}",
            "{metric: accuracy, at_least: 0.9, lower_is_better: true}",
            "about not_worse_than_incumbent",
        ),
        (
            "models/diagnosis.yaml",
            "{metric: accuracy, at_least: 0.90}",
            "{metric: accuracy, not_worse_than_incumbent: -0.1}",
            "greater than or equal to 0",
        ),
        (
            "models/diagnosis.yaml",
            "dataset: biopsies ",
            "smoke: {request: smoke.csv}\ndataset: biopsies ",
            "smoke.request: there is no 'smoke.csv' in diagnosis/",
        ),
        (
            "models/diagnosis.yaml",
            "dataset: biopsies ",
            "smoke: {request: ../smoke.csv}\ndataset: biopsies ",
            "the name of a data file",
        ),
        ("dev.yaml", "protect: false", "approvals: {required: -1}", "greater than or equal to 0"),
        ("dev.yaml", "protect: false", "approvals: {expire_hours: 0}", "greater than or equal to 1"),
        ("dev.yaml", "protect: false", "gates: {overridable: [soaking]}", "'soaking' is no gate; gates are: stage"),
        ("dev.yaml", "protect: false", "gates: {overridable: [digests]}", "'digests' cannot be overridden"),
        ("dev.yaml", "protect: false", "gates: {overridable: [soak, soak]}", "names something twice"),
        ("dev.yaml", "protect: false", "gates: {data_checks: maybe}", "'required', 'if_configured' or 'off'"),
        ("dev.yaml", "protect: false", "gates: {image_scan: {max_high: -1}}", "greater than or equal to 0"),
        ("dev.yaml", "protect: false", "gates: {sok_hours: 1}", "known keys: budget, data_checks, image_scan"),
        ("models/diagnosis.yaml", "{metric: accuracy, at_least: 0.90}", "{metric: f1, at_least: 1}", "does not define"),
        ("models/diagnosis.yaml", "min_instances: 2, max", "min_instances: 1, max", "canary rollout needs at least 2"),
        ("models/diagnosis.yaml", "max_instances: 6", "max_instances: 1", "smaller than min_instances"),
        ("models/diagnosis.yaml", "canary_percent: 50", "canary_percent: 80", "less than or equal to 50"),
        ("models/diagnosis.yaml", "  production:\n", "  prod:\n", "unknown environment 'prod'"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_line(project: Path, file: str, old: str, new: str, expected: str) -> None:
    line = edit(project, file, old, new)
    found = problems(project)
    matching = [text for text in found if expected in text and text.startswith(f"environments/{file}:")]
    assert matching, found
    named = int(matching[0].split(":")[1])
    # A rule between fields is named where its section starts, which may be the line before.
    assert line - 1 <= named <= line + new.count("\n"), matching[0]


def test_all_mistakes_of_all_files_are_shown_at_once(project: Path) -> None:
    edit(project, "dev.yaml", "region: us-east-1", "region: 7")
    edit(project, "dev.yaml", "protect: false", "protect: 7")
    edit(project, "staging.yaml", "monthly_usd: 1000", "monthly_usd: x")
    edit(project, "models/diagnosis.yaml", "capture_percent: 100", "capture_percent: 200")
    found = "\n".join(problems(project))
    for expected in ("dev.yaml:4: region", "dev.yaml:7: protect", "staging.yaml", "serving.capture_percent"):
        assert expected in found


def test_a_mistake_in_an_override_is_named_where_it_stands(project: Path) -> None:
    line = edit(project, "models/diagnosis.yaml", "bake_minutes: 5}", "bake_minutes: 500}")
    assert problems(project) == [
        f"environments/models/diagnosis.yaml:{line}: serving.rollout.bake_minutes: "
        "Input should be less than or equal to 60"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a: [1,", "not valid YAML"),
        (b"- a\n- b\n", "must be a mapping"),
        (b"", "must be a mapping"),
        (b"a: \xff\n", "not UTF-8"),
        (b"a: !!python/object/apply:os.system ['true']\n", "cannot be read as a value"),
        (b"a: " + b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nested more than"),
        (b"#" * 300_000, "at most 262144 are read"),
        (b"a: &x [1]\nb: [*x, *x]\n", "anchors and aliases"),
    ],
)
def test_hostile_or_broken_yaml_is_refused(project: Path, text: bytes, expected: str) -> None:
    (project / "environments" / "dev.yaml").write_bytes(text)
    assert any("environments/dev.yaml:" in found and expected in found for found in problems(project))


def test_unknown_names_say_what_exists() -> None:
    project = load_project(ROOT)
    with pytest.raises(NotFoundError, match="no environment 'qa'") as caught:
        project.environment("qa")
    assert "dev, staging, production" in str(caught.value.hint)
    with pytest.raises(NotFoundError, match="no model 'churn' in dev"):
        project.model("churn", project.environment("dev"))


def test_the_project_is_found_from_below_and_missing_is_said(tmp_path: Path, project: Path) -> None:
    below = project / "examples" / "diagnosis"
    assert find_root(below) == project
    with pytest.raises(NotFoundError, match="No environments/ directory"):
        find_root(Path("/"))
    (tmp_path / "empty" / "environments").mkdir(parents=True)
    with pytest.raises(ConfigError, match="has no environment file"):
        load_project(tmp_path / "empty")


def test_what_an_environment_asks_of_a_release(project: Path) -> None:
    nothing = load_project(project).environment("dev")
    assert (nothing.approvals.required, nothing.approvals.distinct_from_requester) == (0, True)
    assert (nothing.gates.soak_hours, nothing.gates.source_alarms, nothing.gates.image_scan) == (0, False, None)
    assert (nothing.gates.data_checks, nothing.gates.signature, nothing.gates.budget) == ("off", "off", "off")
    asked = "gates: {overridable: [metric, metric accuracy, soak], image_scan: {}, budget: block}"
    edit(project, "dev.yaml", "protect: false", f"protect: false\napprovals: {{required: 2}}\n{asked}")
    found = load_project(project).environment("dev")
    assert found.approvals.required == 2
    assert found.gates.overridable == ("metric", "metric accuracy", "soak")
    assert found.gates.image_scan is not None
    assert (found.gates.image_scan.max_critical, found.gates.image_scan.max_high) == (0, 5)


def test_a_smoke_request_lies_beside_the_code(project: Path) -> None:
    (project / "examples" / "diagnosis" / "smoke.csv").write_text("1,2\n")
    smoke = "smoke: {request: smoke.csv, expect: {lines: 1, at_least: 0, at_most: 1}}"
    edit(project, "models/diagnosis.yaml", "dataset: biopsies ", f"{smoke}\ndataset: biopsies ")
    loaded = load_project(project)
    found = loaded.model("diagnosis", loaded.environment("dev")).smoke
    assert found is not None
    assert (found.request, found.content_type, found.expect.lines) == ("smoke.csv", "text/csv", 1)
    edit(project, "models/diagnosis.yaml", "capture_percent: 100", "kind: batch")
    assert any("'batch' does not answer while one waits" in problem for problem in problems(project))


def test_the_bounds_of_an_answer_are_in_order(project: Path) -> None:
    smoke = "smoke: {request: smoke.csv, expect: {at_least: 1, at_most: 0}}"
    edit(project, "models/diagnosis.yaml", "dataset: biopsies ", f"{smoke}\ndataset: biopsies ")
    assert any("at_most (0) is smaller than at_least (1)" in problem for problem in problems(project))
