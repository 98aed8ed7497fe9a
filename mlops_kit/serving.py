"""Roll a release onto an endpoint: make its model and config, update, wait, and verify what runs afterwards.

Terraform owns the endpoint; this module only ever changes which config it runs. SageMaker reports an update that it
rolled back as a healthy endpoint, so success is only what :func:`wait` has verified: the endpoint runs the config asked
for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from mlops_kit import release_requests
from mlops_kit.errors import ConflictError, DeploymentError, NotFoundError
from mlops_kit.naming import ModelNames
from mlops_kit.promotion.ledger import ReleaseSpec

if TYPE_CHECKING:
    from types_boto3_sagemaker import SageMakerClient

_BUSY = {"Creating", "Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed"}
_DUPLICATE = {"ValidationException", "ResourceInUse", "ResourceInUseException"}


@dataclass(frozen=True, slots=True)
class EndpointState:
    """What DescribeEndpoint says. ``pending`` is the config that is being rolled out, if one is."""

    status: str
    config: str
    pending: str
    failure: str
    changed: datetime

    @property
    def busy(self) -> bool:
        return self.status in _BUSY


def read_endpoint(sagemaker: SageMakerClient, names: ModelNames) -> EndpointState | None:
    """The endpoint's state; None if there is no endpoint."""
    try:
        found: dict[str, Any] = dict(sagemaker.describe_endpoint(EndpointName=names.endpoint))
    except ClientError as exc:
        # The name is ours and well-formed, so the one thing a validation error can mean is that it does not exist.
        if exc.response["Error"]["Code"] == "ValidationException":
            return None
        raise
    return EndpointState(
        status=found["EndpointStatus"],
        config=found.get("EndpointConfigName", ""),
        pending=found.get("PendingDeploymentSummary", {}).get("EndpointConfigName", ""),
        failure=found.get("FailureReason", ""),
        changed=found["LastModifiedTime"],
    )


def require_endpoint(sagemaker: SageMakerClient, names: ModelNames) -> EndpointState:
    state = read_endpoint(sagemaker, names)
    if state is None:
        environment = names.environment.environment
        raise NotFoundError(
            f"There is no endpoint {names.endpoint} in {environment}.",
            hint=f"Deploy the environment first: `npx cdktf deploy {environment}`.",
        )
    return state


def create_models(sagemaker: SageMakerClient, names: ModelNames, config: str, spec: ReleaseSpec) -> None:
    """Make the SageMaker models of the release ``config``, as far as they do not exist yet."""
    for name, request in release_requests.models(names, config, spec).items():
        _make(partial(sagemaker.describe_model, ModelName=name), partial(sagemaker.create_model, **request))


def create_config(sagemaker: SageMakerClient, names: ModelNames, config: str, spec: ReleaseSpec) -> None:
    """Make the endpoint config named ``config``, if it does not exist yet; its models do."""
    request = release_requests.endpoint_config(names, config, spec)
    _make(
        partial(sagemaker.describe_endpoint_config, EndpointConfigName=config),
        partial(sagemaker.create_endpoint_config, **request),
    )


def _make(describe: Callable[[], Any], create: Callable[[], Any]) -> None:
    if _exists(describe):
        return
    # Another run of the same promotion may create it between our look and our call; names are content, so that is fine.
    try:
        create()
    except ClientError as exc:
        if exc.response["Error"]["Code"] in _DUPLICATE and _exists(describe):
            return
        raise


def _exists(describe: Callable[[], Any]) -> bool:
    try:
        describe()
    except ClientError as exc:
        if exc.response["Error"]["Code"] in {"ValidationException", "ResourceNotFound"}:
            return False
        raise
    return True


def delete_release(sagemaker: SageMakerClient, names: ModelNames, config: str, spec: ReleaseSpec) -> None:
    """Delete a release's endpoint config and models, as far as they exist. A rollback can make them again."""
    deletions: list[Callable[[], Any]] = [
        partial(sagemaker.delete_model, ModelName=name) for name in release_requests.models(names, config, spec)
    ]
    if spec.kind != "batch":
        deletions.insert(0, partial(sagemaker.delete_endpoint_config, EndpointConfigName=config))
    for delete in deletions:
        try:
            delete()
        except ClientError as exc:
            if exc.response["Error"]["Code"] not in {"ValidationException", "ResourceNotFound"}:
                raise


def start_update(sagemaker: SageMakerClient, names: ModelNames, config: str, request: dict[str, Any]) -> None:
    """Begin to roll ``config`` out, unless it runs or is on its way already.

    ``request``: UpdateEndpoint as :func:`mlops_kit.release_requests.update` has it.

    Raises:
        ConflictError: the endpoint is busy with another config.
    """
    state = require_endpoint(sagemaker, names)
    if _on_its_way(names, state, config):
        return
    try:
        sagemaker.update_endpoint(**request)
    except ClientError:
        # Somebody may have started an update between our look and our call; SageMaker has no code of its own for that.
        if _on_its_way(names, require_endpoint(sagemaker, names), config):
            return
        raise


def _on_its_way(names: ModelNames, state: EndpointState, config: str) -> bool:
    if not state.busy:
        return state.config == config and state.status == "InService"
    if config == (state.pending or state.config):
        return True
    raise ConflictError(
        f"{names.endpoint} is {state.status}"
        + (f" to {state.pending}" if state.pending else "")
        + ": another deployment is under way.",
        hint="Wait until `mlops-kit status` shows it InService, then run this again.",
    )


def wait(
    sagemaker: SageMakerClient,
    names: ModelNames,
    config: str,
    *,
    sleep: Callable[[float], None],
    on_state: Callable[[EndpointState], None] = lambda state: None,
) -> None:
    """Wait until the endpoint is at rest, then verify that it runs ``config``.

    Raises:
        DeploymentError: it does not; the message carries SageMaker's reason.
    """
    pause = 0.5
    while (state := require_endpoint(sagemaker, names)).busy:
        on_state(state)
        sleep(pause)
        pause = min(pause * 1.5, 15.0)
    on_state(state)
    if state.status == "InService" and state.config == config:
        return
    raise DeploymentError(
        f"{names.endpoint} was not updated to {config}: it is {state.status} and runs {state.config or 'nothing'}. "
        f"{state.failure or 'SageMaker gave no reason.'}",
        hint="The endpoint serves what it served before. See `mlops-kit alarms` and the endpoint's log.",
    )
