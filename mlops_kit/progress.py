"""How far a long operation has come: told by the core, shown by whoever called it.

Core functions take a :class:`Progress` and count into it, from any thread; they never print. ``mlops_kit.cli.progress``
shows it as bars or as lines.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """One operation after another; each says what there is to do, then what has been done."""

    def start(self, what: str, objects: int | None = None, bytes_: int | None = None) -> None:
        """A new operation begins: ``what`` in a word or two, with its total where that is known."""

    def add(self, objects: int = 0, bytes_: int = 0) -> None:
        """So much more is done. Called from any thread."""

    def done(self) -> None:
        """The operation is complete."""


class _Silent:
    def start(self, what: str, objects: int | None = None, bytes_: int | None = None) -> None:
        pass

    def add(self, objects: int = 0, bytes_: int = 0) -> None:
        pass

    def done(self) -> None:
        pass


SILENT: Progress = _Silent()
"""Nobody is looking."""
