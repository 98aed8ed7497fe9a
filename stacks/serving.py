"""How a model answers, by its kind: an endpoint that is there all the time or when it is asked, or a job at night."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlops_kit.config import Environment, Model
from stacks.batch import Batch
from stacks.bindings import Construct
from stacks.data_lake import DataLake
from stacks.endpoint import Endpoint
from stacks.network import Network
from stacks.schedules import Schedules
from stacks.serving_role import ServingRole


@dataclass(frozen=True, slots=True)
class Served:
    """``endpoint``: its name; None for a model without one. ``role_arn``: what its containers run as."""

    endpoint: str | None
    role_arn: str


def serve(
    scope: Construct,
    id_: str,
    *,
    environment: Environment,
    model: Model,
    lake: DataLake,
    key_arn: str,
    network: Network,
    rollback_alarms: Sequence[Any],
    schedules: Schedules,
) -> Served:
    """Make what serves ``model``. ``rollback_alarms``: what undoes a release of it, made before the endpoint."""
    role = ServingRole(scope, f"{id_}-role", environment=environment, model=model, key_arn=key_arn, network=network)
    if not model.serving.has_endpoint:
        Batch(
            scope,
            id_,
            environment=environment,
            model=model,
            role=role,
            lake=lake,
            key_arn=key_arn,
            network=network,
            schedules=schedules,
        )
        return Served(None, role.role_arn)
    endpoint = Endpoint(
        scope,
        id_,
        environment=environment,
        model=model,
        role=role,
        lake=lake,
        key_arn=key_arn,
        network=network,
        rollback_alarms=rollback_alarms,
    )
    return Served(endpoint.name, role.role_arn)
