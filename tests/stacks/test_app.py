"""The entry point: what it writes, and how it refuses. Refusing never loads CDKTF."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacks import app
from tests.cloud import ROOT, copy_project
from tests.stacks.conftest import Synthesized


def test_unknown_environment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = app.main(["--environment", "prod", "--out", str(tmp_path)], {"MLOPS_KIT_PROJECT": str(ROOT)})
    shown = capsys.readouterr()
    assert (code, shown.out) == (2, "")
    assert shown.err.startswith("There is no environment 'prod'.")
    assert "dev, staging, production" in shown.err
    assert not list(tmp_path.iterdir())


def test_configuration_errors_come_with_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = copy_project(tmp_path)
    path = project / "environments" / "dev.yaml"
    path.write_text(path.read_text() + "colour: blue\n")
    code = app.main(["--out", str(tmp_path / "out")], {"MLOPS_KIT_PROJECT": str(project)})
    assert code == 2
    assert "environments/dev.yaml:" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_outside_a_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main([], {"MLOPS_KIT_PROJECT": str(tmp_path)}) == 2
    assert "No environments/ directory" in capsys.readouterr().err


def test_a_subset_as_cdktf_asks_for_it(synthesized: Synthesized) -> None:
    assert {path.name for path in (synthesized.subset / "stacks").iterdir()} == {"dev", "staging"}
