"""What goes wrong at a user's hands: a clear message, the documented exit code, nothing half done."""

from __future__ import annotations

import shlex
import socket
from pathlib import Path

import pytest

from mlops_kit.cli.run import run
from mlops_kit.local import state
from mlops_kit.local.state import Layout
from tests.cloud import Cli, copy_project

SAMPLE = ".mlops-kit/demo/sample.csv"


def sample(cloud: Cli) -> str:
    return str(cloud.project / SAMPLE)


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["promote", "model", "diagnosis@99", "--to", "staging"], 2, "There is no diagnosis@99 in dev"),
        (["promote", "model", "diagnosis@99", "--to", "production"], 2, "There is no diagnosis@99 in staging"),
        (["promote", "model", "diagnosis@1", "--to", "production"], 2, "needs a confirmation"),
        (["promote", "dataset", "nothing", "--to", "staging"], 2, "There is no data set 'nothing' in acme-dev"),
        (["promote", "dataset", "biopsies@beef", "--to", "staging"], 2, "no branch, tag or commit 'beef'"),
        (["dataset", "log", "biopsies@nope"], 2, "no branch, tag or commit 'nope'"),
        (["train", "diagnosis", "--data", "nope"], 2, "no branch, tag or commit 'nope'"),
        (["rollback", "diagnosis", "--in", "production", "--to", "r99", "--yes"], 2, "There is no release 'r99'"),
        (["rollback", "diagnosis", "--in", "dev"], 2, "Nothing was released here yet"),
        (["drift", "baseline", "diagnosis@99"], 2, "There is no diagnosis@99 in dev"),
        (["invoke", "diagnosis", "--in", "dev", "--data", "absent.csv"], 2, "absent.csv cannot be read"),
        (["dataset", "commit", "biopsies", "absent", "-m", "m"], 2, "absent cannot be read: No such file or directory"),
    ],
)
def test_what_does_not_exist_is_named(cloud: Cli, arguments: list[str], code: int, expected: str) -> None:
    done = cloud(*arguments)
    assert (done.code, expected in done.err) == (code, True), done.err
    assert done.out == ""


def test_an_endpoint_without_a_release_says_so(cloud: Cli) -> None:
    done = cloud("invoke", "diagnosis", "--in", "dev", "--data", SAMPLE)
    assert done.code == 1
    assert "runs its initial model" in done.err


def test_a_failing_script_fails_the_job_with_its_own_last_words(edited: Cli) -> None:
    before = edited.json("model", "list", "diagnosis")
    script = edited.project / "examples" / "diagnosis" / "train.py"
    replace(script, "    model.fit(x_train, y_train)", '    raise RuntimeError("the moon is in the wrong phase")')
    done = edited("train", "diagnosis")
    assert done.code == 1
    assert "the moon is in the wrong phase" in done.err
    assert edited.json("model", "list", "diagnosis") == before, "nothing was registered"


def test_a_model_that_does_not_load_is_rolled_back_and_the_incumbent_serves_on(edited: Cli, cloud: Cli) -> None:
    code = edited.project / "examples" / "diagnosis" / "inference.py"
    replace(code, "def model_fn(model_dir):", 'def model_fn(model_dir):\n    raise OSError("cannot load this")')
    version = edited.json("train", "diagnosis")["version"]
    answers = edited.ok("invoke", "diagnosis", "--in", "staging", "--data", sample(cloud)).out

    done = edited("promote", "model", f"diagnosis@{version}", "--to", "staging")
    assert done.code == 5, done.err
    assert "cannot load this" in done.err
    status = edited.json("status", "--in", "staging")[0]
    assert status["endpoint"] == "InService"
    assert status["agrees"], "the ledger still says what the endpoint runs"
    assert edited.ok("invoke", "diagnosis", "--in", "staging", "--data", sample(cloud)).out == answers
    newest = edited.json("history", "diagnosis", "--in", "staging")[0]
    assert (newest["action"], newest["outcome"]) == ("promotion", "failed")

    staged = edited.json("model", "list", "diagnosis", "--env", "staging")[0]["version"]
    onward = edited("promote", "model", f"diagnosis@{staged}", "--to", "production", "--yes")
    assert onward.code == 3, "a version that failed in staging does not go on"
    assert "never released in the stage before" in onward.err


def test_a_metric_below_its_gate_is_refused_and_nothing_is_written(edited: Cli) -> None:
    model = edited.project / "environments" / "models" / "diagnosis.yaml"
    replace(model, "at_least: 0.93,", "at_least: 0.9999,")
    before = edited.json("history", "diagnosis", "--in", "production")
    done = edited("promote", "model", "diagnosis@2", "--to", "production", "--yes")
    assert done.code == 3
    assert "metric accuracy" in done.err
    assert "wanted at least 0.9999" in done.err
    assert edited.json("history", "diagnosis", "--in", "production") == before


def test_a_dry_run_shows_the_plan_and_writes_nothing(cloud: Cli) -> None:
    before = cloud.json("history", "diagnosis", "--in", "production")
    plan = cloud.json("promote", "model", "diagnosis@2", "--to", "production", "--dry-run")
    assert plan["from"] == "staging"
    assert {gate["gate"] for gate in plan["gates"]} == {
        "stage order",
        "no downgrade",
        "data present",
        "data checks",
        "lineage",
        "digests",
        "image",
        "metric accuracy",
        "metric recall",
        "incumbent accuracy",
        "approvals",
        "budget",
    }
    shown = cloud.ok("promote", "model", "diagnosis@2", "--to", "production", "--dry-run")
    assert "plan: diagnosis@2 from staging to production" in shown.out, "the plan is what was asked for: data"
    assert cloud.json("history", "diagnosis", "--in", "production") == before


def test_credentials_of_the_wrong_account_end_with_code_6(cloud: Cli) -> None:
    """Without --local, as on AWS: the caller's own credentials, and STS to say whose they are."""
    endpoint = state.require(Layout(cloud.project)).url
    outside = Cli(cloud.project, local=False)
    stranger = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "999999999999"}
    done = outside("status", "--in", "staging", env=stranger)
    assert done.code == 6, done.err
    assert "account 999999999999" in done.err
    assert "account 222222222222" in done.err
    done = outside("promote", "model", "diagnosis@1", "--to", "staging", env=stranger)
    assert done.code == 6

    right = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "222222222222"}
    assert outside("status", "--in", "staging", env=right).code == 0, "the right account needs no --local"


def test_who_is_in_a_role_acts_in_it_and_only_approvers_approve(cloud: Cli) -> None:
    def acting_as(role: str) -> dict[str, str]:
        lines = cloud.ok("local", "env", "production", "--role", role, "--session", "me@example.com").out.splitlines()
        return dict(shlex.split(line)[1].split("=", 1) for line in lines)

    anybody = Cli(cloud.project, local=False)
    approve = ("approve", "diagnosis@2", "--to", "production", "--reason", "seen")
    refused = anybody(*approve, env=acting_as("auditor"))
    assert refused.code == 6, refused.err
    assert "auditor" in refused.err
    by_the_promoter = cloud(*approve)
    assert by_the_promoter.code == 6, by_the_promoter.err
    assert "Only approvers may: act as " in by_the_promoter.err
    assert anybody(*approve, env=acting_as("approver")).code == 0


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--session", "me"], "there is none"),
        (["--role", "approver", "--session", "a b"], "cannot be the name of a role session"),
        (["--role", "king"], "'king' is not one of"),
    ],
)
def test_a_role_or_session_that_cannot_be(cloud: Cli, options: list[str], expected: str) -> None:
    done = cloud("local", "env", "production", *options)
    assert (done.code, done.out) == (2, "")
    assert expected in done.err


def test_a_port_in_use_is_said_before_anything_is_started(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = Cli(project)("local", "up", "--port", str(port))
    assert done.code == 2
    assert f"Port {port} is in use" in done.err
    assert not Layout(project).state_file.exists()


def test_missing_terraform_is_said_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = copy_project(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.prefix", str(tmp_path))  # where the set-up puts the Terraform it fetches
    assert run(["--project", str(project), "local", "up"]) == 2
    assert "Terraform is not on PATH" in capsys.readouterr().err
    assert not Layout(project).state_file.exists()
