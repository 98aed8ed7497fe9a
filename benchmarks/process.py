"""Run a command as a process of its own and ask the kernel what it took, its children included."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Taken:
    """Wall clock and CPU time in seconds; the peak of resident memory in MiB; what the command printed."""

    wall: float
    cpu: float
    memory: float
    out: str

    def __add__(self, other: Taken) -> Taken:
        """One after the other."""
        return Taken(self.wall + other.wall, self.cpu + other.cpu, max(self.memory, other.memory), self.out + other.out)


def run(command: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Taken:
    """Raises:
    SystemExit: the command failed; a benchmark of what does not work says nothing.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        began = time.monotonic()
        process = subprocess.Popen(
            [str(word) for word in command], cwd=cwd, env={**os.environ, **(env or {})}, stdout=out, stderr=errors
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            raise SystemExit(f"{' '.join(map(str, command))[:200]} ended with {process.returncode}:\n{errors.read()}")
        out.seek(0)
        return Taken(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out.read())
