"""Models, endpoint configs and endpoints in a bucket of their own, for the tests of everything that serves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.local_cloud.support import INFERENCE, ROLE, Server, eventually, model_archive, new_bucket, unique

SETTLED = ("InService", "Failed")


class Endpoints:
    """Makes models, configs and endpoints in a bucket of their own."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.bucket = new_bucket(server)
        self.s3, self.sagemaker = server.client("s3"), server.client("sagemaker")
        self.runtime, self.cloudwatch = server.client("sagemaker-runtime"), server.client("cloudwatch")

    def model(self, answer: str, inference: str = INFERENCE, archive: bytes | None = None, **changes: Any) -> str:
        """A model that predicts ``answer``."""
        name = unique("model")
        body = archive if archive is not None else model_archive(answer, inference)
        self.s3.put_object(Bucket=self.bucket, Key=f"{name}.tar.gz", Body=body)
        self.sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=ROLE,
            PrimaryContainer={
                "Image": "registry/image:1",
                "ModelDataUrl": f"s3://{self.bucket}/{name}.tar.gz",
                "Environment": {
                    "SAGEMAKER_PROGRAM": "inference.py",
                    "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
                },
            },
            **changes,
        )
        return name

    def config(self, answer: str, inference: str = INFERENCE, archive: bytes | None = None, **changes: Any) -> str:
        """A config with one variant whose model predicts ``answer``."""
        variant = {
            "VariantName": changes.pop("VariantName", "main"),
            "ModelName": self.model(answer, inference, archive),
            "InitialInstanceCount": changes.pop("InitialInstanceCount", 2),
            "InstanceType": "ml.m5.large",
        }
        return self.config_of(variant, **changes)

    def config_of(self, *variants: dict[str, Any], **changes: Any) -> str:
        name = unique("config")
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=list(variants), **changes)
        return name

    def create(self, config: str) -> str:
        name = unique("endpoint")
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        return name

    def running(self, answer: str, **changes: Any) -> tuple[str, str]:
        """An endpoint in service and its config."""
        config = self.config(answer, **changes)
        return self.serving(config), config

    def serving(self, config: str) -> str:
        """A new endpoint in service."""
        name = self.create(config)
        endpoint = self.settled(name)
        assert endpoint["EndpointStatus"] == "InService", endpoint.get("FailureReason")
        return name

    def describe(self, name: str) -> dict[str, Any]:
        return dict(self.sagemaker.describe_endpoint(EndpointName=name))

    def settled(self, name: str) -> dict[str, Any]:
        return eventually(lambda: e if (e := self.describe(name))["EndpointStatus"] in SETTLED else None)

    def predict(self, name: str, body: bytes = b"1,2", **arguments: Any) -> str:
        answer = self.runtime.invoke_endpoint(EndpointName=name, Body=body, **{"ContentType": "text/csv", **arguments})
        return str(answer["Body"].read().decode())

    def update(self, name: str, config: str, **arguments: Any) -> None:
        self.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config, **arguments)

    def alarm(self) -> str:
        name = unique("alarm")
        self.cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="Test",
            MetricName=name,
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            TreatMissingData="notBreaching",
        )
        return name

    def metric(self, endpoint: str, variant: str | None, metric: str, statistic: str = "Sum") -> float | None:
        """A statistic over all that was put so far; None without a datapoint."""
        dimensions = [{"Name": "EndpointName", "Value": endpoint}]
        if variant is not None:
            dimensions.append({"Name": "VariantName", "Value": variant})
        points = self.cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=dimensions,
            StartTime=datetime.now(UTC) - timedelta(hours=1),
            EndTime=datetime.now(UTC) + timedelta(hours=1),
            Period=86400 * 15,
            Statistics=[statistic],
        )["Datapoints"]
        return float(points[0][statistic]) if points else None
