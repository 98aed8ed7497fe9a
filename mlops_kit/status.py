"""What runs where: the endpoint as SageMaker has it, beside the release that the ledger says it should run.

A batch model has no endpoint: there it is the schedule, and the model of the job that it starts next.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlops_kit import alarms, batch, serving
from mlops_kit.aws import Cloud
from mlops_kit.config import Model
from mlops_kit.config.serving import ServingKind
from mlops_kit.naming import ModelNames
from mlops_kit.promotion import ledger
from mlops_kit.promotion.ledger import Ledger, Release


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model in one environment. ``endpoint``: its status, or its schedule's. ``config``: what answers, or what the
    next job uses. ``agrees``: that is what the ledger says.
    """

    environment: str
    model: str
    kind: ServingKind
    endpoint: str
    config: str
    release: Release | None
    agrees: bool
    alarms: tuple[str, ...]
    """Names of this model's alarms that have gone off."""


def read(cloud: Cloud, model: Model) -> ModelStatus:
    """Reads endpoint or schedule, ledger and alarms; changes nothing."""
    names = model.names(cloud.names)
    status, config = _answering(cloud, model, names)
    running = ledger.current(Ledger(cloud.store("ledger"), names).events())
    gone_off = [alarm.name for alarm in alarms.read(cloud.cloudwatch, cloud.names) if alarm.state == "ALARM"]
    return ModelStatus(
        environment=cloud.environment.name,
        model=model.name,
        kind=model.serving.kind,
        endpoint=status,
        config=config,
        release=running,
        agrees=running is None or running.config == config,
        alarms=tuple(
            # The one that wakes an empty endpoint up is no bad news.
            name
            for name in gone_off
            if name.startswith(f"{names.prefix}-") and name != names.wake_alarm
        ),
    )


def _answering(cloud: Cloud, model: Model, names: ModelNames) -> tuple[str, str]:
    """The status of what answers, and the config that it runs."""
    if model.serving.kind == "batch":
        schedule = batch.read(cloud.scheduler, names)
        return (f"schedule {schedule.status.lower()}", schedule.config) if schedule else ("absent", "")
    state = serving.read_endpoint(cloud.sagemaker, names)
    return (state.status, state.config) if state else ("absent", "")
