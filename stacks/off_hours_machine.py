"""The state machine that takes a real-time endpoint away and brings it back: Amazon States Language, as plain data.

::

    stop:   Look ──absent──────────────────────────────────┐
              └─at rest── Ask ── Remember ── Unscale ── Delete ── Done
    start:  Look ──absent── Recall ── Create ─┐
              ├─busy── Pause ── Look  <───────┘
              └─in service── Ask ──initial config── Recall, Update, Pause ── Look
                              └─any other── Scale, Put policies, Put actions ── Done

An endpoint that cannot be stopped costs money as long as it exists; SageMaker has no other way. Which config it ran is
kept as an object in the artifacts bucket, and the same config is made an endpoint of again.

Every step finds what an earlier, interrupted run has done. A Terraform run in between makes the endpoint with its
initial config; the next start gives it the remembered one. Whatever fails ends in the dead-letter queue, with the input
that starts it again. What is there is asked of operations that list: DescribeEndpoint, for example, has an error for
what does not exist that means other things as well.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from mlops_kit.naming import EnvironmentNames
from stacks.state_machine import GIVEN, caught, keep_failure

ATTEMPTS = 120
TIMEOUT_SECONDS = 2 * 3600
BUSY = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")
AT_REST = ("InService", "OutOfService", "Failed")
RETRY = [{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 5, "MaxAttempts": 3, "BackoffRate": 2}]


def definition(names: EnvironmentNames) -> dict[str, Any]:
    """The whole machine. Its input: ``stacks.off_hours``."""
    stopping, starting = f"{GIVEN}.action = 'stop'", f"{GIVEN}.action = 'start'"
    initial = f"$substring($config, 0, $length({GIVEN}.initial)) = {GIVEN}.initial"
    task = partial(_task, names)
    states: dict[str, Any] = {
        "Begin": {"Type": "Pass", "Assign": {"looks": 0, "config": "", "remembered": "", "at": 0}, "Next": "Look"},
        "Look": task(
            "sagemaker:listEndpoints",
            {"NameContains": f"{{% {GIVEN}.endpoint %}}", "MaxResults": 100},
            "What now",
            assign={
                "status": f"{{% ($found := $states.result.Endpoints[EndpointName = {GIVEN}.endpoint]; "
                "$exists($found) ? $found[0].EndpointStatus : 'Absent') %}",
                "looks": "{% $looks + 1 %}",
            },
        ),
        "What now": _choice(
            (f"$looks > {ATTEMPTS}", "Give up"),
            (f"{stopping} and $status in ['Absent', 'Deleting']", "Look for scaling"),
            (f"$status in {list(BUSY)}", "Pause"),
            (f"{starting} and $status = 'Absent'", "Recall"),
            (f"{stopping} and $status in {list(AT_REST)}", "Ask"),
            (f"{starting} and $status = 'InService'", "Ask"),
            otherwise="Give up",
        ),
        "Pause": {"Type": "Wait", "Seconds": f"{{% {GIVEN}.pause %}}", "Next": "Look"},
        "Ask": task(
            "sagemaker:describeEndpoint",
            {"EndpointName": f"{{% {GIVEN}.endpoint %}}"},
            "Which config",
            assign={"config": "{% $states.result.EndpointConfigName %}"},
        ),
        "Which config": _choice(
            (stopping, "Remember"),
            ("$remembered != '' and $config != $remembered", "Give up"),
            # Terraform made the endpoint anew; what it ran before is known, unless nothing ever was.
            (f"$remembered = '' and {initial}", "Recall"),
            otherwise="Scale",
        ),
        "Remember": task(
            "s3:putObject",
            {
                "Bucket": f"{{% {GIVEN}.bucket %}}",
                "Key": f"{{% {GIVEN}.key %}}",
                "ContentType": "application/json",
                "Body": "{% $string({'config': $config}) %}",
            },
            "Look for scaling",
        ),
        "Look for scaling": task(
            "applicationautoscaling:describeScalableTargets",
            {
                "ServiceNamespace": f"{{% {GIVEN}.target.ServiceNamespace %}}",
                "ResourceIds": [f"{{% {GIVEN}.target.ResourceId %}}"],
                "ScalableDimension": f"{{% {GIVEN}.target.ScalableDimension %}}",
            },
            "Scaled",
            assign={"scaled": "{% $count($states.result.ScalableTargets) > 0 %}"},
        ),
        "Scaled": _choice(("$scaled", "Unscale"), otherwise="Still there"),
        "Unscale": task(
            "applicationautoscaling:deregisterScalableTarget",
            {
                name: f"{{% {GIVEN}.target.{name} %}}"
                for name in ("ServiceNamespace", "ResourceId", "ScalableDimension")
            },
            "Still there",
        ),
        "Still there": _choice(("$status in ['Absent', 'Deleting']", "Done"), otherwise="Delete"),
        "Delete": task("sagemaker:deleteEndpoint", {"EndpointName": f"{{% {GIVEN}.endpoint %}}"}, "Done"),
        "Recall": task(
            "s3:getObject",
            {"Bucket": f"{{% {GIVEN}.bucket %}}", "Key": f"{{% {GIVEN}.key %}}"},
            "Recalled",
            # A body may come back as the text that was put, or as that text in quotes.
            assign={
                "remembered": "{% ($body := $parse($states.result.Body);"
                " ($type($body) = 'string' ? $parse($body) : $body).config) %}"
            },
            missing=("S3.NoSuchKeyException", "Nothing remembered"),
        ),
        "Nothing remembered": _choice(("$status = 'InService'", "Scale"), otherwise="Give up"),
        "Recalled": _choice(("$status = 'Absent'", "Create"), ("$config != $remembered", "Update"), otherwise="Scale"),
        "Create": task(
            "sagemaker:createEndpoint",
            {
                "EndpointName": f"{{% {GIVEN}.endpoint %}}",
                "EndpointConfigName": "{% $remembered %}",
                "Tags": f"{{% {GIVEN}.tags %}}",
            },
            "Pause",
        ),
        "Update": task(
            "sagemaker:updateEndpoint",
            {"EndpointName": f"{{% {GIVEN}.endpoint %}}", "EndpointConfigName": "{% $remembered %}"},
            "Pause",
        ),
        "Scale": task(
            "applicationautoscaling:registerScalableTarget",
            f"{{% {GIVEN}.target %}}",
            "More policies",
            assign={"at": 0},
        ),
        "More policies": _choice((f"$at < $count({GIVEN}.policies)", "Put policy"), otherwise="First action"),
        "Put policy": task(
            "applicationautoscaling:putScalingPolicy",
            f"{{% {GIVEN}.policies[$at] %}}",
            "More policies",
            assign={"at": "{% $at + 1 %}"},
        ),
        "First action": {"Type": "Pass", "Assign": {"at": 0}, "Next": "More actions"},
        "More actions": _choice((f"$at < $count({GIVEN}.actions)", "Put action"), otherwise="Done"),
        "Put action": task(
            "applicationautoscaling:putScheduledAction",
            f"{{% {GIVEN}.actions[$at] %}}",
            "More actions",
            assign={"at": "{% $at + 1 %}"},
        ),
        "Done": {"Type": "Succeed"},
        "Give up": {
            "Type": "Pass",
            "Assign": {
                "failure": {
                    "Error": "OffHours.GaveUp",
                    "Cause": f"{{% 'No way to ' & {GIVEN}.action & ' ' & {GIVEN}.endpoint & ': it is ' & $status & "
                    "($config = '' ? '' : ' and runs ' & $config) %}",
                }
            },
            "Next": "Keep failure",
        },
        **keep_failure(names),
    }
    return {"QueryLanguage": "JSONata", "StartAt": "Begin", "TimeoutSeconds": TIMEOUT_SECONDS, "States": states}


def _task(
    names: EnvironmentNames,
    action: str,
    arguments: dict[str, Any] | str,
    then: str,
    *,
    assign: dict[str, Any] | None = None,
    missing: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """Call AWS. ``missing``: the error that says that something is not there, and where to go on then."""
    catch = [{"ErrorEquals": [missing[0]], "Next": missing[1]}] if missing else []
    # Asking again does not bring what is missing.
    retry = [{"ErrorEquals": [missing[0]], "MaxAttempts": 0}, *RETRY] if missing else RETRY
    return {
        "Type": "Task",
        "Resource": f"arn:{names.partition}:states:::aws-sdk:{action}",
        "Arguments": arguments,
        **({"Assign": assign} if assign else {}),
        "Output": {},
        "Retry": retry,
        "Catch": [*catch, caught()],
        "Next": then,
    }


def _choice(*cases: tuple[str, str], otherwise: str) -> dict[str, Any]:
    return {
        "Type": "Choice",
        "Choices": [{"Condition": f"{{% {condition} %}}", "Next": then} for condition, then in cases],
        "Default": otherwise,
    }
