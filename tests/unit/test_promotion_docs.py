"""The page on promotion explains every gate, exit code and field there is, and shows settings that are settings."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import BaseModel

from mlops_kit import errors
from mlops_kit.cli.run import INTERRUPTED
from mlops_kit.config import Approvals, Gates, MetricGate, Smoke, SmokeExpect
from mlops_kit.config.release_gates import GATES, NEVER_OVERRIDABLE, PER_METRIC, ImageScan
from mlops_kit.config.source import parse
from mlops_kit.promotion.events import Event, Release, ReleaseSpec
from tests.cloud import ROOT
from tests.unit.test_promotion_plan import PLAIN_CALLS, STRICT_CALLS

PAGE = (ROOT / "docs" / "promotion.md").read_text()


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of every row of the tables in ``text``, but not of their heads."""
    lines = text.splitlines()
    return [
        re.split(r"\s*\|\s*", line.strip("| "))
        for line, below in zip(lines, [*lines[1:], ""], strict=True)
        if line.startswith("| ") and not below.startswith("|---")
    ]


def shown(number: int) -> dict[str, Any]:
    """One of the files in the section on configuration."""
    block = re.findall(r"```yaml\n(.*?)```", section("Configuration"), re.DOTALL)[number]
    found: dict[str, Any] = parse(block.encode(), "promotion.md").data
    return found


def test_every_gate_is_explained_in_the_order_in_which_it_is_shown() -> None:
    text = section("Gates")
    listed = rows(text)
    names = [row[0].removesuffix(" *").removesuffix(" …") for row in listed]
    assert tuple(names) == GATES
    assert {name for name, row in zip(names, listed, strict=True) if row[-1] == "7"} == set(NEVER_OVERRIDABLE)
    assert {row[0].removesuffix(" …") for row in listed if row[0].endswith("…")} == set(PER_METRIC)
    explained = re.findall(r"^\*\*([a-z ]+?)(?: NAME)?\.\*\* ", text, re.MULTILINE)
    assert tuple(explained) == GATES


def tree(kind: type[errors.MlopsKitError]) -> set[int]:
    return {kind.exit_code}.union(*(tree(below) for below in kind.__subclasses__()))


def test_every_exit_code_is_explained() -> None:
    codes = [int(row[0]) for row in rows(section("Exit codes"))]
    assert codes == sorted({0, INTERRUPTED} | tree(errors.MlopsKitError))


def test_every_field_of_the_ledger_is_explained() -> None:
    fields = [name for row in rows(section("The ledger")) for name in re.findall(r"`(\w+)`", row[0])]
    assert len(fields) == len(set(fields))
    assert set(fields) == set(Event.model_fields) | set(Release.model_fields)
    (spec,) = [row for row in rows(section("The ledger")) if row[0] == "`spec`"]
    assert set(re.findall(r"`(\w+)`", spec[1])) == set(ReleaseSpec.model_fields)


@pytest.mark.parametrize(
    ("found", "model"),
    [
        (shown(0)["approvals"], Approvals),
        (shown(0)["gates"], Gates),
        (shown(0)["gates"]["image_scan"], ImageScan),
        (shown(1)["gates"][0] | shown(1)["gates"][1], MetricGate),
        (shown(1)["smoke"], Smoke),
        (shown(1)["smoke"]["expect"], SmokeExpect),
    ],
)
def test_every_setting_is_shown_and_valid(found: dict[str, Any], model: type[BaseModel]) -> None:
    model.model_validate(found)
    assert set(found) == set(model.model_fields)


def test_the_numbers_of_calls_are_those_that_are_counted() -> None:
    told = {row[0]: row[1] for row in rows(section("What it costs"))}
    assert told["planning a first release, default gates"] == str(PLAIN_CALLS.total())
    assert told["planning with every gate but signature and incumbent"] == str(STRICT_CALLS)
    budget = (ROOT / "tests" / "unit" / "test_aws_world.py").read_text()
    for what, key in {
        "`--dry-run` of a first promotion, its data there already": "looked at",
        "a first promotion, its data there already": "first",
        "the same again": "again",
        "the next version": "next",
        "a rollback": "back",
    }.items():
        assert f'"{key}": {told[what]}' in budget, what
