"""Terraform's own provider on the local cloud: what it applies it finds again, and takes away again.

The first test waits more than it works: the provider watches every change of a queue for 25 seconds, however soon it is
there. What it watches longer, or what every environment has anyway, is left to the end-to-end tests.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from mlops_kit.local.terraform import Terraform
from tests.local_cloud import every_resource
from tests.local_cloud.every_resource import ACCOUNT, PREFIX, REGION, REPLICA_REGION
from tests.local_cloud.support import DEV, Server, new_bucket, unique


def terraform_on(server: Server, directory: Path) -> Terraform:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return Terraform.find(
        directory,
        kept
        | {
            "AWS_ENDPOINT_URL": server.url,
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1",
        },
    )


def client_in(server: Server, service: str, region: str, account: str = DEV) -> Any:
    return boto3.client(
        service, endpoint_url=server.url, region_name=region, aws_access_key_id=account, aws_secret_access_key="x"
    )


def inventory(server: Server) -> dict[str, list[str]]:
    """What the account has, through the services' own lists."""

    def names(service: str, operation: str, answer: str, name: str = "", **arguments: Any) -> list[str]:
        found = getattr(server.client(service, ACCOUNT), operation)(**arguments).get(answer, [])
        return sorted(str(item[name] if name else item) for item in found)

    sagemaker = {"ServiceNamespace": "sagemaker"}
    lists: dict[str, Callable[[], list[str]]] = {
        "networks": lambda: names("ec2", "describe_vpcs", "Vpcs", "VpcId"),
        "subnets": lambda: names("ec2", "describe_subnets", "Subnets", "SubnetId"),
        "route tables": lambda: names("ec2", "describe_route_tables", "RouteTables", "RouteTableId"),
        "endpoints": lambda: names("ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
        "groups": lambda: names("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
        "flow logs": lambda: names("ec2", "describe_flow_logs", "FlowLogs", "FlowLogId"),
        "repositories": lambda: names("ecr", "describe_repositories", "repositories", "repositoryName"),
        "replication": lambda: server.client("ecr", ACCOUNT).describe_registry()["replicationConfiguration"]["rules"],
        "alarms": lambda: names("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
        "composites": lambda: names(
            "cloudwatch", "describe_alarms", "CompositeAlarms", "AlarmName", AlarmTypes=["CompositeAlarm"]
        ),
        "rules": lambda: names("events", "list_rules", "Rules", "Name"),
        "log groups": lambda: names("logs", "describe_log_groups", "logGroups", "logGroupName"),
        "log policies": lambda: names("logs", "describe_resource_policies", "resourcePolicies", "policyName"),
        "queues": lambda: names("sqs", "list_queues", "QueueUrls"),
        "topics": lambda: names("sns", "list_topics", "Topics", "TopicArn"),
        "schedules": lambda: names("scheduler", "list_schedules", "Schedules", "Name"),
        "schedule groups": lambda: names("scheduler", "list_schedule_groups", "ScheduleGroups", "Name"),
        "machines": lambda: names("stepfunctions", "list_state_machines", "stateMachines", "name"),
        "targets": lambda: names(
            "application-autoscaling", "describe_scalable_targets", "ScalableTargets", "ResourceId", **sagemaker
        ),
        "scaling": lambda: names(
            "application-autoscaling", "describe_scaling_policies", "ScalingPolicies", "PolicyName", **sagemaker
        ),
        "scheduled": lambda: names(
            "application-autoscaling",
            "describe_scheduled_actions",
            "ScheduledActions",
            "ScheduledActionName",
            **sagemaker,
        ),
        "monitors": lambda: names("ce", "get_anomaly_monitors", "AnomalyMonitors", "MonitorName"),
        "subscriptions": lambda: names("ce", "get_anomaly_subscriptions", "AnomalySubscriptions", "SubscriptionName"),
        "budgets": lambda: names("budgets", "describe_budgets", "Budgets", "BudgetName", AccountId=ACCOUNT),
        "buckets": lambda: names("s3", "list_buckets", "Buckets", "Name"),
        "roles": lambda: names("iam", "list_roles", "Roles", "RoleName"),
        "policies": lambda: names("iam", "list_policies", "Policies", "PolicyName", Scope="Local"),
        "parameters": lambda: names("ssm", "describe_parameters", "Parameters", "Name"),
        "aliases": lambda: names("kms", "list_aliases", "Aliases", "AliasName"),
    }
    return {kind: ask() for kind, ask in lists.items()}


def test_every_resource_is_applied_found_unchanged_and_destroyed(server: Server, tmp_path: Path) -> None:
    (tmp_path / "main.tf.json").write_text(json.dumps(every_resource.configuration()))
    terraform = terraform_on(server, tmp_path)
    before = inventory(server)
    terraform.init(tmp_path)
    terraform.apply(tmp_path)
    made = inventory(server)
    assert [kind for kind in made if len(made[kind]) <= len(before[kind])] == [], "each list has something to lose"
    assert terraform.has_changes(tmp_path) is None
    terraform.destroy(tmp_path)
    assert json.loads((tmp_path / "terraform.tfstate").read_text())["resources"] == []
    assert inventory(server) == before
    for region in (REGION, REPLICA_REGION):
        kms = client_in(server, "kms", region, ACCOUNT)
        states = {kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] for key in kms.list_keys()["Keys"]}
        assert states == {"PendingDeletion"}, region


@pytest.mark.parametrize(
    ("kind", "configuration"),
    [
        (
            "IntelligentTiering",
            {"Id": "x", "Status": "Enabled", "Tierings": [{"Days": 90, "AccessTier": "ARCHIVE_ACCESS"}]},
        ),
        (
            "Inventory",
            {
                "Id": "x",
                "IsEnabled": True,
                "IncludedObjectVersions": "All",
                "Schedule": {"Frequency": "Weekly"},
                "OptionalFields": ["Size"],
                "Destination": {"S3BucketDestination": {"Bucket": "arn:aws:s3:::b", "Format": "Parquet"}},
            },
        ),
        ("Metrics", {"Id": "x", "Filter": {"Prefix": "p/"}}),
    ],
)
def test_a_configuration_of_a_bucket_is_not_the_bucket(
    server: Server, kind: str, configuration: dict[str, Any]
) -> None:
    s3, bucket, snake = server.client("s3"), new_bucket(server), {"IntelligentTiering": "intelligent_tiering"}
    name = snake.get(kind, kind.lower())
    one, member = {"Bucket": bucket, "Id": "x"}, f"{kind}Configuration"
    get, put = (getattr(s3, f"{verb}_bucket_{name}_configuration") for verb in ("get", "put"))
    with pytest.raises(ClientError) as absent:
        get(**one)
    assert absent.value.response["Error"]["Code"] == "NoSuchConfiguration"
    assert absent.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    put(**one, **{member: configuration})
    assert get(**one)[member] == configuration
    listed = getattr(s3, f"list_bucket_{name}_configurations")(Bucket=bucket)
    assert listed[f"{member}List"] == [configuration]
    getattr(s3, f"delete_bucket_{name}_configuration")(**one)
    assert f"{member}List" not in getattr(s3, f"list_bucket_{name}_configurations")(Bucket=bucket)
    s3.head_bucket(Bucket=bucket)


def test_a_queue_keeps_its_policy_when_something_else_is_set(server: Server) -> None:
    sqs = server.client("sqs")
    policy = every_resource.policy({"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": "*"})
    url = sqs.create_queue(QueueName=unique(), Attributes={"Policy": policy})["QueueUrl"]

    def attributes() -> dict[str, str]:
        return dict(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"])

    allow = json.dumps({"redrivePermission": "denyAll"})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "7", "RedriveAllowPolicy": allow})
    assert (attributes()["Policy"], attributes()["RedriveAllowPolicy"]) == (policy, allow)
    assert attributes()["SqsManagedSseEnabled"] == "true"
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"KmsMasterKeyId": "alias/aws/sqs"})
    assert attributes()["SqsManagedSseEnabled"] == "false"
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"SqsManagedSseEnabled": "true"})
    assert "KmsMasterKeyId" not in attributes()
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": "", "RedriveAllowPolicy": ""})
    assert not {"Policy", "RedriveAllowPolicy"} & attributes().keys()


def test_primary_and_replica_keys_are_two(server: Server) -> None:
    here, there = server.client("kms"), client_in(server, "kms", REPLICA_REGION)
    made = here.create_key(MultiRegion=True, Description="primary")["KeyMetadata"]["KeyId"]
    here.replicate_key(
        KeyId=made, ReplicaRegion=REPLICA_REGION, Description="replica", Tags=[{"TagKey": "k", "TagValue": "v"}]
    )
    primary, replica = (kms.describe_key(KeyId=made)["KeyMetadata"] for kms in (here, there))
    assert [key["MultiRegionConfiguration"]["MultiRegionKeyType"] for key in (primary, replica)] == [
        "PRIMARY",
        "REPLICA",
    ]
    assert (primary["Description"], replica["Description"]) == ("primary", "replica")
    assert primary["MultiRegionConfiguration"]["ReplicaKeys"] == [{"Arn": replica["Arn"], "Region": REPLICA_REGION}]
    assert there.list_resource_tags(KeyId=made)["Tags"] == [{"TagKey": "k", "TagValue": "v"}]
    assert here.list_resource_tags(KeyId=made)["Tags"] == []
    single = here.create_key()["KeyMetadata"]["KeyId"]
    for key, code in ((made, "AlreadyExistsException"), (single, "UnsupportedOperationException")):
        with pytest.raises(ClientError) as refused:
            here.replicate_key(KeyId=key, ReplicaRegion=REPLICA_REGION)
        assert refused.value.response["Error"]["Code"] == code


def test_a_subscription_needs_its_monitor(server: Server) -> None:
    costs = server.client("ce")
    subscription = {
        "SubscriptionName": unique(),
        "MonitorArnList": ["arn:aws:ce::111111111111:anomalymonitor/none"],
        "Subscribers": [{"Type": "EMAIL", "Address": "a@example.com"}],
        "Frequency": "DAILY",
    }
    with pytest.raises(ClientError) as unknown:
        costs.create_anomaly_subscription(AnomalySubscription=subscription)
    assert unknown.value.response["Error"]["Code"] == "UnknownMonitorException"
    arn = costs.create_anomaly_monitor(
        AnomalyMonitor={"MonitorName": PREFIX, "MonitorType": "DIMENSIONAL", "MonitorDimension": "SERVICE"},
        ResourceTags=[{"Key": "k", "Value": "v"}],
    )["MonitorArn"]
    made = costs.create_anomaly_subscription(AnomalySubscription={**subscription, "MonitorArnList": [arn]})
    costs.update_anomaly_monitor(MonitorArn=arn, MonitorName="changed")
    [monitor] = costs.get_anomaly_monitors(MonitorArnList=[arn])["AnomalyMonitors"]
    assert (monitor["MonitorName"], monitor["MonitorType"]) == ("changed", "DIMENSIONAL")
    assert costs.list_tags_for_resource(ResourceArn=arn)["ResourceTags"] == [{"Key": "k", "Value": "v"}]
    [found] = costs.get_anomaly_subscriptions(MonitorArn=arn)["AnomalySubscriptions"]
    assert found["SubscriptionArn"] == made["SubscriptionArn"]
    costs.delete_anomaly_monitor(MonitorArn=arn)
    with pytest.raises(ClientError):
        costs.get_anomaly_monitors(MonitorArnList=[arn])


def test_a_role_keeps_its_description(server: Server) -> None:
    iam, name = server.client("iam"), unique("role")
    iam.create_role(RoleName=name, Description="kept", AssumeRolePolicyDocument=every_resource.trust("x.amazonaws.com"))
    iam.update_role(RoleName=name, MaxSessionDuration=7200)
    role = iam.get_role(RoleName=name)["Role"]
    assert (role["Description"], role["MaxSessionDuration"]) == ("kept", 7200)
    iam.update_role(RoleName=name, Description="")
    assert iam.get_role(RoleName=name)["Role"].get("Description", "") == ""


def test_rules_between_groups_are_described_and_can_be_changed(server: Server) -> None:
    ec2 = server.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(GroupName=unique("g"), Description="d", VpcId=vpc)["GroupId"]
    pair = {"GroupId": group, "Description": "among us"}
    [rule] = ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[{"IpProtocol": "-1", "UserIdGroupPairs": [pair]}]
    )["SecurityGroupRules"]

    def description() -> str:
        [found] = ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])[
            "SecurityGroupRules"
        ]
        assert (found["ReferencedGroupInfo"]["GroupId"], found["FromPort"], found["ToPort"]) == (group, -1, -1)
        return str(found["Description"])

    assert description() == "among us"
    changed = {"IpProtocol": "-1", "ReferencedGroupId": group, "Description": "changed"}
    change = {"SecurityGroupRuleId": rule["SecurityGroupRuleId"], "SecurityGroupRule": changed}
    ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=[change])
    assert description() == "changed"


def test_rules_that_change_at_once_are_not_lost_and_one_that_is_gone_is_known_to_be(server: Server) -> None:
    ec2 = server.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(GroupName=unique("g"), Description="d", VpcId=vpc)["GroupId"]

    def authorize(port: int) -> str:
        rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
        made = ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[rule])
        return str(made["SecurityGroupRules"][0]["SecurityGroupRuleId"])

    def revoke(rule: str) -> None:
        ec2.revoke_security_group_egress(GroupId=group, SecurityGroupRuleIds=[rule])

    with ThreadPoolExecutor(8) as pool:
        rules = list(pool.map(authorize, range(1, 25)))
        list(pool.map(revoke, rules))
    with pytest.raises(ClientError) as caught:
        revoke(rules[0])
    assert caught.value.response["Error"]["Code"] == "InvalidSecurityGroupRuleId.NotFound"


def test_flow_logs_keep_where_and_how_they_are_written(server: Server) -> None:
    ec2, bucket = server.client("ec2"), new_bucket(server)
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    server.client("logs").create_log_group(logGroupName=bucket)

    def create(**how: Any) -> dict[str, Any]:
        made = ec2.create_flow_logs(ResourceType="VPC", ResourceIds=[vpc], TrafficType="ALL", **how)
        assert made["Unsuccessful"] == []
        return dict(ec2.describe_flow_logs(FlowLogIds=made["FlowLogIds"])["FlowLogs"][0])

    folder = f"arn:aws:s3:::{bucket}/flows/"
    options = {"FileFormat": "parquet", "HiveCompatiblePartitions": True, "PerHourPartition": False}
    found = create(LogDestinationType="s3", LogDestination=folder, DestinationOptions=options)
    assert (found["LogDestination"], found["DestinationOptions"]) == (folder, options)
    role = f"arn:aws:iam::{DEV}:role/flow-logs"
    group = f"arn:aws:logs:{REGION}:{DEV}:log-group:"
    written = create(LogDestination=f"{group}{bucket}", DeliverLogsPermissionArn=role)
    assert (written["DeliverLogsStatus"], written["LogDestination"]) == ("SUCCESS", f"{group}{bucket}")
    assert create(LogDestination=f"{group}nobody", DeliverLogsPermissionArn=role)["DeliverLogsStatus"] == "FAILED"


def test_cost_allocation_tags_are_kept(server: Server) -> None:
    costs, key = server.client("ce"), unique("Tag")
    answer = costs.update_cost_allocation_tags_status(CostAllocationTagsStatus=[{"TagKey": key, "Status": "Active"}])
    assert answer["Errors"] == []
    [tag] = costs.list_cost_allocation_tags(TagKeys=[key], Status="Active")["CostAllocationTags"]
    assert (tag["Type"], tag["Status"]) == ("UserDefined", "Active")
    costs.update_cost_allocation_tags_status(CostAllocationTagsStatus=[{"TagKey": key, "Status": "Inactive"}])
    assert costs.list_cost_allocation_tags(TagKeys=[key], Status="Active")["CostAllocationTags"] == []
