"""Processes that are killed, before and after every call of all that they can be running."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.harness import Scenario, kill_at_every_call
from tests.faults.processes import Processes
from tests.faults.scenarios import ALL


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    with Processes() as started:
        yield started


@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.name)
def test_killed_anywhere_nothing_is_half_visible_and_a_second_run_finishes(
    scenario: Scenario, tmp_path: Path, processes: Processes, count: Callable[[str], None], one_in: int
) -> None:
    count(kill_at_every_call(scenario, tmp_path, processes, one_in=one_in))
