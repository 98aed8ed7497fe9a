"""One Terraform configuration with every type of resource that the local cloud has to take: each shaped as a stack
would write it. What is written here is what is known to be clean: applied, planned again without a change, destroyed.

There are two providers: the account's region, and another one for replicas of keys and buckets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

ACCOUNT, REGION, REPLICA_REGION = "555555555555", "us-east-1", "us-west-2"
PREFIX = "every"
ENDPOINT = f"endpoint/{PREFIX}-async/variant/main"
TAGS = {
    "Project": "every",
    "Environment": "dev",
    "Owner": "ml@example.com",
    "ManagedBy": "mlops-kit",
    "CostCenter": "1234",
}
Resources = dict[str, dict[str, dict[str, Any]]]


def configuration() -> dict[str, Any]:
    """Terraform's JSON syntax, with a local state."""
    resources: Resources = {}
    for part in (
        identity(),
        network(),
        registry(),
        queues_and_topics(),
        alarms(),
        rules(),
        schedules(),
        state_machine(),
        scaling(),
        costs(),
        storage(),
    ):
        for kind, named in part.items():
            resources.setdefault(kind, {}).update(named)
    settings = {"default_tags": [{"tags": TAGS}], "max_retries": 3, "allowed_account_ids": [ACCOUNT]}
    return {
        "terraform": {
            "required_version": ">= 1.10",
            "required_providers": {"aws": {"source": "hashicorp/aws", "version": "5.100.0"}},
        },
        "provider": {
            "aws": [
                {"region": REGION, **settings},
                {"region": REPLICA_REGION, "alias": "replica", **settings},
            ]
        },
        "resource": resources,
    }


def policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trust(*services: str) -> str:
    return policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": list(services)}})


def identity() -> Resources:
    key_policy = policy(
        {"Sid": "Account", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*",
         "Resource": "*"},
        {"Sid": "Services", "Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey*"], "Resource": "*",
         "Principal": {"Service": ["events.amazonaws.com", "cloudwatch.amazonaws.com", "logs.amazonaws.com"]}},
    )  # fmt: skip
    key = {"enable_key_rotation": True, "deletion_window_in_days": 7, "policy": key_policy}
    return {
        "aws_kms_key": {
            "main": {"description": "data", "multi_region": True, "rotation_period_in_days": 180, **key},
            "replica": {"provider": "aws.replica", "description": "replicas", **key},
        },
        "aws_kms_alias": {
            "main": {"name": f"alias/{PREFIX}", "target_key_id": "${aws_kms_key.main.key_id}"},
            "replica": {
                "provider": "aws.replica",
                "name": f"alias/{PREFIX}",
                "target_key_id": "${aws_kms_key.replica.key_id}",
            },
        },
        "aws_kms_replica_key": {
            "main": {
                "provider": "aws.replica",
                "primary_key_arn": "${aws_kms_key.main.arn}",
                "description": "data, in the other region",
                "deletion_window_in_days": 7,
                "policy": key_policy,
            }
        },
        "aws_iam_policy": {
            "boundary": {
                "name": f"{PREFIX}-boundary",
                "path": "/mlops/",
                "description": "What no role of the platform may exceed.",
                "policy": policy(
                    {"Sid": "Ceiling", "Effect": "Allow", "Action": ["s3:*", "logs:*"], "Resource": "*"},
                    {"Sid": "NoEscape", "Effect": "Deny", "Action": ["iam:*"], "Resource": "*"},
                ),
            }
        },
        "aws_iam_role": {
            name: {
                "name": f"{PREFIX}-{name}",
                "description": f"Used by {name}",
                "path": "/",
                "assume_role_policy": trust(*services),
                "permissions_boundary": "${aws_iam_policy.boundary.arn}",
                "max_session_duration": 7200,
            }
            for name, services in {
                "events": ("events.amazonaws.com", "scheduler.amazonaws.com"),
                "workflow": ("states.amazonaws.com",),
                "flow-logs": ("vpc-flow-logs.amazonaws.com",),
                "replication": ("s3.amazonaws.com",),
            }.items()
        },
        "aws_iam_role_policy": {
            "events": {
                "name": "start",
                "role": "${aws_iam_role.events.id}",
                "policy": policy({"Effect": "Allow", "Action": "states:StartExecution", "Resource": "*"}),
            }
        },
        "aws_iam_role_policy_attachment": {
            "workflow": {
                "role": "${aws_iam_role.workflow.name}",
                "policy_arn": "${aws_iam_policy.boundary.arn}",
            }
        },
        "aws_ssm_parameter": {
            "secret": {
                "name": f"/{PREFIX}/secret",
                "description": "A token",
                "type": "SecureString",
                "key_id": "${aws_kms_key.main.arn}",
                "value": "s3cr3t",
                "tier": "Standard",
            },
            "plain": {"name": f"/{PREFIX}/plain", "type": "String", "value": json.dumps({"a": 1})},
        },
    }


def network() -> Resources:
    interface = {
        "vpc_id": "${aws_vpc.main.id}",
        "vpc_endpoint_type": "Interface",
        "private_dns_enabled": True,
        "subnet_ids": ["${aws_subnet.a.id}", "${aws_subnet.b.id}"],
        "security_group_ids": ["${aws_security_group.endpoints.id}"],
        "policy": policy(
            {
                "Effect": "Allow",
                "Principal": "*",
                "Action": "*",
                "Resource": "*",
                "Condition": {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}},
            }
        ),
    }
    services = (
        "sagemaker.api", "sagemaker.runtime", "logs", "monitoring", "kms", "sts", "ecr.api", "ecr.dkr",
    )  # fmt: skip
    group = "${aws_security_group.jobs.id}"
    return {
        "aws_vpc": {
            "main": {
                "cidr_block": "10.20.0.0/16",
                "enable_dns_support": True,
                "enable_dns_hostnames": True,
                "tags": {"Name": PREFIX},
            }
        },
        "aws_default_security_group": {"closed": {"vpc_id": "${aws_vpc.main.id}", "tags": {"Name": "closed"}}},
        "aws_subnet": {
            zone: {
                "vpc_id": "${aws_vpc.main.id}",
                "cidr_block": f"10.20.{number}.0/24",
                "availability_zone": f"{REGION}{zone}",
                "map_public_ip_on_launch": False,
                "tags": {"Name": f"{PREFIX}-{zone}"},
            }
            for number, zone in enumerate("ab")
        },
        "aws_route_table": {"private": {"vpc_id": "${aws_vpc.main.id}", "tags": {"Name": f"{PREFIX}-private"}}},
        "aws_route_table_association": {
            zone: {"subnet_id": f"${{aws_subnet.{zone}.id}}", "route_table_id": "${aws_route_table.private.id}"}
            for zone in "ab"
        },
        "aws_vpc_endpoint": {
            "s3": {
                "vpc_id": "${aws_vpc.main.id}",
                "service_name": f"com.amazonaws.{REGION}.s3",
                "vpc_endpoint_type": "Gateway",
                "route_table_ids": ["${aws_route_table.private.id}"],
                "policy": interface["policy"],
                "tags": {"Name": f"{PREFIX}-s3"},
            },
            **{
                service.replace(".", "-"): {
                    **interface,
                    "service_name": f"com.amazonaws.{REGION}.{service}",
                    "tags": {"Name": f"{PREFIX}-{service}"},
                }
                for service in services
            },
        },
        "aws_security_group": {
            name: {
                "name": f"{PREFIX}-{name}",
                "description": f"The {name} of {PREFIX}",
                "vpc_id": "${aws_vpc.main.id}",
                "tags": {"Name": f"{PREFIX}-{name}"},
            }
            for name in ("jobs", "endpoints")
        },
        "aws_vpc_security_group_ingress_rule": {
            "jobs": {
                "security_group_id": "${aws_security_group.endpoints.id}",
                "referenced_security_group_id": group,
                "ip_protocol": "tcp",
                "from_port": 443,
                "to_port": 443,
                "description": "TLS from the jobs",
            },
            "between": {
                "security_group_id": group,
                "referenced_security_group_id": group,
                "ip_protocol": "-1",
                "description": "Distributed training",
            },
        },
        "aws_vpc_security_group_egress_rule": {
            "s3": {
                "security_group_id": group,
                "prefix_list_id": "${aws_vpc_endpoint.s3.prefix_list_id}",
                "ip_protocol": "tcp",
                "from_port": 443,
                "to_port": 443,
                "description": "S3 through its gateway",
            },
            "endpoints": {
                "security_group_id": group,
                "referenced_security_group_id": "${aws_security_group.endpoints.id}",
                "ip_protocol": "tcp",
                "from_port": 443,
                "to_port": 443,
                "description": "AWS through the endpoints",
            },
            "anywhere": {
                "security_group_id": "${aws_security_group.endpoints.id}",
                "cidr_ipv4": "10.20.0.0/16",
                "ip_protocol": "tcp",
                "from_port": 443,
                "to_port": 443,
                "description": "Within the network",
            },
        },
        "aws_cloudwatch_log_group": {
            "flows": {
                "name": f"/{PREFIX}/flows",
                "retention_in_days": 30,
                "kms_key_id": "${aws_kms_key.main.arn}",
            }
        },
        "aws_flow_log": {
            "group": {
                "vpc_id": "${aws_vpc.main.id}",
                "traffic_type": "ALL",
                "log_destination_type": "cloud-watch-logs",
                "log_destination": "${aws_cloudwatch_log_group.flows.arn}",
                "iam_role_arn": "${aws_iam_role.flow-logs.arn}",
                "max_aggregation_interval": 60,
                "tags": {"Name": f"{PREFIX}-group"},
            },
            "bucket": {
                "vpc_id": "${aws_vpc.main.id}",
                "traffic_type": "REJECT",
                "log_destination_type": "s3",
                "log_destination": "${aws_s3_bucket.main.arn}/flows/",
                "destination_options": {
                    "file_format": "parquet",
                    "hive_compatible_partitions": True,
                    "per_hour_partition": True,
                },
            },
        },
    }


def registry() -> Resources:
    repository = "${aws_ecr_repository.training.name}"
    pull = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"]
    return {
        "aws_ecr_repository": {
            "training": {
                "name": f"{PREFIX}/training",
                "image_tag_mutability": "IMMUTABLE",
                "force_delete": True,
                "image_scanning_configuration": {"scan_on_push": True},
                "encryption_configuration": {"encryption_type": "KMS", "kms_key": "${aws_kms_key.main.arn}"},
            }
        },
        "aws_ecr_lifecycle_policy": {
            "training": {
                "repository": repository,
                "policy": json.dumps(
                    {
                        "rules": [
                            {
                                "rulePriority": 1,
                                "description": "Untagged images after a week",
                                "selection": {
                                    "tagStatus": "untagged",
                                    "countType": "sinceImagePushed",
                                    "countUnit": "days",
                                    "countNumber": 7,
                                },
                                "action": {"type": "expire"},
                            },
                            {
                                "rulePriority": 2,
                                "description": "At most a hundred of the others",
                                "selection": {
                                    "tagStatus": "tagged",
                                    "tagPrefixList": ["v"],
                                    "countType": "imageCountMoreThan",
                                    "countNumber": 100,
                                },
                                "action": {"type": "expire"},
                            },
                        ]
                    }
                ),
            }
        },
        "aws_ecr_repository_policy": {
            "training": {
                "repository": repository,
                "policy": policy(
                    {
                        "Sid": "Pull",
                        "Effect": "Allow",
                        "Principal": {"AWS": "arn:aws:iam::666666666666:root"},
                        "Action": pull,
                    },
                    {
                        "Sid": "SageMaker",
                        "Effect": "Allow",
                        "Principal": {"Service": "sagemaker.amazonaws.com"},
                        "Action": pull,
                        "Condition": {"StringEquals": {"aws:SourceAccount": "666666666666"}},
                    },
                ),
            }
        },
        "aws_ecr_replication_configuration": {
            "all": {
                "replication_configuration": {
                    "rule": [
                        {
                            "destination": [
                                {"region": REPLICA_REGION, "registry_id": ACCOUNT},
                                {"region": REGION, "registry_id": "666666666666"},
                            ],
                            "repository_filter": [{"filter": f"{PREFIX}/", "filter_type": "PREFIX_MATCH"}],
                        }
                    ]
                }
            }
        },
        "aws_ecr_registry_policy": {
            "all": {
                "policy": policy(
                    {
                        "Sid": "Replicate",
                        "Effect": "Allow",
                        "Principal": {"AWS": "arn:aws:iam::666666666666:root"},
                        "Action": ["ecr:ReplicateImage"],
                        "Resource": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{PREFIX}/*",
                    }
                )
            }
        },
        "aws_ecr_registry_scanning_configuration": {
            "all": {
                "scan_type": "BASIC",
                "rule": [
                    {
                        "scan_frequency": "SCAN_ON_PUSH",
                        "repository_filter": [{"filter": "*", "filter_type": "WILDCARD"}],
                    }
                ],
            }
        },
    }


def queues_and_topics() -> Resources:
    return {
        "aws_sqs_queue": {
            "dead": {
                "name": f"{PREFIX}-dead",
                "kms_master_key_id": "${aws_kms_key.main.arn}",
                "kms_data_key_reuse_period_seconds": 300,
                "message_retention_seconds": 1209600,
            },
            "work": {
                "name": f"{PREFIX}-work",
                "sqs_managed_sse_enabled": True,
                "visibility_timeout_seconds": 60,
                "redrive_policy": '${jsonencode({"deadLetterTargetArn": aws_sqs_queue.dead.arn, '
                '"maxReceiveCount": 3})}',
            },
        },
        "aws_sqs_queue_policy": {
            "dead": {
                "queue_url": "${aws_sqs_queue.dead.id}",
                "policy": policy(
                    {
                        "Sid": "Events",
                        "Effect": "Allow",
                        "Principal": {"Service": ["events.amazonaws.com"]},
                        "Action": "sqs:SendMessage",
                        "Resource": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{PREFIX}-dead",
                        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
                    },
                    {
                        "Sid": "TlsOnly",
                        "Effect": "Deny",
                        "Principal": "*",
                        "Action": "sqs:*",
                        "Resource": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{PREFIX}-dead",
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                    },
                ),
            }
        },
        "aws_sns_topic": {
            "alarms": {"name": f"{PREFIX}-alarms", "kms_master_key_id": "${aws_kms_key.main.arn}"},
        },
        "aws_sns_topic_policy": {
            "alarms": {
                "arn": "${aws_sns_topic.alarms.arn}",
                "policy": policy(
                    {
                        "Sid": "Publish",
                        "Effect": "Allow",
                        "Principal": {"Service": ["cloudwatch.amazonaws.com", "events.amazonaws.com"]},
                        "Action": "sns:Publish",
                        "Resource": f"arn:aws:sns:{REGION}:{ACCOUNT}:{PREFIX}-alarms",
                    }
                ),
            }
        },
    }


def alarms() -> Resources:
    act = ["${aws_sns_topic.alarms.arn}"]

    def query(name: str) -> dict[str, Any]:
        return {
            "id": name,
            "return_data": False,
            "metric": {
                "namespace": "AWS/SageMaker",
                "metric_name": name.capitalize(),
                "period": 60,
                "stat": "Sum",
                "dimensions": {"EndpointName": PREFIX, "VariantName": "main"},
            },
        }

    return {
        "aws_cloudwatch_metric_alarm": {
            "rate": {
                "alarm_name": f"{PREFIX}-error-rate",
                "alarm_description": "More than one percent of the requests fail.",
                "comparison_operator": "GreaterThanThreshold",
                "evaluation_periods": 5,
                "datapoints_to_alarm": 3,
                "threshold": 1,
                "treat_missing_data": "notBreaching",
                "alarm_actions": act,
                "ok_actions": act,
                "metric_query": [
                    {
                        "id": "rate",
                        "expression": "IF(invocations > 10, 100 * FILL(errors, 0) / invocations, 0)",
                        "label": "Error rate",
                        "return_data": True,
                    },
                    query("invocations"),
                    query("errors"),
                ],
            },
            "latency": {
                "alarm_name": f"{PREFIX}-latency",
                "comparison_operator": "GreaterThanThreshold",
                "evaluation_periods": 1,
                "threshold": 500000,
                "namespace": "AWS/SageMaker",
                "metric_name": "ModelLatency",
                "period": 60,
                "extended_statistic": "p99",
                "dimensions": {"EndpointName": PREFIX, "VariantName": "main"},
                "alarm_actions": act,
            },
            "silence": {
                "alarm_name": f"{PREFIX}-maintenance",
                "comparison_operator": "GreaterThanThreshold",
                "evaluation_periods": 1,
                "threshold": 0,
                "namespace": PREFIX,
                "metric_name": "Maintenance",
                "period": 60,
                "statistic": "Maximum",
                "treat_missing_data": "notBreaching",
            },
        },
        "aws_cloudwatch_composite_alarm": {
            "service": {
                "alarm_name": f"{PREFIX}-service",
                "alarm_description": "Users notice.",
                "alarm_rule": (
                    'ALARM("${aws_cloudwatch_metric_alarm.rate.alarm_name}") OR '
                    '(ALARM("${aws_cloudwatch_metric_alarm.latency.alarm_name}") AND '
                    'NOT INSUFFICIENT_DATA("${aws_cloudwatch_metric_alarm.rate.alarm_name}"))'
                ),
                "actions_enabled": True,
                "alarm_actions": act,
                "ok_actions": act,
                "actions_suppressor": {
                    "alarm": "${aws_cloudwatch_metric_alarm.silence.alarm_name}",
                    "wait_period": 60,
                    "extension_period": 120,
                },
            },
            "parent": {
                "alarm_name": f"{PREFIX}-a-parent",
                "alarm_rule": 'ALARM("${aws_cloudwatch_composite_alarm.service.alarm_name}")',
                "alarm_actions": act,
                "insufficient_data_actions": act,
            },
        },
    }


def rules() -> Resources:
    rule = "${aws_cloudwatch_event_rule.approved.name}"
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/events/{PREFIX}"
    return {
        "aws_cloudwatch_log_group": {
            "events": {"name": f"/aws/events/{PREFIX}", "retention_in_days": 30},
        },
        "aws_cloudwatch_log_resource_policy": {
            "events": {
                "policy_name": f"{PREFIX}-events",
                "policy_document": policy(
                    {
                        "Sid": "Events",
                        "Effect": "Allow",
                        "Principal": {"Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"]},
                        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                        "Resource": [f"{group}:*"],
                        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
                    }
                ),
            }
        },
        "aws_cloudwatch_event_rule": {
            "approved": {
                "name": f"{PREFIX}-approved",
                "description": "A model was approved.",
                "event_pattern": json.dumps(
                    {
                        "source": ["aws.sagemaker"],
                        "detail-type": ["SageMaker Model Package State Change"],
                        "detail": {"ModelApprovalStatus": ["Approved"], "ModelPackageGroupName": [{"prefix": PREFIX}]},
                    }
                ),
            },
            "nightly": {
                "name": f"{PREFIX}-nightly",
                "schedule_expression": "cron(0 3 * * ? *)",
                "state": "DISABLED",
            },
        },
        "aws_cloudwatch_event_target": {
            "workflow": {
                "rule": rule,
                "target_id": "workflow",
                "arn": "${aws_sfn_state_machine.release.arn}",
                "role_arn": "${aws_iam_role.events.arn}",
                "input_transformer": {
                    "input_paths": {"package": "$.detail.ModelPackageArn", "id": "$.id"},
                    "input_template": '{"package": <package>, "event": <id>}',
                },
                "dead_letter_config": {"arn": "${aws_sqs_queue.dead.arn}"},
                "retry_policy": {"maximum_event_age_in_seconds": 3600, "maximum_retry_attempts": 5},
            },
            "log": {
                "rule": rule,
                "target_id": "log",
                "arn": "${aws_cloudwatch_log_group.events.arn}",
            },
            "topic": {
                "rule": rule,
                "target_id": "topic",
                "arn": "${aws_sns_topic.alarms.arn}",
                "dead_letter_config": {"arn": "${aws_sqs_queue.dead.arn}"},
                "input_transformer": {
                    "input_paths": {"package": "$.detail.ModelPackageArn"},
                    "input_template": '"<package> was approved."',
                },
            },
        },
    }


def schedules() -> Resources:
    return {
        "aws_scheduler_schedule_group": {"main": {"name": PREFIX}},
        "aws_scheduler_schedule": {
            "retrain": {
                "name": f"{PREFIX}-retrain",
                "description": "Every Monday",
                "group_name": "${aws_scheduler_schedule_group.main.name}",
                "schedule_expression": "cron(0 3 ? * MON *)",
                "schedule_expression_timezone": "Europe/Berlin",
                "state": "ENABLED",
                "kms_key_arn": "${aws_kms_key.main.arn}",
                "flexible_time_window": {"mode": "FLEXIBLE", "maximum_window_in_minutes": 30},
                "target": {
                    "arn": "arn:aws:scheduler:::aws-sdk:sagemaker:startPipelineExecution",
                    "role_arn": "${aws_iam_role.events.arn}",
                    "input": json.dumps({"PipelineName": PREFIX, "ClientRequestToken": "<aws.scheduler.execution-id>"}),
                    "dead_letter_config": {"arn": "${aws_sqs_queue.dead.arn}"},
                    "retry_policy": {"maximum_event_age_in_seconds": 3600, "maximum_retry_attempts": 3},
                },
            },
            "workflow": {
                "name": f"{PREFIX}-workflow",
                "group_name": "${aws_scheduler_schedule_group.main.name}",
                "schedule_expression": "rate(1 days)",
                "flexible_time_window": {"mode": "OFF"},
                "target": {
                    "arn": "${aws_sfn_state_machine.release.arn}",
                    "role_arn": "${aws_iam_role.events.arn}",
                    "input": "{}",
                },
            },
        },
    }


def state_machine() -> Resources:
    definition = {
        "Comment": "One state",
        "QueryLanguage": "JSONata",
        "StartAt": "Done",
        "States": {"Done": {"Type": "Pass", "Output": {"at": "{% $now() %}"}, "End": True}},
    }
    return {
        "aws_cloudwatch_log_group": {
            "workflow": {"name": f"/aws/vendedlogs/states/{PREFIX}", "retention_in_days": 30},
        },
        "aws_sfn_state_machine": {
            "release": {
                "name": f"{PREFIX}-release",
                "type": "STANDARD",
                "role_arn": "${aws_iam_role.workflow.arn}",
                "definition": json.dumps(definition),
                "logging_configuration": {
                    "level": "ALL",
                    "include_execution_data": False,
                    "log_destination": "${aws_cloudwatch_log_group.workflow.arn}:*",
                },
                "tracing_configuration": {"enabled": True},
                "encryption_configuration": {
                    "type": "CUSTOMER_MANAGED_KMS_KEY",
                    "kms_key_id": "${aws_kms_key.main.arn}",
                    "kms_data_key_reuse_period_seconds": 300,
                },
            }
        },
    }


def scaling() -> Resources:
    target = {
        "service_namespace": "sagemaker",
        "resource_id": "${aws_appautoscaling_target.async.resource_id}",
        "scalable_dimension": "sagemaker:variant:DesiredInstanceCount",
    }
    return {
        "aws_appautoscaling_target": {
            "async": {**target, "resource_id": ENDPOINT, "min_capacity": 0, "max_capacity": 4},
            "serverless": {
                **target,
                "resource_id": f"endpoint/{PREFIX}-serverless/variant/main",
                "scalable_dimension": "sagemaker:variant:DesiredProvisionedConcurrency",
                "min_capacity": 1,
                "max_capacity": 5,
            },
        },
        "aws_appautoscaling_policy": {
            "backlog": {
                **target,
                "name": f"{PREFIX}-backlog",
                "policy_type": "TargetTrackingScaling",
                "target_tracking_scaling_policy_configuration": {
                    "target_value": 5,
                    "scale_in_cooldown": 300,
                    "scale_out_cooldown": 60,
                    "customized_metric_specification": {
                        "metric_name": "ApproximateBacklogSizePerInstance",
                        "namespace": "AWS/SageMaker",
                        "statistic": "Average",
                        "dimensions": [{"name": "EndpointName", "value": f"{PREFIX}-async"}],
                    },
                },
            },
            "wake": {
                **target,
                "name": f"{PREFIX}-wake",
                "policy_type": "StepScaling",
                "step_scaling_policy_configuration": {
                    "adjustment_type": "ChangeInCapacity",
                    "metric_aggregation_type": "Average",
                    "cooldown": 300,
                    "step_adjustment": [{"metric_interval_lower_bound": "0", "scaling_adjustment": 1}],
                },
            },
        },
        "aws_cloudwatch_metric_alarm": {
            "wake": {
                "alarm_name": f"{PREFIX}-wake",
                "comparison_operator": "GreaterThanOrEqualToThreshold",
                "evaluation_periods": 2,
                "datapoints_to_alarm": 2,
                "threshold": 1,
                "namespace": "AWS/SageMaker",
                "metric_name": "HasBacklogWithoutCapacity",
                "dimensions": {"EndpointName": f"{PREFIX}-async"},
                "period": 60,
                "statistic": "Average",
                "treat_missing_data": "missing",
                "alarm_actions": ["${aws_appautoscaling_policy.wake.arn}"],
            }
        },
        "aws_appautoscaling_scheduled_action": {
            name: {
                **target,
                "name": f"{PREFIX}-{name}",
                "schedule": f"cron(0 {hour} ? * MON-FRI *)",
                "timezone": "Europe/Berlin",
                "scalable_target_action": bounds,
            }
            for name, hour, bounds in (
                ("morning", 7, {"min_capacity": 1, "max_capacity": 4}),
                ("evening", 19, {"min_capacity": 0, "max_capacity": 0}),
            )
        },
    }


def costs() -> Resources:
    return {
        "aws_ce_anomaly_monitor": {
            "project": {
                "name": f"{PREFIX}-anomalies",
                "monitor_type": "CUSTOM",
                "monitor_specification": json.dumps(
                    {
                        "And": None,
                        "CostCategories": None,
                        "Dimensions": None,
                        "Not": None,
                        "Or": None,
                        "Tags": {"Key": "Project", "MatchOptions": None, "Values": [PREFIX]},
                    }
                ),
            },
            "services": {
                "name": f"{PREFIX}-services",
                "monitor_type": "DIMENSIONAL",
                "monitor_dimension": "SERVICE",
            },
        },
        "aws_ce_anomaly_subscription": {
            "daily": {
                "name": f"{PREFIX}-anomalies",
                "frequency": "DAILY",
                "monitor_arn_list": ["${aws_ce_anomaly_monitor.project.arn}"],
                "subscriber": [{"type": "EMAIL", "address": "ml@example.com"}],
                "threshold_expression": {
                    "and": [
                        {
                            "dimension": {
                                "key": "ANOMALY_TOTAL_IMPACT_ABSOLUTE",
                                "match_options": ["GREATER_THAN_OR_EQUAL"],
                                "values": ["50"],
                            }
                        },
                        {
                            "dimension": {
                                "key": "ANOMALY_TOTAL_IMPACT_PERCENTAGE",
                                "match_options": ["GREATER_THAN_OR_EQUAL"],
                                "values": ["20"],
                            }
                        },
                    ]
                },
            },
            "immediate": {
                "name": f"{PREFIX}-topic",
                "frequency": "IMMEDIATE",
                "monitor_arn_list": ["${aws_ce_anomaly_monitor.services.arn}"],
                "subscriber": [{"type": "SNS", "address": "${aws_sns_topic.alarms.arn}"}],
                "threshold_expression": {
                    "dimension": {
                        "key": "ANOMALY_TOTAL_IMPACT_ABSOLUTE",
                        "match_options": ["GREATER_THAN_OR_EQUAL"],
                        "values": ["100"],
                    }
                },
            },
        },
        "aws_ce_cost_allocation_tag": {"model": {"tag_key": "Model", "status": "Active"}},
        "aws_budgets_budget": {
            "model": {
                "name": f"{PREFIX}-model",
                "budget_type": "COST",
                "time_unit": "MONTHLY",
                "limit_amount": "100",
                "limit_unit": "USD",
                "cost_filter": [
                    {"name": "LinkedAccount", "values": [ACCOUNT]},
                    {"name": "TagKeyValue", "values": ["user:Model$churn"]},
                ],
                "notification": [
                    {
                        "comparison_operator": "GREATER_THAN",
                        "notification_type": kind,
                        "threshold": percent,
                        "threshold_type": "PERCENTAGE",
                        "subscriber_email_addresses": ["ml@example.com"],
                        "subscriber_sns_topic_arns": ["${aws_sns_topic.alarms.arn}"],
                    }
                    for kind, percent in (("ACTUAL", 80), ("FORECASTED", 100))
                ],
            }
        },
    }


def storage() -> Resources:
    def bucket(name: str, **more: Any) -> dict[str, Any]:
        return {"bucket": f"{PREFIX}-{ACCOUNT}-{name}", "force_destroy": True, **more}

    replica = {"provider": "aws.replica"}
    encryption = {
        "apply_server_side_encryption_by_default": {
            "sse_algorithm": "aws:kms",
            "kms_master_key_id": "${aws_kms_key.%s.arn}",
        },
        "bucket_key_enabled": True,
    }

    def encrypted(name: str) -> list[Any]:
        return [json.loads(json.dumps(encryption) % name)]

    main = "${aws_s3_bucket.main.id}"
    versioned = ["aws_s3_bucket_versioning.main", "aws_s3_bucket_versioning.replica"]
    return {
        "aws_s3_bucket": {"main": bucket("main"), "replica": bucket("replica", **replica)},
        "aws_s3_bucket_versioning": {
            "main": {"bucket": main, "versioning_configuration": {"status": "Enabled"}},
            "replica": {
                "bucket": "${aws_s3_bucket.replica.id}",
                "versioning_configuration": {"status": "Enabled"},
                **replica,
            },
        },
        "aws_s3_bucket_server_side_encryption_configuration": {
            "main": {"bucket": main, "rule": encrypted("main")},
            "replica": {"bucket": "${aws_s3_bucket.replica.id}", "rule": encrypted("replica"), **replica},
        },
        "aws_s3_bucket_intelligent_tiering_configuration": {
            "main": {
                "bucket": main,
                "name": "archive",
                "status": "Enabled",
                "filter": {"prefix": "datasets/", "tags": {"cold": "yes"}},
                "tiering": [
                    {"access_tier": "ARCHIVE_ACCESS", "days": 90},
                    {"access_tier": "DEEP_ARCHIVE_ACCESS", "days": 180},
                ],
            },
            "all": {"bucket": main, "name": "all", "tiering": [{"access_tier": "ARCHIVE_ACCESS", "days": 125}]},
        },
        "aws_s3_bucket_inventory": {
            "main": {
                "bucket": main,
                "name": "weekly",
                "included_object_versions": "All",
                "schedule": {"frequency": "Weekly"},
                "filter": {"prefix": "datasets/"},
                "optional_fields": ["Size", "LastModifiedDate", "StorageClass", "IntelligentTieringAccessTier"],
                "destination": {
                    "bucket": {
                        "format": "Parquet",
                        "bucket_arn": "${aws_s3_bucket.main.arn}",
                        "account_id": ACCOUNT,
                        "prefix": "inventory",
                        "encryption": {"sse_kms": {"key_id": "${aws_kms_key.main.arn}"}},
                    }
                },
            }
        },
        "aws_s3_bucket_replication_configuration": {
            "main": {
                "bucket": main,
                "role": "${aws_iam_role.replication.arn}",
                "depends_on": versioned,
                "rule": [
                    {
                        "id": "models",
                        "priority": 1,
                        "status": "Enabled",
                        "filter": {"prefix": "models/"},
                        "delete_marker_replication": {"status": "Disabled"},
                        "source_selection_criteria": {"sse_kms_encrypted_objects": {"status": "Enabled"}},
                        "destination": {
                            "bucket": "${aws_s3_bucket.replica.arn}",
                            "account": ACCOUNT,
                            "storage_class": "INTELLIGENT_TIERING",
                            "encryption_configuration": {"replica_kms_key_id": "${aws_kms_key.replica.arn}"},
                            "access_control_translation": {"owner": "Destination"},
                            "replication_time": {"status": "Enabled", "time": {"minutes": 15}},
                            "metrics": {"status": "Enabled", "event_threshold": {"minutes": 15}},
                        },
                    }
                ],
            }
        },
        "aws_s3_bucket_metric": {"main": {"bucket": main, "name": "EntireBucket"}},
        "aws_s3_object": {
            "json": {
                "bucket": main,
                "key": "config/settings.json",
                "content": json.dumps({"threshold": 0.5}),
                "content_type": "application/json",
                "kms_key_id": "${aws_kms_key.main.arn}",
                "depends_on": versioned,
            },
            "plain": {
                "bucket": main,
                "key": "config/other.json",
                "content": json.dumps({"b": [1, 2]}),
                "content_type": "application/json",
                "depends_on": [*versioned, "aws_s3_bucket_server_side_encryption_configuration.main"],
            },
        },
    }
