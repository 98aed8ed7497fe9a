"""Processes that run a scenario, and can be killed in the middle of it.

To start Python takes longer than any of the scenarios, so one process starts (``driver``), and forks one for each run.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

PROJECT = Path(__file__).resolve().parents[2]


class Processes:
    """Whoever forks them."""

    def __init__(self) -> None:
        self.driver = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.driver"],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.driver.communicate()  # it ends when there is nothing more to run

    def tell(self, *words: str) -> None:
        assert self.driver.stdin is not None
        self.driver.stdin.write("\t".join(words) + "\n")
        self.driver.stdin.flush()

    def hear(self) -> int:
        assert self.driver.stdout is not None
        return int(self.driver.stdout.readline())


@dataclass
class Process:
    """One run of a scenario, in the world of this server and directory."""

    processes: Processes
    url: str
    root: Path
    scenario: str
    pid: queue.SimpleQueue[int] = field(default_factory=queue.SimpleQueue)

    def run(self) -> int:
        """Its exit code, or the signal that ended it, negative."""
        self.processes.tell(self.url, str(self.root), self.scenario)
        self.pid.put(self.processes.hear())
        return self.processes.hear()

    def kill(self) -> None:
        """From the server's thread, which may get here before the one that runs it knows the id."""
        os.kill(self.pid.get(timeout=30), signal.SIGKILL)
