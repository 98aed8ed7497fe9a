"""EventBridge events that AWS services send by themselves and moto does not.

Handed to the rules of the account's default bus; :mod:`event_delivery` brings them to their targets.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import event_delivery


def emit(
    place: Place, source: str, detail_type: str, detail: Mapping[str, Any], *, resources: Sequence[str] = ()
) -> None:
    """Send one event. Never raises and does not wait: for the sender this happens somewhere else and later."""
    event_delivery.publish(
        place,
        {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": detail_type,
            "source": source,
            "account": place.account,
            "time": event_delivery.stamp(),
            "region": place.region,
            "resources": list(resources),
            "detail": dict(detail),
        },
    )


def emit_job_state(place: Place, kind: str, arn: str, described: Mapping[str, Any]) -> None:
    """The event of a SageMaker job that changed its state; ``kind`` is ``Training``, ``Processing`` or ``Transform``.

    The detail is what the job's Describe answers, with times in milliseconds since 1970.
    """
    emit(place, "aws.sagemaker", f"SageMaker {kind} Job State Change", milliseconds(described), resources=[arn])


def milliseconds(value: Any) -> Any:
    """``value`` as SageMaker's events have it: times in milliseconds since 1970."""
    if isinstance(value, Mapping):
        return {name: milliseconds(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [milliseconds(item) for item in value]
    if isinstance(value, datetime):
        return int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000)
    return value
