"""Mends: AWS Budgets.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
no tags, no subscribers of a notification,  implemented
no updates
==========================================  ===========================================================================

Nothing costs anything here, so a budget is only kept and never exceeded.
"""

from __future__ import annotations

import json
from typing import Any

from moto.budgets.exceptions import NotFoundException
from moto.budgets.responses import BudgetsResponse

from mlops_kit.local.overlay import guard

TAGS = "mlops_kit_tags"


def install() -> None:
    create = guard.original(BudgetsResponse, "create_budget", "self")

    def create_budget(self: Any) -> Any:
        answer = create(self)
        name = self._get_param("Budget")["BudgetName"]
        arn = f"arn:{self.partition}:budgets::{self._get_param('AccountId')}:budget/{name}"
        _tags(self)[arn] = {tag["Key"]: tag["Value"] for tag in self._get_param("ResourceTags") or []}
        return answer

    def update_budget(self: Any) -> Any:
        budget = _budget(self, self._get_param("NewBudget")["BudgetName"])
        budget.budget = {**budget.budget, **self._get_param("NewBudget")}
        return json.dumps({})

    def list_tags_for_resource(self: Any) -> Any:
        tags = _tags(self).get(self._get_param("ResourceARN"), {})
        return json.dumps({"ResourceTags": [{"Key": key, "Value": value} for key, value in tags.items()]})

    def tag_resource(self: Any) -> Any:
        new = {tag["Key"]: tag["Value"] for tag in self._get_param("ResourceTags") or []}
        _tags(self).setdefault(self._get_param("ResourceARN"), {}).update(new)
        return json.dumps({})

    def untag_resource(self: Any) -> Any:
        tags = _tags(self).get(self._get_param("ResourceARN"), {})
        for key in self._get_param("ResourceTagKeys") or []:
            tags.pop(key, None)
        return json.dumps({})

    def describe_subscribers_for_notification(self: Any) -> Any:
        return json.dumps({"Subscribers": _notification(self).subscribers})

    def create_subscriber(self: Any) -> Any:
        _notification(self).subscribers.append(self._get_param("Subscriber"))
        return json.dumps({})

    def delete_subscriber(self: Any) -> Any:
        _notification(self).subscribers.remove(self._get_param("Subscriber"))
        return json.dumps({})

    guard.replace(BudgetsResponse, "create_budget", create_budget)
    for operation in (
        update_budget,
        list_tags_for_resource,
        tag_resource,
        untag_resource,
        describe_subscribers_for_notification,
        create_subscriber,
        delete_subscriber,
    ):
        guard.add(BudgetsResponse, operation.__name__, operation)


def _tags(response: Any) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = response.backend.__dict__.setdefault(TAGS, {})
    return found


def _budget(response: Any, name: str) -> Any:
    budget = response.backend.budgets[response._get_param("AccountId")].get(name)
    if budget is None:
        raise NotFoundException(f"Unable to get budget: {name} - the budget doesn't exist.")
    return budget


def _notification(response: Any) -> Any:
    budget = _budget(response, str(response._get_param("BudgetName")))
    wanted = response._get_param("Notification")
    for notification in budget.notifications:
        if _same(notification.details, wanted):
            return notification
    raise NotFoundException("Unable to find notification - the notification doesn't exist.")


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    # NotificationState is the service's to set, and ThresholdType has a default.
    def identity(notification: dict[str, Any]) -> tuple[Any, ...]:
        return (
            notification["NotificationType"],
            notification["ComparisonOperator"],
            float(notification["Threshold"]),
            notification.get("ThresholdType", "PERCENTAGE"),
        )

    return identity(one) == identity(other)
