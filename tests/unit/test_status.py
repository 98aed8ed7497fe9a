"""What runs where: an endpoint, or for batches a schedule, beside what the ledger says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops_kit import status
from mlops_kit.config import load_project

PROJECT = load_project(Path(__file__).resolve().parents[1] / "gallery")
SANDBOX = PROJECT.environment("sandbox")


class Aws:
    """Endpoints that run "config", a schedule that uses it, an empty ledger, and these alarms in ALARM."""

    def __init__(self, *alarms: str, there: bool = True) -> None:
        self.alarms, self.there = alarms, there

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:  # noqa: N803
        if not self.there:
            raise ClientError({"Error": {"Code": "ValidationException", "Message": "m"}}, "Op")
        return {
            "EndpointStatus": "InService",
            "EndpointConfigName": "config",
            "LastModifiedTime": datetime(2026, 1, 1, tzinfo=UTC),
        }

    def get_schedule(self, GroupName: str, Name: str) -> dict[str, Any]:  # noqa: N803
        assert (GroupName, Name) == ("gallery-sandbox", "churn-batch")
        if not self.there:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "m"}}, "Op")
        job = {"ModelName": "config", "TransformOutput": {}}
        return {"State": "DISABLED", "ScheduleExpression": "rate(1 day)", "Target": {"Input": json.dumps(job)}}

    def get_paginator(self, operation: str) -> Any:
        assert operation == "describe_alarms"
        found = [
            {"AlarmName": name, "StateValue": "ALARM", "StateUpdatedTimestamp": datetime(2026, 1, 1, tzinfo=UTC)}
            for name in self.alarms
        ]
        return SimpleNamespace(paginate=lambda **_: [{"MetricAlarms": found}])

    def read(self, model: str) -> status.ModelStatus:
        cloud: Any = SimpleNamespace(
            names=SANDBOX.names,
            environment=SANDBOX,
            sagemaker=self,
            scheduler=self,
            cloudwatch=self,
            store=lambda kind: SimpleNamespace(versions=lambda prefix: []),
        )
        return status.read(cloud, PROJECT.model(model, SANDBOX))


@pytest.mark.parametrize("model", ["fraud", "chat", "papers"])
def test_an_endpoint(model: str) -> None:
    found = Aws().read(model)
    assert (found.endpoint, found.config, found.agrees) == ("InService", "config", True)
    assert found.kind == PROJECT.model(model, SANDBOX).serving.kind


def test_a_batch_model_has_a_schedule() -> None:
    found = Aws().read("churn")
    assert (found.kind, found.endpoint, found.config) == ("batch", "schedule disabled", "config")


@pytest.mark.parametrize("model", ["fraud", "churn"])
def test_what_is_not_there_is_absent(model: str) -> None:
    found = Aws(there=False).read(model)
    assert (found.endpoint, found.config) == ("absent", "")


def test_waking_up_is_no_bad_news() -> None:
    aws = Aws("gallery-sandbox-papers-wake-up", "gallery-sandbox-papers-backlog", "gallery-sandbox-fraud-errors")
    assert aws.read("papers").alarms == ("gallery-sandbox-papers-backlog",)
