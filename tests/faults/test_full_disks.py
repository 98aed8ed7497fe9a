"""A disk that is full from any write on: nothing half written, and what had arrived is used when there is room."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from unittest.mock import patch

import pytest

from mlops_kit.errors import UsageError
from tests.faults.harness import Scenario, lab
from tests.faults.scenarios import CHECKOUTS

WRITE = os.write


class Disk:
    """Room for so many writes."""

    def __init__(self, room: int | None = None) -> None:
        self.room, self.writes = room, 0

    def write(self, handle: int, data: bytes) -> int:
        self.writes += 1
        if self.room is not None and self.writes > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return WRITE(handle, data)


@pytest.mark.parametrize("scenario", CHECKOUTS, ids=lambda scenario: scenario.name)
def test_a_disk_that_is_full_from_any_write_on_holds_nothing_half(scenario: Scenario, tmp_path: Path) -> None:
    with lab(scenario, tmp_path) as at:
        at.start.bring_back()
        endless = Disk()
        with patch.object(os, "write", endless.write):
            assert at.attempt(scenario.run) is None
        assert endless.writes
        for room in range(endless.writes):
            at.start.bring_back()
            with patch.object(os, "write", Disk(room).write):
                error = at.attempt(scenario.run)
            assert isinstance(error, UsageError)
            assert "became full" in error.message
            at.judge_between(f"full after {room} writes")
            at.finish(f"full after {room} writes")
        at.report()
