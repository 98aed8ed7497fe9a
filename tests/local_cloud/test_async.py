"""Asynchronous endpoints: the queue, results and failures in S3, notifications, metrics."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops_kit.local.compute import backlog, storage
from tests.local_cloud.endpoints import Endpoints
from tests.local_cloud.support import DEV, REGION, Server, eventually, unique


class Queued:
    """An asynchronous endpoint that predicts 1, with topics whose messages can be read."""

    def __init__(self, server: Server) -> None:
        self.endpoints = Endpoints(server)
        self.bucket, self.s3 = self.endpoints.bucket, self.endpoints.s3
        self.sns, self.sqs = server.client("sns"), server.client("sqs")
        self.topics = {name: self.sns.create_topic(Name=unique(name))["TopicArn"] for name in ("success", "error")}
        self.queues = {name: self._subscribed(topic) for name, topic in self.topics.items()}
        self.output = {
            "S3OutputPath": f"s3://{self.bucket}/answers/",
            "S3FailurePath": f"s3://{self.bucket}/failures",
            "NotificationConfig": {"SuccessTopic": self.topics["success"], "ErrorTopic": self.topics["error"]},
        }
        self.name, self.config = self.endpoints.running(
            "1", InitialInstanceCount=1, AsyncInferenceConfig={"OutputConfig": self.output}
        )
        self.s3.put_object(Bucket=self.bucket, Key="input.csv", Body=b"1,2")

    def _subscribed(self, topic: str) -> str:
        queue = str(self.sqs.create_queue(QueueName=unique("queue"))["QueueUrl"])
        arn = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
        return queue

    def message(self, topic: str, inference_id: str) -> dict[str, Any]:
        def find() -> dict[str, Any] | None:
            found = self.sqs.receive_message(QueueUrl=self.queues[topic], MaxNumberOfMessages=10, VisibilityTimeout=0)
            bodies = [json.loads(message["Body"]) for message in found.get("Messages", [])]
            return next((body for body in bodies if body["inferenceId"] == inference_id), None)

        return eventually(find) or {}

    def invoke(self, **arguments: Any) -> dict[str, Any]:
        if "Body" not in arguments:
            arguments.setdefault("InputLocation", f"s3://{self.bucket}/input.csv")
        request = {"EndpointName": self.name, "ContentType": "text/csv", **arguments}
        return dict(self.endpoints.runtime.invoke_endpoint_async(**request))

    def read(self, location: str) -> bytes:
        """The object, once it is there."""
        bucket, key = location.removeprefix("s3://").split("/", 1)

        def body() -> bytes | None:
            try:
                return bytes(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            except self.s3.exceptions.NoSuchKey:
                return None

        return eventually(body) or b""


@pytest.fixture(scope="module")
def queued(server: Server) -> Queued:
    return Queued(server)


def test_an_answer_is_written_and_announced(queued: Queued) -> None:
    inference_id = unique("id")
    answer = queued.invoke(InferenceId=inference_id)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["InferenceId"] == inference_id
    assert answer["OutputLocation"].startswith(f"s3://{queued.bucket}/answers/")
    assert answer["OutputLocation"].endswith(".out")
    assert answer["FailureLocation"].startswith(f"s3://{queued.bucket}/failures/")
    assert queued.read(answer["OutputLocation"]) == b"1"
    message = queued.message("success", inference_id)
    assert message.pop("receivedTime") <= message.pop("eventTime")
    assert message == {
        "awsRegion": REGION,
        "invocationStatus": "Completed",
        "requestParameters": {
            "contentType": "text/csv",
            "endpointName": queued.name,
            "inputLocation": f"s3://{queued.bucket}/input.csv",
        },
        "responseParameters": {"contentType": "text/csv", "outputLocation": answer["OutputLocation"]},
        "inferenceId": inference_id,
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }


def test_every_request_has_an_answer_of_its_own(queued: Queued) -> None:
    answers = [queued.invoke() for _ in range(5)]
    assert len({answer["InferenceId"] for answer in answers}) == 5
    locations = {answer["OutputLocation"] for answer in answers}
    assert len(locations) == 5
    assert {queued.read(location) for location in locations} == {b"1"}


def test_a_body_may_come_with_the_request_and_the_answer_may_be_named(queued: Queued) -> None:
    answer = queued.invoke(Body=b"3,4", S3OutputPathExtension="today", Filename="answer.csv")
    assert answer["OutputLocation"] == f"s3://{queued.bucket}/answers/today/answer.csv"
    assert queued.read(answer["OutputLocation"]) == b"1"
    with pytest.raises(ClientError, match="Exactly one of Body and InputLocation"):
        queued.endpoints.runtime.invoke_endpoint_async(EndpointName=queued.name)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"ContentType": "text/fails"}, 'server error (500) from primary with message "this input is refused"'),
        ({"InputLocation": "missing.csv"}, "Failed to download the request"),
    ],
)
def test_a_failure_is_written_and_announced(queued: Queued, arguments: dict[str, str], reason: str) -> None:
    inference_id = unique("id")
    if "InputLocation" in arguments:
        arguments = {"InputLocation": f"s3://{queued.bucket}/{arguments['InputLocation']}"}
    answer = queued.invoke(InferenceId=inference_id, **arguments)
    assert reason in queued.read(answer["FailureLocation"]).decode()
    message = queued.message("error", inference_id)
    assert message["invocationStatus"] == "Failed"
    assert reason in message["failureReason"]
    assert "responseParameters" not in message
    listed = queued.s3.list_objects_v2(Bucket=queued.bucket, Prefix="answers/").get("Contents", [])
    assert answer["OutputLocation"].rsplit("/", 1)[1] not in str(listed)


def test_requests_wait_for_an_instance(queued: Queued) -> None:
    endpoints = queued.endpoints
    name = endpoints.serving(queued.config)

    def scale(count: int) -> None:
        endpoints.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": count}]
        )

    scale(0)
    queued.invoke(EndpointName=name)
    answer = queued.invoke(EndpointName=name)
    assert endpoints.metric(name, None, "ApproximateBacklogSize", "Maximum") == 2
    assert endpoints.metric(name, None, "HasBacklogWithoutCapacity", "Minimum") == 1
    assert endpoints.metric(name, "main", "InvocationsProcessed") is None
    scale(2)
    assert queued.read(answer["OutputLocation"]) == b"1"
    eventually(lambda: endpoints.metric(name, None, "ApproximateBacklogSize", "Minimum") == 0)
    assert endpoints.metric(name, None, "HasBacklogWithoutCapacity", "Minimum") == 0
    assert endpoints.metric(name, None, "ApproximateBacklogSizePerInstance", "Maximum") == 2
    assert endpoints.metric(name, "main", "InvocationsProcessed") == 2
    assert endpoints.metric(name, "main", "TimeInBacklog", "SampleCount") == 2
    waited, took = (endpoints.metric(name, "main", m, "Maximum") for m in ("TimeInBacklog", "TotalProcessingTime"))
    assert 0 < (waited or 0) <= (took or 0)
    assert endpoints.metric(name, "main", "ModelLatency", "SampleCount") == 2
    assert endpoints.metric(name, "main", "Invocations") is None


def test_a_request_may_not_wait_for_longer_than_it_said(queued: Queued, server: Server) -> None:
    endpoints = queued.endpoints
    name = endpoints.serving(queued.config)
    endpoints.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": 0}]
    )
    impatient = server.client("sagemaker-runtime")
    impatient.meta.events.register(
        "before-call.sagemaker-runtime.InvokeEndpointAsync",
        # The SDK refuses less than a minute.
        lambda params, **_: params["headers"].update({"X-Amzn-SageMaker-RequestTTLSeconds": "0"}),
    )
    answer = impatient.invoke_endpoint_async(EndpointName=name, Body=b"1,2")
    assert queued.read(answer["FailureLocation"]) == b"The request waited for more than 0 seconds."
    eventually(lambda: endpoints.metric(name, "main", "ExpiredRequests") == 1)
    assert endpoints.metric(name, "main", "InvocationFailures") == 1


def test_a_queue_without_capacity_is_reported_until_there_is_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "REPORT_SECONDS", 0)
    gone, states = threading.Event(), list[backlog.State]()
    queue = backlog.Backlog("test", gone, lambda: 0, lambda request: None, states.append)
    received, since = backlog.now()
    output = storage.Uri("bucket", "key")
    queue.put(backlog.Waiting("id", None, b"", "text/csv", "*/*", None, output, None, 60, 60, received, since))
    eventually(lambda: len(states) > 2)
    gone.set()
    assert {state.size for state in states} == {1}
    assert states[0].oldest < states[-1].oldest


def test_each_kind_of_endpoint_has_its_own_operation(queued: Queued) -> None:
    wrong_type = rf"\(ValidationError\).*{{}} of account {DEV} does not support this inference type"
    with pytest.raises(ClientError, match=wrong_type.format(queued.name)):
        queued.endpoints.predict(queued.name)
    realtime, _ = queued.endpoints.running("1")
    with pytest.raises(ClientError, match=wrong_type.format(realtime)):
        queued.invoke(EndpointName=realtime)
    with pytest.raises(ClientError, match=r"\(ValidationError\).*Endpoint nobody of account"):
        queued.invoke(EndpointName="nobody")


def test_describe_shows_the_configuration_and_updates_keep_the_queue(queued: Queued) -> None:
    endpoints = queued.endpoints
    given = {"OutputConfig": queued.output, "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 4}}
    name = endpoints.serving(endpoints.config("1", AsyncInferenceConfig=given))
    assert endpoints.describe(name)["AsyncInferenceConfig"] == given
    endpoints.update(name, endpoints.config("2", AsyncInferenceConfig=given))
    endpoints.settled(name)
    assert queued.read(queued.invoke(EndpointName=name)["OutputLocation"]) == b"2"
    with pytest.raises(ClientError, match="S3OutputPath"):
        endpoints.config("1", AsyncInferenceConfig={"OutputConfig": {}})
