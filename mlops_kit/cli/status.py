"""``mlops-kit status``: what runs where."""

from __future__ import annotations

import time

import click

from mlops_kit import status
from mlops_kit.cli import options, render
from mlops_kit.cli.session import Session, now, tell
from mlops_kit.errors import UsageError
from mlops_kit.promotion import watch
from mlops_kit.status import ModelStatus


@click.command()
@click.argument("model", required=False)
@click.option("--in", "environment", help="Only this environment. Default: all of them.")
@click.option("--follow", is_flag=True, help="Watch MODEL's deployment until it is over; exit code 5 if it failed.")
@options.as_json
@options.cloud
def command(session: Session, model: str | None, environment: str | None, follow: bool, as_json: bool) -> None:
    """Show every endpoint and batch schedule, the release it runs, and the alarms that went off; or only MODEL's."""
    if follow:
        _follow(session, model, environment)
    stages = session.project.stages if environment is None else (session.environment(environment),)
    if model is not None and environment is not None:
        session.project.model(model, stages[0])  # or it is none
    found: list[ModelStatus] = []
    for stage in stages:
        models = [one for one in session.project.models_in(stage) if model in (None, one.name)]
        if not models:
            continue
        cloud = session.cloud(stage)
        found.extend(status.read(cloud, one) for one in models)
    if model is not None and not found:
        raise UsageError(f"There is no model {model!r} in any environment.")
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


def _follow(session: Session, name: str | None, environment: str | None) -> None:
    if name is None or environment is None:
        raise UsageError("--follow needs a MODEL and --in ENV.")
    stage = session.environment(environment)
    model = session.project.model(name, stage)
    if model.serving.kind == "batch":
        return  # its schedule is set in one call: there is nothing to follow
    names = stage.names.model(name)
    config, parked = watch.follow(session.cloud(stage), names, now=now, sleep=time.sleep, tell=tell)
    tell(f"{names.endpoint} runs {config}")
    if parked is not None:
        tell(f"nobody has recorded it yet: run the promotion again that was begun ({parked.what}), without --no-wait")


def _release(found: ModelStatus) -> str:
    if found.release is None:
        return "initial model"
    return found.release.id if found.agrees else f"{found.release.id}, but runs {found.config}"
