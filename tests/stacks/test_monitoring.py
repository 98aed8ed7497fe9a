"""Alarms that somebody hears, and a budget that somebody reads."""

from __future__ import annotations

import json

from mlops_kit.naming import ALARM_KINDS
from tests.stacks.stack import Stack


def test_every_model_has_every_alarm(stack: Stack) -> None:
    names = {alarm["alarm_name"] for alarm in stack.all("aws_cloudwatch_metric_alarm").values()}
    assert names == {model.names(stack.environment.names).alarm(kind) for model in stack.models for kind in ALARM_KINDS}


def test_every_alarm_is_heard_and_says_what_to_do(stack: Stack) -> None:
    (topic,) = stack.all("aws_sns_topic")
    for alarm in stack.all("aws_cloudwatch_metric_alarm").values():
        assert alarm["alarm_actions"] == alarm["ok_actions"] == [f"${{aws_sns_topic.{topic}.arn}}"]
        assert "`mlops-kit " in alarm["alarm_description"]
        assert len(alarm["alarm_description"]) <= 1024


def test_thresholds(stack: Stack) -> None:
    for model in stack.models:
        names = model.names(stack.environment.names)
        errors, latency, drift, heartbeat = (
            stack.where("aws_cloudwatch_metric_alarm", alarm_name=names.alarm(kind)) for kind in ALARM_KINDS
        )
        assert (errors["metric_name"], errors["statistic"]) == ("Invocation5XXErrors", "Average")
        assert errors["threshold"] == model.alarms.error_rate_percent / 100
        assert (latency["metric_name"], latency["extended_statistic"]) == ("ModelLatency", "p99")
        assert latency["threshold"] == model.alarms.latency_p99_ms * 1000
        assert (drift["metric_name"], drift["statistic"]) == ("PsiMax", "Maximum")
        assert (drift["datapoints_to_alarm"], drift["evaluation_periods"]) == (
            model.drift.breaching_windows,
            model.drift.windows,
        )
        assert drift["treat_missing_data"] == "notBreaching"
        assert (heartbeat["metric_name"], heartbeat["statistic"]) == ("Heartbeat", "SampleCount")
        assert heartbeat["treat_missing_data"] == "breaching"
        assert heartbeat["period"] * heartbeat["evaluation_periods"] == model.drift.heartbeat_hours * 3600
        for alarm in (drift, heartbeat):
            assert alarm["dimensions"] == {"Environment": stack.environment.name, "Model": model.name}


def test_topic_is_encrypted_open_to_alarms_and_reaches_the_owner(stack: Stack) -> None:
    assert stack.one("aws_sns_topic")["kms_master_key_id"].startswith("${aws_kms_key.")
    statements = {s["Sid"]: s for s in stack.parse(stack.one("aws_sns_topic_policy")["policy"])}
    assert statements["AlarmsPublish"]["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert statements["RefuseWithoutTls"]["Effect"] == "Deny"
    subscription = stack.one("aws_sns_topic_subscription")
    assert (subscription["protocol"], subscription["endpoint"]) == ("email", stack.environment.owner)


def test_dashboard_shows_every_model(stack: Stack) -> None:
    body = json.loads(stack.one("aws_cloudwatch_dashboard")["dashboard_body"])
    shown = json.dumps(body)
    for model in stack.models:
        names = model.names(stack.environment.names)
        for text in (names.endpoint, *(f"alarm:{names.alarm(kind)}" for kind in ALARM_KINDS), "PsiMax", "ModelLatency"):
            assert text in shown


def test_rows_of_the_dashboard_do_not_overlap(lab: Stack) -> None:
    widgets = json.loads(lab.one("aws_cloudwatch_dashboard")["dashboard_body"])["widgets"]
    cells = [
        (x, y)
        for widget in widgets
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_budget(stack: Stack) -> None:
    budget, wanted = stack.one("aws_budgets_budget"), stack.environment.budget
    assert (budget["limit_amount"], budget["limit_unit"]) == (str(wanted.monthly_usd), "USD")
    assert budget["cost_filter"] == [{"name": "LinkedAccount", "values": [stack.environment.account]}]
    sent = [n["threshold"] for n in budget["notification"] if n["notification_type"] == "ACTUAL"]
    assert sent == list(wanted.alert_at)
    assert all(n["subscriber_email_addresses"] == [stack.environment.owner] for n in budget["notification"])


def test_budget_alerts_once_at_each_level(lab: Stack) -> None:
    sent = [n["threshold"] for n in lab.one("aws_budgets_budget")["notification"] if n["notification_type"] == "ACTUAL"]
    assert sent == [50, 90]
