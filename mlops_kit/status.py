"""What runs where: the endpoint as SageMaker has it, beside the release that the ledger says it should run."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_kit import alarms, serving
from mlops_kit.aws import Cloud
from mlops_kit.promotion import ledger
from mlops_kit.promotion.ledger import Ledger, Release


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model in one environment. ``agrees``: the endpoint runs what the ledger says."""

    environment: str
    model: str
    endpoint: str
    config: str
    release: Release | None
    agrees: bool
    alarms: tuple[str, ...]
    """Names of this model's alarms that have gone off."""


def read(cloud: Cloud, model: str) -> ModelStatus:
    """Reads endpoint, ledger and alarms; changes nothing."""
    names = cloud.names.model(model)
    state = serving.read_endpoint(cloud.sagemaker, names)
    running = ledger.current(Ledger(cloud.store("ledger"), names).events())
    config = state.config if state else ""
    gone_off = [alarm.name for alarm in alarms.read(cloud.cloudwatch, cloud.names) if alarm.state == "ALARM"]
    return ModelStatus(
        environment=cloud.environment.name,
        model=model,
        endpoint=state.status if state else "absent",
        config=config,
        release=running,
        agrees=running is None or running.config == config,
        alarms=tuple(name for name in gone_off if name.startswith(f"{names.prefix}-")),
    )
