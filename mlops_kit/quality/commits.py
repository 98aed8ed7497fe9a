"""Test what is in the lake or about to be: bring the files that the constraints are about here, and check them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from mlops_kit.config.dataset import Dataset
from mlops_kit.datasets.checkout import checkout
from mlops_kit.datasets.commit import CommitPlan
from mlops_kit.datasets.read import find_commit, read_commit, read_files
from mlops_kit.datasets.records import Commit, FileEntry
from mlops_kit.errors import GateError
from mlops_kit.objects import Store
from mlops_kit.progress import SILENT, Progress
from mlops_kit.quality import record
from mlops_kit.quality.check import check
from mlops_kit.quality.files import matching
from mlops_kit.quality.parent import count_rows, parent_files
from mlops_kit.quality.results import Report


def check_commit(
    lake: Store, dataset: str, commit: str, constraints: Dataset, *, progress: Progress = SILENT
) -> Report:
    """Hold a commit against the constraints.

    Raises:
        NotFoundError: there is no such commit.
        IntegrityError: its files cannot be read bit for bit.
    """
    header = read_commit(lake, dataset, commit)
    entries = list(read_files(lake, header))
    with tempfile.TemporaryDirectory(prefix="mlops-kit-check-") as directory:
        needed = tables(constraints, entries)
        if needed:
            checkout(lake, dataset, commit, Path(directory, "files"), paths=needed, progress=progress)
        files = {path: Path(directory, "files", path) for path in needed}
        return _check(lake, header, entries, files, constraints, progress)


def require_plan(lake: Store, planned: CommitPlan, constraints: Dataset, *, progress: Progress = SILENT) -> Report:
    """As :func:`check_plan`; what breaks a constraint is not to be stored.

    Raises:
        GateError: as :func:`require`. What the plan had put aside is gone.
    """
    try:
        report = check_plan(lake, planned, constraints, progress=progress)
        require(report, f"what would be committed to {planned.request.dataset}")
    except BaseException:
        planned.found.discard()
        raise
    return report


def check_plan(lake: Store, planned: CommitPlan, constraints: Dataset, *, progress: Progress = SILENT) -> Report:
    """Hold a commit that is planned, and not stored yet, against the constraints.

    Local files are read where they are. What lies in S3, be it copied from there or kept from the parent, comes here.
    """
    if not planned.changed:
        return check_commit(lake, planned.request.dataset, planned.commit.id, constraints, progress=progress)
    entries = list(planned.files)
    by_path = {entry.path: entry for entry in entries}
    with tempfile.TemporaryDirectory(prefix="mlops-kit-check-") as directory:
        files: dict[str, Path] = {}
        for number, path in enumerate(tables(constraints, entries)):
            files[path] = planned.local(lake, by_path[path], Path(directory, str(number)))
        return _check(lake, planned.commit, entries, files, constraints, progress)


def require(report: Report, what: str) -> None:
    """Raises:
    GateError: a constraint does not hold; names each, and how many rows break it.
    """
    if report.passed:
        return
    failed = report.failed
    lines = [f"{len(failed)} of {len(report.results)} constraints do not hold in {what}:"]
    for result in failed:
        where = ", ".join(part for part in (result.table, result.column) if part)
        lines.append(f"  {result.constraint}{f' ({where})' if where else ''}: {result.message}")
        for example in result.examples:
            at = f"{example.file}{f' row {example.row}' if example.row is not None else ''}" if example.file else ""
            value = "missing" if example.value is None else repr(example.value)
            lines.append(f"    {f'{at}: ' if at else ''}{value}")
    raise GateError(
        "\n".join(lines),
        hint="Mend the data, or the constraints in environments/datasets/ if they are what is wrong.",
    )


def tables(constraints: Dataset, entries: Iterable[FileEntry]) -> list[str]:
    """The files that have to be read: those of tables. Of all others only name and size count."""
    paths = [entry.path for entry in entries]
    return sorted({path for table in constraints.tables for path in matching(table.files, paths)})


def _check(
    lake: Store,
    header: Commit,
    entries: list[FileEntry],
    files: Mapping[str, Path],
    constraints: Dataset,
    progress: Progress,
) -> Report:
    progress.start("check")  # DuckDB does not tell how far it is
    report = check(
        files,
        constraints,
        sizes={entry.path: entry.size for entry in entries},
        parent_rows=_parent_rows(lake, header, constraints, progress),
    )
    progress.done()
    return report


def _parent_rows(lake: Store, header: Commit, constraints: Dataset, progress: Progress) -> Mapping[str, int] | None:
    """Rows of the parent's tables: from its own check, or counted; None if there is nothing to compare with."""
    parent = find_commit(lake, header.dataset, header.parent) if header.parent else None
    if parent is None:
        return None
    entries = list(read_files(lake, parent))
    needed = parent_files(constraints, [entry.path for entry in entries])
    if not needed:
        return None
    known = record.read(lake, header.dataset, parent.id, record.constraints_sha256(constraints))
    if known is not None:
        return known.rows
    with tempfile.TemporaryDirectory(prefix="mlops-kit-check-") as directory:
        root = Path(directory, "parent")
        checkout(lake, header.dataset, parent.id, root, paths=needed, progress=progress)
        return count_rows(root, needed, constraints)
