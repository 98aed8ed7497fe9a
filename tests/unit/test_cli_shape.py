"""The command line's own promises: help everywhere, errors as messages with their exit code, clean streams."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import click
import pytest

from docs.check import commands
from mlops_kit import errors
from mlops_kit.cli import cli
from mlops_kit.cli.run import run
from mlops_kit.cli.session import Session

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("path", "command"), commands(cli, ("mlops-kit",)), ids=lambda value: str(value))
def test_every_command_and_option_has_help(path: tuple[str, ...], command: click.Command) -> None:
    assert command.help, path
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{path}: {parameter.opts}"


def test_the_group_s_help_lines_are_the_commands_own() -> None:
    for name, (_, line) in cli._lazy.items():  # type: ignore[attr-defined]
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        if isinstance(command, click.Group):
            assert command.help == line, name
        assert line.endswith("."), name


def test_exit_codes_are_the_documented_ones() -> None:
    documented = {
        errors.MlopsKitError: 1,
        errors.JobError: 1,
        errors.ServiceError: 1,
        errors.UsageError: 2,
        errors.ConfigError: 2,
        errors.NotFoundError: 2,
        errors.GateError: 3,
        errors.ConflictError: 4,
        errors.DeploymentError: 5,
        errors.AccessError: 6,
        errors.IntegrityError: 7,
    }
    assert {kind: kind.exit_code for kind in documented} == documented


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["env", "list"], ""),
        (["nonsense"], "No such command 'nonsense'"),
        (["dataset", "commit"], "Missing argument 'NAME'"),
        (["status", "--in", "qa", "--local"], "There is no environment 'qa'"),
        (["promote", "model", "diagnosis", "--to", "staging", "--local"], "does not name a model version"),
        (["promote", "model", "diagnosis@0", "--to", "staging", "--local"], "does not name a model version"),
        (["promote", "model", "churn@1", "--to", "staging", "--local"], "There is no model 'churn' in staging"),
        (["promote", "model", "diagnosis@1", "--to", "production", "--from", "dev", "--local"], "cannot be skipped"),
        (["dataset", "commit", "Bad_Name", "x", "-m", "m", "--local"], "is not a data set name"),
        (["history", "diagnosis", "--in", "dev", "--local"], "The local cloud is not running"),
        (["local", "status"], "The local cloud is not running"),
    ],
)
def test_usage_errors_end_with_code_2_and_say_why(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "environments", tmp_path / "environments")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    code = run(["--project", str(tmp_path), *arguments])
    captured = capsys.readouterr()
    assert code == (2 if expected else 0)
    assert expected in captured.err
    if expected:
        assert captured.out == "", "errors are not data"


def test_configuration_errors_name_file_and_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "dev.yaml").write_text("name: dev\nregion: moon\n")
    assert run(["--project", str(tmp_path), "env", "validate"]) == 2
    assert "environments/dev.yaml:2: region:" in capsys.readouterr().err


def test_json_goes_to_stdout_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--project", str(ROOT), "env", "list", "--json"]) == 0
    captured = capsys.readouterr()
    assert [stage["name"] for stage in json.loads(captured.out)] == ["dev", "staging", "production"]
    assert captured.err == ""


def test_the_last_stage_asks_and_without_a_terminal_wants_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(str(ROOT))
    production, staging = session.environment("production"), session.environment("staging")
    session.confirm(staging, "Release", yes=False)
    session.confirm(production, "Release", yes=True)
    with pytest.raises(errors.UsageError, match="needs a confirmation"):
        session.confirm(production, "Release", yes=False)


def test_an_unexpected_error_is_code_1_and_traceback_shows_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(self: Session) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(Session, "project", property(broken))
    assert run(["env", "list"]) == 1
    assert "RuntimeError: boom" in capsys.readouterr().err
    with pytest.raises(RuntimeError, match="boom"):
        run(["--traceback", "env", "list"])


def test_a_missing_extra_is_no_bug_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without(self: Session) -> None:
        raise ModuleNotFoundError("No module named 'duckdb'", name="duckdb")

    monkeypatch.setattr(Session, "project", property(without))
    assert run(["env", "list"]) == 2
    assert "pip install 'mlops-kit[data]'" in capsys.readouterr().err
