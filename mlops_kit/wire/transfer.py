"""What the body of a request is read from, and what the body of an answer is written to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mlops_kit.errors import IntegrityError

OnBytes = Callable[[int], object]
"""Told of bytes as they travel; of a negative number when that many have to travel again."""


@dataclass(slots=True)
class FileSlice:
    """``size`` bytes of a file from ``offset`` on, whose SHA-256 in hex is known: the body of one request.

    Sent again from its start on a retry.
    """

    path: Path
    offset: int
    size: int
    sha256: str
    on_bytes: OnBytes | None = None
    _told: int = field(default=0, init=False)

    def begin(self) -> None:
        """Nothing of it is sent: take back what was told."""
        if self.on_bytes is not None and self._told:
            self.on_bytes(-self._told)
        self._told = 0

    def sent(self, count: int) -> None:
        if self.on_bytes is not None:
            self._told += count
            self.on_bytes(count)

    def changed(self) -> IntegrityError:
        return IntegrityError(
            f"{self.path} changed while it was being read.", hint="Nothing was stored of it. Run it again."
        )


class Sink(Protocol):
    """Where the body of a successful answer goes, piece by piece; it may be given in several attempts."""

    def asks(self) -> Mapping[str, str]:
        """Headers for the next attempt: what is still wanted."""

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """An answer begins. What it brings follows what is there if it has status 206, else it is all anew."""

    def write(self, piece: memoryview) -> None:
        """The next bytes; the memory is used again afterwards."""
