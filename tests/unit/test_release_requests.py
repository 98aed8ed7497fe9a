"""What a release of each serving kind looks like to SageMaker. botocore checks each request against the API's model."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore.validate import validate_parameters

from mlops_kit import release_requests
from mlops_kit.config import Rollout
from mlops_kit.naming import EnvironmentNames
from mlops_kit.objects import sha256_bytes
from mlops_kit.promotion.ledger import AsynchronousSpec, ReleaseSpec, ServerlessSpec, ShadowSpec

NAMES = EnvironmentNames("acme", "staging", "222222222222", "us-east-1").model("churn")
REALTIME = ReleaseSpec(
    image="registry.example/image:1",
    artifact_uri="s3://bucket/model.tar.gz",
    environment={"SAGEMAKER_PROGRAM": "inference.py"},
    instance_type="ml.m5.large",
    instance_count=2,
    capture_percent=20,
    encrypt_volume=True,
)
SERVERLESS = REALTIME.model_copy(
    update={
        "kind": "serverless",
        "instance_type": "",
        "instance_count": 0,
        "capture_percent": 0,
        "encrypt_volume": False,
        "serverless": ServerlessSpec(memory_mb=4096, max_concurrency=20, provisioned_concurrency=2),
    }
)
ASYNC = REALTIME.model_copy(
    update={"kind": "async", "capture_percent": 0, "asynchronous": AsynchronousSpec(concurrent_per_instance=8)}
)
SHADOW = REALTIME.model_copy(
    update={
        "shadow": ShadowSpec(
            version=7,
            image="registry.example/image:2",
            artifact_uri="s3://bucket/7.tar.gz",
            percent=30,
            instance_type="ml.c5.large",
            instance_count=1,
        )
    }
)
SPECS = {"realtime": REALTIME, "serverless": SERVERLESS, "async": ASYNC, "shadow": SHADOW}
ROLLOUTS = [
    None,
    Rollout(),
    Rollout(strategy="canary", canary_percent=25),
    Rollout(strategy="linear", linear_percent=30, bake_minutes=2),
]


def check(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    model = botocore.session.Session().get_service_model("sagemaker")
    validate_parameters(request, model.operation_model(operation).input_shape)
    return request


def config_of(spec: ReleaseSpec) -> dict[str, Any]:
    return check("CreateEndpointConfig", release_requests.endpoint_config(NAMES, "config", spec))


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("rollout", ROLLOUTS)
def test_every_request_is_one_that_the_api_takes(kind: str, rollout: Rollout | None) -> None:
    for name, request in release_requests.models(NAMES, "config", SPECS[kind]).items():
        assert check("CreateModel", request)["ModelName"] == name
    config_of(SPECS[kind])
    check("UpdateEndpoint", release_requests.update(NAMES, "config", SPECS[kind], rollout))


def test_a_real_time_release_is_captured_and_its_volume_encrypted() -> None:
    config = config_of(REALTIME)
    assert config["KmsKeyId"] == "alias/acme-staging"
    assert config["DataCaptureConfig"]["InitialSamplingPercentage"] == 20
    assert config["DataCaptureConfig"]["DestinationS3Uri"] == "s3://acme-staging-222222222222-capture"
    assert "KmsKeyId" not in config_of(REALTIME.model_copy(update={"encrypt_volume": False}))


def test_a_serverless_release_has_none_of_what_serverless_does_not_offer() -> None:
    config = config_of(SERVERLESS)
    [variant] = config["ProductionVariants"]
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 4096, "MaxConcurrency": 20, "ProvisionedConcurrency": 2}
    assert not {"InstanceType", "InitialInstanceCount"} & variant.keys()
    assert not {"DataCaptureConfig", "KmsKeyId", "AsyncInferenceConfig"} & config.keys()
    update = release_requests.update(NAMES, "config", SERVERLESS, Rollout())
    assert update == {"EndpointName": NAMES.endpoint, "EndpointConfigName": "config"}


def test_an_asynchronous_release_answers_into_s3_and_starts_with_instances() -> None:
    config = config_of(ASYNC)
    output = config["AsyncInferenceConfig"]["OutputConfig"]
    bucket = "s3://acme-staging-222222222222-capture/async/acme-staging-churn"
    assert output == {
        "S3OutputPath": f"{bucket}/answers",
        "S3FailurePath": f"{bucket}/failures",
        "KmsKeyId": "alias/acme-staging",
    }
    assert config["AsyncInferenceConfig"]["ClientConfig"] == {"MaxConcurrentInvocationsPerInstance": 8}
    assert "DataCaptureConfig" not in config
    update = release_requests.update(NAMES, "config", ASYNC, Rollout())
    assert {"VariantPropertyType": "DesiredInstanceCount"} in update["ExcludeRetainedVariantProperties"]
    assert update["DeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]


def test_a_shadow_has_a_model_of_its_own_and_gets_its_share() -> None:
    own, shadow = release_requests.models(NAMES, "config", SHADOW).values()
    assert own["PrimaryContainer"]["ModelDataUrl"] == "s3://bucket/model.tar.gz"
    assert shadow["PrimaryContainer"]["ModelDataUrl"] == "s3://bucket/7.tar.gz"
    assert shadow["PrimaryContainer"]["Environment"] == own["PrimaryContainer"]["Environment"]
    [variant] = config_of(SHADOW)["ShadowProductionVariants"]
    assert variant == {
        "VariantName": "shadow",
        "ModelName": shadow["ModelName"],
        "InstanceType": "ml.c5.large",
        "InitialInstanceCount": 1,
        "InitialVariantWeight": 0.3,
    }
    assert len(shadow["ModelName"]) <= 63
    other = release_requests.models(NAMES, "config-2", SHADOW)
    assert shadow["ModelName"] not in other, "deleting one release must not take another's shadow away"


def test_models_run_where_the_environment_says() -> None:
    [plain] = release_requests.models(NAMES, "config", REALTIME).values()
    assert not {"VpcConfig", "EnableNetworkIsolation"} & plain.keys()
    inside = SHADOW.model_copy(update={"subnets": ("subnet-1",), "security_groups": ("sg-1",), "isolated": True})
    for request in release_requests.models(NAMES, "config", inside).values():
        check("CreateModel", request)
        assert request["VpcConfig"] == {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
        assert request["EnableNetworkIsolation"] is True
        assert request["ExecutionRoleArn"].endswith(":role/acme-staging-churn-serving")


def test_a_linear_rollout_goes_in_equal_steps_and_has_time_for_all_of_them() -> None:
    policy = release_requests.deployment_config(NAMES, ROLLOUTS[3])["BlueGreenUpdatePolicy"]
    assert policy["TrafficRoutingConfiguration"] == {
        "Type": "LINEAR",
        "WaitIntervalInSeconds": 120,
        "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 30},
    }
    assert policy["MaximumExecutionTimeoutInSeconds"] == 3600 + 4 * 120


def test_what_is_newer_than_a_release_does_not_change_its_name() -> None:
    written_long_ago = '{"artifact_uri":"s3://bucket/model.tar.gz","capture_percent":20,"encrypt_volume":true,' + (
        '"environment":{"SAGEMAKER_PROGRAM":"inference.py"},"image":"registry.example/image:1",'
        '"instance_count":2,"instance_type":"ml.m5.large"}'
    )
    loaded = ReleaseSpec.model_validate_json(written_long_ago)
    assert loaded == REALTIME
    assert (
        release_requests.release_name(NAMES, loaded) == f"{NAMES.prefix}-{sha256_bytes(written_long_ago.encode())[:12]}"
    )
