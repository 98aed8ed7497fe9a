"""A release as SageMaker's API wants it: pure data, from what the ledger keeps of a release.

The same settings as ``stacks/endpoint_config.py``, which makes what an endpoint starts with.
"""

from __future__ import annotations

from typing import Any

from mlops_kit.config import Rollout
from mlops_kit.config.serving import TERMINATION_WAIT_SECONDS
from mlops_kit.naming import SHADOW_VARIANT, VARIANT, ModelNames
from mlops_kit.objects import canonical_json, sha256_bytes
from mlops_kit.promotion.ledger import ReleaseSpec


def models(names: ModelNames, config: str, spec: ReleaseSpec) -> dict[str, dict[str, Any]]:
    """CreateModel for each SageMaker model of a release, by name: its own, and its shadow's if it has one."""
    place: dict[str, Any] = {}
    if spec.subnets:
        place["VpcConfig"] = {"SecurityGroupIds": list(spec.security_groups), "Subnets": list(spec.subnets)}
    if spec.isolated:
        place["EnableNetworkIsolation"] = True

    def model(name: str, image: str, artifact_uri: str) -> dict[str, Any]:
        container = {"Image": image, "ModelDataUrl": artifact_uri, "Environment": dict(spec.environment)}
        return {
            "ModelName": name,
            "ExecutionRoleArn": names.role_arn("serving"),
            "PrimaryContainer": container,
            **place,
        }

    found = {config: model(config, spec.image, spec.artifact_uri)}
    if spec.shadow is not None:
        shadow = shadow_name(names, config)
        found[shadow] = model(shadow, spec.shadow.image, spec.shadow.artifact_uri)
    return found


def shadow_name(names: ModelNames, config: str) -> str:
    """The SageMaker model of a release's shadow; nobody else uses it, so it goes when the release goes."""
    return names.release(sha256_bytes(f"{config} shadow".encode()))


def endpoint_config(names: ModelNames, config: str, spec: ReleaseSpec) -> dict[str, Any]:
    """CreateEndpointConfig of a release that runs on an endpoint."""
    key = names.environment.key_alias
    request: dict[str, Any] = {"EndpointConfigName": config, "ProductionVariants": [_variant(config, spec)]}
    if spec.kind == "realtime":
        request["DataCaptureConfig"] = {
            "EnableCapture": True,
            "InitialSamplingPercentage": spec.capture_percent,
            "DestinationS3Uri": names.capture_uri,
            "KmsKeyId": key,
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {
                "CsvContentTypes": ["text/csv"],
                "JsonContentTypes": ["application/json"],
            },
        }
    if spec.asynchronous is not None:
        request["AsyncInferenceConfig"] = {
            "ClientConfig": {"MaxConcurrentInvocationsPerInstance": spec.asynchronous.concurrent_per_instance},
            "OutputConfig": {
                "S3OutputPath": names.answers_uri,
                "S3FailurePath": names.failures_uri,
                "KmsKeyId": key,
            },
        }
    if spec.shadow is not None:
        request["ShadowProductionVariants"] = [
            {
                "VariantName": SHADOW_VARIANT,
                "ModelName": shadow_name(names, config),
                "InstanceType": spec.shadow.instance_type,
                "InitialInstanceCount": spec.shadow.instance_count,
                # Its share of the requests is this weight divided by that of the production variant, which is 1.
                "InitialVariantWeight": spec.shadow.percent / 100,
            }
        ]
    if spec.encrypt_volume:
        request["KmsKeyId"] = key
    return request


def _variant(config: str, spec: ReleaseSpec) -> dict[str, Any]:
    common = {"VariantName": VARIANT, "ModelName": config, "InitialVariantWeight": 1.0}
    if spec.serverless is not None:
        limits = {"MemorySizeInMB": spec.serverless.memory_mb, "MaxConcurrency": spec.serverless.max_concurrency}
        if spec.serverless.provisioned_concurrency is not None:
            limits["ProvisionedConcurrency"] = spec.serverless.provisioned_concurrency
        return {**common, "ServerlessConfig": limits}
    return {**common, "InstanceType": spec.instance_type, "InitialInstanceCount": spec.instance_count}


def update(names: ModelNames, config: str, spec: ReleaseSpec, rollout: Rollout | None) -> dict[str, Any]:
    """UpdateEndpoint to ``config``, by the release's kind."""
    request: dict[str, Any] = {"EndpointName": names.endpoint, "EndpointConfigName": config}
    if spec.kind == "serverless":  # no instances to keep, and SageMaker offers no guardrails
        return request
    # The release's own sampling counts. And an asynchronous endpoint may have no instance just now: its release starts
    # with some, or nothing would try it.
    anew = ["DataCaptureConfig", *(["DesiredInstanceCount"] if spec.kind == "async" else [])]
    return {
        **request,
        "RetainAllVariantProperties": True,  # or an autoscaled endpoint falls back to its initial instance count
        "ExcludeRetainedVariantProperties": [{"VariantPropertyType": kind} for kind in anew],
        "DeploymentConfig": deployment_config(names, rollout),
    }


def deployment_config(names: ModelNames, rollout: Rollout | None) -> dict[str, Any]:
    """Blue/green, with the model's alarms as the reason to go back; without a rollout, at once and come what may.

    Source: "DeploymentConfig", SageMaker API reference.
    """
    if rollout is None:
        at_once = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
        return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": at_once, "TerminationWaitInSeconds": 0}}
    bake = rollout.bake_minutes * 60
    routing: dict[str, Any] = {"Type": rollout.strategy.upper(), "WaitIntervalInSeconds": bake}
    if rollout.strategy == "canary":
        routing["CanarySize"] = {"Type": "CAPACITY_PERCENT", "Value": rollout.canary_percent}
    if rollout.strategy == "linear":
        routing["LinearStepSize"] = {"Type": "CAPACITY_PERCENT", "Value": rollout.linear_percent}
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": TERMINATION_WAIT_SECONDS,
            "MaximumExecutionTimeoutInSeconds": rollout.timeout_seconds,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in names.rollback_alarms]},
    }


def release_name(names: ModelNames, spec: ReleaseSpec) -> str:
    """The name of a release's model and config: the same content has the same name, a changed one a new name."""
    return names.release(sha256_bytes(canonical_json(spec.model_dump(mode="json"))))
