"""The log groups that all jobs of an account share, and the one that keeps which of them failed.

SageMaker makes its groups itself when a job runs before they exist. In an account that has run jobs before, import them
once: ``terraform import aws_cloudwatch_log_group.<id> /aws/sagemaker/TrainingJobs``.
"""

from __future__ import annotations

from mlops_kit.config import Environment
from stacks import policies
from stacks.bindings import CloudwatchLogResourcePolicy, Construct
from stacks.log_group import log_group
from stacks.policies import allow


class JobLogs(Construct):
    """Encrypted, with an end."""

    def __init__(self, scope: Construct, id_: str, *, environment: Environment, key_arn: str) -> None:
        super().__init__(scope, id_)
        names = environment.names
        groups = {
            "training": names.training_log_group,
            "processing": names.processing_log_group,
            "transform": names.transform_log_group,
            "failures": names.failures_log_group,
        }
        for kind, name in groups.items():
            log_group(
                self,
                kind,
                name=name,
                key_arn=key_arn,
                keep_days=environment.retention.logs_days,
                protect=environment.protect,
            )
        streams = names.arn("logs", f"log-group:{names.failures_log_group}:*")
        rules = {"Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"]}
        CloudwatchLogResourcePolicy(
            self,
            "rules-write-failures",
            policy_name=f"{names.prefix}-failures",
            policy_document=policies.document(
                # EventBridge names the rule when it writes, and not when it makes the stream to write to
                # (https://github.com/aws-samples/serverless-patterns/pull/618).
                allow("RulesMakeStreams", ["logs:CreateLogStream"], streams, principal=rules),
                allow(
                    "RulesWriteFailures",
                    ["logs:PutLogEvents"],
                    streams,
                    principal=rules,
                    conditions={"ArnLike": {"aws:SourceArn": names.arn("events", f"rule/{names.prefix}-*")}},
                ),
            ),
        )
