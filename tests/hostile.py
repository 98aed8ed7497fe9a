"""A process in which something hostile is read: with a hard limit on its time and memory, and none on what it may do.

Forked, so that it costs milliseconds. Memory is what the process may have on top of what this one has.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MEMORY = 256 * 1024 * 1024
CPU_SECONDS = 2
"""The kernel counts whole seconds: under two is the least that is not sometimes nothing."""


@dataclass(frozen=True)
class Ended:
    """How it ended: the name of the exception and what it says, or that there was none."""

    error: str
    message: str
    ours: bool
    """Whether it is an error of the kit's own, which becomes a message and an exit code."""


def run(act: Callable[[], object], memory: int = MEMORY) -> Ended:
    """What becomes of ``act``.

    Raises:
        AssertionError: it was killed by a limit.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _work(act, memory, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        raise AssertionError(f"it was killed by {signal.Signals(os.WTERMSIG(status)).name}")
    return Ended(*pickle.loads(said))  # noqa: S301 - our own process wrote it


def _work(act: Callable[[], object], memory: int, writing: int) -> None:
    code = 1
    with contextlib.suppress(BaseException):
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        threading.stack_size(1024 * 1024)  # of threads that are yet to be made: they count as a whole
        resource.setrlimit(resource.RLIMIT_AS, (size + memory, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.write(writing, pickle.dumps(_ended(act)))
        code = 0
    os._exit(code)


def _ended(act: Callable[[], object]) -> tuple[str, str, bool]:
    from mlops_kit.errors import MlopsKitError

    try:
        act()
    except BaseException as exc:
        return type(exc).__name__, str(exc)[:2000], isinstance(exc, MlopsKitError)
    return "", "", False


def everything(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file and link below ``root``, with what is in it: to be compared with what there was before."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            found[str(path)] = (path.lstat().st_mode, str(path.readlink()).encode())
        elif path.is_file():
            found[str(path)] = (path.stat().st_mode, path.read_bytes())
    return found
