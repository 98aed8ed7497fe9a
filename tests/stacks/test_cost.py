"""Budgets and anomalies that somebody reads."""

from __future__ import annotations

from tests.stacks.stack import Stack


def levels(budget: dict[str, object]) -> list[int]:
    return [n["threshold"] for n in budget["notification"] if n["notification_type"] == "ACTUAL"]  # type: ignore[attr-defined]


def test_the_environment_s_budget_counts_its_account(stack: Stack) -> None:
    budget, wanted = stack.one("aws_budgets_budget"), stack.environment.budget
    assert (budget["limit_amount"], budget["limit_unit"]) == (str(wanted.monthly_usd), "USD")
    assert budget["cost_filter"] == [{"name": "LinkedAccount", "values": [stack.environment.account]}]
    assert levels(budget) == list(wanted.alert_at)
    assert all(n["subscriber_email_addresses"] == [stack.environment.owner] for n in budget["notification"])


def test_each_level_alerts_once(lab: Stack) -> None:
    assert levels(lab.one("aws_budgets_budget")) == [50, 90]


def test_a_model_s_budget_counts_its_tag(sandbox: Stack) -> None:
    names = sandbox.environment.names.model("fraud")
    budget = sandbox.where("aws_budgets_budget", name=names.budget)
    assert budget["limit_amount"] == "300"
    assert budget["cost_filter"] == [{"name": "TagKeyValue", "values": ["user:Model$fraud"]}]
    assert len(sandbox.all("aws_budgets_budget")) == 2, "the other models have none"


def test_anomalies_are_reported_to_the_owner(stack: Stack) -> None:
    monitor = stack.one("aws_ce_anomaly_monitor")
    assert (monitor["monitor_type"], monitor["monitor_dimension"]) == ("DIMENSIONAL", "SERVICE")
    subscription = stack.one("aws_ce_anomaly_subscription")
    assert subscription["subscriber"] == [{"type": "EMAIL", "address": stack.environment.owner}]
    (logical,) = stack.all("aws_ce_anomaly_monitor")
    assert subscription["monitor_arn_list"] == [f"${{aws_ce_anomaly_monitor.{logical}.arn}}"]


def test_a_monitor_that_exists_is_used(lab: Stack) -> None:
    assert not lab.all("aws_ce_anomaly_monitor")
    subscription = lab.one("aws_ce_anomaly_subscription")
    assert subscription["monitor_arn_list"] == ["arn:aws-us-gov:ce::444444444444:anomalymonitor/0a1b2c3d"]


def test_anomalies_have_a_size(secure: Stack, adopted: Stack) -> None:
    threshold = secure.one("aws_ce_anomaly_subscription")["threshold_expression"]
    assert threshold["dimension"]["values"] == ["100"]
    assert not adopted.all("aws_ce_anomaly_subscription"), "anomalies: null"
