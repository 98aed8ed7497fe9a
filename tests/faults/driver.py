"""``python -m tests.faults.driver``: run the scenarios that stdin names, each in a process of its own.

A line has a server's address, a directory and a scenario's name, between tabs. For each, the id of the process is
printed, and when it has ended, its exit code, or the signal, negative.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from tests.faults.scenarios import SCENARIOS
from tests.faults.world import World


def main() -> None:
    for line in sys.stdin:
        url, directory, name = line.rstrip("\n").split("\t")
        pid = os.fork()
        if pid == 0:
            code = 0
            try:
                SCENARIOS[name].run(World.at(url, Path(directory)))
            except BaseException:
                traceback.print_exc()
                code = 1
            os._exit(code)
        tell(pid)
        _, status = os.waitpid(pid, 0)
        tell(os.waitstatus_to_exitcode(status))


def tell(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
