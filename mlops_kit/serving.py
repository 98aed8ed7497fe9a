"""Roll a release onto an endpoint: make its model and config, update, wait, and verify what runs afterwards.

Terraform owns the endpoint; this module only ever changes which config it runs. SageMaker reports an update that it
rolled back as a healthy endpoint, so success is only what :func:`verify` has seen: the endpoint runs the config asked
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
from mlops_kit.naming import VARIANT, ModelNames
from mlops_kit.promotion.ledger import ReleaseSpec

if TYPE_CHECKING:
    from types_boto3_sagemaker import SageMakerClient

_BUSY = {"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"}
_DUPLICATE = {"ValidationException", "ResourceInUse", "ResourceInUseException"}


@dataclass(frozen=True, slots=True)
class EndpointState:
    """What DescribeEndpoint says. ``pending`` is the config that is being rolled out, if one is.

    ``phase``: what the new instances are at, like ``Baking``; ``share`` of the traffic that they have, from 0 to 1;
    ``begun``: since when. Each only where SageMaker says it.
    """

    status: str
    config: str
    pending: str
    failure: str
    changed: datetime
    arn: str = ""
    phase: str = ""
    share: float | None = None
    begun: datetime | None = None

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
    coming = found.get("PendingDeploymentSummary", {})
    variant: dict[str, Any] = next(
        (one for one in coming.get("ProductionVariants", ()) if one["VariantName"] == VARIANT), {}
    )
    return EndpointState(
        status=found["EndpointStatus"],
        config=found.get("EndpointConfigName", ""),
        pending=coming.get("EndpointConfigName", ""),
        failure=found.get("FailureReason", ""),
        changed=found["LastModifiedTime"],
        arn=found.get("EndpointArn", ""),
        phase=", ".join(one["Status"] for one in variant.get("VariantStatus", ())),
        share=_share(variant),
        begun=coming.get("StartTime"),
    )


def _share(variant: dict[str, Any]) -> float | None:
    current, desired = variant.get("CurrentWeight"), variant.get("DesiredWeight")
    return min(1.0, current / desired) if current is not None and desired else None


def require_endpoint(sagemaker: SageMakerClient, names: ModelNames) -> EndpointState:
    state = read_endpoint(sagemaker, names)
    if state is None:
        environment = names.environment.environment
        raise NotFoundError(
            f"There is no endpoint {names.endpoint} in {environment}.",
            hint=f"Deploy the environment first: `npx cdktf deploy {environment}`.",
        )
    return state


def make(sagemaker: SageMakerClient, names: ModelNames, config: str, spec: ReleaseSpec) -> None:
    """Make the release's models, and its endpoint config if it runs on an endpoint, as far as they do not exist yet.

    A config is made after its models and deleted before them: where it is, they are.
    """
    wanted: list[tuple[Callable[[], Any], Callable[[], Any]]] = [
        (partial(sagemaker.describe_model, ModelName=name), partial(sagemaker.create_model, **request))
        for name, request in release_requests.models(names, config, spec).items()
    ]
    if spec.kind == "batch":
        for describe, create in wanted:
            if not _exists(describe):
                _create(describe, create)
        return
    look = partial(sagemaker.describe_endpoint_config, EndpointConfigName=config)
    if _exists(look):
        return
    request = release_requests.endpoint_config(names, config, spec)
    wanted.append((look, partial(sagemaker.create_endpoint_config, **request)))
    for describe, create in wanted:
        _create(describe, create)


def _create(describe: Callable[[], Any], create: Callable[[], Any]) -> None:
    # An earlier run, or another one of the same promotion, may have made it; names are content, so that is fine.
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


def delete_release(sagemaker: SageMakerClient, names: ModelNames, config: str, spec: ReleaseSpec) -> bool:
    """Delete a release's endpoint config and models, as far as they exist; True if any did.

    A rollback can make them again.
    """
    deletions: list[Callable[[], Any]] = [
        partial(sagemaker.delete_model, ModelName=name) for name in release_requests.models(names, config, spec)
    ]
    if spec.kind != "batch":
        deletions.insert(0, partial(sagemaker.delete_endpoint_config, EndpointConfigName=config))
    deleted = False
    for delete in deletions:
        try:
            delete()
            deleted = True
        except ClientError as exc:
            if exc.response["Error"]["Code"] not in {"ValidationException", "ResourceNotFound"}:
                raise
    return deleted


def start_update(
    sagemaker: SageMakerClient,
    names: ModelNames,
    config: str,
    request: dict[str, Any],
    *,
    check: Callable[[EndpointState], None] = lambda state: None,
    on_busy: Callable[[EndpointState], None] | None = None,
) -> EndpointState:
    """Begin to roll ``config`` out, unless it runs or is on its way already; returns what the endpoint was before.

    ``request``: UpdateEndpoint as :func:`mlops_kit.release_requests.update` has it. ``check`` is shown the endpoint
    right before it is sent, and may raise. ``on_busy`` waits until an endpoint that is busy with another config is at
    rest.

    Raises:
        ConflictError: the endpoint is busy with another config, or was between our look and our call.
    """
    state = require_endpoint(sagemaker, names)
    while True:
        if on_busy is not None and state.busy and state.pending != config:
            on_busy(state)
            state = require_endpoint(sagemaker, names)
        if _has(state, config):
            return state
        if state.busy:
            raise _under_way(names, state)
        check(state)
        try:
            sagemaker.update_endpoint(**request)
        except ClientError as exc:
            # SageMaker has no code of its own for an endpoint that somebody began to update after our look at it.
            seen, state = state, require_endpoint(sagemaker, names)
            if state == seen:
                raise
            if _has(state, config):
                return seen
            if on_busy is None:
                raise _under_way(names, state) from exc
        else:
            return state


def _has(state: EndpointState, config: str) -> bool:
    """Whether ``config`` is what runs, or what the endpoint is busy with."""
    if state.busy:
        return config == (state.pending or state.config)
    return state.config == config and state.status == "InService"


def _under_way(names: ModelNames, state: EndpointState) -> ConflictError:
    if state.busy:
        to = f" to {state.pending}" if state.pending else ""
        what = f"is {state.status}{to}: another deployment is under way"
    else:
        what = f"was updated by somebody else just now: it runs {state.config or 'nothing'}"
    return ConflictError(
        f"{names.endpoint} {what}.",
        hint="Wait until `mlops-kit status` shows it InService, then run this again.",
    )


def rest(
    sagemaker: SageMakerClient,
    names: ModelNames,
    *,
    sleep: Callable[[float], None],
    on_state: Callable[[EndpointState], None] = lambda state: None,
) -> EndpointState:
    """Wait until the endpoint is at rest, whatever it runs then; ``on_state`` is told of every look."""
    pause = 0.5
    while (state := require_endpoint(sagemaker, names)).busy:
        on_state(state)
        sleep(pause)
        pause = min(pause * 1.5, 15.0)
    on_state(state)
    return state


def wait(
    sagemaker: SageMakerClient,
    names: ModelNames,
    config: str,
    *,
    sleep: Callable[[float], None],
) -> None:
    """Wait until the endpoint is at rest, then verify that it runs ``config``.

    Raises:
        DeploymentError: it does not; the message carries SageMaker's reason.
    """
    verify(names, rest(sagemaker, names, sleep=sleep), config)


def verify(names: ModelNames, state: EndpointState, config: str) -> None:
    """Raises DeploymentError unless the endpoint, at rest, runs ``config``; the message carries SageMaker's reason."""
    if state.status == "InService" and state.config == config:
        return
    raise DeploymentError(
        f"{names.endpoint} was not updated to {config}: it is {state.status} and runs {state.config or 'nothing'}. "
        f"{state.failure or 'SageMaker gave no reason.'}",
        hint="The endpoint serves what it served before. See `mlops-kit alarms` and the endpoint's log.",
    )
