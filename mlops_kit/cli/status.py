"""``mlops-kit status``: what runs where."""

from __future__ import annotations

import click

from mlops_kit import status
from mlops_kit.cli import options, render
from mlops_kit.cli.session import Session
from mlops_kit.status import ModelStatus


@click.command()
@click.option("--in", "environment", help="Only this environment. Default: all of them.")
@options.as_json
@options.cloud
def command(session: Session, environment: str | None, as_json: bool) -> None:
    """Show every endpoint and batch schedule, the release it runs, and the alarms that went off."""
    stages = session.project.stages if environment is None else (session.environment(environment),)
    found: list[ModelStatus] = []
    for stage in stages:
        cloud = session.cloud(stage)
        found.extend(status.read(cloud, model) for model in session.project.models_in(stage))
    if as_json:
        render.as_json(found)
        return
    render.table(
        ["ENVIRONMENT", "MODEL", "KIND", "ENDPOINT", "RELEASE", "VERSION", "DATA", "ALARMS"],
        [
            (
                s.environment,
                s.model,
                s.kind,
                s.endpoint,
                _release(s),
                s.release.version if s.release else "-",
                f"{s.release.dataset}@{s.release.dataset_commit[:12]}" if s.release else "-",
                ", ".join(s.alarms) or "-",
            )
            for s in found
        ],
    )


def _release(found: ModelStatus) -> str:
    if found.release is None:
        return "initial model"
    return found.release.id if found.agrees else f"{found.release.id}, but runs {found.config}"
