"""Run a data set's constraints for a command, show what was found, and keep the result beside the commit."""

from __future__ import annotations

import click

from mlops_kit.aws import Cloud
from mlops_kit.cli import render
from mlops_kit.cli.session import Session, now
from mlops_kit.config import Dataset
from mlops_kit.datasets.commit import CommitPlan
from mlops_kit.errors import UsageError
from mlops_kit.progress import Progress
from mlops_kit.quality import commits
from mlops_kit.quality import record as records
from mlops_kit.quality.results import Report


def constraints_of(session: Session, name: str) -> Dataset:
    """Raises:
    UsageError: the data set has no file, or none that says anything about the data.
    """
    constraints = session.project.dataset(name)
    if constraints is None:
        raise UsageError(
            f"{name} has no constraints: there is no environments/datasets/{name}.yaml.",
            hint="docs/data-tests.md shows what can be written there.",
        )
    return constraints


def of_plan(session: Session, cloud: Cloud, planned: CommitPlan, shown: Progress) -> Report:
    """Test what is about to be committed.

    Raises:
        GateError: it breaks a constraint. Nothing is stored of it.
    """
    name = planned.request.dataset
    try:
        report = commits.check_plan(cloud.store("lake"), planned, constraints_of(session, name), progress=shown)
        commits.require(report, f"what would be committed to {name}")
    except BaseException:
        planned.found.discard()
        raise
    return report


def record_result(session: Session, cloud: Cloud, name: str, commit: str, report: Report) -> None:
    """Keep the result, by commit and constraints."""
    constraints = constraints_of(session, name)
    records.record(cloud.store("lake"), name, commit, constraints, report, actor=cloud.actor, now=now())


def show(report: Report) -> None:
    rows = []
    for result in report.results:
        where = ", ".join(part for part in (result.table, result.column) if part)
        rows.append(("passed" if result.passed else "failed", result.constraint, where, result.message))
    render.table(["RESULT", "CONSTRAINT", "OF", "FOUND"], rows)
    for table, count in report.rows.items():
        click.echo(f"{table}: {render.some(count, 'row')}")


def as_json(report: Report) -> dict[str, object]:
    return {"passed": report.passed, "rows": dict(report.rows), "results": list(report.results)}
