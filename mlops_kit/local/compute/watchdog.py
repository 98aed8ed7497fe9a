"""Runs one command in its own process group and ends it, with everything it started, when stdin reaches its end.

The server holds the other end of that pipe. When it closes it, or dies in any way at all, the kernel closes it, so no
child of the local cloud outlives the server. The command cannot be asked to watch the pipe itself: it is a team's own
script. Only the standard library is imported here, to start quickly and stay small.

Usage: ``python -I watchdog.py GRACE_SECONDS COMMAND…`` (the exit status is the command's own; 128+N for a signal)
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time


def main(arguments: list[str]) -> int:
    grace, command = float(arguments[0]), arguments[1:]
    # Inherited descriptors stay open: a serving container gets its listening socket this way.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, close_fds=False)

    def end_with_the_server() -> None:
        while os.read(0, 4096):  # not sys.stdin: its lock would be held at exit
            pass
        _signal(child.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        _signal(child.pid, signal.SIGKILL)

    threading.Thread(target=end_with_the_server, daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: _signal(child.pid, signal.SIGKILL))
    status = child.wait()
    _signal(child.pid, signal.SIGKILL)  # what the command itself left behind
    return status if status >= 0 else 128 - status


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
