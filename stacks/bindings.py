"""The only import of CDKTF and of the AWS provider's resource classes.

The provider package's ``__init__`` imports all of its 2,100 submodules: 50 s of CPU and 1.2 GB, whichever class is
asked for. So a bare package module takes its name first; then the submodules below can be imported one by one, against
the same jsii assembly and with the same result. A class that a construct needs is added here and nowhere else.

CDKTF was archived upstream in December 2025. This file is what has to change to move to its fork ``cdktn``.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import ModuleType
from typing import Any

NODE_MAJOR_VERSION_ANNOUNCED = "20"
"""jsii prints a banner about this Node version's end of life on every run, unless it is told that we know."""
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", NODE_MAJOR_VERSION_ANNOUNCED)

from cdktf import App, LocalBackend, S3Backend, TerraformOutput, TerraformStack  # noqa: E402 - after the banner is off
from constructs import Construct  # noqa: E402

PROVIDER_PACKAGE = "cdktf_cdktf_provider_aws"
PROVIDER_VERSION = "5.100.0"
"""The schema the pinned bindings were generated from; they write it into ``required_providers`` themselves."""


def _bare_package(name: str) -> None:
    """Put ``name`` into ``sys.modules`` without running its ``__init__``."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(f"No module named {name!r}: install mlops-kit with its 'stacks' extra", name=name)
    package = ModuleType(name)
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    sys.modules[name] = package


def _class(submodule: str, name: str) -> Any:
    # Any: a static import would make the type checker read the ten million lines of the package.
    return getattr(importlib.import_module(f"{PROVIDER_PACKAGE}.{submodule}"), name)


if PROVIDER_PACKAGE not in sys.modules:
    _bare_package(PROVIDER_PACKAGE)
    importlib.import_module(f"{PROVIDER_PACKAGE}._jsii")  # loads the assembly, once

AppautoscalingPolicy = _class("appautoscaling_policy", "AppautoscalingPolicy")
AppautoscalingTarget = _class("appautoscaling_target", "AppautoscalingTarget")
AwsProvider = _class("provider", "AwsProvider")
AwsProviderDefaultTags = _class("provider", "AwsProviderDefaultTags")
BudgetsBudget = _class("budgets_budget", "BudgetsBudget")
BudgetsBudgetCostFilter = _class("budgets_budget", "BudgetsBudgetCostFilter")
BudgetsBudgetNotification = _class("budgets_budget", "BudgetsBudgetNotification")
CloudwatchDashboard = _class("cloudwatch_dashboard", "CloudwatchDashboard")
CloudwatchLogGroup = _class("cloudwatch_log_group", "CloudwatchLogGroup")
CloudwatchMetricAlarm = _class("cloudwatch_metric_alarm", "CloudwatchMetricAlarm")
IamOpenidConnectProvider = _class("iam_openid_connect_provider", "IamOpenidConnectProvider")
IamPolicy = _class("iam_policy", "IamPolicy")
IamRole = _class("iam_role", "IamRole")
IamRolePolicy = _class("iam_role_policy", "IamRolePolicy")
IamRolePolicyAttachment = _class("iam_role_policy_attachment", "IamRolePolicyAttachment")
KmsAlias = _class("kms_alias", "KmsAlias")
KmsKey = _class("kms_key", "KmsKey")
S3Bucket = _class("s3_bucket", "S3Bucket")
S3BucketLifecycleConfiguration = _class("s3_bucket_lifecycle_configuration", "S3BucketLifecycleConfiguration")
S3BucketLifecycleRule = _class("s3_bucket_lifecycle_configuration", "S3BucketLifecycleConfigurationRule")
S3BucketLifecycleFilter = _class("s3_bucket_lifecycle_configuration", "S3BucketLifecycleConfigurationRuleFilter")
S3BucketLifecycleAbortMultipart = _class(
    "s3_bucket_lifecycle_configuration", "S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload"
)
S3BucketLifecycleExpiration = _class(
    "s3_bucket_lifecycle_configuration", "S3BucketLifecycleConfigurationRuleExpiration"
)
S3BucketLifecycleNoncurrent = _class(
    "s3_bucket_lifecycle_configuration", "S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration"
)
S3BucketLogging = _class("s3_bucket_logging", "S3BucketLoggingA")
S3BucketNotification = _class("s3_bucket_notification", "S3BucketNotification")
S3BucketObjectLock = _class("s3_bucket_object_lock_configuration", "S3BucketObjectLockConfigurationA")
S3BucketOwnershipControls = _class("s3_bucket_ownership_controls", "S3BucketOwnershipControls")
S3BucketPolicy = _class("s3_bucket_policy", "S3BucketPolicy")
S3BucketPublicAccessBlock = _class("s3_bucket_public_access_block", "S3BucketPublicAccessBlock")
S3BucketEncryption = _class(
    "s3_bucket_server_side_encryption_configuration", "S3BucketServerSideEncryptionConfigurationA"
)
S3BucketEncryptionRule = _class(
    "s3_bucket_server_side_encryption_configuration", "S3BucketServerSideEncryptionConfigurationRuleA"
)
S3BucketVersioning = _class("s3_bucket_versioning", "S3BucketVersioningA")
S3Object = _class("s3_object", "S3Object")
SagemakerEndpoint = _class("sagemaker_endpoint", "SagemakerEndpoint")
SagemakerEndpointAlarm = _class(
    "sagemaker_endpoint", "SagemakerEndpointDeploymentConfigAutoRollbackConfigurationAlarms"
)
SagemakerEndpointConfiguration = _class("sagemaker_endpoint_configuration", "SagemakerEndpointConfiguration")
SagemakerEndpointVariant = _class(
    "sagemaker_endpoint_configuration", "SagemakerEndpointConfigurationProductionVariants"
)
SagemakerEndpointCapture = _class(
    "sagemaker_endpoint_configuration", "SagemakerEndpointConfigurationDataCaptureConfigCaptureOptions"
)
SagemakerModel = _class("sagemaker_model", "SagemakerModel")
SagemakerModelPackageGroup = _class("sagemaker_model_package_group", "SagemakerModelPackageGroup")
SagemakerModelPackageGroupPolicy = _class("sagemaker_model_package_group_policy", "SagemakerModelPackageGroupPolicy")
SnsTopic = _class("sns_topic", "SnsTopic")
SnsTopicPolicy = _class("sns_topic_policy", "SnsTopicPolicy")
SnsTopicSubscription = _class("sns_topic_subscription", "SnsTopicSubscription")

__all__ = ["App", "Construct", "LocalBackend", "S3Backend", "TerraformOutput", "TerraformStack"]
