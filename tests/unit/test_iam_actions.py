"""What a request asks for: actions, resources and condition keys, service by service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from moto.kms.models import kms_backends
from moto.s3.models import s3_backends

from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import iam_actions, iam_actions_s3, iam_evaluation, principals, s3_requests

PLACE = Place("111111111111", "us-east-1")
SAGEMAKER = "arn:aws:sagemaker:us-east-1:111111111111"
ROLE = "arn:aws:iam::111111111111:role/x"
KEY_ID = "0000aaaa-00aa-00aa-00aa-000000aaaaaa"


def asked(service: str, operation: str, **params: Any) -> list[tuple[str, str]]:
    return [(call.action, call.resource) for call in iam_actions.calls(service, operation, params, PLACE)]


def arn(service: str, rest: str) -> str:
    return f"arn:aws:{service}:us-east-1:111111111111:{rest}"


@pytest.mark.parametrize(
    ("operation", "params", "resources"),
    [
        ("DescribeTrainingJob", {"TrainingJobName": "j"}, ["training-job/j"]),
        ("StopTrainingJob", {"TrainingJobName": "j"}, ["training-job/j"]),
        ("DescribeProcessingJob", {"ProcessingJobName": "j"}, ["processing-job/j"]),
        ("StopTransformJob", {"TransformJobName": "j"}, ["transform-job/j"]),
        ("DeleteModel", {"ModelName": "m"}, ["model/m"]),
        ("DescribeEndpointConfig", {"EndpointConfigName": "c"}, ["endpoint-config/c"]),
        ("DescribeEndpoint", {"EndpointName": "e"}, ["endpoint/e"]),
        ("CreateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c"}, ["endpoint/e", "endpoint-config/c"]),
        ("UpdateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c"}, ["endpoint/e", "endpoint-config/c"]),
        ("UpdateEndpointWeightsAndCapacities", {"EndpointName": "e"}, ["endpoint/e"]),
        ("InvokeEndpoint", {"EndpointName": "e"}, ["endpoint/e"]),
        ("InvokeEndpointAsync", {"EndpointName": "e"}, ["endpoint/e"]),
        ("CreateModelPackage", {"ModelPackageGroupName": "g"}, ["model-package-group/g", "model-package/g/*"]),
        ("CreateModelPackage", {"ModelPackageName": "p"}, ["model-package/p"]),
        ("UpdateModelPackage", {"ModelPackageArn": f"{SAGEMAKER}:model-package/g/1"}, ["model-package/g/1"]),
        ("DescribeModelPackage", {"ModelPackageName": f"{SAGEMAKER}:model-package/g/1"}, ["model-package/g/1"]),
        ("ListModelPackages", {"ModelPackageGroupName": "g"}, ["model-package-group/g"]),
        ("PutModelPackageGroupPolicy", {"ModelPackageGroupName": "g"}, ["model-package-group/g"]),
        ("StartPipelineExecution", {"PipelineName": "p"}, ["pipeline/p"]),
        ("ListPipelineExecutions", {"PipelineName": "p"}, ["pipeline/p"]),
        (
            "DescribePipelineExecution",
            {"PipelineExecutionArn": f"{SAGEMAKER}:pipeline/p/execution/1"},
            ["pipeline/p/execution/1"],
        ),
        ("AddTags", {"ResourceArn": f"{SAGEMAKER}:model/m", "Tags": []}, ["model/m"]),
    ],
)
def test_sagemaker(operation: str, params: dict[str, Any], resources: list[str]) -> None:
    found = asked("sagemaker", operation, **params)
    assert found == [(f"sagemaker:{operation}", f"{SAGEMAKER}:{resource}") for resource in resources]


@pytest.mark.parametrize("operation", ["ListTrainingJobs", "ListEndpoints", "ListModelPackages", "Search"])
def test_lists_ask_for_everything(operation: str) -> None:
    assert asked("sagemaker", operation) == [(f"sagemaker:{operation}", "*")]


def test_a_training_job_and_what_comes_with_it() -> None:
    calls = iam_actions.calls(
        "sagemaker",
        "CreateTrainingJob",
        {
            "TrainingJobName": "j",
            "RoleArn": ROLE,
            "ResourceConfig": {"InstanceType": "ml.m5.large", "VolumeKmsKeyId": KEY_ID},
            "OutputDataConfig": {"S3OutputPath": "s3://b", "KmsKeyId": "alias/k"},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
            "VpcConfig": {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]},
            "EnableNetworkIsolation": True,
            "Tags": [{"Key": "team", "Value": "a"}],
        },
        PLACE,
    )
    create, tags, passed, grant = calls
    assert (create.action, create.resource) == ("sagemaker:CreateTrainingJob", f"{SAGEMAKER}:training-job/j")
    assert create.context == {
        "sagemaker:InstanceTypes": ["ml.m5.large"],
        "sagemaker:VpcSubnets": ["subnet-1", "subnet-2"],
        "sagemaker:VpcSecurityGroupIds": ["sg-1"],
        "sagemaker:MaxRuntimeInSeconds": "3600",
        "sagemaker:NetworkIsolation": "true",
        "sagemaker:OutputKmsKey": "alias/k",
        "sagemaker:VolumeKmsKey": KEY_ID,
        "aws:TagKeys": ["team"],
        "aws:RequestTag/team": "a",
    }
    assert (tags.action, tags.resource) == ("sagemaker:AddTags", create.resource)
    assert tags.context == {"aws:TagKeys": ["team"], "aws:RequestTag/team": "a"}
    assert (passed.action, passed.resource) == ("iam:PassRole", ROLE)
    assert passed.context["iam:PassedToService"] == "sagemaker.amazonaws.com"
    assert (grant.action, grant.resource) == ("kms:CreateGrant", arn("kms", f"key/{KEY_ID}"))
    assert grant.context["kms:GrantIsForAWSResource"] == "true"


def test_roles_of_other_creations_are_passed_as_well() -> None:
    assert ("iam:PassRole", ROLE) in asked("sagemaker", "CreateModel", ModelName="m", ExecutionRoleArn=ROLE)
    assert ("iam:PassRole", ROLE) in asked("sagemaker", "UpdatePipeline", PipelineName="p", RoleArn=ROLE)
    assert ("iam:PassRole", ROLE) not in asked("sagemaker", "DescribeModel", ModelName="m", ExecutionRoleArn=ROLE)


def test_instance_types_of_processing_and_endpoint_configs() -> None:
    cluster = {"ClusterConfig": {"InstanceType": "ml.c5.large"}}
    processing = iam_actions.calls(
        "sagemaker", "CreateProcessingJob", {"ProcessingJobName": "j", "ProcessingResources": cluster}, PLACE
    )
    variants = [{"InstanceType": "ml.m5.large"}, {"InstanceType": "ml.m5.xlarge"}]
    config = iam_actions.calls(
        "sagemaker", "CreateEndpointConfig", {"EndpointConfigName": "c", "ProductionVariants": variants}, PLACE
    )
    assert processing[0].context["sagemaker:InstanceTypes"] == ["ml.c5.large"]
    assert config[0].context["sagemaker:InstanceTypes"] == ["ml.m5.large", "ml.m5.xlarge"]


@pytest.mark.parametrize(
    ("service", "operation", "params", "expected"),
    [
        ("cloudwatch", "GetMetricData", {}, [("cloudwatch:GetMetricData", "*")]),
        ("cloudwatch", "DescribeAlarms", {"AlarmNamePrefix": "x"}, [("cloudwatch:DescribeAlarms", "alarm:*")]),
        ("cloudwatch", "DescribeAlarms", {"AlarmNames": ["a"]}, [("cloudwatch:DescribeAlarms", "alarm:a")]),
        (
            "logs",
            "FilterLogEvents",
            {"logGroupName": "/g"},
            [("logs:FilterLogEvents", "log-group:/g:log-stream:")],
        ),
        (
            "logs",
            "PutLogEvents",
            {"logGroupName": "/g", "logStreamName": "s"},
            [("logs:PutLogEvents", "log-group:/g:log-stream:s")],
        ),
        ("logs", "DescribeLogGroups", {}, [("logs:DescribeLogGroups", "log-group::log-stream:")]),
        ("kms", "Decrypt", {"KeyId": KEY_ID}, [("kms:Decrypt", f"key/{KEY_ID}")]),
        ("events", "PutEvents", {"Entries": [{}, {}]}, [("events:PutEvents", "event-bus/default")]),
        (
            "events",
            "PutTargets",
            {"Rule": "r", "Targets": [{"RoleArn": ROLE}]},
            [("events:PutTargets", "rule/r"), ("iam:PassRole", ROLE)],
        ),
        (
            "scheduler",
            "CreateSchedule",
            {"Name": "s", "Target": {"RoleArn": ROLE}},
            [("scheduler:CreateSchedule", "schedule/default/s"), ("iam:PassRole", ROLE)],
        ),
        (
            "states",
            "StartExecution",
            {"stateMachineArn": arn("states", "stateMachine:m")},
            [("states:StartExecution", "stateMachine:m")],
        ),
        (
            "states",
            "CreateStateMachine",
            {"name": "m", "roleArn": ROLE},
            [("states:CreateStateMachine", "stateMachine:m"), ("iam:PassRole", ROLE)],
        ),
        ("sqs", "SendMessage", {"QueueUrl": "http://127.0.0.1:1/111111111111/q"}, [("sqs:SendMessage", "q")]),
        ("sns", "Publish", {"TopicArn": arn("sns", "t")}, [("sns:Publish", "t")]),
        ("sns", "CreateTopic", {"Name": "t"}, [("sns:CreateTopic", "t")]),
        ("ecr", "BatchGetImage", {"repositoryName": "r"}, [("ecr:BatchGetImage", "repository/r")]),
        ("ecr", "GetAuthorizationToken", {}, [("ecr:GetAuthorizationToken", "*")]),
        ("ssm", "GetParameter", {"Name": "/a/b"}, [("ssm:GetParameter", "parameter/a/b")]),
        (
            "ssm",
            "GetParameters",
            {"Names": ["a", "b"]},
            [("ssm:GetParameters", "parameter/a"), ("ssm:GetParameters", "parameter/b")],
        ),
    ],
)
def test_other_services(service: str, operation: str, params: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    whole = [(action, rest if rest in ("*", ROLE) else arn(service, rest)) for action, rest in expected]
    assert asked(service, operation, **params) == whole


def test_a_budget_is_viewed_and_has_no_region() -> None:
    found = asked("budgets", "DescribeBudget", BudgetName="monthly")
    assert found == [("budgets:ViewBudget", f"arn:aws:budgets::{PLACE.account}:budget/monthly")]


def test_a_role_is_assumed_under_its_conditions() -> None:
    [call] = iam_actions.calls(
        "sts", "AssumeRole", {"RoleArn": ROLE, "RoleSessionName": "me", "ExternalId": "e"}, PLACE
    )
    assert (call.action, call.resource) == ("sts:AssumeRole", ROLE)
    assert call.context == {"sts:RoleSessionName": "me", "sts:ExternalId": "e"}


def test_metrics_are_put_into_a_namespace() -> None:
    [call] = iam_actions.calls("cloudwatch", "PutMetricData", {"Namespace": "N"}, PLACE)
    assert call.context == {"cloudwatch:namespace": "N"}


@pytest.mark.parametrize(
    ("service", "operation"), [("ec2", "RunInstances"), ("sagemaker", "CreateSpaceship"), ("kms", "ListKeys")]
)
def test_what_is_not_known_is_asked_for_everything(service: str, operation: str) -> None:
    assert asked(service, operation) == [(f"{service}:{operation}", "*")]


def test_signing_names_that_iam_spells_differently() -> None:
    assert iam_actions.prefix("monitoring") == "cloudwatch"
    assert iam_actions.prefix("states") == "states"


# ---- S3 ----

BUCKET, OTHER = "iam-actions", "iam-actions-source"


@pytest.fixture(scope="module")
def key_arn() -> Iterator[str]:
    """Two buckets: one plain with ``there`` in it, the other encrypted by a key of its own."""
    store = s3_backends[PLACE.account]["aws"]
    key = kms_backends[PLACE.account][PLACE.region].create_key("", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "", None)
    for name in (BUCKET, OTHER):
        store.create_bucket(name, PLACE.region)
    store.put_object(BUCKET, "there", b"x")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key.id}}
    store.put_bucket_encryption(OTHER, {"Rule": rule})
    store.put_object(OTHER, "secret", b"x")
    yield str(key.arn)
    for name, object_key in ((BUCKET, "there"), (OTHER, "secret")):
        store.delete_object(name, object_key)
        store.delete_bucket(name)


def s3(
    method: str,
    key: str | None = None,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    bucket: str = BUCKET,
    body: str = "",
) -> list[iam_evaluation.Call]:
    response = SimpleNamespace(region=PLACE.region, backend=s3_backends[PLACE.account]["aws"], body=body)
    request = s3_requests.S3Request(
        response=response,
        method=method,
        query={name: [value] for name, value in (query or {}).items()},
        headers=_Headers(headers or {}),
        caller=principals.Caller(PLACE.account, f"{ROLE}/s", ROLE, "AROA:s"),
        bucket_name=bucket,
        bucket=s3_requests.find_bucket(bucket),
        key=key,
    )
    return iam_actions_s3.calls(request)


class _Headers(dict[str, str]):
    """Headers are looked up without regard to case."""

    def __init__(self, given: Mapping[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in given.items()})

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


B, SOURCE = f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{OTHER}"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"method": "GET", "bucket": ""}, [("s3:ListAllMyBuckets", "*")]),
        ({"method": "HEAD"}, [("s3:ListBucket", B)]),
        ({"method": "GET", "query": {"list-type": "2"}}, [("s3:ListBucket", B)]),
        ({"method": "GET", "query": {"versions": ""}}, [("s3:ListBucketVersions", B)]),
        ({"method": "GET", "query": {"uploads": "", "prefix": "k"}}, [("s3:ListBucketMultipartUploads", B)]),
        ({"method": "GET", "query": {"location": ""}}, [("s3:GetBucketLocation", B)]),
        ({"method": "PUT", "query": {"policy": ""}}, [("s3:PutBucketPolicy", B)]),
        ({"method": "PUT", "bucket": "new"}, [("s3:CreateBucket", "arn:aws:s3:::new")]),
        (
            {"method": "PUT", "bucket": "new", "headers": {"x-amz-bucket-object-lock-enabled": "true"}},
            [
                ("s3:CreateBucket", "arn:aws:s3:::new"),
                ("s3:PutBucketObjectLockConfiguration", "arn:aws:s3:::new"),
                ("s3:PutBucketVersioning", "arn:aws:s3:::new"),
            ],
        ),
        ({"method": "GET", "key": "there"}, [("s3:GetObject", f"{B}/there")]),
        ({"method": "HEAD", "key": "there"}, [("s3:GetObject", f"{B}/there")]),
        ({"method": "GET", "key": "none"}, [("s3:GetObject", f"{B}/none"), ("s3:ListBucket", B)]),
        (
            {"method": "GET", "key": "none", "query": {"versionId": "1"}},
            [("s3:GetObjectVersion", f"{B}/none"), ("s3:ListBucketVersions", B)],
        ),
        (
            {"method": "HEAD", "key": "none", "query": {"versionId": "1"}},
            [("s3:GetObjectVersion", f"{B}/none"), ("s3:ListBucketVersions", B)],
        ),
        ({"method": "GET", "key": "there", "query": {"tagging": ""}}, [("s3:GetObjectTagging", f"{B}/there")]),
        ({"method": "PUT", "key": "k"}, [("s3:PutObject", f"{B}/k")]),
        (
            {"method": "PUT", "key": "k", "headers": {"If-Match": '"e"'}},
            [("s3:PutObject", f"{B}/k"), ("s3:GetObject", f"{B}/k")],
        ),
        (
            {"method": "PUT", "key": "k", "headers": {"x-amz-tagging": "a=b", "x-amz-object-lock-mode": "GOVERNANCE"}},
            [("s3:PutObject", f"{B}/k"), ("s3:PutObjectTagging", f"{B}/k"), ("s3:PutObjectRetention", f"{B}/k")],
        ),
        ({"method": "POST", "key": "k", "query": {"uploads": ""}}, [("s3:PutObject", f"{B}/k")]),
        ({"method": "PUT", "key": "k", "query": {"uploadId": "1", "partNumber": "1"}}, [("s3:PutObject", f"{B}/k")]),
        ({"method": "GET", "key": "k", "query": {"uploadId": "1"}}, [("s3:ListMultipartUploadParts", f"{B}/k")]),
        ({"method": "DELETE", "key": "k", "query": {"uploadId": "1"}}, [("s3:AbortMultipartUpload", f"{B}/k")]),
        ({"method": "DELETE", "key": "k"}, [("s3:DeleteObject", f"{B}/k")]),
        ({"method": "DELETE", "key": "k", "query": {"versionId": "1"}}, [("s3:DeleteObjectVersion", f"{B}/k")]),
        (
            {
                "method": "POST",
                "query": {"delete": ""},
                "body": "<Delete><Object><Key>a</Key></Object>"
                "<Object><Key>b</Key><VersionId>1</VersionId></Object></Delete>",
            },
            [("s3:DeleteObject", f"{B}/a"), ("s3:DeleteObjectVersion", f"{B}/b")],
        ),
        (
            {"method": "PUT", "key": "k", "headers": {"x-amz-copy-source": f"/{BUCKET}/there"}},
            [("s3:PutObject", f"{B}/k"), ("s3:GetObject", f"{B}/there")],
        ),
        (
            {"method": "PUT", "key": "k", "headers": {"x-amz-copy-source": f"/{BUCKET}/there?versionId=1"}},
            [("s3:PutObject", f"{B}/k"), ("s3:GetObjectVersion", f"{B}/there")],
        ),
        (
            {
                "method": "PUT",
                "key": "k",
                "query": {"uploadId": "1", "partNumber": "1"},
                "headers": {"x-amz-copy-source": f"/{BUCKET}/there?versionId=1"},
            },
            [("s3:PutObject", f"{B}/k"), ("s3:GetObjectVersion", f"{B}/there")],
        ),
        (
            {"method": "PUT", "key": "k", "headers": {"x-amz-copy-source": f"/{BUCKET}/there", "If-Match": '"e"'}},
            [("s3:PutObject", f"{B}/k"), ("s3:GetObject", f"{B}/there"), ("s3:GetObject", f"{B}/k")],
        ),
    ],
)
def test_s3(key_arn: str, request_: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert [(call.action, call.resource) for call in s3(**request_)] == expected


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"method": "GET", "key": "secret"}, ["s3:GetObject", "kms:Decrypt"]),
        ({"method": "HEAD", "key": "secret"}, ["s3:GetObject"]),
        (
            {"method": "HEAD", "key": "secret", "headers": {"x-amz-checksum-mode": "ENABLED"}},
            ["s3:GetObject", "kms:Decrypt"],
        ),
        ({"method": "PUT", "key": "k"}, ["s3:PutObject", "kms:GenerateDataKey"]),
        ({"method": "PUT", "key": "k", "headers": {"x-amz-server-side-encryption": "AES256"}}, ["s3:PutObject"]),
        (
            {"method": "POST", "key": "k", "query": {"uploads": ""}},
            ["s3:PutObject", "kms:GenerateDataKey", "kms:Decrypt"],
        ),
        (
            {"method": "PUT", "key": "k", "headers": {"x-amz-copy-source": f"/{OTHER}/secret"}},
            ["s3:PutObject", "s3:GetObject", "kms:Decrypt", "kms:GenerateDataKey"],
        ),
        ({"method": "PUT", "key": "secret", "query": {"tagging": ""}}, ["s3:PutObjectTagging"]),
    ],
)
def test_encrypted_objects_ask_for_their_key(key_arn: str, request_: dict[str, Any], expected: list[str]) -> None:
    calls = s3(bucket=OTHER, **request_)
    assert [call.action for call in calls] == expected
    for call in calls:
        if call.action.startswith("kms:"):
            assert call.resource == key_arn
            assert call.context["kms:ViaService"] == "s3.us-east-1.amazonaws.com"
            object_key = request_["key"] if call.action == "kms:GenerateDataKey" else "secret"
            if "uploads" not in request_.get("query", {}):
                assert call.context["kms:EncryptionContext:aws:s3:arn"] == f"{SOURCE}/{object_key}"


def test_a_copy_takes_the_key_of_its_source_and_no_key_for_a_plain_target(key_arn: str) -> None:
    calls = s3("PUT", "k", headers={"x-amz-copy-source": f"/{OTHER}/secret"})
    assert [(call.action, call.resource) for call in calls] == [
        ("s3:PutObject", f"{B}/k"),
        ("s3:GetObject", f"{SOURCE}/secret"),
        ("kms:Decrypt", key_arn),
    ]


def test_a_copy_with_tags_reads_and_writes_them(key_arn: str) -> None:
    store = s3_backends[PLACE.account]["aws"]
    source = store.get_object(BUCKET, "there").arn
    store.tagger.tag_resource(source, [{"Key": "a", "Value": "b"}])
    try:
        calls = s3("PUT", "k", headers={"x-amz-copy-source": f"/{BUCKET}/there"})
    finally:
        store.tagger.delete_all_tags_for_resource(source)
    assert [(call.action, call.resource) for call in calls][2:] == [
        ("s3:GetObjectTagging", f"{B}/there"),
        ("s3:PutObjectTagging", f"{B}/k"),
    ]


def test_condition_keys_of_s3(key_arn: str) -> None:
    [put] = s3("PUT", "k", headers={"If-None-Match": "*", "x-amz-acl": ""})
    assert put.context["s3:if-none-match"] == "*"
    [listing] = s3("GET", query={"list-type": "2", "prefix": "models/", "delimiter": "/"})
    assert (listing.context["s3:prefix"], listing.context["s3:delimiter"]) == ("models/", "/")
    assert listing.context["s3:ResourceAccount"] == PLACE.account


@pytest.mark.parametrize(
    ("operation", "params", "expected"),
    [
        ("ListObjectsV2", {"Bucket": BUCKET, "Prefix": "p/"}, [("s3:ListBucket", B)]),
        ("GetObject", {"Bucket": BUCKET, "Key": "there"}, [("s3:GetObject", f"{B}/there")]),
        ("GetObject", {"Bucket": BUCKET, "Key": "none"}, [("s3:GetObject", f"{B}/none"), ("s3:ListBucket", B)]),
        ("PutObject", {"Bucket": BUCKET, "Key": "k"}, [("s3:PutObject", f"{B}/k")]),
    ],
)
def test_what_sagemaker_asks_as_a_role(
    key_arn: str, operation: str, params: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    calls = iam_actions_s3.calls_as_role("s3", operation, params, PLACE)
    assert [(call.action, call.resource) for call in calls] == expected


def test_what_sagemaker_encrypts_as_a_role(key_arn: str) -> None:
    read = iam_actions_s3.calls_as_role("s3", "GetObject", {"Bucket": OTHER, "Key": "secret"}, PLACE)
    assert [(call.action, call.resource) for call in read][1:] == [("kms:Decrypt", key_arn)]
    write = iam_actions_s3.calls_as_role("s3", "PutObject", {"Bucket": OTHER, "Key": "k"}, PLACE)
    assert [(call.action, call.resource) for call in write][1:] == [("kms:GenerateDataKey", key_arn)]
    named = {"Bucket": BUCKET, "Key": "k", "SSEKMSKeyId": key_arn}
    write = iam_actions_s3.calls_as_role("s3", "PutObject", named, PLACE)
    assert write[0].context["s3:x-amz-server-side-encryption"] == "aws:kms"
    assert [(call.action, call.resource) for call in write][1:] == [("kms:GenerateDataKey", key_arn)]


def test_autoscaling_is_held_by_namespace_and_dimension() -> None:
    (call,) = iam_actions.calls(
        "application-autoscaling",
        "RegisterScalableTarget",
        {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"},
        PLACE,
    )
    assert call.resource == arn("application-autoscaling", "scalable-target/local")
    assert call.context == {
        "application-autoscaling:service-namespace": "sagemaker",
        "application-autoscaling:scalable-dimension": "sagemaker:variant:DesiredInstanceCount",
    }
    (look,) = iam_actions.calls("application-autoscaling", "DescribeScalableTargets", {}, PLACE)
    assert look.resource == "*", "that one knows no resource"
