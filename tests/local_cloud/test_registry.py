"""The model registry: versions, approval, policies between accounts, events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.support import DEV, REGION, STAGING, Server, eventually, new_role, unique

INFERENCE = {
    "Containers": [{"Image": "i", "ModelDataUrl": "s3://b/m.tar.gz"}],
    "SupportedContentTypes": ["text/csv"],
    "SupportedResponseMIMETypes": ["text/csv"],
}


@pytest.fixture
def group(server: Server) -> str:
    name = unique("group")
    server.client("sagemaker").create_model_package_group(ModelPackageGroupName=name)
    return name


def register(server: Server, group: str, **changes: Any) -> str:
    request = {"ModelPackageGroupName": group, "InferenceSpecification": INFERENCE, **changes}
    return str(server.client("sagemaker").create_model_package(**request)["ModelPackageArn"])


def test_an_update_keeps_what_it_does_not_mention(server: Server, group: str) -> None:
    sagemaker = server.client("sagemaker")
    arn = register(server, group, CustomerMetadataProperties={"commit": "abc", "gone": "soon"})
    assert sagemaker.describe_model_package(ModelPackageName=arn)["ModelApprovalStatus"] == "PendingManualApproval"
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="good")
    sagemaker.update_model_package(
        ModelPackageArn=arn, CustomerMetadataProperties={"more": "1"}, CustomerMetadataPropertiesToRemove=["gone"]
    )
    package = sagemaker.describe_model_package(ModelPackageName=arn)
    assert package["ModelApprovalStatus"] == "Approved"
    assert package["ApprovalDescription"] == "good"
    assert package["CustomerMetadataProperties"] == {"commit": "abc", "more": "1"}
    approved = sagemaker.list_model_packages(ModelPackageGroupName=group, ModelApprovalStatus="Approved")
    assert [p["ModelPackageArn"] for p in approved["ModelPackageSummaryList"]] == [arn]


def test_a_repeated_registration_is_one_version(server: Server, group: str) -> None:
    token = unique("token")
    first = register(server, group, ClientToken=token)
    assert register(server, group, ClientToken=token) == first
    assert register(server, group, ClientToken=unique("token")) != first


def test_version_numbers_are_never_used_again(server: Server, group: str) -> None:
    sagemaker = server.client("sagemaker")
    arns = [register(server, group) for _ in range(3)]
    assert [arn.rsplit("/", 1)[1] for arn in arns] == ["1", "2", "3"]
    sagemaker.delete_model_package(ModelPackageName=arns[2])
    sagemaker.delete_model_package(ModelPackageName=arns[0])
    assert register(server, group).endswith("/4")
    with pytest.raises(ClientError, match=r"\(ValidationException\).*does not exist"):
        sagemaker.describe_model_package(ModelPackageName=arns[0])


def test_a_group_goes_when_it_is_empty(server: Server, group: str) -> None:
    sagemaker = server.client("sagemaker")
    arn = register(server, group)
    with pytest.raises(ClientError, match="ConflictException"):
        sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    sagemaker.delete_model_package(ModelPackageName=arn)
    sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    for call in ("describe_model_package_group", "delete_model_package_group"):
        with pytest.raises(ClientError, match=r"\(ValidationException\).*does not exist"):
            getattr(sagemaker, call)(ModelPackageGroupName=group)


def test_policies_are_kept_and_deleted(server: Server, group: str) -> None:
    sagemaker = server.client("sagemaker")
    with pytest.raises(ClientError, match="Cannot find resource policy"):
        sagemaker.get_model_package_group_policy(ModelPackageGroupName=group)
    document = json.dumps({"Version": "2012-10-17", "Statement": []})
    sagemaker.put_model_package_group_policy(ModelPackageGroupName=group, ResourcePolicy=document)
    assert sagemaker.get_model_package_group_policy(ModelPackageGroupName=group)["ResourcePolicy"] == document
    sagemaker.delete_model_package_group_policy(ModelPackageGroupName=group)
    with pytest.raises(ClientError, match="Cannot find resource policy"):
        sagemaker.delete_model_package_group_policy(ModelPackageGroupName=group)
    with pytest.raises(ClientError, match="Invalid resource policy"):
        sagemaker.put_model_package_group_policy(ModelPackageGroupName=group, ResourcePolicy="{}")


def test_another_account_reads_what_the_groups_policy_allows(server: Server, group: str) -> None:
    arn = register(server, group)
    group_arn = f"arn:aws:sagemaker:{REGION}:{DEV}:model-package-group/{group}"
    promoter = new_role(server, STAGING, {"Principal": {"AWS": STAGING}})
    other = new_role(server, STAGING, {"Principal": {"AWS": STAGING}})
    reader = server.client("sagemaker", **server.assume(promoter, caller=STAGING))
    stranger = server.client("sagemaker", **server.assume(other, caller=STAGING))
    with pytest.raises(ClientError, match="AccessDeniedException"):
        reader.describe_model_package(ModelPackageName=arn)
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{STAGING}:root"},
        "Action": ["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"],
        "Resource": [group_arn, f"arn:aws:sagemaker:{REGION}:{DEV}:model-package/{group}/*"],
        "Condition": {"ArnEquals": {"aws:PrincipalArn": promoter}},
    }
    server.client("sagemaker").put_model_package_group_policy(
        ModelPackageGroupName=group, ResourcePolicy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    assert reader.describe_model_package(ModelPackageName=arn)["ModelPackageArn"] == arn
    listed = reader.list_model_packages(ModelPackageGroupName=group_arn)["ModelPackageSummaryList"]
    assert [package["ModelPackageArn"] for package in listed] == [arn]
    for call in (
        lambda: stranger.describe_model_package(ModelPackageName=arn),
        lambda: server.client("sagemaker", STAGING).describe_model_package(ModelPackageName=arn),
        lambda: reader.describe_model_package_group(ModelPackageGroupName=group_arn),
    ):
        with pytest.raises(ClientError, match=r"\(AccessDeniedException\).*no resource-based policy"):
            call()


def test_registration_and_approval_are_announced(server: Server, group: str) -> None:
    events, sqs = server.client("events"), server.client("sqs")
    name = unique("rule")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": [group]},
    }
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": queue_arn}])
    arn = register(server, group)
    sagemaker = server.client("sagemaker")
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataProperties={"no": "event"})
    received: list[dict[str, Any]] = []

    def both() -> bool:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            received.append(json.loads(message["Body"])["detail"])
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return len(received) >= 2

    eventually(both)
    assert [detail["ModelApprovalStatus"] for detail in received] == ["PendingManualApproval", "Approved"]
    assert received[0]["ModelPackageArn"] == arn
