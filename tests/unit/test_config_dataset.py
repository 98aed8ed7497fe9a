"""Files of data sets: read with the project, every mistake found with its file and line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mlops_kit.config import load_project
from mlops_kit.config.dataset import Dataset
from mlops_kit.config.source import parse
from mlops_kit.errors import ConfigError
from mlops_kit.quality.record import constraints_sha256

ROOT = Path(__file__).resolve().parents[2]

GOOD = """\
description: Customers who left.
owner: team@example.com
tables:
  - files: "*.csv"
    columns:
      age: {type: integer, min: 0, max: 130, completeness: 0.99}
      country: {type: string, allowed: [de, fr]}
      id: {type: string, unique: true, pattern: "^[a-z0-9]+$"}
      taken: {type: timestamp, min: 2020-01-01, max: 2030-01-01}
      day: {type: date, min: 2020-01-01}
      paid: {type: boolean, allowed: [true]}
      share: {type: number, min: 0.5, max: 1}
    other_columns: refuse
    unique: [[id, day]]
    rows: {min: 100, max: 2000, shrink: 0.05, grow: 1.0}
  - files: "parts/**/*.txt"
    format: csv
files:
  - {match: "images/**/*.jpg", min_count: 10, max_bytes: 20000000, min_bytes: 1}
other_files: refuse
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "environments", tmp_path / "environments")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "environments/datasets/churn.yaml").write_text(GOOD)
    return tmp_path


def problems(root: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_project(root)
    return [str(problem) for problem in caught.value.problems]


def test_a_file_is_read_with_the_project(project: Path) -> None:
    found = load_project(project).dataset("churn")
    assert found is not None
    table = found.tables[0]
    assert table.column("age").max == 130
    assert table.column("taken").min == "2020-01-01"
    assert table.named == ["age", "country", "id", "taken", "day", "paid", "share"]
    assert table.unique == (("id", "day"),)
    assert table.rows.compares
    assert not found.tables[1].rows.compares
    assert found.files[0].max_bytes == 20_000_000


def test_a_data_set_needs_no_file(project: Path) -> None:
    shutil.rmtree(project / "environments/datasets")
    loaded = load_project(project)
    assert loaded.dataset("biopsies") is None
    assert loaded.models["dev", "diagnosis"].dataset == "biopsies"


def test_the_shipped_project_describes_its_data_set() -> None:
    found = load_project(ROOT).dataset("biopsies")
    assert found is not None
    assert len(found.tables[0].columns) == 31


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("type: integer, min: 0", "type: int, min: 0", "'integer', 'number'"),
        ("type: integer, min: 0", "type: integer, mni: 0", "tables.0.columns.age.mni: unknown key"),
        ("other_columns: refuse", "other_colums: refuse", "unknown key"),
        ("min: 0, max: 130", "min: 0.5, max: 130", "min (0.5) has to be an integer"),
        ("min: 0, max: 130", "min: 131, max: 130", "larger than max"),
        ("min: 0, max: 130", "min: 0, max: .inf", "max (inf) has to be an integer"),
        ("min: 0.5, max: 1}", "min: .nan, max: 1}", "finite"),
        ("min: 0.5, max: 1}", 'min: "0.5", max: 1}', "has to be a number"),
        ("type: string, allowed: [de, fr]", "type: string, allowed: [de, no]", "False is not a string"),
        ("type: string, allowed: [de, fr]", "type: integer, allowed: [2, true]", "True is not an integer"),
        ("type: string, allowed: [de, fr]", "type: string, allowed: []", "allows nothing"),
        ("type: string, allowed: [de, fr]", "type: string, allowed: [de, de]", "listed twice"),
        ("type: string, allowed: [de, fr]", "type: string, min: 3", "min needs a type that has an order"),
        ("{type: date, min: 2020-01-01}", "{type: date, allowed: [2020-01-01]}", "allowed is not for date columns"),
        ("{type: date, min: 2020-01-01}", "{type: date, min: 2020-13-01}", "is not a date like"),
        ("{type: date, min: 2020-01-01}", "{type: date, min: 2020-01-01T10:00:00}", "has a time of day"),
        ("{type: date, min: 2020-01-01}", "{type: date, pattern: x}", "pattern is for text"),
        ("completeness: 0.99", "completeness: 99", "less than or equal to 1"),
        ("completeness: 0.99", "completeness: 0.99, required: true", "not both"),
        ('"^[a-z0-9]+$"', '"["', "not a regular expression"),
        ('"^[a-z0-9]+$"', '"(?=a)"', "looks around or back"),
        ("age: {type: integer", "id: {}\n      age: {type: integer", "given twice"),
        ("[[id, day]]", "[[id, id]]", "listed twice"),
        ("min: 100, max: 2000", "min: 3000, max: 2000", "smaller than min"),
        ('"*.csv"', "/data/*.csv", "not a path inside the data set"),
        ('"*.csv"', "../*.csv", "not a path inside the data set"),
        ('"*.csv"', '"a**.csv"', "between slashes"),
        ('"parts/**/*.txt"', '"*.csv"', "is there twice"),
        ("min_count: 10", "min_count: 10, max_count: 2", "smaller than min_count"),
        ("owner: team@example.com", "owner: nobody", "not an e-mail address"),
        ("owner: team@example.com", "owner: &x team@example.com", "anchors"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_line(project: Path, old: str, new: str, expected: str) -> None:
    assert GOOD.count(old) == 1
    (project / "environments/datasets/churn.yaml").write_text(GOOD.replace(old, new))
    line = GOOD[: GOOD.index(old)].count("\n") + 1
    found = [text for text in problems(project) if expected in text]
    assert found, problems(project)
    file, number, _ = found[0].split(":", 2)
    assert file == "environments/datasets/churn.yaml"
    # A rule between values is named where the nearest thing that holds them starts.
    assert line - 3 <= int(number) <= line + new.count("\n") or "twice" in expected


def test_mistakes_in_several_files_come_all_at_once(project: Path) -> None:
    datasets = project / "environments/datasets"
    (datasets / "churn.yaml").write_text("tables: 7\nothers: 1\n")
    (datasets / "Bad_Name.yaml").write_text("description: x\n")
    (datasets / "biopsies.yml").write_text("description: x\n")
    (project / "environments/dev.yaml").write_text("name: dev\n")
    found = problems(project)
    assert any(text.startswith("environments/datasets/churn.yaml:1: tables") for text in found)
    assert any(text.startswith("environments/datasets/churn.yaml:2: others: unknown key") for text in found)
    assert any("'Bad_Name' is not a data set's name" in text for text in found)
    assert any("biopsies.yml:1: there is another file for the data set 'biopsies'" in text for text in found)
    assert any(text.startswith("environments/dev.yaml:") for text in found)


def dataset(text: str) -> Dataset:
    return Dataset.model_validate(parse(text.encode(), "x.yaml").data)


def test_the_digest_is_that_of_what_is_tested() -> None:
    base = dataset(GOOD)
    again = dataset(GOOD.replace("Customers who left.", "Other words").replace("team@", "others@"))
    assert constraints_sha256(base) == constraints_sha256(again)
    explicit = dataset(GOOD.replace("format: csv", "format: csv\n    other_columns: allow"))
    assert constraints_sha256(base) == constraints_sha256(explicit), (
        "what is written out as it is by default is no change"
    )
    assert constraints_sha256(base) != constraints_sha256(dataset(GOOD.replace("max: 130", "max: 131")))
