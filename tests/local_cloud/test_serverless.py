"""Serverless endpoints: creating, predicting, updating, and what AWS does not have for them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.endpoints import Endpoints
from tests.local_cloud.support import Server

SIZE = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}


@pytest.fixture(scope="module")
def endpoints(server: Server) -> Endpoints:
    return Endpoints(server)


def variant(endpoints: Endpoints, answer: str = "1", **changes: Any) -> dict[str, Any]:
    model = changes.pop("ModelName", None) or endpoints.model(answer)
    return {"VariantName": "main", "ModelName": model, "ServerlessConfig": SIZE, **changes}


@pytest.fixture(scope="module")
def shared(endpoints: Endpoints) -> str:
    return endpoints.serving(endpoints.config_of(variant(endpoints)))


def test_a_serverless_endpoint_answers_and_is_described_without_instances(endpoints: Endpoints, shared: str) -> None:
    assert endpoints.predict(shared) == "1"
    endpoint = endpoints.describe(shared)
    [described] = endpoint["ProductionVariants"]
    assert described["CurrentServerlessConfig"] == described["DesiredServerlessConfig"] == SIZE
    assert "CurrentInstanceCount" not in described
    config = endpoints.sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    assert config["ProductionVariants"][0]["ServerlessConfig"] == SIZE
    assert endpoints.metric(shared, "main", "Invocations") == 1
    assert endpoints.metric(shared, "main", "ModelLatency", "SampleCount") == 1


def test_an_update_serves_the_new_model_with_its_new_size(endpoints: Endpoints) -> None:
    name = endpoints.serving(endpoints.config_of(variant(endpoints)))
    bigger = {**SIZE, "MemorySizeInMB": 4096, "ProvisionedConcurrency": 2}
    endpoints.update(name, endpoints.config_of(variant(endpoints, "2", ServerlessConfig=bigger)))
    [described] = endpoints.settled(name)["ProductionVariants"]
    assert described["CurrentServerlessConfig"] == bigger
    assert endpoints.predict(name) == "2"
    endpoints.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name,
        DesiredWeightsAndCapacities=[
            {"VariantName": "main", "ServerlessUpdateConfig": {"MaxConcurrency": 9, "ProvisionedConcurrency": 3}}
        ],
    )
    [described] = endpoints.describe(name)["ProductionVariants"]
    assert described["CurrentServerlessConfig"] == {**bigger, "MaxConcurrency": 9, "ProvisionedConcurrency": 3}


@pytest.mark.parametrize("policy", ["BlueGreenUpdatePolicy", "RollingUpdatePolicy"])
def test_there_are_no_deployment_guardrails(endpoints: Endpoints, shared: str, policy: str) -> None:
    policies: dict[str, dict[str, Any]] = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 60},
        },
        "RollingUpdatePolicy": {
            "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
            "WaitIntervalInSeconds": 60,
        },
    }
    config = endpoints.config_of(variant(endpoints, "2"))
    with pytest.raises(ClientError, match="DeploymentConfig is not supported for serverless endpoints"):
        endpoints.update(shared, config, DeploymentConfig={policy: policies[policy]})
    assert endpoints.describe(shared)["EndpointStatus"] == "InService"
    assert endpoints.predict(shared) == "1"


def test_an_endpoint_with_instances_does_not_become_serverless_but_the_other_way(endpoints: Endpoints) -> None:
    name, instances = endpoints.running("1")
    serverless = endpoints.config_of(variant(endpoints, "2"))
    with pytest.raises(ClientError, match="to a serverless endpoint is not supported"):
        endpoints.update(name, serverless)
    other = endpoints.serving(serverless)
    endpoints.update(other, instances)
    [described] = endpoints.settled(other)["ProductionVariants"]
    assert described["CurrentInstanceCount"] == 2
    assert "CurrentServerlessConfig" not in described
    assert endpoints.predict(other) == "1"
    with pytest.raises(ClientError, match="is not serverless"):
        endpoints.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name,
            DesiredWeightsAndCapacities=[{"VariantName": "main", "ServerlessUpdateConfig": {"MaxConcurrency": 9}}],
        )


def test_what_serverless_excludes(endpoints: Endpoints) -> None:
    model = endpoints.model("1")
    capture = {
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{endpoints.bucket}/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    asynchronous = {"OutputConfig": {"S3OutputPath": f"s3://{endpoints.bucket}/out"}}
    plain = variant(endpoints, ModelName=model)
    refused: list[tuple[str, list[dict[str, Any]], dict[str, Any]]] = [
        ("DataCaptureConfig is not supported", [plain], {"DataCaptureConfig": capture}),
        ("AsyncInferenceConfig is not supported", [plain], {"AsyncInferenceConfig": asynchronous}),
        ("Multiple production variants", [plain, {**plain, "VariantName": "other"}], {}),
        ("Variant names must be unique", [plain, plain], {}),
        ("InstanceType cannot be specified", [{**plain, "InstanceType": "ml.m5.large"}], {}),
        ("MaxConcurrency must be", [{**plain, "ServerlessConfig": {**SIZE, "ProvisionedConcurrency": 6}}], {}),
        ("MaxConcurrency must be", [{**plain, "ServerlessConfig": {**SIZE, "MaxConcurrency": 500}}], {}),
        ("MemorySizeInMB", [{**plain, "ServerlessConfig": {**SIZE, "MemorySizeInMB": 1500}}], {}),
        (
            "EnableNetworkIsolation",
            [{**plain, "ModelName": endpoints.model("1", EnableNetworkIsolation=True)}],
            {},
        ),
        (
            "VpcConfig",
            [
                {
                    **plain,
                    "ModelName": endpoints.model(
                        "1", VpcConfig={"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
                    ),
                }
            ],
            {},
        ),
    ]
    for message, variants, settings in refused:
        with pytest.raises(ClientError, match=rf"\(Validation\w+\).*{message}"):
            endpoints.config_of(*variants, **settings)


def test_a_request_is_smaller_than_with_instances(endpoints: Endpoints, shared: str) -> None:
    body = b"x" * (4 * 1024 * 1024 + 1)
    with pytest.raises(ClientError, match="larger than 4194304 bytes"):
        endpoints.predict(shared, body)
