"""What earlier checkouts wrote into a directory, remembered in the directory itself.

So an unchanged file is known by its size and time and need not be hashed, a file that somebody edited is known from
one that a checkout wrote, and ``--delete`` knows what it may remove. Advisory: without the file, everything that is
there is hashed, and what differs counts as somebody's own.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_kit.datasets.local_paths import STATE_NAME

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Written:
    """A file as a checkout left it. ``mtime`` is in nanoseconds."""

    size: int
    mtime: int
    sha256: str

    def is_same(self, found: os.stat_result) -> bool:
        return (self.size, self.mtime) == (found.st_size, found.st_mtime_ns)


@dataclass(slots=True)
class State:
    """What is known of one data set in one directory."""

    commit: str | None = None
    files: dict[str, Written] = field(default_factory=dict)
    writing: dict[str, str] = field(default_factory=dict)
    """Path to digest of what an unfinished checkout was about to write; a killed one leaves this behind."""

    def knows(self, path: str) -> bool:
        return path in self.files or path in self.writing

    def wrote(self, path: str, sha256: str) -> bool:
        """Whether a checkout wrote these bytes to this path."""
        known = self.files.get(path)
        return (known is not None and known.sha256 == sha256) or self.writing.get(path) == sha256


def load(directory: Path, dataset: str) -> State:
    mine: Any = _read(directory).get(dataset)
    try:
        return State(
            commit=mine["commit"],
            files={str(path): Written(*values) for path, values in mine["files"].items()},
            writing=dict(mine["writing"]),
        )
    except (TypeError, KeyError, AttributeError, ValueError):
        return State()


def save(directory: Path, dataset: str, state: State) -> None:
    """Whole or not at all. Other data sets in the same directory are kept."""
    mine = {
        "commit": state.commit,
        "files": {path: [known.size, known.mtime, known.sha256] for path, known in state.files.items()},
        "writing": state.writing,
    }
    text = json.dumps({"format": FORMAT, "datasets": {**_read(directory), dataset: mine}}, ensure_ascii=False)
    unfinished = directory / f"{STATE_NAME}.part"
    unfinished.unlink(missing_ok=True)  # of a run that was killed; never written through, it may be a link
    try:
        with unfinished.open("x", encoding="utf-8") as file:
            file.write(text)
        unfinished.replace(directory / STATE_NAME)
    finally:
        unfinished.unlink(missing_ok=True)


def _read(directory: Path) -> dict[str, Any]:
    try:
        data = json.loads((directory / STATE_NAME).read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        return {}
    known = data.get("datasets")
    return known if isinstance(known, dict) else {}
