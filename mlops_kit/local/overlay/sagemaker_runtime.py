"""Mends: InvokeEndpoint.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
answers ``body``, even for an endpoint      the prediction of the model that the endpoint's current config names, or
that does not exist                         ValidationError (400), ModelError (424) in AWS's words
request bodies are decoded as UTF-8         passed on as bytes
no data capture, no metrics                 both, see :mod:`mlops_kit.local.compute.capture` and below
no shadow variants                          get copies of as many requests as their weight says
==========================================  ===========================================================================

Metrics per request, namespace ``AWS/SageMaker``, dimensions EndpointName and VariantName: Invocations, ModelLatency and
OverheadLatency (microseconds), Invocation4XXErrors and Invocation5XXErrors (0 or 1), InvocationModelErrors.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from moto.sagemaker.models import sagemaker_backends
from moto.sagemakerruntime.responses import SageMakerRuntimeResponse

from mlops_kit.local.compute.containers import Reply
from mlops_kit.local.compute.fleet import Fleet, VariantState
from mlops_kit.local.compute.serving import Endpoint
from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import guard, replies, sagemaker_endpoints
from mlops_kit.local.overlay import sagemaker as sm
from mlops_kit.local.overlay import sagemaker_prediction as prediction
from mlops_kit.local.overlay.sagemaker_prediction import Prediction

MAX_BODY = 25 * 1024 * 1024
MAX_SERVERLESS_BODY = 4 * 1024 * 1024
OTHER_TYPE = "Endpoint {name} of account {account} does not support this inference type."


def install() -> None:
    guard.original(SageMakerRuntimeResponse, "invoke_endpoint", "self")
    guard.require_attributes(SageMakerRuntimeResponse(), "use_raw_body")
    SageMakerRuntimeResponse.use_raw_body = True

    def invoke_endpoint(self: Any) -> Any:
        started = time.perf_counter()
        place, name, endpoint = endpoint_of(self)
        target = self.headers.get("X-Amzn-SageMaker-Target-Variant")
        route = endpoint.route(target) if endpoint is not None else None
        if route is None:
            what = f"Variant {target} of endpoint {name}" if target and endpoint else f"Endpoint {name}"
            return error("ValidationError", f"{what} of account {place.account} not found.", 400)
        fleet, variant = route
        if fleet.spec.asynchronous is not None:
            return error("ValidationError", OTHER_TYPE.format(name=name, account=place.account), 400)
        limit = MAX_SERVERLESS_BODY if fleet.spec.serverless else MAX_BODY
        if len(self.raw_body) > limit:
            return error("ValidationError", f"Request body is larger than {limit} bytes.", 413)
        asked = Prediction(
            self.raw_body,
            self.headers.get("Content-Type") or "application/octet-stream",
            self.headers.get("Accept") or "*/*",
            self.headers.get("X-Amzn-SageMaker-Custom-Attributes"),
            self.headers.get("X-Amzn-SageMaker-Inference-Id"),
        )
        if (shadow := fleet.shadowed()) is not None:
            threading.Thread(target=_copy, args=(fleet, shadow, place, name, asked), daemon=True).start()
        reply = prediction.invoke(fleet, variant, asked)
        total = time.perf_counter() - started
        prediction.put_metrics(place, name, variant.spec.name, prediction.invocation_metrics(reply, total))
        if reply.status >= 300:
            return _model_error(reply, fleet.containers[variant.spec.name].logs.arn)
        if fleet.capture is not None and fleet.capture.sampled():
            prediction.record(fleet, place, name, variant, asked, reply)
        answer = {"Content-Type": reply.content_type, "x-Amzn-Invoked-Production-Variant": variant.spec.name}
        if asked.attributes:
            answer["X-Amzn-SageMaker-Custom-Attributes"] = asked.attributes
        return 200, answer, reply.body

    guard.replace(SageMakerRuntimeResponse, "invoke_endpoint", invoke_endpoint)


def endpoint_of(response: Any) -> tuple[Place, str, Endpoint | None]:
    """Place, name and, if there is one, the endpoint of a request."""
    place = sm.place_of(response)
    name = str(response.path.split("/")[2])
    return place, name, sagemaker_endpoints.find_running(sagemaker_backends[place.account][place.region], name)


def error(code: str, message: str, status: int, **fields: Any) -> Any:
    status, headers, body = replies.rest_json_error(code, message, status, **fields)
    return status, {**headers, "status": status}, body


def _copy(fleet: Fleet, shadow: VariantState, place: Place, endpoint: str, asked: Prediction) -> None:
    """Send a copy to the shadow variant, beside the request itself, and drop the answer."""
    started = time.perf_counter()
    reply = prediction.invoke(fleet, shadow, asked)
    total = time.perf_counter() - started
    prediction.put_metrics(place, endpoint, shadow.spec.name, prediction.invocation_metrics(reply, total))
    if fleet.capture is not None and fleet.capture.sampled():
        prediction.record(fleet, place, endpoint, shadow, asked, reply)


def _model_error(reply: Reply, log_stream_arn: str) -> Any:
    return error(
        "ModelError",
        prediction.error_message(reply),
        424,
        OriginalStatusCode=reply.status,
        OriginalMessage=reply.body.decode("utf-8", "replace"),
        LogStreamArn=log_stream_arn,
    )
