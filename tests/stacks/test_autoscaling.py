"""How many instances there are, and who decides."""

from __future__ import annotations

from typing import Any

from tests.stacks.stack import Stack


def of(stack: Stack, kind: str, model: str) -> list[dict[str, Any]]:
    resource = stack.environment.names.model(model).autoscaling_resource
    return [found for found in stack.all(kind).values() if found["resource_id"] == resource]


def test_a_real_time_endpoint_follows_its_requests(stack: Stack) -> None:
    for model in stack.models:
        names, bounds = model.names(stack.environment.names), model.serving.autoscaling
        (target,) = of(stack, "aws_appautoscaling_target", model.name)
        assert (target["min_capacity"], target["max_capacity"]) == (bounds.min_instances, bounds.max_instances)
        assert "lifecycle" not in target
        (policy,) = of(stack, "aws_appautoscaling_policy", model.name)
        assert policy["name"] == f"{names.endpoint}-requests"
        tracking = policy["target_tracking_scaling_policy_configuration"]
        assert tracking["target_value"] == bounds.requests_per_instance_per_minute
        assert tracking["predefined_metric_specification"] == {
            "predefined_metric_type": "SageMakerVariantInvocationsPerInstance"
        }


def test_bounds_by_the_clock(sandbox: Stack) -> None:
    actions = of(sandbox, "aws_appautoscaling_scheduled_action", "fraud")
    assert [(a["schedule"], a["timezone"], a["scalable_target_action"]) for a in actions] == [
        ("cron(0 8 ? * MON-FRI *)", "Europe/Berlin", {"min_capacity": 3, "max_capacity": 8}),
        ("cron(0 18 ? * MON-FRI *)", "Europe/Berlin", {"min_capacity": 2, "max_capacity": 4}),
    ]
    assert len({action["name"] for action in actions}) == 2
    (target,) = of(sandbox, "aws_appautoscaling_target", "fraud")
    assert target["lifecycle"] == {"ignore_changes": ["min_capacity", "max_capacity"]}


def test_an_asynchronous_endpoint_follows_its_queue_down_to_nothing_and_wakes_up(sandbox: Stack) -> None:
    names = sandbox.environment.names.model("papers")
    (target,) = of(sandbox, "aws_appautoscaling_target", "papers")
    assert (target["min_capacity"], target["max_capacity"]) == (0, 3)
    policies = {policy["name"]: policy for policy in of(sandbox, "aws_appautoscaling_policy", "papers")}
    backlog = policies[f"{names.endpoint}-backlog"]["target_tracking_scaling_policy_configuration"]
    assert backlog["target_value"] == 10
    assert backlog["customized_metric_specification"] == {
        "namespace": "AWS/SageMaker",
        "metric_name": "ApproximateBacklogSizePerInstance",
        "dimensions": [{"name": "EndpointName", "value": names.endpoint}],
        "statistic": "Average",
    }
    step = policies[f"{names.endpoint}-wake-up"]["step_scaling_policy_configuration"]
    assert step["step_adjustment"] == [{"metric_interval_lower_bound": "0", "scaling_adjustment": 1}]
    alarm = sandbox.where("aws_cloudwatch_metric_alarm", alarm_name=names.wake_alarm)
    assert alarm["metric_name"] == "HasBacklogWithoutCapacity"
    assert alarm["dimensions"] == {"EndpointName": names.endpoint}
    (logical,) = [
        id_
        for id_, policy in sandbox.all("aws_appautoscaling_policy").items()
        if policy["name"] == f"{names.endpoint}-wake-up"
    ]
    assert alarm["alarm_actions"] == [f"${{aws_appautoscaling_policy.{logical}.arn}}"]


def test_what_has_no_instances_is_not_scaled(sandbox: Stack) -> None:
    for model in ("chat", "churn"):
        assert of(sandbox, "aws_appautoscaling_target", model) == []
        assert of(sandbox, "aws_appautoscaling_policy", model) == []
