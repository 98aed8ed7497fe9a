"""What is counted for the dashboards, and what happens when counting fails."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from mlops_kit.naming import RELEASES_NAMESPACE, EnvironmentNames
from mlops_kit.promotion.count import count
from mlops_kit.promotion.ledger import Event, Release, ReleaseSpec

NAMES = EnvironmentNames("acme", "production", "333333333333", "us-east-1").model("diagnosis")
SPEC = ReleaseSpec(
    image="i",
    artifact_uri="s3://b/k",
    environment={},
    instance_type="ml.m5.large",
    instance_count=1,
    capture_percent=100,
    encrypt_volume=True,
)
RELEASE = Release(
    id="r1",
    config="c",
    spec=SPEC,
    version=1,
    artifact_sha256="0" * 64,
    dataset="d",
    dataset_commit="1" * 64,
    code_commit="",
    training_job="t",
)


def event(action: Any, outcome: Any) -> Event:
    return Event(seq=1, previous="", time="", actor="a", action=action, outcome=outcome, release=RELEASE)


@pytest.mark.parametrize(
    ("action", "outcome", "metric"),
    [
        ("promotion", "succeeded", "Succeeded"),
        ("promotion", "failed", "Failed"),
        ("rollback", "succeeded", "RolledBack"),
        ("rollback", "failed", "Failed"),
    ],
)
def test_one_more_of_what_it_is(action: str, outcome: str, metric: str) -> None:
    cloudwatch = boto3.client("cloudwatch", region_name="us-east-1")
    dimensions = [{"Name": "Environment", "Value": "production"}, {"Name": "Model", "Value": "diagnosis"}]
    wanted = {"MetricName": metric, "Dimensions": dimensions, "Value": 1, "Unit": "Count"}
    told: list[str] = []
    with Stubber(cloudwatch) as stub:
        stub.add_response("put_metric_data", {}, {"Namespace": RELEASES_NAMESPACE, "MetricData": [wanted]})
        count(cloudwatch, NAMES, event(action, outcome), told.append)
        stub.assert_no_pending_responses()
    assert told == []


def test_a_release_is_not_undone_because_it_could_not_be_counted() -> None:
    cloudwatch = boto3.client("cloudwatch", region_name="us-east-1")
    told: list[str] = []
    with Stubber(cloudwatch) as stub:
        stub.add_client_error("put_metric_data", "Throttling", "slow down")
        count(cloudwatch, NAMES, event("promotion", "succeeded"), told.append)
    assert len(told) == 1
    assert "not counted" in told[0]
