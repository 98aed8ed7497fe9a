"""EventBridge events that AWS services send by themselves and moto does not.

Handed to the rules of the account's default bus. moto delivers to log groups, queues, archives and buses; a target it
cannot reach (a Step Functions state machine, a SageMaker pipeline) is logged and skipped.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from moto.events.models import events_backends

from mlops_kit.local.compute.storage import Place

log = logging.getLogger(__name__)


def emit(
    place: Place, source: str, detail_type: str, detail: Mapping[str, Any], *, resources: Sequence[str] = ()
) -> None:
    """Send one event. Never raises: for the sender this happens somewhere else and later."""
    now = datetime.now(UTC)
    event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": place.account,
        "time": now.timestamp(),
        "ingestion-time": now.timestamp(),
        "region": place.region,
        "resources": list(resources),
        "detail": dict(detail),
    }
    backend = events_backends[place.account][place.region]
    for bus in list(backend.event_buses.values()):
        for rule in list(bus.rules.values()) if bus.name == "default" else []:
            if rule.state != "ENABLED":
                continue
            try:
                rule.send_to_targets(dict(event))
            except NotImplementedError:
                log.info("rule %s: %s matched, but moto cannot deliver to its target", rule.name, detail_type)
            except Exception:
                log.exception("rule %s: delivery of %s", rule.name, detail_type)
