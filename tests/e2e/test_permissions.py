"""The roles of the story: everything they did was allowed by what Terraform applied, and what they may do besides has
a reason. The story was told with IAM enforced, so a permission that is missing would have ended it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from mlops_kit.config import load_project
from mlops_kit.local.state import Layout
from tests.cloud import Cli, story_calls
from tests.e2e import calls
from tests.e2e.calls import Called, Role
from tests.e2e.reasons import LARGE_OBJECTS, METRICS, NETWORK_INTERFACES, TAGS, VERSIONS, VOLUMES

ACTING = ("approver", "promoter", "serving", "training")
"""Role kinds that act in the story. Those that only act by themselves do so in ``test_gallery.py``."""

LOOK = "for looking into what happened: `status`, `alarms`, the console; the story does not need it"
PIPELINES = "pipelines run in test_gallery.py; the story trains by hand"

UNUSED: Mapping[str, Mapping[str, str]] = {
    "approver": {
        **dict.fromkeys(
            (
                "cloudwatch:DescribeAlarmHistory",
                "cloudwatch:DescribeAlarms",
                "cloudwatch:GetMetricData",
                "cloudwatch:GetMetricStatistics",
                "logs:DescribeLogStreams",
                "logs:FilterLogEvents",
                "logs:GetLogEvents",
                "s3:GetBucketLocation",
                "s3:GetObjectRetention",
                "s3:GetObjectTagging",
                "s3:GetObjectVersion",
                "s3:GetObjectVersionTagging",
                "s3:ListBucket",
                "sagemaker:DescribeEndpoint",
                "sagemaker:DescribeEndpointConfig",
                "sagemaker:DescribeModel",
                "sagemaker:DescribeModelPackageGroup",
                "sagemaker:DescribePipeline",
                "sagemaker:DescribePipelineExecution",
                "sagemaker:DescribeProcessingJob",
                "sagemaker:DescribeTrainingJob",
                "sagemaker:DescribeTransformJob",
                "sagemaker:ListModelPackages",
                "sagemaker:ListPipelineExecutionSteps",
                "sagemaker:ListPipelineExecutions",
                "scheduler:GetSchedule",
            ),
            "who is to agree to a release looks at it first; the story's approver does not",
        ),
    },
    "promoter": {
        "cloudwatch:DescribeAlarmHistory": LOOK,
        "cloudwatch:GetMetricData": LOOK,
        "cloudwatch:GetMetricStatistics": LOOK,
        "logs:DescribeLogStreams": LOOK,
        "logs:FilterLogEvents": LOOK,
        "logs:GetLogEvents": LOOK,
        "kms:DescribeKey": "an alias is resolved by whoever uses the key with it",
        "s3:AbortMultipartUpload": LARGE_OBJECTS,
        "s3:ListMultipartUploadParts": LARGE_OBJECTS,
        "s3:GetObjectTagging": TAGS,
        "s3:GetObjectVersionTagging": TAGS,
        "s3:PutObjectTagging": TAGS,
        "s3:DeleteObject": "branches and tags are deleted, and garbage is hidden before it goes; the story has none",
        "s3:ListBucketMultipartUploads": LARGE_OBJECTS,
        "s3:GetBucketLocation": "clients ask it when a bucket is in another region than they think",
        "sagemaker:DeleteEndpointConfig": "the fifth release removes the first one's config; the story has three",
        "sagemaker:DeleteModel": "the fifth release removes the first one's model; the story has three",
        "ecr:DescribeImages": "finds an image in the account's own registry; the example's is AWS's",
        "sagemaker:DescribeModel": LOOK,
        "sagemaker:DescribeModelPackageGroup": LOOK,
        "sagemaker:DescribePipeline": PIPELINES,
        "sagemaker:DescribePipelineExecution": PIPELINES,
        "sagemaker:ListPipelineExecutionSteps": PIPELINES,
        "sagemaker:StartPipelineExecution": PIPELINES,
        "sagemaker:StopPipelineExecution": PIPELINES,
        "sagemaker:DescribeProcessingJob": LOOK,
        "sagemaker:DescribeTransformJob": LOOK,
        "sagemaker:InvokeEndpointAsync": "asynchronous endpoints are asked in test_gallery.py",
        "sagemaker:StopTrainingJob": "for a job that should not go on; the story's end by themselves",
        "scheduler:GetSchedule": "a batch model's release is its schedule's; see test_gallery.py",
    },
    "serving": {
        "cloudwatch:DescribeAlarms": "SageMaker watches the rollback alarms as this role; the local cloud just knows",
        "cloudwatch:PutMetricData": METRICS,
        "kms:CreateGrant": VOLUMES,
        "kms:DescribeKey": VOLUMES,
        "logs:DescribeLogStreams": "SageMaker looks for the stream of a container that it restarts",
        "s3:GetBucketLocation": "SageMaker checks where a model's bucket is",
        "s3:GetObjectVersion": VERSIONS,
        "s3:ListBucket": "a model that is not one archive but many files is found by its prefix",
    },
    "training": {
        "cloudwatch:PutMetricData": METRICS,
        "kms:CreateGrant": VOLUMES,
        "kms:DescribeKey": VOLUMES,
        "logs:DescribeLogStreams": "SageMaker looks for the stream of a job that it restarts",
        "s3:AbortMultipartUpload": LARGE_OBJECTS,
        "s3:ListMultipartUploadParts": LARGE_OBJECTS,
        "s3:GetBucketLocation": "SageMaker checks where a job's buckets are",
        "s3:GetObjectVersion": VERSIONS,
        "s3:PutObjectTagging": TAGS,
    },
}
"""Role kind -> action that is granted and that the story does not use -> why it is granted."""


@pytest.fixture(scope="module")
def roles(cloud: Cli) -> dict[str, Role]:
    layout, project = Layout(cloud.project), load_project(cloud.project)
    return {arn: role for stage in project.stages for arn, role in calls.applied_roles(layout, stage).items()}


@pytest.fixture(scope="module")
def called(cloud: Cli) -> list[Called]:
    return calls.recorded(story_calls(cloud.project))


def test_the_record_has_the_whole_story(called: list[Called]) -> None:
    actions = {call.action for call in called}
    for action in (
        "s3:PutObject",
        "kms:Decrypt",
        "sagemaker:CreateTrainingJob",
        "sagemaker:CreateModelPackage",
        "sagemaker:UpdateEndpoint",
        "sagemaker:InvokeEndpoint",
        "cloudwatch:PutMetricData",
        "iam:PassRole",
    ):
        assert action in actions


def test_every_call_is_within_the_role_s_policies(called: list[Called], roles: dict[str, Role]) -> None:
    assert len(called) > 100
    assert calls.not_granted([call for call in called if call.allowed], roles) == []


def test_no_role_was_refused_anything(called: list[Called]) -> None:
    assert calls.refused(called) == []


@pytest.mark.parametrize("kind", ACTING)
def test_what_is_granted_is_used_or_has_a_reason(
    kind: str, cloud: Cli, called: list[Called], roles: dict[str, Role]
) -> None:
    stages = load_project(cloud.project).stages
    granted, used = calls.by_kind(called, roles, stages)
    unused = granted[kind] - used[kind] - NETWORK_INTERFACES
    assert sorted(unused - set(UNUSED[kind])) == [], "take it away, or say why it is granted"
    assert sorted(set(UNUSED[kind]) - unused) == [], "used after all, or not granted any more: the reason can go"
