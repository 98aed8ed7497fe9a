"""What was asked for, as the command line says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_kit.config import load_project
from mlops_kit.errors import NotFoundError, UsageError
from mlops_kit.promotion import request
from mlops_kit.promotion.request import MAX_REASON, Override

PROJECT = load_project(Path(__file__).resolve().parents[2])


def test_a_version_is_a_number_or_the_latest_approved() -> None:
    assert request.parse_version("churn@3") == ("churn", 3)
    assert request.parse_version("churn@latest-approved") == ("churn", "latest-approved")


@pytest.mark.parametrize(
    "text", ["churn", "churn@", "@3", "@latest-approved", "churn@0", "churn@-1", "churn@latest", "churn@1.0", "churn@٣"]
)
def test_anything_else_names_no_version(text: str) -> None:
    with pytest.raises(UsageError, match="does not name a model version"):
        request.parse_version(text)


def test_a_version_of_very_many_digits_is_refused_at_once() -> None:
    with pytest.raises(UsageError):
        request.parse_version("churn@" + "9" * 10_000)


def test_the_request_says_everything() -> None:
    overrides = (Override(gate="soak", reason="an emergency"),)
    found = request.request(
        PROJECT, "diagnosis@2", "production", "staging", with_data=False, overrides=overrides, wait=False
    )
    assert (found.model, found.version, found.asked) == ("diagnosis", 2, "diagnosis@2")
    assert (found.source.name, found.target.name, found.within) == ("staging", "production", False)
    assert (found.with_data, found.overrides, found.wait) == (False, overrides, False)
    assert request.request(PROJECT, "diagnosis@latest-approved", "dev").within


def test_a_stage_cannot_be_skipped_and_a_model_has_to_be_there() -> None:
    with pytest.raises(UsageError, match="a stage cannot be skipped"):
        request.request(PROJECT, "diagnosis@2", "production", "dev")
    with pytest.raises(NotFoundError):
        request.request(PROJECT, "prognosis@2", "production")


def test_one_reason_for_all_overrides_or_one_each() -> None:
    assert request.overrides((), ()) == ()
    shared = request.overrides(("soak", "budget"), (" because ",))
    assert shared == (Override(gate="soak", reason="because"), Override(gate="budget", reason="because"))
    assert [one.reason for one in request.overrides(("soak", "budget"), ("a", "b"))] == ["a", "b"]


@pytest.mark.parametrize(
    ("gates", "reasons"),
    [
        (("soak",), ()),
        ((), ("because",)),
        (("soak",), ("a", "b")),
        (("soak", "budget", "metric x"), ("a", "b")),
        (("soak", "soak"), ("a",)),
        (("soak",), ("   ",)),
        (("soak",), ("x" * (MAX_REASON + 1),)),
        (("soak",), ("two\nlines",)),
        (("soak",), ("\x1b[2J",)),
    ],
)
def test_an_override_without_a_proper_reason_is_refused(gates: tuple[str, ...], reasons: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        request.overrides(gates, reasons)
