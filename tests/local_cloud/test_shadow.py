"""Shadow variants: they get copies of requests, and nobody gets their answers."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.endpoints import Endpoints
from tests.local_cloud.support import INFERENCE, Server, eventually


@pytest.fixture(scope="module")
def endpoints(server: Server) -> Endpoints:
    return Endpoints(server)


def variant(endpoints: Endpoints, name: str, answer: str, weight: float, inference: str = INFERENCE) -> dict[str, Any]:
    return {
        "VariantName": name,
        "ModelName": endpoints.model(answer, inference),
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        "InitialVariantWeight": weight,
    }


def shadowed(endpoints: Endpoints, weight: float, inference: str = INFERENCE, **settings: Any) -> str:
    """An endpoint whose production variant has weight 2."""
    return endpoints.serving(
        endpoints.config_of(
            variant(endpoints, "main", "1", 2),
            ShadowProductionVariants=[variant(endpoints, "shadow", "2", weight, inference)],
            **settings,
        )
    )


def test_a_share_of_the_requests_is_copied_and_its_answers_are_dropped(endpoints: Endpoints) -> None:
    name = shadowed(endpoints, 0.5)
    assert {endpoints.predict(name) for _ in range(8)} == {"1"}
    eventually(lambda: endpoints.metric(name, "shadow", "Invocations") == 2)
    assert endpoints.metric(name, "main", "Invocations") == 8
    assert endpoints.metric(name, "shadow", "ModelLatency", "SampleCount") == 2
    endpoint = endpoints.describe(name)
    assert [v["VariantName"] for v in endpoint["ProductionVariants"]] == ["main"]
    [described] = endpoint["ShadowProductionVariants"]
    assert (described["VariantName"], described["CurrentWeight"], described["CurrentInstanceCount"]) == (
        "shadow",
        0.5,
        1,
    )
    with pytest.raises(ClientError, match="Variant shadow of endpoint"):
        endpoints.predict(name, TargetVariant="shadow")


def test_the_share_can_be_changed_while_it_runs(endpoints: Endpoints) -> None:
    name = shadowed(endpoints, 0)
    endpoints.predict(name)
    endpoints.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": "shadow", "DesiredWeight": 2}]
    )
    for _ in range(3):
        endpoints.predict(name)
    eventually(lambda: endpoints.metric(name, "shadow", "Invocations") == 3)
    assert endpoints.metric(name, "main", "Invocations") == 4


def test_errors_of_the_shadow_are_counted_and_nobody_else_notices(endpoints: Endpoints) -> None:
    broken = INFERENCE.replace("return model", "raise RuntimeError('broken')")
    name = shadowed(endpoints, 2, broken)
    assert endpoints.predict(name) == "1"
    eventually(lambda: endpoints.metric(name, "shadow", "Invocation5XXErrors") == 1)
    assert endpoints.metric(name, "main", "Invocation5XXErrors") == 0


def test_both_variants_are_captured(endpoints: Endpoints) -> None:
    capture = {
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{endpoints.bucket}/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    }
    name = shadowed(endpoints, 2, DataCaptureConfig=capture)
    endpoints.predict(name)

    def captured() -> set[str]:
        found = endpoints.s3.list_objects_v2(Bucket=endpoints.bucket, Prefix=f"capture/{name}/").get("Contents", [])
        return {entry["Key"].split("/")[2] for entry in found}

    assert eventually(lambda: captured() == {"main", "shadow"})


def test_an_update_ends_the_shadow_with_its_config(endpoints: Endpoints) -> None:
    name = shadowed(endpoints, 2)
    endpoints.update(name, endpoints.config("2"))
    assert "ShadowProductionVariants" not in endpoints.settled(name)
    assert endpoints.predict(name) == "2"

    def containers() -> list[str]:
        return [c["name"] for c in endpoints.server.health()["containers"] if f"/{name}/" in c["name"]]

    eventually(lambda: len(containers()) == 1)
    assert containers()[0].endswith("/main")


def test_one_production_and_one_shadow_variant(endpoints: Endpoints) -> None:
    main, other = variant(endpoints, "main", "1", 1), variant(endpoints, "other", "1", 1)
    shadow = variant(endpoints, "shadow", "2", 1)
    with pytest.raises(ClientError, match="One ProductionVariant and one ShadowProductionVariant"):
        endpoints.config_of(main, other, ShadowProductionVariants=[shadow])
    with pytest.raises(ClientError, match="Variant names must be unique"):
        endpoints.config_of(main, ShadowProductionVariants=[{**shadow, "VariantName": "main"}])
    with pytest.raises(ClientError, match="Could not find model"):
        endpoints.config_of(main, ShadowProductionVariants=[{**shadow, "ModelName": "nobody"}])
