"""A whole local cloud for the tests that need one: its project, and the command line as a user runs it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def processes_in(directory: Path) -> list[str]:
    """Command lines of the processes that name ``directory``: what a local cloud that lives there consists of."""
    found = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    return [" ".join(line) for line in found if any(str(directory) in part for part in line)]


def story_calls(project: Path) -> Path:
    """The record of every API call of the demo, and of nothing that a test called later."""
    return project / "story.jsonl"


def copy_project(to: Path, source: Path = ROOT, files: Sequence[str] = ("environments", "examples")) -> Path:
    """A project of its own, with the checkout's tools: what one edits or deploys in it touches nothing else."""
    for name in files:
        shutil.copytree(source / name, to / name)
    shutil.copy(ROOT / "cdktf.json", to)
    for name in (".venv", "node_modules", "stacks"):
        if (ROOT / name).exists():
            (to / name).symlink_to(ROOT / name)
    return to


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Cli:
    """``mlops-kit`` in a project, as a process of its own."""

    project: Path
    local: bool = True

    def __call__(self, *arguments: str, env: dict[str, str] | None = None) -> Done:
        environment = {**os.environ, **(env or {})}
        if self.local:
            environment["MLOPS_KIT_LOCAL"] = "1"
        done = subprocess.run(
            [sys.executable, "-m", "mlops_kit", *arguments],
            cwd=self.project,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str, env: dict[str, str] | None = None) -> Done:
        done = self(*arguments, env=env)
        assert done.code == 0, f"mlops-kit {' '.join(arguments)} ended with {done.code}:\n{done.err}\n{done.out}"
        return done

    def json(self, *arguments: str) -> Any:
        return self.ok(*arguments, "--json").json
