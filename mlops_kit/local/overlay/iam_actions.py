"""What one API request asks for: IAM actions, the resource of each, and condition keys.

Follows the Service Authorization Reference for the services that the kit's commands and jobs call, and their
neighbours. The hook in :mod:`iam` hands over the operation with its parsed parameters; S3, whose requests are no
operations with parameters, has :mod:`iam_actions_s3`, and SageMaker a table of its own.

What is not known here is not let through unseen: it is ``service:Operation`` on ``*``, which only a policy about all
resources allows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import iam_actions_sagemaker, iam_keys
from mlops_kit.local.overlay.iam_actions_sagemaker import Context, tag_context
from mlops_kit.local.overlay.iam_evaluation import Call

Params = Mapping[str, Any]

FREE = frozenset({"sts:GetCallerIdentity", "sts:GetSessionToken"})
"""What everybody may do, whatever the policies say."""
UNSIGNED = frozenset({"sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML"})
"""What is asked before there are credentials: the role's trust policy alone decides."""

_PREFIXES = {"monitoring": "cloudwatch", "email": "ses"}
"""Signing names that differ from the prefix of the service's IAM actions."""


def prefix(signing_name: str) -> str:
    """How IAM calls the service that a request was signed for."""
    return _PREFIXES.get(signing_name, signing_name)


def calls(service: str, operation: str, params: Params, place: Place) -> list[Call]:
    """Everything that the caller has to be allowed for ``operation``.

    ``service`` is IAM's prefix; ``params`` are the operation's parameters under their names in the API.
    """
    if service == "sagemaker":
        found = iam_actions_sagemaker.calls(operation, params, place)
    else:
        table = _TABLES.get(service)
        found = table(operation, params, place) if table else None
    return found if found is not None else [Call(f"{service}:{operation}", "*", _tags(params))]


def _tags(params: Params) -> Context:
    tags = params.get("Tags", params.get("tags"))
    if isinstance(tags, Mapping):
        tags = [{"Key": key, "Value": value} for key, value in tags.items()]
    return tag_context(tags) if isinstance(tags, list) and tags and isinstance(tags[0], Mapping) else {}


def _one(service: str, operation: str, resource: str | None, context: Context | None = None) -> list[Call]:
    return [Call(f"{service}:{operation}", resource or "*", context or {})]


def _arn(service: str, place: Place, resource: str) -> str:
    return f"arn:{place.partition}:{service}:{place.region}:{place.account}:{resource}"


def _pass_role(role: Any, service: str) -> list[Call]:
    return [Call("iam:PassRole", str(role), {"iam:PassedToService": f"{service}.amazonaws.com"})] if role else []


def _cloudwatch(operation: str, params: Params, place: Place) -> list[Call] | None:
    if operation == "PutMetricData":
        return _one("cloudwatch", operation, "*", {"cloudwatch:namespace": str(params.get("Namespace"))})
    if operation in ("DescribeAlarms", "DescribeAlarmHistory"):
        # Finding alarms by a prefix, or all of them, counts as asking for every one.
        names = params.get("AlarmNames") or [params.get("AlarmName") or "*"]
        return [Call(f"cloudwatch:{operation}", _arn("cloudwatch", place, f"alarm:{name}")) for name in names]
    if operation in ("PutMetricAlarm", "PutCompositeAlarm", "SetAlarmState"):
        return _one(
            "cloudwatch", operation, _arn("cloudwatch", place, f"alarm:{params.get('AlarmName')}"), _tags(params)
        )
    if operation in ("DeleteAlarms", "EnableAlarmActions", "DisableAlarmActions"):
        return [
            Call(f"cloudwatch:{operation}", _arn("cloudwatch", place, f"alarm:{name}"))
            for name in params.get("AlarmNames") or []
        ]
    if operation in ("PutDashboard", "GetDashboard"):
        name = params.get("DashboardName")
        return _one("cloudwatch", operation, f"arn:{place.partition}:cloudwatch::{place.account}:dashboard/{name}")
    if operation in ("ListTagsForResource", "TagResource", "UntagResource"):
        return _one("cloudwatch", operation, params.get("ResourceARN"), _tags(params))
    return None  # metrics have no resource


_ON_STREAM = ("GetLogEvents", "PutLogEvents", "DeleteLogStream", "CreateLogStream")
_ON_GROUP_ARN = ("ListTagsForResource", "TagResource", "UntagResource")


def _logs(operation: str, params: Params, place: Place) -> list[Call] | None:
    """Log groups are authorized with what is below them, so that only patterns with ``:*`` at the end fit."""
    if operation in _ON_GROUP_ARN:
        return _one("logs", operation, params.get("resourceArn"), _tags(params))
    if operation == "DescribeLogGroups":
        return _one("logs", operation, _arn("logs", place, "log-group::log-stream:"))
    group = params.get("logGroupName")
    if group is None and str(params.get("logGroupIdentifier", "")):
        group = str(params["logGroupIdentifier"]).rsplit("log-group:", 1)[-1].removesuffix(":*")
    if group is None:
        return None
    stream = params.get("logStreamName", "") if operation in _ON_STREAM else ""
    return _one("logs", operation, _arn("logs", place, f"log-group:{group}:log-stream:{stream}"), _tags(params))


def _sts(operation: str, params: Params, place: Place) -> list[Call] | None:
    if operation != "AssumeRole":
        return None
    context: Context = {"sts:RoleSessionName": str(params.get("RoleSessionName"))}
    if params.get("ExternalId"):
        context["sts:ExternalId"] = str(params["ExternalId"])
    role = str(params.get("RoleArn"))
    found = _one("sts", operation, role, {**context, **_tags(params)})
    return found + (_one("sts", "TagSession", role, _tags(params)) if params.get("Tags") else [])


def _kms(operation: str, params: Params, place: Place) -> list[Call] | None:
    key = params.get("KeyId") or params.get("TargetKeyId")
    alias = params.get("AliasName") if operation.endswith("Alias") else None
    resources = [iam_keys.arn(str(key), place.account, place.region)] if key else []
    if alias:
        resources.append(_arn("kms", place, str(alias)))
    if not resources:
        return None
    context: Context = {"kms:CallerAccount": place.account, **_tags(params)}
    for name, value in (params.get("EncryptionContext") or {}).items():
        context[f"kms:EncryptionContext:{name}"] = str(value)
    if operation == "CreateGrant":
        context["kms:GrantIsForAWSResource"] = "false"
    return [Call(f"kms:{operation}", resource, context) for resource in resources]


def _put_events(params: Params, place: Place) -> list[Call]:
    """One call for each bus, source and detail type: conditions see one event at a time."""
    members = ("EventBusName", "Source", "DetailType")
    found = sorted({tuple(str(entry.get(name) or "") for name in members) for entry in params.get("Entries") or []})
    calls = []
    for bus, source, kind in found:
        arn = bus if bus.startswith("arn:") else _arn("events", place, f"event-bus/{bus or 'default'}")
        given = {**({"events:source": [source]} if source else {}), **({"events:detail-type": kind} if kind else {})}
        calls.append(Call("events:PutEvents", arn, given))
    return calls


def _events(operation: str, params: Params, place: Place) -> list[Call] | None:
    if operation == "PutEvents":
        return _put_events(params, place)
    if operation in ("ListTagsForResource", "TagResource", "UntagResource"):
        return _one("events", operation, params.get("ResourceARN"), _tags(params))
    name = params.get("Rule") or (params.get("Name") if operation.endswith("Rule") else None)
    if not name:
        return None
    bus = str(params.get("EventBusName") or "default").rsplit("/", 1)[-1]
    rule = f"rule/{name}" if bus == "default" else f"rule/{bus}/{name}"
    roles = [params.get("RoleArn"), *(target.get("RoleArn") for target in params.get("Targets") or [])]
    passed = [call for role in roles for call in _pass_role(role, "events")] if operation.startswith("Put") else []
    return [*_one("events", operation, _arn("events", place, rule), _tags(params)), *passed]


def _scheduler(operation: str, params: Params, place: Place) -> list[Call] | None:
    if operation in ("ListTagsForResource", "TagResource", "UntagResource"):
        return _one("scheduler", operation, params.get("ResourceArn"), _tags(params))
    if not params.get("Name"):
        return None
    if operation.endswith("ScheduleGroup"):
        return _one("scheduler", operation, _arn("scheduler", place, f"schedule-group/{params['Name']}"), _tags(params))
    schedule = f"schedule/{params.get('GroupName') or 'default'}/{params['Name']}"
    role = (params.get("Target") or {}).get("RoleArn")
    return [*_one("scheduler", operation, _arn("scheduler", place, schedule)), *_pass_role(role, "scheduler")]


def _states(operation: str, params: Params, place: Place) -> list[Call] | None:
    role = params.get("roleArn")
    if operation == "CreateStateMachine":
        machine = _arn("states", place, f"stateMachine:{params.get('name')}")
        return [*_one("states", operation, machine, _tags(params)), *_pass_role(role, "states")]
    names = ("stateMachineArn", "executionArn", "activityArn", "resourceArn")
    resource = next((params[name] for name in names if params.get(name)), None)
    return [*_one("states", operation, resource, _tags(params)), *_pass_role(role, "states")] if resource else None


def _sqs(operation: str, params: Params, place: Place) -> list[Call] | None:
    name = params.get("QueueName")
    account = place.account
    if url := params.get("QueueUrl"):
        account, name = str(url).rstrip("/").split("/")[-2:]
    action = operation.removesuffix("Batch")
    return _one("sqs", action, f"arn:{place.partition}:sqs:{place.region}:{account}:{name}") if name else None


def _autoscaling(operation: str, params: Params, place: Place) -> list[Call] | None:
    """AWS invents a scalable target's id; the service's namespace and the dimension are what policies can hold."""
    if operation.startswith("Describe"):
        return None
    resource = str(params.get("ResourceARN") or _arn("application-autoscaling", place, "scalable-target/local"))
    known = {
        "application-autoscaling:service-namespace": params.get("ServiceNamespace"),
        "application-autoscaling:scalable-dimension": params.get("ScalableDimension"),
    }
    context = {key: str(value) for key, value in known.items() if value} | dict(_tags(params))
    return _one("application-autoscaling", operation, resource, context)


def _sns(operation: str, params: Params, place: Place) -> list[Call] | None:
    if operation == "CreateTopic":
        return _one("sns", operation, _arn("sns", place, str(params.get("Name"))), _tags(params))
    resource = next((params[name] for name in ("TopicArn", "TargetArn", "ResourceArn") if params.get(name)), None)
    if resource is None and params.get("SubscriptionArn"):
        resource = str(params["SubscriptionArn"]).rsplit(":", 1)[0]  # a subscription belongs to its topic
    return _one("sns", operation.removesuffix("Batch"), str(resource), _tags(params)) if resource else None


def _ecr(operation: str, params: Params, place: Place) -> list[Call] | None:
    if params.get("resourceArn"):
        return _one("ecr", operation, str(params["resourceArn"]), _tags(params))
    names = [params["repositoryName"]] if params.get("repositoryName") else params.get("repositoryNames") or []
    account = str(params.get("registryId") or place.account)
    found = [
        Call(f"ecr:{operation}", f"arn:{place.partition}:ecr:{place.region}:{account}:repository/{name}", _tags(params))
        for name in names
    ]
    return found or None


def _ssm(operation: str, params: Params, place: Place) -> list[Call] | None:
    if "Parameter" not in operation or operation == "DescribeParameters":
        return None
    names: Sequence[Any] = params.get("Names") or [params.get("Name") or params.get("Path")]
    return [
        Call(f"ssm:{operation}", _arn("ssm", place, f"parameter/{str(name).lstrip('/')}"), _tags(params))
        for name in names
        if name
    ] or None


def _budgets(operation: str, params: Params, place: Place) -> list[Call] | None:
    """Budgets has three actions for all it can do; a budget has no region."""
    if operation in ("DescribeBudget", "DescribeNotificationsForBudget", "DescribeSubscribersForNotification"):
        name = params.get("BudgetName")
        return _one("budgets", "ViewBudget", f"arn:{place.partition}:budgets::{place.account}:budget/{name}")
    return None


_TABLES: dict[str, Callable[[str, Params, Place], list[Call] | None]] = {
    "application-autoscaling": _autoscaling,
    "budgets": _budgets,
    "cloudwatch": _cloudwatch,
    "ecr": _ecr,
    "events": _events,
    "kms": _kms,
    "logs": _logs,
    "scheduler": _scheduler,
    "sns": _sns,
    "sqs": _sqs,
    "ssm": _ssm,
    "states": _states,
    "sts": _sts,
}
