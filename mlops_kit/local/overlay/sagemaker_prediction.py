"""One request to a variant's model, with what SageMaker does about it: restart, metrics, data capture.

InvokeEndpoint, the queue of asynchronous endpoints and the copies for shadow variants all come through here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from moto.cloudwatch.models import cloudwatch_backends

from mlops_kit.local.compute import capture, storage
from mlops_kit.local.compute.containers import INVOCATION_SECONDS, ContainerGoneError, NotHealthyError, Reply
from mlops_kit.local.compute.fleet import Fleet, VariantState
from mlops_kit.local.compute.storage import Place

log = logging.getLogger(__name__)

NAMESPACE = "AWS/SageMaker"
Values = Iterable[tuple[str, float, str]]
"""Metric name, value, unit."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a client asks of a model."""

    body: bytes
    content_type: str
    accept: str
    attributes: str | None = None
    inference_id: str | None = None
    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def headers(self) -> dict[str, str]:
        """As they reach the container."""
        found = {"Content-Type": self.content_type, "Accept": self.accept}
        if self.attributes:
            found["X-Amzn-SageMaker-Custom-Attributes"] = self.attributes
        return found


def invoke(fleet: Fleet, variant: VariantState, prediction: Prediction, timeout: float = INVOCATION_SECONDS) -> Reply:
    """The model's answer; a container that does not answer is an answer with status 500, and is replaced."""
    try:
        return fleet.containers[variant.spec.name].invoke(prediction.body, prediction.headers, timeout)
    except ContainerGoneError as exc:
        _restart(fleet, variant)
        return Reply(500, "text/plain", f"the model container does not answer ({exc})".encode(), 0.0)


def error_message(reply: Reply) -> str:
    """What SageMaker says when the model answered with an error."""
    side = "client" if reply.status < 500 else "server"
    return (
        f'Received {side} error ({reply.status}) from primary with message "{reply.body.decode("utf-8", "replace")}". '
        "See the log stream of this endpoint for more information."
    )


def put_metrics(place: Place, endpoint: str, variant: str | None, values: Values) -> None:
    """Publish ``values`` of an endpoint, or of one of its variants."""
    dimensions = [{"Name": "EndpointName", "Value": endpoint}]
    if variant is not None:
        dimensions.append({"Name": "VariantName", "Value": variant})
    cloudwatch_backends[place.account][place.region].put_metric_data(
        NAMESPACE,
        [{"MetricName": name, "Value": value, "Unit": unit, "Dimensions": dimensions} for name, value, unit in values],
    )


def model_metrics(reply: Reply) -> Values:
    """Those that every kind of endpoint has."""
    return (
        ("Invocation4XXErrors", float(400 <= reply.status < 500), "None"),
        ("Invocation5XXErrors", float(reply.status >= 500), "None"),
        ("ModelLatency", reply.latency * 1e6, "Microseconds"),
    )


def invocation_metrics(reply: Reply, total: float) -> Values:
    """Those of an endpoint that answers at once; ``total`` is in seconds."""
    return (
        *model_metrics(reply),
        ("Invocations", 1.0, "None"),
        ("InvocationModelErrors", float(reply.status >= 300), "None"),
        ("OverheadLatency", max(0.0, total - reply.latency) * 1e6, "Microseconds"),
    )


def record(fleet: Fleet, place: Place, endpoint: str, variant: VariantState, asked: Prediction, reply: Reply) -> None:
    """Write the data capture of one exchange, whether it was sampled or not."""
    if fleet.capture is None or reply.status >= 300:
        return
    exchange = capture.Exchange(
        endpoint=endpoint,
        variant=variant.spec.name,
        request_type=asked.content_type,
        request=asked.body,
        response_type=reply.content_type,
        response=reply.body,
        inference_id=asked.inference_id,
        time=asked.time,
    )
    try:
        capture.write(fleet.capture, exchange, place.acting_as(variant.spec.role))
    except storage.MissingDataError as exc:
        # As on AWS, a capture that cannot be written does not fail the request.
        log.warning("data capture of endpoint %s: %s", endpoint, exc)


def _restart(fleet: Fleet, variant: VariantState) -> None:
    """SageMaker replaces a container that died; so does this, beside the request that noticed."""

    def replace() -> None:
        try:
            fleet.replace(variant.spec.name)
        except (NotHealthyError, RuntimeError) as exc:
            log.warning("variant %s of %s does not come back: %s", variant.spec.name, fleet.spec.config, exc)

    threading.Thread(target=replace, daemon=True).start()
