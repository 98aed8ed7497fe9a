"""Endpoints: creating, predicting, capturing, updating, rolling back, deleting."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops_kit.local.compute import capture, rollout
from tests.local_cloud.endpoints import Endpoints
from tests.local_cloud.support import (
    DEV,
    INFERENCE,
    ROLE,
    STAGING,
    Server,
    eventually,
    model_archive,
    new_role,
    tar_gz,
    unique,
)

BREAKS = INFERENCE + "\nraise ModuleNotFoundError(\"No module named 'rare_library'\")\n"


def deployment(kind: str, seconds: int, alarm: str | None = None, **routing: Any) -> dict[str, Any]:
    config: dict[str, Any] = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": kind, "WaitIntervalInSeconds": seconds, **routing},
            "TerminationWaitInSeconds": 0,
        }
    }
    return {**config, "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm}]}} if alarm else config


@pytest.fixture(scope="module")
def endpoints(server: Server) -> Endpoints:
    return Endpoints(server)


@pytest.fixture(scope="module")
def shared(endpoints: Endpoints) -> str:
    """An endpoint that predicts 1, for tests that leave it as it is."""
    return endpoints.running(
        "1",
        DataCaptureConfig={
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://{endpoints.bucket}/capture",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
        },
    )[0]


def test_describe_shows_what_runs(endpoints: Endpoints, shared: str) -> None:
    endpoint = endpoints.describe(shared)
    assert endpoint["EndpointStatus"] == "InService"
    assert endpoint["EndpointArn"].endswith(f":{DEV}:endpoint/{shared}")
    [variant] = endpoint["ProductionVariants"]
    assert variant["VariantName"] == "main"
    assert (variant["CurrentInstanceCount"], variant["CurrentWeight"]) == (2, 1.0)
    assert variant["DeployedImages"][0]["SpecifiedImage"] == "registry/image:1"
    assert endpoint["DataCaptureConfig"]["CaptureStatus"] == "Started"
    assert "FailureReason" not in endpoint
    assert "PendingDeploymentSummary" not in endpoint
    names = [e["EndpointName"] for e in endpoints.sagemaker.list_endpoints(StatusEquals="InService")["Endpoints"]]
    assert shared in names


def test_predictions_come_from_the_model(endpoints: Endpoints, shared: str) -> None:
    answer = endpoints.runtime.invoke_endpoint(EndpointName=shared, ContentType="text/csv", Body=b"1,2")
    assert answer["Body"].read() == b"1"
    assert answer["ContentType"] == "text/csv"
    assert answer["InvokedProductionVariant"] == "main"


def test_bodies_are_bytes(endpoints: Endpoints, shared: str) -> None:
    assert endpoints.predict(shared, bytes(range(256)), ContentType="application/octet-stream") == "1"


def test_every_request_is_captured_in_sagemakers_format(endpoints: Endpoints, shared: str) -> None:
    body, inference_id = b"3,4", unique("id")
    endpoints.predict(shared, body, InferenceId=inference_id)
    endpoints.predict(shared, b"\xff\x00", ContentType="application/octet-stream")
    lines = {}
    for found in endpoints.s3.list_objects_v2(Bucket=endpoints.bucket, Prefix="capture/")["Contents"]:
        pattern = rf"capture/{shared}/main/\d{{4}}/\d\d/\d\d/\d\d/\d\d-\d\d-\d{{3}}-[0-9a-f-]{{36}}\.jsonl"
        assert re.fullmatch(pattern, found["Key"])
        raw = endpoints.s3.get_object(Bucket=endpoints.bucket, Key=found["Key"])["Body"].read()
        assert raw.count(b"\n") == 1
        line = json.loads(raw)
        lines[line["eventMetadata"].get("inferenceId"), line["captureData"]["endpointInput"]["data"]] = line
    line = lines[inference_id, "3,4"]
    moment = line["eventMetadata"].pop("inferenceTime")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(moment)) < timedelta(hours=1)
    assert re.fullmatch(r"[0-9a-f-]{36}", line["eventMetadata"].pop("eventId"))
    csv = {"observedContentType": "text/csv", "encoding": "CSV"}
    assert line == {
        "captureData": {
            "endpointInput": {**csv, "mode": "INPUT", "data": "3,4"},
            "endpointOutput": {**csv, "mode": "OUTPUT", "data": "1"},
        },
        "eventMetadata": {"inferenceId": inference_id},
        "eventVersion": "0",
    }
    binary = lines[None, base64.b64encode(b"\xff\x00").decode()]
    assert binary["captureData"]["endpointInput"]["encoding"] == "BASE64"


def test_the_sampling_percentage_is_kept_exactly() -> None:
    given = {"InitialSamplingPercentage": 30, "DestinationS3Uri": "s3://b", "CaptureOptions": []}
    config = capture.CaptureConfig(given)
    assert sum(config.sampled() for _ in range(100)) == 30
    assert not any(capture.CaptureConfig({**given, "EnableCapture": False}).sampled() for _ in range(100))


def test_requests_are_counted(endpoints: Endpoints) -> None:
    name, _ = endpoints.running("1")
    for content_type in ("text/csv", "text/csv", "text/fails"):
        try:
            endpoints.predict(name, ContentType=content_type)
        except ClientError:
            assert content_type == "text/fails"

    def total(metric: str, statistic: str = "Sum") -> float | None:
        return endpoints.metric(name, "main", metric, statistic)

    assert total("Invocations") == 3
    assert total("Invocation5XXErrors") == 1
    assert total("Invocation4XXErrors") == 0
    assert total("Invocation4XXErrors", "SampleCount") == 3
    assert 0 < (total("ModelLatency", "Maximum") or 0) < 60e6
    assert (total("OverheadLatency", "Minimum") or 0) >= 0


def test_an_error_of_the_model_is_a_model_error(endpoints: Endpoints, shared: str) -> None:
    with pytest.raises(ClientError) as caught:
        endpoints.predict(shared, ContentType="text/fails")
    response = caught.value.response
    assert response["Error"]["Code"] == "ModelError"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == 500
    assert response["OriginalMessage"] == "this input is refused"
    group, stream = re.search(r"log-group:(.+):log-stream:(.+)", response["LogStreamArn"]).groups()  # type: ignore[union-attr]
    logs = endpoints.server.client("logs")

    def traceback() -> bool:
        events = logs.get_log_events(logGroupName=group, logStreamName=stream)["events"]
        return any("ValueError: this input is refused" in event["message"] for event in events)

    assert eventually(traceback)


def test_an_endpoint_that_does_not_exist(endpoints: Endpoints, shared: str) -> None:
    with pytest.raises(ClientError, match=rf"\(ValidationError\).*Endpoint nobody of account {DEV} not found"):
        endpoints.predict("nobody")
    with pytest.raises(ClientError, match="Variant other of endpoint"):
        endpoints.predict(shared, TargetVariant="other")
    with pytest.raises(ClientError, match=r'\(ValidationException\).*Could not find endpoint "arn:'):
        endpoints.describe("nobody")
    with pytest.raises(ClientError, match=r'Could not find endpoint configuration "arn:'):
        endpoints.update(shared, "nobody")
    with pytest.raises(ClientError, match=r'Cannot create already existing endpoint "arn:'):
        endpoints.sagemaker.create_endpoint(
            EndpointName=shared, EndpointConfigName=endpoints.describe(shared)["EndpointConfigName"]
        )


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (b"not an archive", "Failed to extract model data archive"),
        (tar_gz({"../../escaped.txt": "x"}), "OutsideDestinationError"),
        (tar_gz({"code/inference.py": BREAKS}), "No module named 'rare_library'"),
        (tar_gz({"code/inference.py": INFERENCE}), "FileNotFoundError"),
        (tar_gz({"code/inference.py": "def model_fn(model_dir):\n    raise SystemExit(1)\n"}), "SystemExit"),
        (tar_gz({"nothing.txt": ""}), "Please provide a model_fn implementation"),
    ],
    # Named here: pytest would name them by their bytes, in which gzip has the time, and each worker has another.
    ids=["no archive", "climbs out", "missing package", "missing model", "exits", "no model_fn"],
)
def test_a_model_that_does_not_load_fails_the_endpoint(endpoints: Endpoints, archive: bytes, reason: str) -> None:
    name = endpoints.create(endpoints.config("", archive=archive))
    endpoint = endpoints.settled(name)
    assert endpoint["EndpointStatus"] == "Failed"
    assert reason in endpoint["FailureReason"]
    with pytest.raises(ClientError, match="not found"):
        endpoints.predict(name)
    endpoints.sagemaker.delete_endpoint(EndpointName=name)


def test_an_update_serves_the_new_model_and_stops_the_old_one(endpoints: Endpoints) -> None:
    name, old = endpoints.running("1")
    new = endpoints.config("2")
    endpoints.update(name, new)
    endpoint = endpoints.settled(name)
    assert (endpoint["EndpointConfigName"], "FailureReason" in endpoint) == (new, False)
    assert endpoints.predict(name) == "2"

    def containers() -> list[str]:
        return [c["name"].split("/")[-2] for c in endpoints.server.health()["containers"] if f"/{name}/" in c["name"]]

    eventually(lambda: containers() == [new])
    assert old not in containers()
    endpoints.sagemaker.delete_endpoint(EndpointName=name)
    eventually(lambda: containers() == [])
    with pytest.raises(ClientError, match="Could not find endpoint"):
        endpoints.describe(name)


def test_an_update_to_a_model_that_does_not_load_keeps_the_old_one(endpoints: Endpoints) -> None:
    name, old = endpoints.running("1")
    endpoints.update(name, endpoints.config("2", inference=BREAKS))
    endpoint = endpoints.settled(name)
    assert endpoint["EndpointStatus"] == "InService"
    assert endpoint["EndpointConfigName"] == old
    assert "No module named 'rare_library'" in endpoint["FailureReason"]
    assert endpoints.predict(name) == "1"


def test_a_canary_gets_its_share_and_an_alarm_takes_it_back(endpoints: Endpoints) -> None:
    name, old = endpoints.running("1")
    alarm, new = endpoints.alarm(), endpoints.config("2")
    canary = deployment("CANARY", 3600, alarm, CanarySize={"Type": "CAPACITY_PERCENT", "Value": 50})
    endpoints.update(name, new, DeploymentConfig=canary)
    eventually(lambda: endpoints.predict(name) == "2")
    assert sorted(endpoints.predict(name) for _ in range(20)) == ["1"] * 10 + ["2"] * 10
    endpoint = endpoints.describe(name)
    assert endpoint["EndpointStatus"] == "Updating"
    assert endpoint["EndpointConfigName"] == old
    pending = endpoint["PendingDeploymentSummary"]
    assert pending["EndpointConfigName"] == new
    (variant,) = pending["ProductionVariants"]
    assert (variant["CurrentWeight"], variant["DesiredWeight"]) == (0.5, 1.0)
    assert [status["Status"] for status in variant["VariantStatus"]] == ["Baking"]
    for call in (
        lambda: endpoints.update(name, new),
        lambda: endpoints.sagemaker.delete_endpoint(EndpointName=name),
    ):
        with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
            call()
    endpoints.cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="test")
    endpoint = endpoints.settled(name)
    assert endpoint["EndpointStatus"] == "InService"
    assert endpoint["EndpointConfigName"] == old
    assert alarm in endpoint["FailureReason"]
    assert {endpoints.predict(name) for _ in range(4)} == {"1"}
    assert endpoint["LastDeploymentConfig"] == canary
    endpoints.update(name, new)
    assert "FailureReason" not in endpoints.settled(name)


def test_an_alarm_over_metrics_of_the_new_model_rolls_it_back(endpoints: Endpoints) -> None:
    name, old = endpoints.running("1")
    alarm = unique("errors")
    endpoints.cloudwatch.put_metric_alarm(
        AlarmName=alarm,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[{"Name": "EndpointName", "Value": name}, {"Name": "VariantName", "Value": "main"}],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0.05,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )
    broken = INFERENCE.replace("return model", "raise RuntimeError('broken')")
    endpoints.update(
        name, endpoints.config("2", inference=broken), DeploymentConfig=deployment("ALL_AT_ONCE", 3600, alarm)
    )

    def fails() -> bool:
        try:
            endpoints.predict(name)
        except ClientError as exc:
            return exc.response["Error"]["Code"] == "ModelError"
        return False

    eventually(fails)
    endpoint = endpoints.settled(name)
    assert endpoint["EndpointConfigName"] == old
    assert alarm in endpoint["FailureReason"]
    assert endpoints.predict(name) == "1"


def test_a_quiet_deployment_goes_through_all_its_steps(endpoints: Endpoints) -> None:
    name, _ = endpoints.running("1", InitialInstanceCount=4)
    new = endpoints.config("2", InitialInstanceCount=4)
    linear = deployment("LINEAR", 6, endpoints.alarm(), LinearStepSize={"Type": "INSTANCE_COUNT", "Value": 2})
    endpoints.update(name, new, DeploymentConfig=linear)
    assert endpoints.settled(name)["EndpointConfigName"] == new
    assert endpoints.predict(name) == "2"


def test_variant_properties_are_retained_when_asked(endpoints: Endpoints) -> None:
    name, _ = endpoints.running("1")
    endpoints.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": 5}]
    )
    [variant] = endpoints.describe(name)["ProductionVariants"]
    assert (variant["DesiredInstanceCount"], variant["DesiredWeight"]) == (5, 1.0)
    endpoints.update(name, endpoints.config("2"), RetainAllVariantProperties=True)
    [variant] = endpoints.settled(name)["ProductionVariants"]
    assert variant["CurrentInstanceCount"] == 5
    endpoints.update(
        name,
        endpoints.config("3"),
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredInstanceCount"}],
    )
    [variant] = endpoints.settled(name)["ProductionVariants"]
    assert variant["CurrentInstanceCount"] == 2


def test_a_deployment_that_sagemaker_would_refuse(endpoints: Endpoints, shared: str) -> None:
    size = {"Type": "CAPACITY_PERCENT", "Value": 60}
    with pytest.raises(ClientError, match="at most half"):
        endpoints.update(shared, endpoints.config("2"), DeploymentConfig=deployment("CANARY", 60, CanarySize=size))
    with pytest.raises(ClientError, match="production variants of the running one: main"):
        endpoints.update(
            shared, endpoints.config("2", VariantName="other"), DeploymentConfig=deployment("ALL_AT_ONCE", 60)
        )
    assert endpoints.describe(shared)["EndpointStatus"] == "InService"


def test_a_container_that_dies_is_replaced(endpoints: Endpoints) -> None:
    name, _ = endpoints.running("1", inference=INFERENCE + "import os\n")
    dies = INFERENCE.replace("return model", "os._exit(9) if data == 'die' else None\n    return model")
    endpoints.update(name, endpoints.config("1", inference="import os\n" + dies))
    endpoints.settled(name)
    with pytest.raises(ClientError, match="ModelError"):
        endpoints.predict(name, b"die")

    def answers() -> bool:
        try:
            return endpoints.predict(name) == "1"
        except ClientError:
            return False

    assert eventually(answers)


def test_models_from_a_package_and_from_uncompressed_files(endpoints: Endpoints) -> None:
    group = unique("group")
    endpoints.sagemaker.create_model_package_group(ModelPackageGroupName=group)
    key = f"{group}.tar.gz"
    endpoints.s3.put_object(Bucket=endpoints.bucket, Key=key, Body=model_archive("from package"))
    endpoints.s3.put_object(Bucket=endpoints.bucket, Key=f"{group}/answer.txt", Body=b"from files")
    endpoints.s3.put_object(Bucket=endpoints.bucket, Key=f"{group}/code/inference.py", Body=INFERENCE.encode())
    arn = endpoints.sagemaker.create_model_package(
        ModelPackageGroupName=group,
        InferenceSpecification={
            "Containers": [{"Image": "i", "ModelDataUrl": f"s3://{endpoints.bucket}/{key}"}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )["ModelPackageArn"]
    source = {"S3Uri": f"s3://{endpoints.bucket}/{group}/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    containers: dict[str, dict[str, Any]] = {
        "from package": {"ModelPackageName": arn},
        "from files": {"Image": "i", "ModelDataSource": {"S3DataSource": source}},
    }
    for expected, container in containers.items():
        name = unique()
        endpoints.sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
        variant = {"VariantName": "main", "ModelName": name, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        endpoints.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        assert endpoints.predict(_settled(endpoints, endpoints.create(name))) == expected


def _settled(endpoints: Endpoints, name: str) -> str:
    endpoint = endpoints.settled(name)
    assert endpoint["EndpointStatus"] == "InService", endpoint.get("FailureReason")
    return name


def test_models_and_configs_are_described_as_they_were_made(endpoints: Endpoints) -> None:
    name = unique()
    endpoints.s3.put_object(Bucket=endpoints.bucket, Key="m.tar.gz", Body=b"")
    container = {"Image": "i", "ModelDataUrl": f"s3://{endpoints.bucket}/m.tar.gz", "Environment": {"K": "v"}}
    vpc = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
    endpoints.sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=ROLE,
        PrimaryContainer=container,
        VpcConfig=vpc,
        EnableNetworkIsolation=True,
        Tags=[{"Key": "k", "Value": "v"}],
    )
    model = endpoints.sagemaker.describe_model(ModelName=name)
    assert (model["PrimaryContainer"], model["VpcConfig"], model["EnableNetworkIsolation"]) == (container, vpc, True)
    assert "Containers" not in model
    with pytest.raises(ClientError, match='Cannot create already existing model "arn:'):
        endpoints.sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    arn = model["ModelArn"]
    endpoints.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "k", "Value": "new"}])
    assert endpoints.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "k", "Value": "new"}]
    config = endpoints.sagemaker.describe_endpoint_config(EndpointConfigName=endpoints.config("1"))
    assert "DataCaptureConfig" not in config
    assert "AsyncInferenceConfig" not in config
    assert config["ProductionVariants"][0]["InitialInstanceCount"] == 2
    endpoints.sagemaker.delete_model(ModelName=name)
    for call in ("describe_model", "delete_model"):
        with pytest.raises(ClientError, match='Could not find model "arn:'):
            getattr(endpoints.sagemaker, call)(ModelName=name)


def test_instance_types_are_those_of_today(endpoints: Endpoints) -> None:
    model = endpoints.model("1")
    variant = {"VariantName": "main", "ModelName": model, "InitialInstanceCount": 1}
    name = endpoints.config_of({**variant, "InstanceType": "ml.m6i.large"})
    described = endpoints.sagemaker.describe_endpoint_config(EndpointConfigName=name)
    assert described["ProductionVariants"][0]["InstanceType"] == "ml.m6i.large"
    with pytest.raises(ClientError, match="is not an instance type"):
        endpoints.config_of({**variant, "InstanceType": "m6i.large"})


def test_a_model_needs_its_data_and_a_role_that_sagemaker_may_assume(endpoints: Endpoints) -> None:
    missing = {"Image": "i", "ModelDataUrl": f"s3://{endpoints.bucket}/nothing.tar.gz"}
    with pytest.raises(ClientError, match="Could not access model data at s3://"):
        endpoints.sagemaker.create_model(ModelName=unique(), ExecutionRoleArn=ROLE, PrimaryContainer=missing)
    untrusting = new_role(endpoints.server, DEV, {"Principal": {"AWS": DEV}})
    for role in (untrusting, f"arn:aws:iam::{DEV}:role/nobody", ROLE.replace(DEV, STAGING)):
        with pytest.raises(ClientError, match=rf"\(ValidationException\).*Could not assume role {role}"):
            endpoints.sagemaker.create_model(ModelName=unique(), ExecutionRoleArn=role)


@pytest.mark.parametrize(
    ("config", "instances", "expected"),
    [
        (None, 1, [(1.0, 0.0)]),
        (deployment("ALL_AT_ONCE", 60), 1, [(1.0, 60.0)]),
        (deployment("CANARY", 60, CanarySize={"Type": "INSTANCE_COUNT", "Value": 1}), 4, [(0.25, 60.0), (1.0, 60.0)]),
        (deployment("CANARY", 60, CanarySize={"Type": "CAPACITY_PERCENT", "Value": 30}), 4, [(0.5, 60.0), (1.0, 60.0)]),
        (
            deployment("LINEAR", 30, LinearStepSize={"Type": "CAPACITY_PERCENT", "Value": 40}),
            5,
            [(0.4, 30.0), (0.8, 30.0), (1.0, 30.0)],
        ),
        (
            {
                "RollingUpdatePolicy": {
                    "MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 1},
                    "WaitIntervalInSeconds": 10,
                }
            },
            2,
            [(0.5, 10.0), (1.0, 10.0)],
        ),
    ],
)
def test_deployment_plans(config: dict[str, Any] | None, instances: int, expected: list[tuple[float, float]]) -> None:
    plan = rollout.plan(config, instances)
    assert [step.share for step in plan.steps] == pytest.approx([share for share, _ in expected])
    assert [step.bake_seconds for step in plan.steps] == [seconds for _, seconds in expected]
