"""What the server was started with, for the parts of it that run later and elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlops_kit.local.compute.processes import Supervisor


@dataclass(frozen=True, slots=True)
class Runtime:
    """``speedup`` divides the waits of a deployment and the interval between alarm evaluations, nothing else."""

    directory: Path
    endpoint_url: str
    speedup: float
    processes: Supervisor

    def scaled(self, seconds: float) -> float:
        return seconds / self.speedup


_current: list[Runtime] = []


def configure(runtime: Runtime) -> None:
    """Called once, by the server, before it answers its first request."""
    _current[:] = [runtime]


def current() -> Runtime:
    if not _current:
        raise RuntimeError("the local cloud's server is not running in this process")
    return _current[0]
