"""The workflows in ``docs/ci`` call what exists, with no more rights than they need and no secret."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from docs.check import ROOT, parse
from mlops_kit.cli import cli

TEMPLATES = sorted((ROOT / "docs" / "ci").glob("*.yml"))
PINNED = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}")
EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")


def workflow(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = workflow(path)["jobs"]
    return found


def steps(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in jobs(path).items():
        for step in job["steps"]:
            yield name, step


def commands(path: Path) -> list[list[str]]:
    """Arguments of every call of mlops-kit, up to where its output goes."""
    found = []
    for _, step in steps(path):
        for line in step.get("run", "").splitlines():
            if match := re.match(r"\s*mlops-kit (.*)", line):
                words = shlex.split(re.split(r"\s(?:2?>>?|\|)\s", match[1])[0])
                found.append(words)
    return found


CALLS = [(path.name, words) for path in TEMPLATES for words in commands(path)]


def test_they_are_there() -> None:
    assert [path.name for path in TEMPLATES] == ["dataset-check.yml", "promote.yml"]
    assert len(CALLS) >= 9
    readme = (ROOT / "docs" / "ci" / "README.md").read_text()
    assert all(f"({path.name})" in readme for path in TEMPLATES)


@pytest.mark.parametrize(("file", "words"), CALLS, ids=[f"{file} {' '.join(words)[:60]}" for file, words in CALLS])
def test_every_command_exists_with_its_options(file: str, words: list[str]) -> None:
    try:
        parse(cli, words)
    except click.UsageError as exc:
        raise AssertionError(f"{file}: mlops-kit {shlex.join(words)}: {exc.format_message()}") from exc


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_rights_are_given_job_by_job(path: Path) -> None:
    assert workflow(path)["permissions"] == {}, "nothing, unless a job says so"
    for name, job in jobs(path).items():
        uses = [step.get("uses", "") for step in job["steps"]]
        of_aws = any(use.startswith("aws-actions/configure-aws-credentials@") for use in uses)
        expected = {"contents": "read"} | ({"id-token": "write"} if of_aws else {})
        assert job["permissions"] == expected, name
        assert ("environment" in job) == of_aws, "credentials only for jobs that an environment protects"
        assert job["timeout-minutes"] <= 180


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_actions_are_pinned_and_there_is_no_secret(path: Path) -> None:
    text = path.read_text()
    assert "secrets." not in text
    assert not re.search(r"AKIA|aws-access-key-id|aws-secret-access-key", text)
    for line in text.splitlines():
        if "uses:" in line:
            assert PINNED.search(line), line
            assert re.search(r"# v\d+\.\d+\.\d+$", line), "which release that is"
    for _, step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
        if "configure-aws-credentials" in step.get("uses", ""):
            assert step["with"]["role-session-name"] == "${{ github.actor }}", "it is who the ledger names"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_nothing_of_a_pull_request_becomes_part_of_a_script(path: Path) -> None:
    """Values reach a script by its environment only."""
    for name, step in steps(path):
        assert not EXPRESSION.search(step.get("run", "")), name
    assert "pull_request_target" not in path.read_text()


def test_promotions_wait_for_each_other_and_for_people() -> None:
    job = jobs(ROOT / "docs" / "ci" / "promote.yml")["promote"]
    assert job["concurrency"]["cancel-in-progress"] is False
    assert "matrix.release.to" in job["concurrency"]["group"]
    assert job["environment"] == "${{ matrix.release.to }}"
    assert job["if"] == "github.event_name != 'pull_request'"
    assert job["needs"] == ["find", "plan"]


@pytest.mark.parametrize(
    ("line", "fits"),
    [
        ("staging diagnosis@3", True),
        ("staging diagnosis@latest", False),
        ("staging $(touch x)@3", False),
        ("../x diagnosis@3", False),
        ("staging diagnosis@3 --override", False),
        ("staging diagnosis@3\nproduction x", False),
        ("-- -h@3", False),
    ],
)
def test_only_names_and_numbers_go_on(line: str, fits: bool) -> None:
    (script,) = [s["run"] for _, s in steps(ROOT / "docs" / "ci" / "promote.yml") if s.get("id") == "find"]
    pattern = re.search(r"grep -vE '(.*?)' found", script)
    assert pattern
    assert all(re.search(pattern[1], one) for one in line.split("\n")) is fits
