"""Mends: what moto does not have of Cost Explorer: anomaly monitors, their subscriptions, cost allocation tags.

Nothing costs anything here, so they are only kept. Every tag can be activated; on AWS, only one that is in use.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any, NamedTuple

from moto.ce.responses import CostExplorerResponse
from moto.core.exceptions import JsonRESTError

from mlops_kit.local.overlay import guard

STORED = "mlops_kit_anomalies"
TAGS = "mlops_kit_cost_allocation_tags"


class Kind(NamedTuple):
    """The two kinds of resources, which have the same operations."""

    name: str
    arn_member: str
    arn_part: str
    unknown: str

    @property
    def list_member(self) -> str:
        return f"{self.name}s"


MONITOR = Kind("AnomalyMonitor", "MonitorArn", "anomalymonitor", "UnknownMonitorException")
SUBSCRIPTION = Kind("AnomalySubscription", "SubscriptionArn", "anomalysubscription", "UnknownSubscriptionException")


def install() -> None:
    guard.original(CostExplorerResponse, "list_tags_for_resource", "self")

    def create_anomaly_monitor(self: Any) -> str:
        today = datetime.now(UTC).strftime("%Y-%m-%d")
        return _create(self, MONITOR, {"CreationDate": today, "LastUpdatedDate": today})

    def create_anomaly_subscription(self: Any) -> str:
        given = self._get_param(SUBSCRIPTION.name)
        for arn in given["MonitorArnList"]:
            _find(self, MONITOR, arn)
        return _create(self, SUBSCRIPTION, {"AccountId": self.current_account})

    def get_anomaly_monitors(self: Any) -> str:
        return _get(self, MONITOR)

    def get_anomaly_subscriptions(self: Any) -> str:
        return _get(self, SUBSCRIPTION)

    def update_anomaly_monitor(self: Any) -> str:
        return _update(self, MONITOR)

    def update_anomaly_subscription(self: Any) -> str:
        return _update(self, SUBSCRIPTION)

    def delete_anomaly_monitor(self: Any) -> str:
        return _delete(self, MONITOR)

    def delete_anomaly_subscription(self: Any) -> str:
        return _delete(self, SUBSCRIPTION)

    def update_cost_allocation_tags_status(self: Any) -> str:
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for entry in self._get_param("CostAllocationTagsStatus"):
            _tags(self)[entry["TagKey"]] = {**entry, "Type": "UserDefined", "LastUpdatedDate": moment}
        return json.dumps({"Errors": []})

    def list_cost_allocation_tags(self: Any) -> str:
        keys, status, kind = (self._get_param(name) for name in ("TagKeys", "Status", "Type"))
        found = [
            tag
            for tag in _tags(self).values()
            if (not keys or tag["TagKey"] in keys) and status in (None, tag["Status"]) and kind in (None, tag["Type"])
        ]
        return json.dumps({"CostAllocationTags": found})

    for operation in (
        create_anomaly_monitor,
        create_anomaly_subscription,
        get_anomaly_monitors,
        get_anomaly_subscriptions,
        update_anomaly_monitor,
        update_anomaly_subscription,
        delete_anomaly_monitor,
        delete_anomaly_subscription,
        update_cost_allocation_tags_status,
        list_cost_allocation_tags,
    ):
        guard.add(CostExplorerResponse, operation.__name__, operation)


def _create(response: Any, kind: Kind, more: dict[str, Any]) -> str:
    backend = response.ce_backend
    arn = f"arn:{response.partition}:ce::{response.current_account}:{kind.arn_part}/{uuid.uuid4()}"
    _stored(response, kind)[arn] = {**response._get_param(kind.name), **more, kind.arn_member: arn}
    backend.tag_resource(arn, response._get_param("ResourceTags") or [])
    return json.dumps({kind.arn_member: arn})


def _get(response: Any, kind: Kind) -> str:
    wanted = response._get_param(f"{kind.arn_member}List")
    found = [_find(response, kind, arn) for arn in wanted] if wanted else list(_stored(response, kind).values())
    if kind is SUBSCRIPTION and (monitor := response._get_param("MonitorArn")):
        found = [item for item in found if monitor in item["MonitorArnList"]]
    return json.dumps({kind.list_member: found})


def _update(response: Any, kind: Kind) -> str:
    given = json.loads(response.body)
    _find(response, kind, given[kind.arn_member]).update(given)
    return json.dumps({kind.arn_member: given[kind.arn_member]})


def _delete(response: Any, kind: Kind) -> str:
    arn = response._get_param(kind.arn_member)
    _find(response, kind, arn)
    del _stored(response, kind)[arn]
    if kind is MONITOR:
        for item in _stored(response, SUBSCRIPTION).values():
            item["MonitorArnList"] = [other for other in item["MonitorArnList"] if other != arn]
    return json.dumps({})


def _find(response: Any, kind: Kind, arn: str) -> dict[str, Any]:
    found = _stored(response, kind).get(arn)
    if found is None:
        raise JsonRESTError(kind.unknown, f"No {kind.name} found with the ARN {arn}")
    return found


def _stored(response: Any, kind: Kind) -> dict[str, dict[str, Any]]:
    by_kind: dict[str, dict[str, dict[str, Any]]] = response.ce_backend.__dict__.setdefault(STORED, {})
    return by_kind.setdefault(kind.name, {})


def _tags(response: Any) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = response.ce_backend.__dict__.setdefault(TAGS, {})
    return found
