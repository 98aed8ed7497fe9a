"""Show what a data test found, and keep the result beside the commit."""

from __future__ import annotations

import click

from mlops_kit.aws import Cloud
from mlops_kit.cli import render
from mlops_kit.cli.session import Session, now
from mlops_kit.quality import record as records
from mlops_kit.quality.results import Report


def record_result(session: Session, cloud: Cloud, name: str, commit: str, report: Report) -> None:
    """Keep the result, by commit and constraints."""
    constraints = session.project.constraints(name)
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
