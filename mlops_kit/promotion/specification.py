"""How an environment serves an artifact: the model's file as it is there, turned into what a release is made from."""

from __future__ import annotations

from mlops_kit.config import Model
from mlops_kit.naming import ModelNames
from mlops_kit.network import JobNetwork
from mlops_kit.promotion.events import AsynchronousSpec, BatchSpec, ReleaseSpec, ServerlessSpec, ShadowSpec
from mlops_kit.registry import ModelVersion


def release_spec(
    model: Model, names: ModelNames, artifact_uri: str, *, network: JobNetwork, shadow: ModelVersion | None
) -> ReleaseSpec:
    """How this environment serves an artifact. ``shadow``: the version that ``serving.shadow`` names."""
    serving, kind = model.serving, model.serving.kind
    serverless = kind == "serverless"  # SageMaker offers neither VPC nor isolation, and there are no instances
    counts = serving.batch.instance_count if kind == "batch" else serving.autoscaling.min_instances
    return ReleaseSpec(
        kind=kind,
        image=model.serving_image,
        artifact_uri=artifact_uri,
        environment=serving_environment(model, names.environment.region),
        instance_type="" if serverless else serving.instance_type,
        instance_count=0 if serverless else counts,
        capture_percent=serving.capture_percent if serving.is_captured else 0,
        encrypt_volume=not serverless and not serving.has_local_storage,
        subnets=() if serverless else network.subnets,
        security_groups=() if serverless else network.security_groups,
        isolated=network.isolated and not serverless,
        serverless=ServerlessSpec(**serving.serverless.model_dump()) if serverless else None,
        asynchronous=(
            AsynchronousSpec(concurrent_per_instance=serving.asynchronous.concurrent_per_instance)
            if kind == "async"
            else None
        ),
        batch=(
            BatchSpec(
                input_prefix=serving.batch.input_prefix or names.raw_prefix,
                content_type=serving.batch.content_type,
                max_payload_mb=serving.batch.max_payload_mb,
            )
            if kind == "batch"
            else None
        ),
        shadow=_shadow(model, shadow) if shadow is not None else None,
    )


def _shadow(model: Model, version: ModelVersion) -> ShadowSpec | None:
    wanted = model.serving.shadow
    if wanted is None:
        return None
    return ShadowSpec(
        version=version.version,
        image=version.image,
        artifact_uri=version.artifact_uri,
        percent=wanted.percent,
        instance_type=wanted.instance_type or model.serving.instance_type,
        instance_count=wanted.instance_count,
    )


def serving_environment(model: Model, region: str) -> dict[str, str]:
    """The variables by which SageMaker's framework images find the inference code inside ``model.tar.gz``."""
    return {
        "SAGEMAKER_PROGRAM": model.serving.entry_point,
        "SAGEMAKER_REGION": region,
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
    }
