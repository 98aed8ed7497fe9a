"""What holds in every environment, whatever its files say. Each rule lists what breaks it; an empty list is good."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any

from mlops_kit.naming import REPLICATED_KINDS
from stacks.provider_schema import taggable
from tests.stacks.stack import Resource, Stack, listed

COST_TAGS = {"Project", "Environment", "Owner", "CostCenter", "ManagedBy"}

WITHOUT_RESOURCE = {
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScalingPolicies",
    "application-autoscaling:DescribeScheduledActions",
    "ce:GetAnomalies",
    "ce:GetCostAndUsage",
    "cloudwatch:GetMetricData",
    "cloudwatch:GetMetricStatistics",
    "cloudwatch:ListMetrics",
    "cloudwatch:PutMetricData",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "ecr:GetAuthorizationToken",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "sagemaker:ListEndpoints",
    "sagemaker:ListPipelineExecutions",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
"""Actions that take no resource (Service Authorization Reference), so that ``*`` is the only thing to write."""

FAMILIES = {"kms:GenerateDataKey*", "kms:ReEncrypt*"}
"""Wildcards that AWS itself writes so."""

NAME_LIMITS: dict[str, tuple[str, int]] = {
    "aws_budgets_budget": ("name", 100),
    "aws_ce_anomaly_monitor": ("name", 50),
    "aws_ce_anomaly_subscription": ("name", 50),
    "aws_cloudwatch_composite_alarm": ("alarm_name", 255),
    "aws_cloudwatch_dashboard": ("dashboard_name", 255),
    "aws_cloudwatch_event_rule": ("name", 64),
    "aws_cloudwatch_log_group": ("name", 512),
    "aws_cloudwatch_metric_alarm": ("alarm_name", 255),
    "aws_ecr_repository": ("name", 256),
    "aws_iam_policy": ("name", 128),
    "aws_iam_role": ("name", 64),
    "aws_kms_alias": ("name", 256),
    "aws_s3_bucket": ("bucket", 63),
    "aws_sagemaker_endpoint": ("name", 63),
    "aws_sagemaker_endpoint_configuration": ("name", 63),
    "aws_sagemaker_model": ("name", 63),
    "aws_sagemaker_model_package_group": ("model_package_group_name", 63),
    "aws_sagemaker_pipeline": ("pipeline_name", 256),
    "aws_scheduler_schedule": ("name", 64),
    "aws_scheduler_schedule_group": ("name", 64),
    "aws_security_group": ("name", 255),
    "aws_sfn_state_machine": ("name", 80),
    "aws_sns_topic": ("name", 256),
    "aws_sqs_queue": ("name", 80),
}
"""Type -> the attribute that is its name, and how long AWS lets it be."""

MAKE_STREAMS = ["logs:CreateLogStream"]
ALARMS = ("aws_cloudwatch_metric_alarm", "aws_cloudwatch_composite_alarm")


def allowed(stack: Stack) -> Iterator[tuple[str, dict[str, Any]]]:
    """(resource type, statement) of every Allow that grants something.

    The boundary and the policies of network endpoints grant nothing: they are what everything else has to pass.
    """
    for kind, statement in stack.every_statement():
        if statement["Effect"] == "Allow" and kind not in ("aws_iam_policy", "aws_vpc_endpoint"):
            yield kind, statement


def buckets_are_safe(stack: Stack) -> list[str]:
    """Encrypted, versioned, private, TLS-only, owned, with a lifecycle, and logged."""
    wrong = []
    names = stack.environment.names
    unlogged = {names.bucket("logs"), names.state_bucket}
    unlogged |= {bucket["bucket"] for bucket in stack.all("aws_s3_bucket").values() if "provider" in bucket}
    for bucket in stack.all("aws_s3_bucket").values():
        name = bucket["bucket"]
        encryption = stack.of_bucket("aws_s3_bucket_server_side_encryption_configuration", name)
        (rule,) = listed(encryption["rule"])
        default = rule["apply_server_side_encryption_by_default"]
        if default["sse_algorithm"] == "aws:kms" and not (rule["bucket_key_enabled"] and default["kms_master_key_id"]):
            wrong.append(f"{name}: KMS without a key of its own or without a bucket key")
        versioning = stack.of_bucket("aws_s3_bucket_versioning", name)["versioning_configuration"]
        if versioning != {"status": "Enabled"}:
            wrong.append(f"{name}: not versioned")
        block = stack.of_bucket("aws_s3_bucket_public_access_block", name)
        if not all(block[f"{verb}_public_{what}"] for verb, what in (("block", "acls"), ("block", "policy"))):
            wrong.append(f"{name}: may become public")
        if not (block["ignore_public_acls"] and block["restrict_public_buckets"]):
            wrong.append(f"{name}: may be public")
        statements = stack.parse(stack.of_bucket("aws_s3_bucket_policy", name)["policy"])
        if not any(_refuses_plain_http(statement, name) for statement in statements):
            wrong.append(f"{name}: not TLS-only")
        ownership = stack.of_bucket("aws_s3_bucket_ownership_controls", name)
        if ownership["rule"] != {"object_ownership": "BucketOwnerEnforced"}:
            wrong.append(f"{name}: others may own objects")
        stack.of_bucket("aws_s3_bucket_lifecycle_configuration", name)
        if name not in unlogged:
            stack.of_bucket("aws_s3_bucket_logging", name)
    return wrong


def _refuses_plain_http(statement: dict[str, Any], bucket: str) -> bool:
    return (
        statement["Effect"] == "Deny"
        and statement["Principal"] in ("*", {"AWS": "*"})
        and statement["Action"] == "s3:*"
        and {resource.partition(":::")[2] for resource in listed(statement["Resource"])} == {bucket, f"{bucket}/*"}
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    )


def no_wildcard_actions(stack: Stack) -> list[str]:
    return [
        f"{kind} {statement['Sid']}: {action}"
        for kind, statement in allowed(stack)
        for action in listed(statement["Action"])
        if "*" in action and action not in FAMILIES
    ]


def no_wildcard_resources(stack: Stack) -> list[str]:
    """In a key policy, ``*`` is the key itself."""
    return [
        f"{kind} {statement['Sid']}: {sorted(set(listed(statement['Action'])) - WITHOUT_RESOURCE)}"
        for kind, statement in allowed(stack)
        if kind != "aws_kms_key"
        and "*" in listed(statement.get("Resource", []))
        and not set(listed(statement["Action"])) <= WITHOUT_RESOURCE
    ]


def nobody_is_everybody(stack: Stack) -> list[str]:
    return [
        f"{kind} {statement['Sid']}"
        for kind, statement in allowed(stack)
        if "*" in listed(statement.get("Principal", "")) or "*" in listed((statement.get("Principal") or {}).get("AWS"))
    ]


def services_act_for_this_account(stack: Stack) -> list[str]:
    """The confused deputy: who trusts a service says for whom the service may come.

    Making an empty stream in one log group is all that rules may do unconditionally: AWS knows no condition for it.
    """
    wrong = []
    for kind, statement in allowed(stack):
        service = (statement.get("Principal") or {}).get("Service")
        if service is None or (kind, statement["Action"]) == ("aws_cloudwatch_log_resource_policy", MAKE_STREAMS):
            continue
        conditions = json.dumps(statement.get("Condition", {}))
        if stack.environment.account not in conditions:
            wrong.append(f"{kind} {statement['Sid']}: {service}")
    return wrong


def network_endpoints_serve_this_account(stack: Stack) -> list[str]:
    return [
        f"{logical} {statement['Sid']}"
        for logical, endpoint in stack.all("aws_vpc_endpoint").items()
        for statement in stack.parse(endpoint["policy"])
        if statement["Effect"] == "Allow" and not _stays_at_home(statement, stack.environment.account)
    ]


def _stays_at_home(statement: dict[str, Any], account: str) -> bool:
    """Only the account's own principals, or only buckets of its own and those in which AWS keeps image layers."""
    if account in json.dumps(statement.get("Condition", {})):
        return True
    return all(account in resource or "starport-layer-bucket" in resource for resource in listed(statement["Resource"]))


def alarms_act(stack: Stack) -> list[str]:
    return [
        alarm["alarm_name"]
        for kind in ALARMS
        for alarm in stack.all(kind).values()
        if not alarm.get("alarm_actions") or not alarm.get("alarm_description")
    ]


def endpoints_roll_back(stack: Stack) -> list[str]:
    """Serverless endpoints have no deployment config; the kit's own command watches them instead."""
    known = {alarm["alarm_name"] for alarm in stack.all("aws_cloudwatch_metric_alarm").values()}
    serverless = {
        model.names(stack.environment.names).endpoint for model in stack.models if model.serving.kind == "serverless"
    }
    wrong = []
    for endpoint in stack.all("aws_sagemaker_endpoint").values():
        if endpoint["name"] in serverless:
            continue
        rollback = endpoint.get("deployment_config", {}).get("auto_rollback_configuration", {}).get("alarms", [])
        if not rollback or not {alarm["alarm_name"] for alarm in rollback} <= known:
            wrong.append(endpoint["name"])
    return wrong


def cost_tags_are_complete(stack: Stack) -> list[str]:
    wrong = []
    for provider in stack.content["provider"]["aws"]:
        (default,) = provider["default_tags"]
        if set(default["tags"]) != COST_TAGS or not all(default["tags"].values()):
            wrong.append(f"provider {provider['region']}")
    models = {model.name for model in stack.models}
    for kind, logical, resource in every_resource(stack):
        if kind not in taggable():
            continue
        tags = resource.get("tags") or {}
        if COST_TAGS & set(tags):
            wrong.append(f"{kind}.{logical} overrides a tag")
        owner = resource["//"]["metadata"]["path"].split("/")[1]
        if owner in models and tags.get("Model") != owner:
            wrong.append(f"{kind}.{logical} does not say that it belongs to {owner}")
    return wrong


def names_are_unique_and_fit(stack: Stack) -> list[str]:
    wrong = []
    for kind, (attribute, limit) in NAME_LIMITS.items():
        found = [_name(resource, attribute) for resource in stack.all(kind).values()]
        names = Counter(name for name in found if not name.startswith("${"))  # a reference has its name elsewhere
        wrong += [f"{kind} {name}: {count} times" for name, count in names.items() if count > 1]
        wrong += [f"{kind} {name}: {len(name)} characters" for name in names if len(name) > limit]
    return wrong


def _name(resource: Resource, attribute: str) -> str:
    return str(resource[attribute])


def roles_are_bounded(stack: Stack) -> list[str]:
    """Each role names the boundary, and what it is allowed is within it: more would be a grant that does not work."""
    names = stack.environment.names
    wrong = [
        role["name"]
        for role in stack.all("aws_iam_role").values()
        if role.get("permissions_boundary") != names.boundary_arn
    ]
    boundary = stack.boundary()
    for policy in stack.all("aws_iam_role_policy").values():
        for statement in stack.parse(policy["policy"]):
            if statement["Effect"] == "Allow":
                wrong += [
                    f"{policy['role']} {statement['Sid']}: {action} on {resource}"
                    for action in listed(statement["Action"])
                    for resource in listed(statement["Resource"])
                    if not any(_covers(outer, action, resource) for outer in boundary)
                ]
    return wrong


def _covers(statement: dict[str, Any], action: str, resource: str) -> bool:
    return (
        statement["Effect"] == "Allow"
        and any(fnmatchcase(action, pattern) for pattern in listed(statement["Action"]))
        and any(_same(resource, pattern) for pattern in listed(statement["Resource"]))
    )


def _same(resource: str, pattern: str) -> bool:
    """An ARN that AWS invents is a reference: then the service is what can be compared."""
    if not resource.startswith("${"):
        return fnmatchcase(resource, pattern)
    service = {"aws_kms_key": "kms", "aws_sqs_queue": "sqs", "aws_sfn_state_machine": "states", "aws_s3_bucket": "s3"}
    return pattern.split(":")[2:3] == [service[resource.removeprefix("${").split(".")[0]]]


def policies_fit(stack: Stack) -> list[str]:
    """IAM's quotas: characters without white space, of a role's inline policies together and of a managed one."""

    def size(policy: str) -> int:
        return len(json.dumps(json.loads(policy), separators=(",", ":")))

    inline: Counter[str] = Counter()
    for policy in stack.all("aws_iam_role_policy").values():
        inline[policy["role"]] += size(policy["policy"])
    wrong = [f"{role}: {length}" for role, length in inline.items() if length > 10_240]
    managed = {policy["name"]: size(policy["policy"]) for policy in stack.all("aws_iam_policy").values()}
    return wrong + [f"{name}: {length}" for name, length in managed.items() if length > 6_144]


def the_ledger_is_append_only(stack: Stack) -> list[str]:
    """Whoever may write there may only create, each below a prefix of their own; nobody may delete."""
    names = stack.environment.names
    ledgers = [names.bucket_arn("ledger")]
    if stack.environment.storage.replicate_to is not None:
        ledgers.append(names.replica_bucket_arn("ledger"))
    wrong = []
    for kind, statement in allowed(stack):
        touched = [
            resource
            for resource in listed(statement.get("Resource", []))
            if any(resource.startswith(ledger) for ledger in ledgers) or resource == "*"
        ]
        for action in listed(statement["Action"]) if touched else []:
            verb = action.split(":")[1]
            if not action.startswith("s3:") or verb.startswith(("Get", "List", "Replicate", "Initiate")):
                continue
            create_only = statement.get("Condition", {}).get("Null", {}).get("s3:if-none-match") == "false"
            if verb != "PutObject" or not create_only:
                wrong.append(f"{kind} {statement['Sid']}: {action}")
    return wrong


def logs_end_and_are_encrypted(stack: Stack) -> list[str]:
    return [
        group["name"]
        for group in stack.all("aws_cloudwatch_log_group").values()
        if not group.get("retention_in_days") or not group.get("kms_key_id")
    ]


def what_holds_data_is_protected(stack: Stack) -> list[str]:
    kinds = (
        "aws_cloudwatch_log_group",
        "aws_ecr_repository",
        "aws_kms_key",
        "aws_s3_bucket",
        "aws_sagemaker_model_package_group",
    )
    return [
        f"{kind}.{logical}"
        for kind in kinds
        for logical, resource in stack.all(kind).items()
        if bool(resource.get("lifecycle", {}).get("prevent_destroy")) != stack.environment.protect
    ]


def replicas_exist_where_asked_for(stack: Stack) -> list[str]:
    names = stack.environment.names
    wanted = (
        {names.replica_bucket(kind) for kind in REPLICATED_KINDS} if stack.environment.storage.replicate_to else set()
    )
    elsewhere = {b["bucket"] for b in stack.all("aws_s3_bucket").values() if "provider" in b}
    return sorted(wanted - elsewhere)


def every_resource(stack: Stack) -> Iterator[tuple[str, str, Resource]]:
    for kind, resources in stack.content["resource"].items():
        for logical, resource in resources.items():
            yield kind, logical, resource


RULES: tuple[Callable[[Stack], list[str]], ...] = (
    buckets_are_safe,
    no_wildcard_actions,
    no_wildcard_resources,
    nobody_is_everybody,
    services_act_for_this_account,
    network_endpoints_serve_this_account,
    alarms_act,
    endpoints_roll_back,
    cost_tags_are_complete,
    names_are_unique_and_fit,
    roles_are_bounded,
    policies_fit,
    the_ledger_is_append_only,
    logs_end_and_are_encrypted,
    what_holds_data_is_protected,
    replicas_exist_where_asked_for,
)
