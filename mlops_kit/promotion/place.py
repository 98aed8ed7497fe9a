"""Where somebody is at work: a process on a host, told apart from others that come to have its number."""

from __future__ import annotations

import os
import socket
import sys
import uuid
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """A process: ``host`` for people; ``boot`` and ``born`` tell it from others that have its number.

    ``boot`` is one run of one kernel, and which process numbers are meant; empty where the system does not say.
    """

    host: str
    pid: int
    boot: str = ""
    born: str = ""

    @classmethod
    def here(cls) -> Place:
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> Place:
        """A process of this host."""
        return cls(socket.gethostname(), pid, _boot(), _born(pid))

    def is_gone(self) -> bool | None:
        """Whether the process has ended; None if that cannot be known from here."""
        if not self.boot or self.boot != _boot() or self.host != socket.gethostname():
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass  # it runs, as somebody else
        return bool(self.born) and self.born != _born(self.pid)


@cache
def _boot() -> str:
    """This run of this kernel, and this space of process numbers: containers on one host have a space each.

    On macOS it is the machine. Empty where nothing of the kind is known.
    """
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    return f"{sys.platform} {uuid.getnode()}" if sys.platform == "darwin" else ""


def _born(pid: int) -> str:
    """When a process began, in the kernel's ticks: its number may be another's by now.

    Empty if there is none, or if it has ended and only waits for its parent to notice.
    """
    with suppress(OSError):
        # The name, in parentheses, may hold anything; the state is field 3 of all, and the start time field 22.
        found = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if found[0] in "ZX" else found[19]
    return ""
