"""The only import of CDKTF, and the resource types of the AWS provider that the constructs use.

**Generic resources, checked against the provider's own schema.** The generated classes of ``cdktf-cdktf-provider-aws``
cost three seconds to load when one is careful, and half a minute when one is not, and check no more than the names of
the outermost arguments. A :class:`Resource` is CDKTF's own ``TerraformResource``, and what it is given is checked when
it is made, nested blocks included, against ``provider_schema.json``: the schema of exactly the pinned provider version,
reduced to the types below (:mod:`stacks.provider_schema` writes it). A type that a construct needs is added here, and
nowhere else.

CDKTF was archived upstream in December 2025. This file is what has to change to move to its fork ``cdktn``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

NODE_MAJOR_VERSION_ANNOUNCED = "20"
"""jsii prints a banner about this Node version's end of life on every run, unless it is told that we know."""
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", NODE_MAJOR_VERSION_ANNOUNCED)

import jsii  # noqa: E402 - after the banner is off
from cdktf import (  # noqa: E402
    App,
    LocalBackend,
    S3Backend,
    TerraformOutput,
    TerraformProvider,
    TerraformResource,
    TerraformStack,
)
from constructs import Construct  # noqa: E402

from stacks import provider_schema  # noqa: E402
from stacks.provider_schema import PROVIDER_VERSION  # noqa: E402


class Resource(TerraformResource):
    """A resource of the AWS provider. Each attribute of its schema can be read, as a reference for other resources.

    ``skip`` tells policy scanners what does not apply to this resource, and why: check id -> reason.
    """

    kind: ClassVar[str]

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        depends_on: Sequence[TerraformResource] | None = None,
        lifecycle: Mapping[str, Any] | None = None,
        provider: AwsProvider | None = None,
        skip: Mapping[str, str] | None = None,
        **arguments: Any,
    ) -> None:
        """Arguments that are None are left out, as in Terraform.

        Raises:
            ArgumentError: an argument that the resource type does not have, or lacks.
        """
        given = {name: value for name, value in arguments.items() if value is not None}
        provider_schema.check(self.kind, given)
        super().__init__(
            scope,
            id_,
            terraform_resource_type=self.kind,
            depends_on=depends_on,
            lifecycle=dict(lifecycle) if lifecycle else None,
            provider=provider,
            terraform_generator_metadata={"provider_name": "aws", "provider_version": PROVIDER_VERSION},
        )
        self._arguments = given
        if skip:
            comments = [{"id": check, "comment": reason} for check, reason in sorted(skip.items())]
            self._arguments = {**given, "//": {"checkov": {"skip": comments}}}
        self._address = f"{self.kind}.{self.friendly_unique_id}"

    def __getattr__(self, name: str) -> str:
        if name.startswith("_") or not provider_schema.has_attribute(self.kind, name):
            raise AttributeError(f"{self.kind} has no attribute {name!r}")
        return f"${{{self._address}.{name}}}"

    @jsii.member(jsii_name="synthesizeAttributes")
    def _synthesize_attributes(self) -> Mapping[str, Any]:
        return self._arguments


class AwsProvider(TerraformProvider):
    """The AWS provider; ``alias`` for a second one in the same stack."""

    def __init__(self, scope: Construct, id_: str, *, alias: str | None = None, **arguments: Any) -> None:
        super().__init__(
            scope,
            id_,
            terraform_resource_type="aws",
            terraform_generator_metadata={"provider_name": "aws", "provider_version": PROVIDER_VERSION},
            terraform_provider_source="aws",
        )
        given = {name: value for name, value in arguments.items() if value is not None}
        provider_schema.check(provider_schema.PROVIDER, given)
        self._arguments = given
        self._alias = alias

    @property  # type: ignore[misc]  # CDKTF's own setter keeps nothing
    @jsii.member(jsii_name="alias")
    def alias(self) -> str | None:
        """What resources refer to it by; CDKTF writes it into the provider's block as well."""
        return self._alias

    @jsii.member(jsii_name="synthesizeAttributes")
    def _synthesize_attributes(self) -> Mapping[str, Any]:
        return self._arguments


RESOURCES: dict[str, type[Resource]] = {}
"""Resource type -> class, of every type that a construct may use."""


def _resource(kind: str) -> type[Resource]:
    name = "".join(part.title() for part in kind.removeprefix("aws_").split("_"))
    made: type[Resource] = type(name, (Resource,), {"kind": kind, "__module__": __name__})
    RESOURCES[kind] = made
    return made


AppautoscalingPolicy = _resource("aws_appautoscaling_policy")
AppautoscalingScheduledAction = _resource("aws_appautoscaling_scheduled_action")
AppautoscalingTarget = _resource("aws_appautoscaling_target")
BudgetsBudget = _resource("aws_budgets_budget")
CeAnomalyMonitor = _resource("aws_ce_anomaly_monitor")
CeAnomalySubscription = _resource("aws_ce_anomaly_subscription")
CloudwatchCompositeAlarm = _resource("aws_cloudwatch_composite_alarm")
CloudwatchDashboard = _resource("aws_cloudwatch_dashboard")
CloudwatchEventBusPolicy = _resource("aws_cloudwatch_event_bus_policy")
CloudwatchEventRule = _resource("aws_cloudwatch_event_rule")
CloudwatchEventTarget = _resource("aws_cloudwatch_event_target")
CloudwatchLogGroup = _resource("aws_cloudwatch_log_group")
CloudwatchLogResourcePolicy = _resource("aws_cloudwatch_log_resource_policy")
CloudwatchMetricAlarm = _resource("aws_cloudwatch_metric_alarm")
DefaultSecurityGroup = _resource("aws_default_security_group")
EcrLifecyclePolicy = _resource("aws_ecr_lifecycle_policy")
EcrRegistryPolicy = _resource("aws_ecr_registry_policy")
EcrReplicationConfiguration = _resource("aws_ecr_replication_configuration")
EcrRepository = _resource("aws_ecr_repository")
EcrRepositoryPolicy = _resource("aws_ecr_repository_policy")
FlowLog = _resource("aws_flow_log")
IamOpenidConnectProvider = _resource("aws_iam_openid_connect_provider")
IamPolicy = _resource("aws_iam_policy")
IamRole = _resource("aws_iam_role")
IamRolePolicy = _resource("aws_iam_role_policy")
IamRolePolicyAttachment = _resource("aws_iam_role_policy_attachment")
KmsAlias = _resource("aws_kms_alias")
KmsKey = _resource("aws_kms_key")
RouteTable = _resource("aws_route_table")
RouteTableAssociation = _resource("aws_route_table_association")
S3Bucket = _resource("aws_s3_bucket")
S3BucketEncryption = _resource("aws_s3_bucket_server_side_encryption_configuration")
S3BucketInventory = _resource("aws_s3_bucket_inventory")
S3BucketLifecycleConfiguration = _resource("aws_s3_bucket_lifecycle_configuration")
S3BucketLogging = _resource("aws_s3_bucket_logging")
S3BucketNotification = _resource("aws_s3_bucket_notification")
S3BucketObjectLock = _resource("aws_s3_bucket_object_lock_configuration")
S3BucketOwnershipControls = _resource("aws_s3_bucket_ownership_controls")
S3BucketPolicy = _resource("aws_s3_bucket_policy")
S3BucketPublicAccessBlock = _resource("aws_s3_bucket_public_access_block")
S3BucketReplication = _resource("aws_s3_bucket_replication_configuration")
S3BucketVersioning = _resource("aws_s3_bucket_versioning")
S3Object = _resource("aws_s3_object")
SagemakerEndpoint = _resource("aws_sagemaker_endpoint")
SagemakerEndpointConfiguration = _resource("aws_sagemaker_endpoint_configuration")
SagemakerModel = _resource("aws_sagemaker_model")
SagemakerModelPackageGroup = _resource("aws_sagemaker_model_package_group")
SagemakerModelPackageGroupPolicy = _resource("aws_sagemaker_model_package_group_policy")
SagemakerPipeline = _resource("aws_sagemaker_pipeline")
SchedulerSchedule = _resource("aws_scheduler_schedule")
SchedulerScheduleGroup = _resource("aws_scheduler_schedule_group")
SecurityGroup = _resource("aws_security_group")
SfnStateMachine = _resource("aws_sfn_state_machine")
SnsTopic = _resource("aws_sns_topic")
SnsTopicPolicy = _resource("aws_sns_topic_policy")
SnsTopicSubscription = _resource("aws_sns_topic_subscription")
SqsQueue = _resource("aws_sqs_queue")
SqsQueuePolicy = _resource("aws_sqs_queue_policy")
Subnet = _resource("aws_subnet")
Vpc = _resource("aws_vpc")
VpcEndpoint = _resource("aws_vpc_endpoint")
VpcSecurityGroupEgressRule = _resource("aws_vpc_security_group_egress_rule")
VpcSecurityGroupIngressRule = _resource("aws_vpc_security_group_ingress_rule")

__all__ = ["App", "Construct", "LocalBackend", "S3Backend", "TerraformOutput", "TerraformStack"]
