"""Mends: InvokeEndpointAsync.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
writes a made-up answer, for any endpoint   the request waits in the endpoint's queue, the model's answer is written to
                                            the output location, or the reason to the failure location
no notifications                            to the SNS topics of the endpoint config
no metrics                                  those below
==========================================  ===========================================================================

Metrics, namespace ``AWS/SageMaker``, after "Monitor asynchronous endpoints". Whenever the queue changes, dimension
EndpointName: ApproximateBacklogSize, ApproximateBacklogSizePerInstance, ApproximateAgeOfOldestRequest (seconds),
HasBacklogWithoutCapacity (0 or 1). Per request, also with VariantName: TimeInBacklog and TotalProcessingTime
(milliseconds), InvocationsProcessed, InvocationFailures, ExpiredRequests, RequestDownloadFailures,
ResponseUploadFailures, NotificationFailures, and of the invocation itself ModelLatency and Invocation4XXErrors and
Invocation5XXErrors. Invocations and OverheadLatency do not exist for asynchronous endpoints, as on AWS.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from moto.sagemakerruntime.responses import SageMakerRuntimeResponse
from moto.sns.models import sns_backends

from mlops_kit.local.compute import backlog, storage
from mlops_kit.local.compute.backlog import Backlog, State, Waiting
from mlops_kit.local.compute.fleet import Fleet, VariantState
from mlops_kit.local.compute.serving import Endpoint
from mlops_kit.local.compute.storage import Place, Uri
from mlops_kit.local.overlay import guard, sagemaker_runtime
from mlops_kit.local.overlay import sagemaker as sm
from mlops_kit.local.overlay import sagemaker_prediction as prediction
from mlops_kit.local.overlay.sagemaker_prediction import Prediction

log = logging.getLogger(__name__)

MAX_INLINE_BODY = 128_000
_PREFIX = "X-Amzn-SageMaker-"


class _FailedError(Exception):
    """The request failed: (metric that counts it, reason)."""


def install() -> None:
    guard.original(SageMakerRuntimeResponse, "invoke_endpoint_async", "self")

    def invoke_endpoint_async(self: Any) -> Any:
        place, name, endpoint = sagemaker_runtime.endpoint_of(self)
        route = endpoint.route(None) if endpoint is not None else None
        if endpoint is None or route is None:
            return _refuse(f"Endpoint {name} of account {place.account} not found.")
        config = route[0].spec.asynchronous
        if config is None:
            return _refuse(sagemaker_runtime.OTHER_TYPE.format(name=name, account=place.account))
        location = self.headers.get(f"{_PREFIX}InputLocation")
        if bool(location) == bool(self.raw_body):
            return _refuse("Exactly one of Body and InputLocation is required.")
        if len(self.raw_body) > MAX_INLINE_BODY:
            return _refuse(f"Body is larger than {MAX_INLINE_BODY} bytes.")
        try:
            request = _request(self, config["OutputConfig"], location)
        except (storage.MissingDataError, ValueError) as exc:
            return _refuse(str(exc))
        _queue(endpoint).put(request)
        headers = {f"{_PREFIX}OutputLocation": str(request.output), "Content-Type": "application/json", "status": 202}
        if request.failure is not None:
            headers[f"{_PREFIX}FailureLocation"] = str(request.failure)
        return 202, headers, json.dumps({"InferenceId": request.inference_id})

    guard.replace(SageMakerRuntimeResponse, "invoke_endpoint_async", invoke_endpoint_async)


def _refuse(message: str) -> Any:
    return sagemaker_runtime.error("ValidationError", message, 400)


def _request(response: Any, output: Mapping[str, Any], location: str | None) -> Waiting:
    header = response.headers.get
    name = str(uuid.uuid4())
    extension = (header(f"{_PREFIX}S3OutputPathExtension") or "").strip("/")
    directory = "/".join(part for part in (str(output["S3OutputPath"]).rstrip("/"), extension) if part)
    failures = output.get("S3FailurePath")
    received, since = backlog.now()
    return Waiting(
        inference_id=header(f"{_PREFIX}Inference-Id") or str(uuid.uuid4()),
        input=Uri.parse(location) if location else None,
        body=bytes(response.raw_body),
        content_type=header(f"{_PREFIX}Content-Type") or "application/octet-stream",
        accept=header(f"{_PREFIX}Accept") or "*/*",
        attributes=header(f"{_PREFIX}Custom-Attributes"),
        output=Uri.parse(f"{directory}/{header(f'{_PREFIX}Filename') or f'{name}.out'}"),
        failure=Uri.parse(f"{str(failures).rstrip('/')}/{name}-error.out") if failures else None,
        ttl=float(header(f"{_PREFIX}RequestTTLSeconds") or backlog.DEFAULT_TTL),
        timeout=float(header(f"{_PREFIX}InvocationTimeoutSeconds") or backlog.DEFAULT_TIMEOUT),
        received=received,
        since=since,
    )


def _queue(endpoint: Endpoint) -> Backlog:
    with sm.lock:
        if endpoint.backlog is None:
            endpoint.backlog = Backlog(
                endpoint.name,
                endpoint.gone,
                lambda: endpoint.instances,
                lambda request: _process(endpoint, request),
                lambda state: _publish_state(endpoint, state),
            )
        return endpoint.backlog


def _publish_state(endpoint: Endpoint, state: State) -> None:
    instances = endpoint.instances
    values = (
        ("ApproximateBacklogSize", float(state.size), "Count"),
        ("ApproximateBacklogSizePerInstance", state.size / max(1, instances), "Count"),
        ("ApproximateAgeOfOldestRequest", state.oldest, "Seconds"),
        ("HasBacklogWithoutCapacity", float(state.size > 0 and instances == 0), "Count"),
    )
    prediction.put_metrics(endpoint.place, endpoint.name, None, values)


def _process(endpoint: Endpoint, request: Waiting) -> None:
    route = endpoint.route(None)
    if route is None:
        return  # it is being deleted, and its queue with it
    fleet, variant = route
    place = endpoint.place.acting_as(variant.spec.role)
    output = (fleet.spec.asynchronous or {}).get("OutputConfig") or {}
    counted = {"TimeInBacklog": (request.waited * 1e3, "Milliseconds")}
    content_type, reason = "", None
    try:
        content_type = _answer(endpoint, fleet, variant, request, place, output)
        counted["InvocationsProcessed"] = (1.0, "Count")
    except _FailedError as exc:
        metric, reason = exc.args
        counted |= {"InvocationFailures": (1.0, "Count"), metric: (1.0, "Count")}
        _write_failure(request, reason, place, output)
    if not _notify(endpoint, request, place, output, content_type, reason):
        counted["NotificationFailures"] = (1.0, "Count")
    counted["TotalProcessingTime"] = (request.waited * 1e3, "Milliseconds")
    values = [(name, value, unit) for name, (value, unit) in counted.items()]
    prediction.put_metrics(place, endpoint.name, variant.spec.name, values)


def _answer(
    endpoint: Endpoint,
    fleet: Fleet,
    variant: VariantState,
    request: Waiting,
    place: Place,
    output: Mapping[str, Any],
) -> str:
    """Have the model answer and write that to the output location; its content type.

    Raises:
        _FailedError: see there.
    """
    if request.waited > request.ttl:
        raise _FailedError("ExpiredRequests", f"The request waited for more than {request.ttl:g} seconds.")
    try:
        body = request.body if request.input is None else storage.read(request.input, place)
    except storage.MissingDataError as exc:
        raise _FailedError("RequestDownloadFailures", f"ClientError: Failed to download the request: {exc}") from exc
    asked = Prediction(body, request.content_type, request.accept, request.attributes, request.inference_id)
    reply = prediction.invoke(fleet, variant, asked, request.timeout)
    prediction.put_metrics(place, endpoint.name, variant.spec.name, prediction.model_metrics(reply))
    if reply.status >= 300:
        raise _FailedError("InvocationFailures", f"ModelError: {prediction.error_message(reply)}")
    if fleet.capture is not None and fleet.capture.sampled():
        prediction.record(fleet, place, endpoint.name, variant, asked, reply)
    try:
        key = output.get("KmsKeyId")
        storage.write(request.output, reply.body, place, kms_key_id=key, content_type=reply.content_type)
    except storage.MissingDataError as exc:
        raise _FailedError("ResponseUploadFailures", f"ClientError: Failed to upload the response: {exc}") from exc
    return reply.content_type


def _write_failure(request: Waiting, reason: str, place: Place, output: Mapping[str, Any]) -> None:
    if request.failure is None:
        return
    try:
        key = output.get("KmsKeyId")
        storage.write(request.failure, reason.encode(), place, kms_key_id=key, content_type="text/plain")
    except storage.MissingDataError as exc:
        log.warning("asynchronous request %s: its failure cannot be written: %s", request.inference_id, exc)


def _notify(
    endpoint: Endpoint,
    request: Waiting,
    place: Place,
    output: Mapping[str, Any],
    content_type: str,
    reason: str | None,
) -> bool:
    """Tell the topic for successes or that for errors, if there is one; False if that fails."""
    topic = (output.get("NotificationConfig") or {}).get("ErrorTopic" if reason else "SuccessTopic")
    if not topic:
        return True
    asked = {"contentType": request.content_type, "endpointName": endpoint.name}
    if request.input is not None:
        asked["inputLocation"] = str(request.input)
    answered = {"contentType": content_type, "outputLocation": str(request.output)}
    message = {
        "awsRegion": place.region,
        "eventTime": _stamp(datetime.now(UTC)),
        "receivedTime": _stamp(request.received),
        "invocationStatus": "Failed" if reason else "Completed",
        **({"failureReason": reason} if reason else {}),
        "requestParameters": asked,
        **({} if reason else {"responseParameters": answered}),
        "inferenceId": request.inference_id,
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
    try:
        storage.require(place, "sns", "Publish", TopicArn=topic)
        account, region = topic.split(":")[4], topic.split(":")[3]
        sns_backends[account][region].publish(json.dumps(message), topic)
    except Exception:
        log.exception("asynchronous request %s: topic %s", request.inference_id, topic)
        return False
    return True


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
