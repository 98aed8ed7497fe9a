"""``mlops-kit dataset check``."""

from __future__ import annotations

import click

from mlops_kit.cli import options, progress, render
from mlops_kit.cli.dataset import checking
from mlops_kit.cli.session import Session
from mlops_kit.datasets import refs
from mlops_kit.quality import commits


@click.command()
@click.argument("dataset", metavar="NAME[@REV]")
@options.first_stage
@options.as_json
@options.cloud
def command(session: Session, dataset: str, environment: str | None, as_json: bool) -> None:
    """Test data against its constraints.

    They are in environments/datasets/NAME.yaml. The result is kept beside the commit. Exit code 3: one does not hold.
    """
    name, revision = refs.parse(dataset)
    constraints = session.project.constraints(name)
    cloud = session.cloud(session.environment(environment))
    lake = cloud.store("lake")
    commit = refs.resolve(lake, name, revision)
    with progress.shown() as shown:
        report = commits.check_commit(lake, name, commit, constraints, progress=shown)
    checking.record_result(session, cloud, name, commit, report)
    if as_json:
        render.as_json({"commit": commit} | checking.as_json(report))
    else:
        checking.show(report)
    commits.require(report, f"{name}@{commit[:12]}")
