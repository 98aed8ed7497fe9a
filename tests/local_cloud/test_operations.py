"""Operations that Terraform calls and moto lacks, and the guard that keeps the mends honest."""

from __future__ import annotations

import pytest

from mlops_kit.local.overlay import guard
from tests.local_cloud.support import DEV, REGION, Server, unique


def test_budgets_have_tags_subscribers_and_updates(server: Server) -> None:
    budgets, name = server.client("budgets"), unique("budget")
    budget = {
        "BudgetName": name,
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": "100", "Unit": "USD"},
    }
    notification = {
        "NotificationType": "ACTUAL",
        "ComparisonOperator": "GREATER_THAN",
        "Threshold": 80.0,
        "ThresholdType": "PERCENTAGE",
    }
    owner = {"SubscriptionType": "EMAIL", "Address": "a@example.com"}
    budgets.create_budget(
        AccountId=DEV,
        Budget=budget,
        NotificationsWithSubscribers=[{"Notification": notification, "Subscribers": [owner]}],
        ResourceTags=[{"Key": "k", "Value": "v"}],
    )
    arn = f"arn:aws:budgets::{DEV}:budget/{name}"
    assert budgets.list_tags_for_resource(ResourceARN=arn)["ResourceTags"] == [{"Key": "k", "Value": "v"}]
    subscribers = budgets.describe_subscribers_for_notification(
        AccountId=DEV, BudgetName=name, Notification=notification
    )
    assert subscribers["Subscribers"] == [owner]
    budgets.update_budget(AccountId=DEV, NewBudget={**budget, "BudgetLimit": {"Amount": "200", "Unit": "USD"}})
    limit = budgets.describe_budget(AccountId=DEV, BudgetName=name)["Budget"]["BudgetLimit"]
    assert float(limit["Amount"]) == 200


def test_scalable_targets_have_tags(server: Server) -> None:
    scaling = server.client("application-autoscaling")
    arn = scaling.register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId=f"endpoint/{unique()}/variant/main",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        MinCapacity=1,
        MaxCapacity=2,
        Tags={"k": "v"},
    )["ScalableTargetARN"]
    assert REGION in arn
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"k": "v"}
    scaling.tag_resource(ResourceARN=arn, Tags={"more": "1"})
    scaling.untag_resource(ResourceARN=arn, TagKeys=["k"])
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"more": "1"}


class Something:
    def method(self, a: int, b: int) -> int:
        return a + b


def test_a_mend_stops_the_start_when_moto_changed() -> None:
    assert guard.original(Something, "method", "self", "a", "b")(Something(), 1, 2) == 3
    with pytest.raises(guard.MotoChangedError, match=r"expected parameters \('self', 'a'\)"):
        guard.original(Something, "method", "self", "a")
    with pytest.raises(guard.MotoChangedError, match=r"no longer has Something\.gone"):
        guard.original(Something, "gone", "self")
    with pytest.raises(guard.MotoChangedError, match="no longer takes c"):
        guard.original_taking(Something, "method", "a", "c")
    with pytest.raises(guard.MotoChangedError, match=r"now has Something\.method itself"):
        guard.add(Something, "method", lambda self: None)
    with pytest.raises(guard.MotoChangedError, match=r"no longer has Something\.gone"):
        guard.replace(Something, "gone", lambda self: None)
    with pytest.raises(guard.MotoChangedError, match="no longer has missing"):
        guard.require_attributes(Something(), "method", "missing")


def test_another_release_line_of_moto_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    guard.check_version()
    monkeypatch.setattr("moto.__version__", "6.0.0")
    with pytest.raises(guard.MotoChangedError, match=r"6\.0\.0"):
        guard.check_version()
