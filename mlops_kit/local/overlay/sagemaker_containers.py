"""From the name of a SageMaker model to what its container needs."""

from __future__ import annotations

from typing import Any

from mlops_kit.local.compute.containers import DEFAULT_STARTUP_SECONDS, VariantSpec
from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import sagemaker as sm
from mlops_kit.local.overlay import sts


def request_of(backend: Any, model_name: str, place: Place) -> dict[str, Any]:
    """The CreateModel request of a model.

    Raises:
        ValidationException: there is no such model.
    """
    model = backend._models.get(model_name)
    if model is None:
        raise sm.could_not_find("model", "model", model_name, place)
    return sm.given(model)


def resolve(backend: Any, variant: dict[str, Any], place: Place) -> VariantSpec:
    """``variant`` (a ProductionVariant, or as much of one as a transform job has) with its model.

    Raises:
        ValidationException: there is no such model or model package, or the model is one that cannot be run here.
    """
    model_name = str(variant.get("ModelName"))
    request = request_of(backend, model_name, place)
    containers = [request["PrimaryContainer"]] if request.get("PrimaryContainer") else request.get("Containers") or []
    if len(containers) != 1:
        raise sm.invalid(
            f"The local cloud serves models with exactly one container; {model_name} has {len(containers)}."
        )
    container = _resolve_package(backend, containers[0])
    source = (container.get("ModelDataSource") or {}).get("S3DataSource") or {}
    role, isolated = request.get("ExecutionRoleArn"), bool(request.get("EnableNetworkIsolation"))
    session = {} if isolated or not role else sts.service_session(role, place.account, place.partition, "SageMaker")
    serverless = variant.get("ServerlessConfig")
    return VariantSpec(
        name=str(variant["VariantName"]),
        image=str(container.get("Image", "")),
        model_data=container.get("ModelDataUrl") or source.get("S3Uri"),
        model_prefix=source.get("CompressionType") == "None",
        environment={str(k): str(v) for k, v in (container.get("Environment") or {}).items()},
        credentials=session,
        role=str(role) if role else None,
        instances=0 if serverless else int(variant.get("InitialInstanceCount") or 1),
        weight=float(variant.get("InitialVariantWeight", 1.0)),
        startup_seconds=float(variant.get("ContainerStartupHealthCheckTimeoutInSeconds") or DEFAULT_STARTUP_SECONDS),
        serverless=serverless,
    )


def _resolve_package(backend: Any, container: dict[str, Any]) -> dict[str, Any]:
    """A container that names a model package is that package's first container, with its own variables on top."""
    name = container.get("ModelPackageName")
    if not name:
        return container
    package = backend.model_packages.get(backend.model_package_name_mapping.get(name, name))
    specified = ((package.inference_specification or {}).get("Containers") or []) if package else []
    if not specified:
        raise sm.invalid(f"Could not find model package {name}.")
    environment = {**(specified[0].get("Environment") or {}), **(container.get("Environment") or {})}
    return {**specified[0], "Environment": environment}
