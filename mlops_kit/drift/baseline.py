"""Record a baseline: profile the training data, write ``statistics.json`` and ``constraints.json``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mlops_kit.drift.constraints import suggest
from mlops_kit.drift.profile import profile
from mlops_kit.drift.statistics import Statistics, dump
from mlops_kit.errors import UsageError

STATISTICS = "statistics.json"
CONSTRAINTS = "constraints.json"


def record_baseline(directory: Path, label: str, write: Callable[[str, bytes], object]) -> Statistics:
    """Profile the table in ``directory`` and hand both files' names and bytes to ``write``.

    The label is profiled with the rest: its distribution is what predictions are later compared with.

    Raises:
        UsageError: no table that can be read, no column ``label``, or no other column.
    """
    statistics = profile(directory)
    names = [feature.name for feature in statistics.features]
    if label not in names:
        raise UsageError(
            f"The training data has no column {label!r}, which the model file names as its label.",
            hint=f"Columns found: {', '.join(map(repr, names))}.",
        )
    if len(names) == 1:
        raise UsageError(f"The training data has no column beside the label {label!r}: there is nothing to compare.")
    write(STATISTICS, dump(statistics))
    write(CONSTRAINTS, dump(suggest(statistics)))
    return statistics


def into(directory: Path) -> Callable[[str, bytes], object]:
    """A ``write`` for :func:`record_baseline` that puts the files into a local directory."""

    def write(name: str, body: bytes) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(body)

    return write
