"""Child processes: started behind a watchdog, their output read line by line, all ended with the server."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlops_kit.local.compute import watchdog

LAST_LINES = 20


@dataclass(eq=False)
class Child:
    """One running command. ``last_lines`` holds the end of its output, for failure reasons."""

    label: str
    process: subprocess.Popen[bytes]
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    reader: threading.Thread | None = None

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def end(self) -> None:
        """Ask the watchdog to end the command; returns at once."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, once all output has been read.

        Raises:
            subprocess.TimeoutExpired: it is still running after ``timeout`` seconds.
        """
        status = self.process.wait(timeout)
        if self.reader is not None:
            self.reader.join(timeout=5)
        return status


class Supervisor:
    """Every child of this server."""

    def __init__(self) -> None:
        self._children: set[Child] = set()
        self._lock = threading.Lock()
        self._closed = False

    def start(
        self,
        label: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        log: Path,
        on_line: Callable[[str], None],
        grace: float = 5.0,
        pass_fds: Sequence[int] = (),
    ) -> Child:
        """Run ``command``. Every line of its output goes to ``log``, ``on_line`` and the child's ``last_lines``.

        ``grace``: seconds between SIGTERM and SIGKILL when it is ended.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("the local cloud is shutting down")
            process = subprocess.Popen(
                [sys.executable, "-I", str(Path(watchdog.__file__)), str(grace), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,  # Ctrl-C reaches the server, which ends its children in its own way
                pass_fds=tuple(pass_fds),
            )
            child = Child(label, process)
            self._children.add(child)
        child.reader = threading.Thread(target=self._read, args=(child, log, on_line), daemon=True)
        child.reader.start()
        return child

    def _read(self, child: Child, log: Path, on_line: Callable[[str], None]) -> None:
        stream = child.process.stdout
        if stream is None:  # it is always a pipe; this tells the type checker
            return
        with log.open("ab") as file, stream:
            for raw in stream:
                file.write(raw)
                file.flush()
                line = raw.decode("utf-8", "replace").rstrip("\r\n")
                if line.strip():
                    child.last_lines.append(line)
                on_line(line)
        child.process.wait()
        with self._lock:
            self._children.discard(child)

    def running(self) -> list[Child]:
        with self._lock:
            return sorted((c for c in self._children if c.running), key=lambda c: c.label)

    def close(self, timeout: float = 10.0) -> None:
        """End all children and wait for them; start no more.

        Returns after ``timeout`` seconds at the latest: a watchdog that is not done by then will be soon.
        """
        with self._lock:
            self._closed = True
            children = list(self._children)
        for child in children:
            child.end()
        deadline = time.monotonic() + timeout
        for child in children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.1, deadline - time.monotonic()))
