"""Roll a release onto an endpoint: make its model and config, update, wait, and verify what runs afterwards.

Terraform owns the endpoint; this module only ever changes which config it runs. SageMaker reports an update that it
rolled back as a healthy endpoint, so success is only what :func:`wait` has verified: the endpoint runs the config asked
for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from mlops_kit.config import Rollout
from mlops_kit.errors import ConflictError, DeploymentError, NotFoundError
from mlops_kit.naming import VARIANT, ModelNames
from mlops_kit.objects import canonical_json, sha256_bytes
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


def release_name(names: ModelNames, spec: ReleaseSpec) -> str:
    """The name of a release's model and config: the same content has the same name, a changed one a new name."""
    return names.release(sha256_bytes(canonical_json(spec.model_dump(mode="json"))))


def create_release(sagemaker: SageMakerClient, names: ModelNames, config: str, spec: ReleaseSpec) -> None:
    """Make the SageMaker model and endpoint config named ``config``, as far as they do not exist yet."""
    if not _exists(lambda: sagemaker.describe_model(ModelName=config)):
        _create(
            lambda: sagemaker.create_model(
                ModelName=config,
                ExecutionRoleArn=names.environment.role_arn("serving"),
                PrimaryContainer={
                    "Image": spec.image,
                    "ModelDataUrl": spec.artifact_uri,
                    "Environment": spec.environment,
                },
            ),
            lambda: sagemaker.describe_model(ModelName=config),
        )
    variant: Any = {  # the stubs know every instance type by name; ours was checked when it was read
        "VariantName": VARIANT,
        "ModelName": config,
        "InstanceType": spec.instance_type,
        "InitialInstanceCount": spec.instance_count,
        "InitialVariantWeight": 1.0,
    }
    volume: Any = {"KmsKeyId": names.environment.key_alias} if spec.encrypt_volume else {}
    if not _exists(lambda: sagemaker.describe_endpoint_config(EndpointConfigName=config)):
        _create(
            lambda: sagemaker.create_endpoint_config(
                EndpointConfigName=config,
                ProductionVariants=[variant],
                DataCaptureConfig={
                    "EnableCapture": True,
                    "InitialSamplingPercentage": spec.capture_percent,
                    "DestinationS3Uri": names.capture_uri,
                    "KmsKeyId": names.environment.key_alias,
                    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
                    "CaptureContentTypeHeader": {
                        "CsvContentTypes": ["text/csv"],
                        "JsonContentTypes": ["application/json"],
                    },
                },
                **volume,
            ),
            lambda: sagemaker.describe_endpoint_config(EndpointConfigName=config),
        )


def _exists(describe: Callable[[], Any]) -> bool:
    try:
        describe()
    except ClientError as exc:
        if exc.response["Error"]["Code"] in {"ValidationException", "ResourceNotFound"}:
            return False
        raise
    return True


def _create(create: Callable[[], Any], describe: Callable[[], Any]) -> None:
    # Another run of the same promotion may create it between our look and our call; names are content, so that is fine.
    try:
        create()
    except ClientError as exc:
        if exc.response["Error"]["Code"] in _DUPLICATE and _exists(describe):
            return
        raise


def delete_release(sagemaker: SageMakerClient, config: str) -> None:
    """Delete a release's endpoint config and model, as far as they exist. A rollback can make them again."""
    deletions: tuple[Callable[[], Any], ...] = (
        lambda: sagemaker.delete_endpoint_config(EndpointConfigName=config),
        lambda: sagemaker.delete_model(ModelName=config),
    )
    for delete in deletions:
        try:
            delete()
        except ClientError as exc:
            if exc.response["Error"]["Code"] not in {"ValidationException", "ResourceNotFound"}:
                raise


def deployment_config(names: ModelNames, rollout: Rollout | None) -> dict[str, Any]:
    """Blue/green, with the model's alarms as the reason to go back; without a rollout, at once and come what may.

    Source: "DeploymentConfig", SageMaker API reference.
    """
    if rollout is None:
        at_once = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
        return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": at_once, "TerminationWaitInSeconds": 0}}
    routing: dict[str, Any] = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": rollout.bake_minutes * 60}
    if rollout.strategy == "canary":
        routing["Type"] = "CANARY"
        routing["CanarySize"] = {"Type": "CAPACITY_PERCENT", "Value": rollout.canary_percent}
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": 60,
            "MaximumExecutionTimeoutInSeconds": 3600 + 2 * rollout.bake_minutes * 60,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in names.rollback_alarms]},
    }


def start_update(sagemaker: SageMakerClient, names: ModelNames, config: str, rollout: Rollout | None) -> None:
    """Begin to roll ``config`` out, unless it runs or is on its way already; see :func:`deployment_config`.

    Raises:
        ConflictError: the endpoint is busy with another config.
    """
    state = require_endpoint(sagemaker, names)
    if _on_its_way(names, state, config):
        return
    try:
        sagemaker.update_endpoint(
            EndpointName=names.endpoint,
            EndpointConfigName=config,
            RetainAllVariantProperties=True,  # or an autoscaled endpoint falls back to its initial instance count
            ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DataCaptureConfig"}],  # the release's own counts
            DeploymentConfig=deployment_config(names, rollout),  # type: ignore[arg-type]
        )
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
