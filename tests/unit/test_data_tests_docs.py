"""The page on data tests: its files are files that the kit takes, its tables name every key, its code runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from mlops_kit.config.dataset import Column, Dataset, Files, Rows, Table
from mlops_kit.config.source import parse
from tests.cloud import ROOT

PAGE = (ROOT / "docs" / "data-tests.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_shown_files_are_valid(number: int) -> None:
    shown = parse(BLOCKS[number].encode(), "data-tests.md").data
    assert Dataset.model_validate(shown).model_dump(exclude_defaults=True).keys() == shown.keys()


def test_there_are_files_shown() -> None:
    assert len(BLOCKS) == 4


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("## The file", Dataset),
        ("### Tables", Table),
        ("### Columns", Column),
        ("### Rows", Rows),
        ("### Files", Files),
    ],
)
def test_every_key_is_explained(heading: str, model: type[BaseModel]) -> None:
    section = PAGE.split(f"\n{heading}\n")[1].split("\n#")[0]
    keys = {key for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
    assert keys == set(model.model_fields)


def test_the_shown_code_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/biopsies.csv").write_text("mean_radius,malignant\n-5,0\n")
    for directory in ("environments", "examples"):
        (tmp_path / directory).symlink_to(ROOT / directory)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "data-tests.md", "exec"), {})  # noqa: S102  # the page's own code is what is tested
    assert (
        "mean_radius: 1 row of 1 are under 1 (Example(value='-5', file='biopsies.csv', row=1),)"
        in capsys.readouterr().out
    )
