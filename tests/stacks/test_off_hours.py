"""Off-hours: which endpoints go, what the machine is told about them, and what it may do."""

from __future__ import annotations

import json
import re
from typing import Any

import botocore.session
import pytest
from botocore.validate import validate_parameters

from stacks import off_hours_machine
from tests.stacks.stack import Stack

IMPLEMENTED = {"Task", "Choice", "Wait", "Pass", "Succeed", "Fail"}


def inputs(stack: Stack) -> dict[str, dict[str, Any]]:
    """Schedule name -> what it starts the machine with."""
    return {
        made["name"]: json.loads(made["target"]["input"])
        for made in stack.all("aws_scheduler_schedule").values()
        if made["name"].endswith(("-stop", "-start"))
    }


def machine(stack: Stack) -> dict[str, Any]:
    return stack.where("aws_sfn_state_machine", name=stack.environment.names.off_hours_machine)


def test_only_real_time_endpoints_go_and_only_where_it_is_asked_for(sandbox: Stack, secure: Stack) -> None:
    assert inputs(sandbox).keys() == {"fraud-stop", "fraud-start"}
    assert inputs(secure) == {}
    assert all(
        made["name"] != secure.environment.names.off_hours_machine
        for made in secure.all("aws_sfn_state_machine").values()
    )
    stop = sandbox.where("aws_scheduler_schedule", name="fraud-stop")
    assert (stop["schedule_expression"], stop["schedule_expression_timezone"]) == (
        "cron(0 19 ? * MON-FRI *)",
        "Europe/Berlin",
    )
    assert stop["target"]["arn"].startswith("${aws_sfn_state_machine.")


def test_the_machine_is_told_all_that_makes_the_endpoint_again(sandbox: Stack) -> None:
    start = inputs(sandbox)["fraud-start"]
    assert (start["action"], start["endpoint"]) == ("start", "gallery-sandbox-fraud")
    assert start["initial"] == "gallery-sandbox-fraud-initial-"
    client = botocore.session.Session().get_service_model("application-autoscaling")

    def check(operation: str, arguments: dict[str, Any]) -> None:
        validate_parameters(arguments, client.operation_model(operation).input_shape)

    check("RegisterScalableTarget", start["target"])
    (policy,) = start["policies"]
    check("PutScalingPolicy", policy)
    for action in start["actions"]:
        check("PutScheduledAction", action)
    made = sandbox.where("aws_appautoscaling_target", resource_id="endpoint/gallery-sandbox-fraud/variant/main")
    assert (start["target"]["MinCapacity"], start["target"]["MaxCapacity"]) == (
        made["min_capacity"],
        made["max_capacity"],
    )
    assert policy["PolicyName"] == "gallery-sandbox-fraud-requests"
    assert [action["ScalableTargetAction"]["MinCapacity"] for action in start["actions"]] == [3, 2]
    tags = {tag["Key"]: tag["Value"] for tag in start["tags"]}
    assert tags == start["target"]["Tags"]
    assert tags["Model"] == "fraud"
    assert tags["CostCenter"] == "research 42", "the provider's default tags are not there to help"


def test_the_definition_leads_somewhere_and_catches_everything(sandbox: Stack) -> None:
    definition = json.loads(machine(sandbox)["definition"])
    states = definition["States"]
    assert definition["QueryLanguage"] == "JSONata"
    assert definition == off_hours_machine.definition(sandbox.environment.names)
    reached = {definition["StartAt"]}
    for state in states.values():
        assert state["Type"] in IMPLEMENTED
        for where in (state, *state.get("Choices", []), *state.get("Catch", [])):
            reached |= {where[key] for key in ("Next", "Default") if key in where}
    assert reached == states.keys()
    for name, state in states.items():
        if state["Type"] == "Task" and name != "Keep failure":
            assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name
            assert state["Catch"][-1]["Next"] == "Keep failure", name
            assert state["Retry"], name
    assert states["Failed"]["Type"] == "Fail"
    assert definition["TimeoutSeconds"] <= 2 * 3600


@pytest.mark.parametrize("state", ["Look", "Ask", "Delete", "Create", "Update", "Unscale"])
def test_tasks_name_actions_that_exist(state: str, sandbox: Stack) -> None:
    made = json.loads(machine(sandbox)["definition"])["States"][state]
    _, service, action = made["Resource"].rsplit(":", 2)
    name = {"applicationautoscaling": "application-autoscaling"}.get(service, service)
    operation = action[0].upper() + action[1:]
    model = botocore.session.Session().get_service_model(name).operation_model(operation)
    assert set(model.input_shape.required_members) <= made["Arguments"].keys() <= model.input_shape.members.keys()


def test_the_machine_is_logged_and_traced(sandbox: Stack) -> None:
    made = machine(sandbox)
    assert made["logging_configuration"]["level"] == "ALL"
    assert made["logging_configuration"]["include_execution_data"] is True
    assert re.fullmatch(
        r"\$\{aws_cloudwatch_log_group\.\w[\w-]*\.arn\}:\*", made["logging_configuration"]["log_destination"]
    )
    assert made["tracing_configuration"] == {"enabled": True}
    group = sandbox.where("aws_cloudwatch_log_group", name=sandbox.environment.names.off_hours_log_group)
    assert group["kms_key_id"].startswith("${aws_kms_key.")


def test_the_machine_may_do_this_to_its_endpoints_and_to_no_others(sandbox: Stack) -> None:
    role = sandbox.where("aws_iam_role", name="gallery-sandbox-off-hours")
    (trust,) = sandbox.parse(role["assume_role_policy"])
    assert trust["Principal"] == {"Service": "states.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": "666666666666"}
    assert trust["Condition"]["ArnLike"]["aws:SourceArn"].endswith(":stateMachine:gallery-sandbox-off-hours")
    (logical,) = [id_ for id_, found in sandbox.all("aws_iam_role").items() if found == role]
    policy = sandbox.where("aws_iam_role_policy", role=f"${{aws_iam_role.{logical}.id}}")
    found = {statement["Sid"]: statement for statement in sandbox.parse(policy["policy"])}
    assert found["StopAndStart"]["Resource"] == [
        "arn:aws:sagemaker:us-east-1:666666666666:endpoint/gallery-sandbox-fraud"
    ]
    assert found["Remember"]["Resource"] == [
        "arn:aws:s3:::gallery-sandbox-666666666666-artifacts/environment/off-hours/gallery-sandbox-fraud.json"
    ]
    everywhere = {sid for sid, statement in found.items() if statement["Resource"] == "*"}
    assert everywhere == {"Find", "DeliverLogs", "Trace"}, "actions for which AWS has no resource"
