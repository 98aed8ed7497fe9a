"""Commits of S3 prefixes: every fault at every call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.harness import Scenario, sweep
from tests.faults.scenarios import IMPORTS


@pytest.mark.parametrize("scenario", IMPORTS, ids=lambda scenario: scenario.name)
def test_whatever_goes_wrong_with_a_call_nothing_is_lost_and_a_second_run_finishes(
    scenario: Scenario, tmp_path: Path, count: Callable[[str], None], one_in: int
) -> None:
    count(sweep(scenario, tmp_path, one_in=one_in))
