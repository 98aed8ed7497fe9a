"""``env show`` and ``env diff``: what an environment really is, and how two of them differ."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops_kit.cli.run import run
from mlops_kit.config import Environment, Model, compare, load_project, resolved
from mlops_kit.config.compare import BY_NATURE, ENVIRONMENT_SAFETY, MODEL_SAFETY, Difference
from mlops_kit.config.source import read

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("dev", "staging", "production")

ENVIRONMENT: dict[str, Any] = {
    "name": "dev",
    "account": "111111111111",
    "region": "us-east-1",
    "project": "acme",
    "owner": "ml@example.com",
    "budget": {"monthly_usd": 1},
}
MODEL: dict[str, Any] = {
    "name": "churn",
    "dataset": "customers",
    "label": "left",
    "training": {"source_dir": "churn", "image": "example.com/team/train:1"},
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "environments", tmp_path / "environments")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    return tmp_path


def edit(root: Path, file: str, old: str, new: str) -> None:
    path = root / "environments" / file
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
    path.write_text(text.replace(old, new))


def cli(root: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["--project", str(root), "env", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def model(**training: Any) -> Model:
    return Model.model_validate({**MODEL, "training": {**MODEL["training"], **training}})


def differences(a: Model, b: Model) -> dict[str, tuple[Any, Any]]:
    return {each.path: (each.a, each.b) for each in compare.differences(a, b, MODEL_SAFETY)}


# -- show ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STAGES)
def test_what_show_prints_is_again_the_environment_and_its_models(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = load_project(ROOT)
    documents = cli(ROOT, capsys, "show", name).split("---\n")
    parsed = []
    for document in documents:
        (tmp_path / "one.yaml").write_text(document)
        parsed.append(read(tmp_path / "one.yaml", "one.yaml").data)
        assert yaml.safe_load(document) == parsed[-1], "any YAML reader reads it as the kit does"
    assert Environment.model_validate(parsed[0]) == project.environment(name)
    assert tuple(Model.model_validate(data) for data in parsed[1:]) == project.models_in(project.environment(name))


def test_show_keeps_the_order_of_the_fields_and_marks_what_no_file_says(capsys: pytest.CaptureFixture[str]) -> None:
    out = cli(ROOT, capsys, "show", "staging")
    environment, diagnosis = out.split("---\n")
    assert list(yaml.safe_load(environment)) == list(Environment.model_fields)
    assert list(yaml.safe_load(diagnosis)) == list(Model.model_fields)
    lines = out.splitlines()
    assert 'account: "222222222222"' in lines
    assert "protect: true" in lines
    assert "  ledger_lock_mode: GOVERNANCE  # default" in lines
    assert "  minimum_rows: 200  # default" in lines
    assert "    strategy: all_at_once" in lines, "given in the file, though it is the default as well"


def test_show_lays_the_overrides_of_the_environment_over_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    lines = cli(ROOT, capsys, "show", "production").splitlines()
    assert "    strategy: canary" in lines
    assert "    canary_percent: 50" in lines
    assert "  - metric: recall" in lines


def test_show_as_json_names_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    shown = json.loads(cli(ROOT, capsys, "show", "dev", "--json"))
    assert shown["environment"]["retention"]["ledger_lock_days"] == 1
    assert [each["name"] for each in shown["models"]] == ["diagnosis"]
    assert "retention.ledger_lock_mode" in shown["defaults"]["environment"]
    assert "retention.ledger_lock_days" not in shown["defaults"]["environment"]
    assert "serving.rollout.canary_percent" in shown["defaults"]["models"]["diagnosis"]


@pytest.mark.parametrize(
    "value",
    [
        *("0123", "true", "null", "", " a ", "a: b", "a # default", "- a", "'", '"', "1\n2", r"\d+", "\\\n"),
        *("é", "\x07", "x" * 200, "many words " * 50, 1, 1.0, 1e-05, 1e30, True, False),
    ],
    ids=repr,
)
def test_awkward_values_survive_as_value_and_as_key(value: str | int | float | bool) -> None:
    awkward = model(hyperparameters={"plain": value, f"key {value}": 1, str(value): 2})
    environment = Environment.model_validate(ENVIRONMENT)
    _, text = resolved.as_yaml(resolved.Resolved(environment, (awkward,))).split("\n---\n")
    found = Model.model_validate(yaml.safe_load(text))
    assert found == awkward
    assert type(found.training.hyperparameters["plain"]) is type(value)


def test_empty_and_repeated_values_need_neither_block_nor_alias() -> None:
    arns = ["arn:aws:iam::111111111111:root"] * 2
    environment = Environment.model_validate({**ENVIRONMENT, "operators": arns})
    text = resolved.as_yaml(resolved.Resolved(environment, ()))
    assert "&" not in text
    assert "models: []  # default" in text
    assert Environment.model_validate(yaml.safe_load(text)) == environment


# -- diff ------------------------------------------------------------------------------------------------------------


def test_every_rule_names_a_setting_that_exists() -> None:
    environment = Environment.model_validate(ENVIRONMENT)
    for rules, data in (
        (ENVIRONMENT_SAFETY, environment),
        (dict.fromkeys(BY_NATURE), environment),
        (MODEL_SAFETY, model()),
    ):
        known = {setting.dotted for setting in resolved.settings(data)}
        assert set(rules) <= known


def test_equal_settings_are_no_differences_wherever_they_come_from() -> None:
    given = Environment.model_validate({**ENVIRONMENT, "protect": False, "retention": {"noncurrent_days": 30}})
    assert compare.differences(Environment.model_validate(ENVIRONMENT), given, ENVIRONMENT_SAFETY) == ()


@pytest.mark.parametrize(("a", "b"), [(1, True), (1, 1.0), (1, "1"), (True, "true")])
def test_values_that_only_python_takes_for_equal_differ(a: Any, b: Any) -> None:
    found = differences(model(hyperparameters={"x": a}), model(hyperparameters={"x": b}))
    assert list(found) == ["training.hyperparameters.x"]


def test_what_one_side_does_not_have_is_none_and_stands_in_its_place() -> None:
    a, b = model(hyperparameters={"x": 1, "z": 1}), model(hyperparameters={"x": 2, "y": 0, "z": 2})
    found = differences(a, b)
    assert list(found.items()) == [
        ("training.hyperparameters.x", (1, 2)),
        ("training.hyperparameters.y", (None, 0)),
        ("training.hyperparameters.z", (1, 2)),
    ]
    assert differences(model(), model(hyperparameters={"x": 1})) == {"training.hyperparameters.x": (None, 1)}


def test_gates_are_compared_by_metric_and_not_by_position() -> None:
    def gated(*gates: dict[str, Any]) -> Model:
        return Model.model_validate({**MODEL, "gates": list(gates)})

    accuracy, recall = {"metric": "accuracy", "at_least": 0.9}, {"metric": "recall", "at_least": 0.8}
    assert differences(gated(accuracy, recall), gated(recall, accuracy)) == {}
    assert differences(gated(recall), gated(accuracy, {**recall, "at_least": 0.7})) == {
        "gates.accuracy.at_least": (None, 0.9),
        "gates.accuracy.lower_is_better": (None, False),
        "gates.recall.at_least": (0.8, 0.7),
    }
    assert differences(gated(), gated(accuracy)) == {
        "gates.accuracy.at_least": (None, 0.9),
        "gates.accuracy.lower_is_better": (None, False),
    }
    assert differences(gated(accuracy), gated(accuracy, {"metric": "accuracy", "at_most": 0.99})) == {
        "gates.accuracy#2.at_most": (None, 0.99),
        "gates.accuracy#2.lower_is_better": (None, False),
    }


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"protect": True}, "protect"),
        ({"operators": ["arn:aws:iam::999999999999:root"]}, "operators"),
        ({"ci": {"repository": "acme/ml"}}, "ci.repository"),
        ({"retention": {"ledger_lock_days": 1}}, "retention.ledger_lock_days"),
        ({"retention": {"ledger_lock_mode": "COMPLIANCE"}}, "retention.ledger_lock_mode"),
        ({"approvals": {"required": 2}}, "approvals.required"),
        ({"gates": {"overridable": ["soak"]}}, "gates.overridable"),
        ({"gates": {"budget": "block"}}, "gates.budget"),
    ],
)
def test_what_protects_data_and_releases_is_marked_with_the_reason(change: dict[str, Any], path: str) -> None:
    a, b = Environment.model_validate(ENVIRONMENT), Environment.model_validate({**ENVIRONMENT, **change})
    for pair in ((a, b), (b, a)):
        (found,) = compare.differences(*pair, ENVIRONMENT_SAFETY)
        assert found.path == path
        assert found.safety


def test_the_shipped_environments_differ_as_their_files_say() -> None:
    project = load_project(ROOT)
    staging, production = (resolved.resolve(project, project.environment(name)) for name in STAGES[1:])
    found = compare.compare(staging, production)
    assert [each.path for each in found.by_nature] == ["name", "account", "promotes_from"]
    assert Difference("budget.monthly_usd", 1000, 5000) in found.settings
    assert found.only_in_a == found.only_in_b == ()
    (diagnosis,) = found.models
    assert {each.path for each in diagnosis.differences if each.safety} >= {
        "serving.rollout.strategy",
        "gates.accuracy.at_least",
        "gates.recall.at_least",
    }


def test_diff_shows_a_reviewer_what_matters(capsys: pytest.CaptureFixture[str]) -> None:
    out = cli(ROOT, capsys, "diff", "staging", "production")
    nature, settings, diagnosis, verdict = out.split("\n\n")
    assert nature.startswith("different by nature:")
    assert settings.startswith("settings:")
    assert diagnosis.startswith("model diagnosis:")
    (lock,) = (line for line in settings.splitlines() if "ledger_lock_days" in line)
    assert lock.split()[:4] == ["!", "retention.ledger_lock_days", "365", "730"]
    assert lock.endswith("how long the record of releases cannot be deleted")
    assert "capture_percent" not in out, "equal on both sides"
    rows = [line for part in (settings, diagnosis) for line in part.splitlines()[2:]]
    marked = [row for row in rows if row.startswith("!")]
    assert verdict == f"! {len(marked)} of {len(rows)} differences protect data or releases: review these first\n"


def test_diff_names_models_that_are_only_in_one(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(project, "production.yaml", "models: [diagnosis]", "models: []")
    assert "model diagnosis: only in staging\n" in cli(project, capsys, "diff", "staging", "production")
    assert "model diagnosis: only in staging\n" in cli(project, capsys, "diff", "production", "staging")
    found = json.loads(cli(project, capsys, "diff", "staging", "production", "--json"))
    assert (found["only_in_a"], found["only_in_b"], found["models"]) == (["diagnosis"], [], [])
    assert not any(each["path"] == "models" for each in found["settings"])


def test_diff_says_so_when_nothing_differs(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(project, capsys, "diff", "dev", "dev") == "no differences\n"
    text = (project / "environments" / "staging.yaml").read_text()
    twin = text.replace("name: staging", "name: production").replace("222222222222", "333333333333")
    (project / "environments" / "production.yaml").write_text(twin.replace("from: dev ", "from: staging "))
    model_file = project / "environments" / "models" / "diagnosis.yaml"
    model_file.write_text(model_file.read_text().split("\nenvironments:")[0])
    out = cli(project, capsys, "diff", "staging", "production")
    assert out.startswith("different by nature:")
    assert out.endswith("\n\nno differences other than those by nature\n")
    found = json.loads(cli(project, capsys, "diff", "staging", "production", "--json"))
    assert found["different"] is False
    assert len(found["by_nature"]) == 3


def test_diff_as_json_carries_both_values_and_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(cli(ROOT, capsys, "diff", "dev", "staging", "--json"))
    assert (found["a"], found["b"], found["different"]) == ("dev", "staging", True)
    protect = next(each for each in found["settings"] if each["path"] == "protect")
    assert protect == {"path": "protect", "a": False, "b": True, "safety": ENVIRONMENT_SAFETY["protect"]}


# -- both ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["show", "qa"], ["diff", "qa", "dev"], ["diff", "dev", "qa", "--json"]])
def test_an_unknown_environment_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--project", str(ROOT), "env", *arguments]) == 2
    captured = capsys.readouterr()
    assert "There is no environment 'qa'" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("arguments", [["show", "dev"], ["diff", "dev", "staging"]])
def test_no_cloud_library_is_loaded(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from mlops_kit.cli.run import run\n"
        f"code = run(['--project', {str(ROOT)!r}, 'env', *{arguments!r}])\n"
        "loaded = {'boto3', 'botocore', 'cdktf', 'jsii', 'moto', 'duckdb'} & set(sys.modules)\n"
        "print(code, sorted(loaded), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "0 []"
