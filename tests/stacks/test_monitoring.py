"""Alarms that somebody hears, that mean something, and that say what to do."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any, get_args

import pytest

from docs.check import parse
from mlops_kit.cli import cli
from mlops_kit.naming import ROLLBACK_ALARM_KINDS, AlarmKind
from tests.cloud import ROOT
from tests.stacks.conftest import Synthesized
from tests.stacks.stack import Resource, Stack

RUNBOOKS = ROOT / "docs" / "runbooks"
OF_RELEASES = {"promotion-stuck", "lock-held", "rolled-back", "integrity"}
"""What a command tells, and no alarm."""


def alarm(stack: Stack, model: str, kind: AlarmKind) -> Resource:
    names = stack.environment.names.model(model)
    return stack.where("aws_cloudwatch_metric_alarm", alarm_name=names.alarm(kind))


def model_alarms(stack: Stack) -> set[str]:
    own = {alarm["alarm_name"] for alarm in stack.all("aws_cloudwatch_metric_alarm").values()}
    return own | {alarm["alarm_name"] for alarm in stack.all("aws_cloudwatch_composite_alarm").values()}


def test_every_model_has_the_alarms_that_its_file_asks_for(synthesized: Synthesized) -> None:
    for stack in (*synthesized.aws.values(), *synthesized.gallery.values()):
        names = stack.environment.names
        wanted = {model.names(names).alarm(kind) for model in stack.models for kind in model.alarm_kinds}
        assert wanted <= model_alarms(stack)


def test_every_kind_of_alarm_is_in_the_gallery(sandbox: Stack, secure: Stack) -> None:
    kinds = {kind for stack in (sandbox, secure) for model in stack.models for kind in model.alarm_kinds}
    assert kinds == set(get_args(AlarmKind))


def test_alarms_go_to_the_owner_and_the_composite_to_the_pager(secure: Stack) -> None:
    topics = {
        topic["name"]: f"${{aws_sns_topic.{logical}.arn}}" for logical, topic in secure.all("aws_sns_topic").items()
    }
    names = secure.environment.names
    readers = {
        subscription["topic_arn"]: (subscription["protocol"], subscription["endpoint"])
        for subscription in secure.all("aws_sns_topic_subscription").values()
    }
    assert readers == {
        topics[names.alarm_topic]: ("email", "owner@example.com"),
        topics[names.pager_topic]: ("email", "pager@example.com"),
    }
    for model in secure.models:
        own = model.names(names)
        for kind in model.alarm_kinds:
            if kind != "unhealthy":
                found = alarm(secure, model.name, kind)
                assert found["alarm_actions"] == found["ok_actions"] == [topics[names.alarm_topic]]
        composite = secure.where("aws_cloudwatch_composite_alarm", alarm_name=own.alarm("unhealthy"))
        assert composite["alarm_actions"] == composite["ok_actions"] == [topics[names.pager_topic]]


def test_the_composite_sums_up_what_cannot_wait(secure: Stack) -> None:
    names = secure.environment.names.model("fraud")
    rule = secure.where("aws_cloudwatch_composite_alarm", alarm_name=names.alarm("unhealthy"))["alarm_rule"]
    summed = re.findall(r'ALARM\("([^"]+)"\)', rule)
    assert rule == " OR ".join(f'ALARM("{name}")' for name in summed)
    assert len(rule) <= 10_240
    for kind in ("errors", "latency", "quiet", "memory", "model-quality"):
        assert names.alarm(kind) in summed
    for kind in ("drift", "data-quality", "training-failed"):
        assert names.alarm(kind) not in summed


def test_a_batch_model_pages_when_its_job_fails(sandbox: Stack) -> None:
    names = sandbox.environment.names.model("churn")
    rule = sandbox.where("aws_cloudwatch_composite_alarm", alarm_name=names.alarm("unhealthy"))["alarm_rule"]
    assert rule == f'ALARM("{names.alarm("batch-failed")}")'
    failed = alarm(sandbox, "churn", "batch-failed")
    assert failed["dimensions"] == {"RuleName": names.rule("batch-failed")}
    assert sandbox.where("aws_cloudwatch_event_rule", name=names.rule("batch-failed"))


def test_topics_are_encrypted_and_open_to_alarms_only(stack: Stack) -> None:
    for topic in stack.all("aws_sns_topic").values():
        assert topic["kms_master_key_id"].startswith("${aws_kms_key.")
    assert len(stack.all("aws_sns_topic_policy")) == len(stack.all("aws_sns_topic"))
    for policy in stack.all("aws_sns_topic_policy").values():
        statements = {s["Sid"]: s for s in stack.parse(policy["policy"])}
        assert statements["AlarmsPublish"]["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
        assert statements["RefuseWithoutTls"]["Effect"] == "Deny"


def test_thresholds(secure: Stack) -> None:
    (fraud,) = [model for model in secure.models if model.name == "fraud"]
    alarms = fraud.alarms
    errors, latency, half = (alarm(secure, "fraud", kind) for kind in ("errors", "latency", "latency-p50"))
    assert (errors["metric_name"], errors["statistic"]) == ("Invocation5XXErrors", "Average")
    assert errors["threshold"] == alarms.error_rate_percent / 100
    assert (latency["metric_name"], latency["extended_statistic"]) == ("ModelLatency", "p99")
    assert latency["threshold"] == alarms.latency_p99_ms * 1000, "microseconds"
    assert (half["extended_statistic"], half["threshold"]) == ("p50", 100_000)
    assert alarm(secure, "fraud", "overhead")["metric_name"] == "OverheadLatency"


def test_cpu_counts_every_core(secure: Stack) -> None:
    cpu = alarm(secure, "fraud", "cpu")
    assert (cpu["namespace"], cpu["metric_name"]) == ("/aws/sagemaker/Endpoints", "CPUUtilization")
    assert cpu["threshold"] == 90 * 4, "an ml.g5.xlarge has four"
    assert alarm(secure, "fraud", "memory")["threshold"] == 90
    assert alarm(secure, "fraud", "disk")["threshold"] == 85


@pytest.mark.parametrize(
    ("instance_type", "vcpus"),
    [("ml.t2.medium", 2), ("ml.m5.large", 2), ("ml.g5.xlarge", 4), ("ml.c5.9xlarge", 36), ("ml.p4d.24xlarge", 96)],
)
def test_vcpus(instance_type: str, vcpus: int) -> None:
    from mlops_kit.config import Serving

    assert Serving(instance_type=instance_type).vcpus == vcpus


def test_silence_is_an_alarm_where_it_should_be(secure: Stack) -> None:
    quiet, heartbeat = alarm(secure, "fraud", "quiet"), alarm(secure, "fraud", "drift-heartbeat")
    for found in (quiet, heartbeat):
        assert found["treat_missing_data"] == "breaching"
        assert found["comparison_operator"] == "LessThanThreshold"
    assert quiet["period"] * quiet["evaluation_periods"] == 60 * 60
    assert heartbeat["period"] * heartbeat["evaluation_periods"] == 24 * 3600
    for found in secure.all("aws_cloudwatch_metric_alarm").values():
        assert found["evaluation_periods"] * found.get("period", 60) <= 24 * 3600, "CloudWatch looks back one day"


def test_drift_counts_windows(secure: Stack) -> None:
    (fraud,) = [model for model in secure.models if model.name == "fraud"]
    for kind, metric, threshold in (
        ("drift", "PsiMax", fraud.drift.psi_threshold),
        ("data-quality", "MalformedPercent", fraud.alarms.malformed_percent),
    ):
        found = alarm(secure, "fraud", kind)  # type: ignore[arg-type]
        assert (found["metric_name"], found["statistic"], found["threshold"]) == (metric, "Maximum", threshold)
        assert (found["datapoints_to_alarm"], found["evaluation_periods"]) == (
            fraud.drift.breaching_windows,
            fraud.drift.windows,
        )
        assert found["dimensions"] == {"Environment": "secure", "Model": "fraud"}


def test_asynchronous_requests_fail_by_their_share(sandbox: Stack) -> None:
    errors = alarm(sandbox, "papers", "errors")
    queries = {query["id"]: query for query in errors["metric_query"]}
    assert queries["share"]["return_data"] is True
    assert [queries[id_]["metric"]["metric_name"] for id_ in ("failed", "processed")] == [
        "InvocationFailures",
        "InvocationsProcessed",
    ]
    waiting = alarm(sandbox, "papers", "backlog")
    assert (waiting["metric_name"], waiting["threshold"]) == ("ApproximateAgeOfOldestRequest", 3600)


def test_rollback_alarms_exist(sandbox: Stack) -> None:
    for model in sandbox.models:
        for kind in ROLLBACK_ALARM_KINDS:
            assert (kind in model.alarm_kinds) == model.serving.has_endpoint


def _described(synthesized: Synthesized) -> list[tuple[str, str]]:
    return [
        (found["alarm_name"], found["alarm_description"])
        for stack in (*synthesized.aws.values(), *synthesized.gallery.values())
        for kind in ("aws_cloudwatch_metric_alarm", "aws_cloudwatch_composite_alarm")
        for found in stack.all(kind).values()
    ]


def test_every_alarm_names_a_runbook_that_exists(synthesized: Synthesized) -> None:
    for name, description in _described(synthesized):
        assert len(description) <= 1024
        if name.endswith("-wake-up"):
            continue  # good news: it starts an instance, and nobody has to do anything
        page = re.search(r"Runbook: (\S+)/([a-z0-9-]+)\.md", description)
        assert page, (name, description)
        assert page[1] in ("docs/runbooks", "https://runbooks.example.com/mlops")
        assert (RUNBOOKS / f"{page[2]}.md").is_file(), page[2]


def test_every_runbook_belongs_to_an_alarm(synthesized: Synthesized) -> None:
    named = {page for _, text in _described(synthesized) for page in re.findall(r"Runbook: \S+/([a-z0-9-]+)\.md", text)}
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == named | OF_RELEASES | {"README"}


def test_commands_in_descriptions_exist(synthesized: Synthesized) -> None:
    for _, description in _described(synthesized):
        for command in re.findall(r"`mlops-kit ([^`]+)`", description):
            parse(cli, shlex.split(command))


def widgets(stack: Stack, dashboard: str) -> list[dict[str, Any]]:
    body = stack.where("aws_cloudwatch_dashboard", dashboard_name=dashboard)["dashboard_body"]
    found: list[dict[str, Any]] = json.loads(body)["widgets"]
    return found


def test_the_environment_s_dashboard_shows_cost_and_every_model(stack: Stack) -> None:
    shown = json.dumps(widgets(stack, stack.environment.names.dashboard))
    assert "EstimatedCharges" in shown
    for model in stack.models:
        names = model.names(stack.environment.names)
        for text in (names.endpoint, f"alarm:{names.alarm('unhealthy')}", "PsiMax", "MlopsKit/Releases"):
            assert text in shown


def test_a_model_s_dashboard_shows_everything_about_it(sandbox: Stack) -> None:
    for model in sandbox.models:
        names = model.names(sandbox.environment.names)
        shown = widgets(sandbox, names.dashboard)
        titles = {widget["properties"].get("title") for widget in shown}
        assert {"Alarms", "Releases", "Cost of SageMaker, all models"} <= titles
        assert ("Model latency, microseconds" in titles) == model.serving.has_endpoint
        assert ("Instances, percent" in titles) == model.serving.has_instances
        assert ("Drift" in titles) == model.is_watched_for_drift
        assert ("Queue" in titles) == (model.serving.kind == "async")
        (alarms,) = [widget for widget in shown if widget["type"] == "alarm"]
        assert len(alarms["properties"]["alarms"]) == len(model.alarm_kinds) <= 100


def test_widgets_do_not_overlap(synthesized: Synthesized) -> None:
    for stack in (*synthesized.gallery.values(), *synthesized.corners.values()):
        for dashboard in stack.all("aws_cloudwatch_dashboard").values():
            cells = [
                (x, y)
                for widget in json.loads(dashboard["dashboard_body"])["widgets"]
                for x in range(widget["x"], widget["x"] + widget["width"])
                for y in range(widget["y"], widget["y"] + widget["height"])
            ]
            assert len(cells) == len(set(cells))
            assert max(x for x, _ in cells) < 24
