"""What CreateEndpointConfig checks of its variants, which moto does not.

Serverless variants exclude much: see "Feature exclusions" of "Deploy models with Amazon SageMaker Serverless
Inference". A shadow variant needs exactly one production variant: see ShadowProductionVariants in the API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_kit.local.compute import storage
from mlops_kit.local.compute.storage import Place, Uri
from mlops_kit.local.overlay import sagemaker as sm
from mlops_kit.local.overlay import sagemaker_containers

MAX_CONCURRENCY = 200


def check(backend: Any, request: Mapping[str, Any], place: Place) -> None:
    """Raises ValidationException."""
    production, shadow = request["ProductionVariants"], request.get("ShadowProductionVariants") or []
    names = [sm.check_name(variant.get("VariantName"), "variantName") for variant in [*production, *shadow]]
    if len(set(names)) != len(names):
        raise sm.invalid(f"Variant names must be unique within an endpoint configuration: {', '.join(names)}.")
    models = {
        variant["VariantName"]: sagemaker_containers.request_of(backend, str(variant.get("ModelName")), place)
        for variant in [*production, *shadow]
    }
    if shadow and (len(production), len(shadow)) != (1, 1):
        raise sm.invalid("One ProductionVariant and one ShadowProductionVariant are required for a shadow deployment.")
    for variant in [*production, *shadow]:
        if variant.get("ServerlessConfig"):
            _check_serverless(variant, models[variant["VariantName"]], request)
    if asynchronous := request.get("AsyncInferenceConfig"):
        _check_asynchronous(asynchronous)


def _check_serverless(variant: Mapping[str, Any], model: Mapping[str, Any], request: Mapping[str, Any]) -> None:
    config = variant["ServerlessConfig"]
    for name in ("InstanceType", "InitialInstanceCount"):
        if variant.get(name):
            raise sm.invalid(f"{name} cannot be specified together with ServerlessConfig.")
    for name in ("DataCaptureConfig", "AsyncInferenceConfig", "ShadowProductionVariants"):
        if request.get(name):
            raise sm.invalid(f"{name} is not supported when specifying a ServerlessConfig.")
    if len(request["ProductionVariants"]) != 1:
        raise sm.invalid("Multiple production variants are not supported when specifying a ServerlessConfig.")
    for name in ("VpcConfig", "EnableNetworkIsolation"):
        if model.get(name):
            raise sm.invalid(f"Models with {name} are not supported when specifying a ServerlessConfig.")
    concurrency = int(config["MaxConcurrency"])
    provisioned = int(config.get("ProvisionedConcurrency") or 1)
    if not 1 <= provisioned <= concurrency <= MAX_CONCURRENCY:
        raise sm.invalid(
            f"MaxConcurrency must be from 1 to {MAX_CONCURRENCY}, and ProvisionedConcurrency at most MaxConcurrency."
        )


def _check_asynchronous(config: Mapping[str, Any]) -> None:
    output = config["OutputConfig"]
    if not output.get("S3OutputPath"):
        raise sm.invalid("The local cloud needs an S3OutputPath in the OutputConfig of an AsyncInferenceConfig.")
    try:
        for name in ("S3OutputPath", "S3FailurePath"):
            if name in output:
                Uri.parse(output[name])
    except storage.MissingDataError as exc:
        raise sm.invalid(str(exc)) from exc
