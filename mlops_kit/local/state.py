"""Where the local cloud keeps itself, and how a command finds the one that runs."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlops_kit.errors import UsageError

DEFAULT_PORT = 4577
HEALTH_PATH = "/_mlops-kit/health"


@dataclass(frozen=True, slots=True)
class Layout:
    """The directories of one project's local cloud; all of it may be deleted when the cloud is down."""

    project: Path

    @property
    def root(self) -> Path:
        return self.project / ".mlops-kit" / "local"

    @property
    def state_file(self) -> Path:
        return self.root / "state.json"

    @property
    def server(self) -> Path:
        """The server's own work: jobs, models, container logs."""
        return self.root / "server"

    @property
    def log(self) -> Path:
        return self.root / "server.log"

    @property
    def synthesized(self) -> Path:
        return self.root / "cdktf.out"

    @property
    def terraform_state(self) -> Path:
        return self.root / "tfstate"

    def stack(self, environment: str) -> Path:
        return self.synthesized / "stacks" / environment


@dataclass(frozen=True, slots=True)
class Running:
    """A local cloud that was started: its process and port, the environments that were applied, and whether roles may
    only do what their policies allow."""

    pid: int
    port: int
    applied: tuple[str, ...] = ()
    enforces_iam: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def write(self, layout: Layout) -> None:
        layout.root.mkdir(parents=True, exist_ok=True)
        unfinished = layout.state_file.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps(asdict(self)))
        unfinished.replace(layout.state_file)


def read(layout: Layout) -> Running | None:
    """What the state file says; None if there is none. Whether it still runs is for :func:`health` to say."""
    try:
        data = json.loads(layout.state_file.read_text())
        return Running(data["pid"], data["port"], tuple(data["applied"]), bool(data.get("enforces_iam")))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError) as exc:
        raise UsageError(
            f"{layout.state_file} cannot be read: {exc}", hint="Run `mlops-kit local down`, then `local up`."
        ) from exc


def health(url: str) -> dict[str, Any] | None:
    """The server's own report; None if nothing that is ours answers there."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never ask a proxy for this machine
    try:
        with opener.open(url + HEALTH_PATH, timeout=5) as response:
            report = json.load(response)
    except (urllib.error.URLError, OSError, ValueError):
        return None
    return report if isinstance(report, dict) and report.get("status") == "ok" else None


def require(layout: Layout) -> Running:
    """The running local cloud.

    Raises:
        UsageError: it is not running.
    """
    running = read(layout)
    if running is None or health(running.url) is None:
        raise UsageError("The local cloud is not running.", hint="Start it: `mlops-kit local up`.")
    return running
