"""Mends: InvokeEndpoint.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
answers ``body``, even for an endpoint      the prediction of the model that the endpoint's current config names, or
that does not exist                         ValidationError (400), ModelError (424) in AWS's words
request bodies are decoded as UTF-8         passed on as bytes
no data capture, no metrics                 both, see :mod:`mlops_kit.local.compute.capture` and below
==========================================  ===========================================================================

Metrics per request, namespace ``AWS/SageMaker``, dimensions EndpointName and VariantName: Invocations, ModelLatency and
OverheadLatency (microseconds), Invocation4XXErrors and Invocation5XXErrors (0 or 1), InvocationModelErrors.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.sagemaker.models import sagemaker_backends
from moto.sagemakerruntime.responses import SageMakerRuntimeResponse

from mlops_kit.local.compute import capture, storage
from mlops_kit.local.compute.containers import ContainerGoneError, NotHealthyError, Reply
from mlops_kit.local.compute.fleet import Fleet, VariantState
from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import guard, replies, sagemaker_endpoints
from mlops_kit.local.overlay import sagemaker as sm

log = logging.getLogger(__name__)

MAX_BODY = 25 * 1024 * 1024


def install() -> None:
    guard.original(SageMakerRuntimeResponse, "invoke_endpoint", "self")
    guard.require_attributes(SageMakerRuntimeResponse(), "use_raw_body")
    SageMakerRuntimeResponse.use_raw_body = True

    def invoke_endpoint(self: Any) -> Any:
        started = time.perf_counter()
        place = sm.place_of(self)
        name = self.path.split("/")[2]
        backend = sagemaker_backends[place.account][place.region]
        endpoint = sagemaker_endpoints.find_running(backend, name)
        target = self.headers.get("X-Amzn-SageMaker-Target-Variant")
        route = endpoint.route(target) if endpoint is not None else None
        if route is None:
            what = f"Variant {target} of endpoint {name}" if target and endpoint else f"Endpoint {name}"
            return _error("ValidationError", f"{what} of account {place.account} not found.", 400)
        if len(self.raw_body) > MAX_BODY:
            return _error("ValidationError", f"Request body is larger than {MAX_BODY} bytes.", 413)
        fleet, variant = route
        headers = {
            "Content-Type": self.headers.get("Content-Type") or "application/octet-stream",
            "Accept": self.headers.get("Accept") or "*/*",
        }
        if attributes := self.headers.get("X-Amzn-SageMaker-Custom-Attributes"):
            headers["X-Amzn-SageMaker-Custom-Attributes"] = attributes
        moment = datetime.now(UTC)
        container = fleet.containers[variant.spec.name]
        try:
            reply = container.invoke(self.raw_body, headers)
        except ContainerGoneError as exc:
            _restart(fleet, variant)
            reply = Reply(500, "text/plain", f"the model container does not answer ({exc})".encode(), 0.0)
        _count(place, name, variant.spec.name, reply, time.perf_counter() - started)
        if reply.status >= 300:
            return _model_error(reply, container.logs.arn)
        if fleet.capture is not None and fleet.capture.sampled():
            _capture(fleet.capture, place, name, variant.spec.name, headers["Content-Type"], self, reply, moment)
        answer = {"Content-Type": reply.content_type, "x-Amzn-Invoked-Production-Variant": variant.spec.name}
        if attributes:
            answer["X-Amzn-SageMaker-Custom-Attributes"] = attributes
        return 200, answer, reply.body

    guard.replace(SageMakerRuntimeResponse, "invoke_endpoint", invoke_endpoint)


def _error(code: str, message: str, status: int, **fields: Any) -> Any:
    status, headers, body = replies.rest_json_error(code, message, status, **fields)
    return status, {**headers, "status": status}, body


def _model_error(reply: Reply, log_stream_arn: str) -> Any:
    original = reply.body.decode("utf-8", "replace")
    side = "client" if reply.status < 500 else "server"
    message = (
        f'Received {side} error ({reply.status}) from primary with message "{original}". '
        "See the log stream of this endpoint for more information."
    )
    return _error(
        "ModelError",
        message,
        424,
        OriginalStatusCode=reply.status,
        OriginalMessage=original,
        LogStreamArn=log_stream_arn,
    )


def _restart(fleet: Fleet, variant: VariantState) -> None:
    """SageMaker replaces a container that died; so does this, beside the request that noticed."""

    def replace() -> None:
        try:
            fleet.replace(variant.spec.name)
        except (NotHealthyError, RuntimeError) as exc:
            log.warning("variant %s of %s does not come back: %s", variant.spec.name, fleet.spec.config, exc)

    threading.Thread(target=replace, daemon=True).start()


def _count(place: Place, endpoint: str, variant: str, reply: Reply, total: float) -> None:
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]
    values = (
        ("Invocations", 1.0, "None"),
        ("Invocation4XXErrors", float(400 <= reply.status < 500), "None"),
        ("Invocation5XXErrors", float(reply.status >= 500), "None"),
        ("InvocationModelErrors", float(reply.status >= 300), "None"),
        ("ModelLatency", reply.latency * 1e6, "Microseconds"),
        ("OverheadLatency", max(0.0, total - reply.latency) * 1e6, "Microseconds"),
    )
    cloudwatch_backends[place.account][place.region].put_metric_data(
        "AWS/SageMaker",
        [{"MetricName": name, "Value": value, "Unit": unit, "Dimensions": dimensions} for name, value, unit in values],
    )


def _capture(
    config: capture.CaptureConfig,
    place: Place,
    endpoint: str,
    variant: str,
    content_type: str,
    request: Any,
    reply: Reply,
    moment: datetime,
) -> None:
    exchange = capture.Exchange(
        endpoint=endpoint,
        variant=variant,
        request_type=content_type,
        request=request.raw_body,
        response_type=reply.content_type,
        response=reply.body,
        inference_id=request.headers.get("X-Amzn-SageMaker-Inference-Id"),
        time=moment,
    )
    try:
        capture.write(config, exchange, place)
    except storage.MissingDataError as exc:
        # As on AWS, a capture that cannot be written does not fail the request.
        log.warning("data capture of endpoint %s: %s", endpoint, exc)
