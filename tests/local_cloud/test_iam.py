"""IAM on a server that enforces it: who is refused what, in whose words, and what the record says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops_kit.local import state
from mlops_kit.local.state import Layout
from tests.cloud import Cli, copy_project, free_port
from tests.local_cloud.support import (
    DEV,
    STAGING,
    Server,
    eventually,
    model_archive,
    new_bucket,
    tar_gz,
    unique,
)

SERVICE = {"Principal": {"Service": "sagemaker.amazonaws.com"}}
OWN_ACCOUNT = {"Principal": {"AWS": f"arn:aws:iam::{DEV}:root"}}


def allow(action: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@dataclass(frozen=True)
class Role:
    """A role, and clients that act as it."""

    server: Server
    arn: str
    credentials: dict[str, str]

    @property
    def name(self) -> str:
        return self.arn.rsplit("/", 1)[-1]

    def client(self, service: str) -> Any:
        return self.server.client(service, **self.credentials)


@dataclass(frozen=True)
class Cloud:
    """The server and its record."""

    server: Server
    record: Path

    def role(self, *statements: dict[str, Any], account: str = DEV, service: bool = False, **options: Any) -> Role:
        """A role with one inline policy named ``inline``."""
        trust = [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": account}}]
        if service:
            trust.append({"Effect": "Allow", "Action": "sts:AssumeRole", **SERVICE})
        iam, name = self.server.client("iam", account), unique("role")
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(*trust), **options)["Role"]["Arn"]
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=policy(*statements))
        return Role(self.server, arn, self.server.assume(arn, caller=account))

    def calls(self, principal: str, operation: str | None = None) -> list[dict[str, Any]]:
        """The recorded calls of a role or an account, oldest first."""
        lines = [json.loads(line) for line in self.record.read_text().splitlines()]
        return [line for line in lines if line["principal"] == principal and operation in (None, line["operation"])]

    def bucket(self, account: str = DEV) -> str:
        return new_bucket(self.server, account)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    directory = tmp_path_factory.mktemp("enforced")
    record = directory / "calls.jsonl"
    server = Server.start(directory, "--enforce-iam", "--record", str(record))
    yield Cloud(server, record)
    assert server.stop() == 0


def refused(call: Callable[[], Any]) -> ClientError:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value


def code(error: ClientError) -> tuple[str, int]:
    return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]


# ---- Who is refused, and how ----


@pytest.mark.parametrize(
    ("service", "call", "arguments", "expected", "action", "resource"),
    [
        ("s3", "list_objects_v2", {"Bucket": "b"}, ("AccessDenied", 403), "s3:ListBucket", '"arn:aws:s3:::b"'),
        ("s3", "list_buckets", {}, ("AccessDenied", 403), "s3:ListAllMyBuckets", '"*"'),
        ("sagemaker", "list_models", {}, ("AccessDeniedException", 400), "sagemaker:ListModels", "*"),
        (
            "sagemaker-runtime",
            "invoke_endpoint",
            {"EndpointName": "e", "Body": b""},
            ("AccessDeniedException", 403),
            "sagemaker:InvokeEndpoint",
            f"arn:aws:sagemaker:us-east-1:{DEV}:endpoint/e",
        ),
        ("cloudwatch", "list_metrics", {}, ("AccessDeniedException", 400), "cloudwatch:ListMetrics", "*"),
        (
            "logs",
            "describe_log_streams",
            {"logGroupName": "/g"},
            ("AccessDeniedException", 400),
            "logs:DescribeLogStreams",
            f"arn:aws:logs:us-east-1:{DEV}:log-group:/g:log-stream:",
        ),
        ("iam", "list_roles", {}, ("AccessDenied", 403), "iam:ListRoles", "*"),
        (
            "sns",
            "create_topic",
            {"Name": "t"},
            ("AccessDenied", 403),
            "sns:CreateTopic",
            f"arn:aws:sns:us-east-1:{DEV}:t",
        ),
        ("ec2", "describe_vpcs", {}, ("UnauthorizedOperation", 403), "ec2:DescribeVpcs", "*"),
        (
            "scheduler",
            "get_schedule",
            {"Name": "s"},
            ("AccessDeniedException", 403),
            "scheduler:GetSchedule",
            f"arn:aws:scheduler:us-east-1:{DEV}:schedule/default/s",
        ),
        (
            "stepfunctions",
            "create_state_machine",
            {"name": "m", "definition": "{}", "roleArn": f"arn:aws:iam::{DEV}:role/any"},
            ("AccessDeniedException", 400),
            "states:CreateStateMachine",
            f"arn:aws:states:us-east-1:{DEV}:stateMachine:m",
        ),
    ],
)
def test_a_role_without_policies_may_do_nothing(
    cloud: Cloud,
    service: str,
    call: str,
    arguments: dict[str, Any],
    expected: tuple[str, int],
    action: str,
    resource: str,
) -> None:
    role = cloud.role()
    error = refused(lambda: getattr(role.client(service), call)(**arguments))
    assert code(error) == expected
    assert error.response["Error"]["Message"] == (
        f"User: arn:aws:sts::{DEV}:assumed-role/{role.name}/test is not authorized to perform: {action} "
        f"on resource: {resource} because no identity-based policy allows the {action} action"
    )


def test_everybody_may_ask_who_they_are(cloud: Cloud) -> None:
    assert cloud.role().client("sts").get_caller_identity()["Account"] == DEV


def test_the_administrator_may_do_everything(cloud: Cloud) -> None:
    name = cloud.bucket()
    cloud.server.client("s3").put_object(Bucket=name, Key="k", Body=b"x")
    assert cloud.server.client("ec2").describe_vpcs()["Vpcs"] is not None


def test_an_inline_policy_allows_what_it_says_and_no_more(cloud: Cloud) -> None:
    name = cloud.bucket()
    s3 = cloud.role(allow(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{name}/models/*")).client("s3")
    s3.put_object(Bucket=name, Key="models/m", Body=b"m")
    assert s3.get_object(Bucket=name, Key="models/m")["Body"].read() == b"m"
    assert code(refused(lambda: s3.put_object(Bucket=name, Key="other", Body=b""))) == ("AccessDenied", 403)
    assert code(refused(lambda: s3.delete_object(Bucket=name, Key="models/m"))) == ("AccessDenied", 403)


def test_managed_policies_boundaries_and_denials(cloud: Cloud) -> None:
    iam = cloud.server.client("iam")

    def managed(*statements: dict[str, Any]) -> str:
        created = iam.create_policy(PolicyName=unique("policy"), PolicyDocument=policy(*statements))
        return str(created["Policy"]["Arn"])

    boundary = managed(allow(["cloudwatch:*", "sns:*"]))
    role = cloud.role({"Effect": "Deny", "Action": "sns:ListTopics", "Resource": "*"}, PermissionsBoundary=boundary)
    iam.attach_role_policy(RoleName=role.name, PolicyArn=managed(allow("*")))
    assert role.client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    denied = refused(role.client("sns").list_topics)
    assert "with an explicit deny in an identity-based policy" in str(denied)
    outside = refused(role.client("logs").describe_log_groups)
    assert "because no permissions boundary allows the logs:DescribeLogGroups action" in str(outside)


def test_users_have_their_own_policies_and_those_of_their_groups(cloud: Cloud) -> None:
    iam, user, group = cloud.server.client("iam"), unique("user"), unique("group")
    iam.create_user(UserName=user)
    iam.create_group(GroupName=group)
    iam.add_user_to_group(GroupName=group, UserName=user)
    iam.put_user_policy(UserName=user, PolicyName="own", PolicyDocument=policy(allow("sns:ListTopics")))
    iam.put_group_policy(GroupName=group, PolicyName="group", PolicyDocument=policy(allow("cloudwatch:DescribeAlarms")))
    key = iam.create_access_key(UserName=user)["AccessKey"]
    credentials = {"key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
    assert cloud.server.client("sns", **credentials).list_topics()["Topics"] == []
    assert cloud.server.client("cloudwatch", **credentials).describe_alarms()["MetricAlarms"] == []
    error = refused(cloud.server.client("logs", **credentials).describe_log_groups)
    assert f"User: arn:aws:iam::{DEV}:user/{user} is not authorized" in str(error)


def test_a_session_policy_narrows_the_role(cloud: Cloud) -> None:
    role = cloud.role(allow("*"))
    answer = cloud.server.client("sts").assume_role(
        RoleArn=role.arn, RoleSessionName="narrow", Policy=policy(allow("sns:*"))
    )["Credentials"]
    given = {"key": answer["AccessKeyId"], "secret": answer["SecretAccessKey"], "token": answer["SessionToken"]}
    assert cloud.server.client("sns", **given).list_topics()["Topics"] == []
    error = refused(cloud.server.client("cloudwatch", **given).list_metrics)
    assert "because no session policy allows the cloudwatch:ListMetrics action" in str(error)


def test_assuming_a_role_needs_both_sides_unless_the_trust_names_the_caller(cloud: Cloud) -> None:
    caller = cloud.role()
    target, named = cloud.role(account=STAGING), cloud.role()
    iam = cloud.server.client("iam", STAGING)
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": caller.arn}}
    iam.update_assume_role_policy(RoleName=target.name, PolicyDocument=policy(trust))
    cloud.server.client("iam").update_assume_role_policy(RoleName=named.name, PolicyDocument=policy(trust))

    def assume(role: Role) -> Any:
        return caller.client("sts").assume_role(RoleArn=role.arn, RoleSessionName="me")["Credentials"]

    assert assume(named)["AccessKeyId"]
    error = refused(lambda: assume(target))
    assert code(error) == ("AccessDenied", 403)
    assert "because no identity-based policy allows the sts:AssumeRole action" in str(error)
    cloud.server.client("iam").put_role_policy(
        RoleName=caller.name, PolicyName="p", PolicyDocument=policy(allow("sts:AssumeRole", target.arn))
    )
    assert assume(target)["AccessKeyId"]


# ---- S3 and KMS ----


def test_in_one_account_the_bucket_policy_is_enough(cloud: Cloud) -> None:
    name, named, other = cloud.bucket(), cloud.role(), cloud.role()
    s3 = cloud.server.client("s3")
    s3.put_object(Bucket=name, Key="k", Body=b"x")
    grant = allow("s3:GetObject", f"arn:aws:s3:::{name}/*", Principal={"AWS": named.arn})
    s3.put_bucket_policy(Bucket=name, Policy=policy(grant))
    assert named.client("s3").get_object(Bucket=name, Key="k")["Body"].read() == b"x"
    assert code(refused(lambda: other.client("s3").get_object(Bucket=name, Key="k"))) == ("AccessDenied", 403)
    # The account as a whole is left to its identity policies.
    grant["Principal"] = {"AWS": f"arn:aws:iam::{DEV}:root"}
    s3.put_bucket_policy(Bucket=name, Policy=policy(grant))
    assert code(refused(lambda: named.client("s3").get_object(Bucket=name, Key="k"))) == ("AccessDenied", 403)


def test_between_accounts_both_sides_have_to_allow(cloud: Cloud) -> None:
    name = cloud.bucket(STAGING)
    s3 = cloud.server.client("s3", STAGING)
    s3.put_object(Bucket=name, Key="k", Body=b"x")
    able, unable = cloud.role(allow("s3:GetObject", f"arn:aws:s3:::{name}/*")), cloud.role()
    error = refused(lambda: able.client("s3").get_object(Bucket=name, Key="k"))
    assert "because no resource-based policy allows the s3:GetObject action" in str(error)
    s3.put_bucket_policy(
        Bucket=name, Policy=policy(allow("s3:GetObject", f"arn:aws:s3:::{name}/*", Principal={"AWS": DEV}))
    )
    assert able.client("s3").get_object(Bucket=name, Key="k")["Body"].read() == b"x"
    error = refused(lambda: unable.client("s3").get_object(Bucket=name, Key="k"))
    assert "because no identity-based policy allows the s3:GetObject action" in str(error)


def test_whoever_may_not_list_is_not_told_that_an_object_is_missing(cloud: Cloud) -> None:
    name = cloud.bucket()
    blind = cloud.role(allow("s3:GetObject", f"arn:aws:s3:::{name}/*")).client("s3")
    seeing = cloud.role(
        allow("s3:GetObject", f"arn:aws:s3:::{name}/*"), allow("s3:ListBucket", f"arn:aws:s3:::{name}")
    ).client("s3")
    assert code(refused(lambda: blind.head_object(Bucket=name, Key="none"))) == ("403", 403)
    assert code(refused(lambda: seeing.head_object(Bucket=name, Key="none"))) == ("404", 404)


def test_of_many_deletions_each_is_decided(cloud: Cloud) -> None:
    name = cloud.bucket()
    for key in ("kept/a", "free/b"):
        cloud.server.client("s3").put_object(Bucket=name, Key=key, Body=b"x")
    s3 = cloud.role(allow("s3:DeleteObject", f"arn:aws:s3:::{name}/free/*")).client("s3")
    answer = s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "kept/a"}, {"Key": "free/b"}]})
    assert [entry["Key"] for entry in answer["Deleted"]] == ["free/b"]
    assert [(entry["Key"], entry["Code"]) for entry in answer["Errors"]] == [("kept/a", "AccessDenied")]


def test_a_condition_on_a_create_only_write(cloud: Cloud) -> None:
    name = cloud.bucket()
    create_only = allow("s3:PutObject", f"arn:aws:s3:::{name}/*", Condition={"Null": {"s3:if-none-match": "false"}})
    s3 = cloud.role(create_only).client("s3")
    s3.put_object(Bucket=name, Key="k", Body=b"x", IfNoneMatch="*")
    assert code(refused(lambda: s3.put_object(Bucket=name, Key="k", Body=b"y"))) == ("AccessDenied", 403)


def test_an_encrypted_bucket_asks_for_its_key(cloud: Cloud) -> None:
    name, kms = cloud.bucket(), cloud.server.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    cloud.server.client("s3").put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    objects = allow(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{name}/*")
    via_s3 = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}
    writer = cloud.role(objects, allow("kms:GenerateDataKey", key, Condition=via_s3)).client("s3")
    reader = cloud.role(objects, allow("kms:Decrypt", key, Condition=via_s3)).client("s3")
    writer.put_object(Bucket=name, Key="k", Body=b"x")
    assert reader.get_object(Bucket=name, Key="k")["Body"].read() == b"x"
    error = refused(lambda: writer.get_object(Bucket=name, Key="k"))
    assert f"perform: kms:Decrypt on resource: {key} because no identity-based policy allows" in str(error)
    error = refused(lambda: reader.put_object(Bucket=name, Key="k", Body=b"y"))
    assert f"perform: kms:GenerateDataKey on resource: {key} because no identity-based policy" in str(error)
    # The key's own policy has to say yes in any case.
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy(allow("kms:Describe*", Principal={"AWS": DEV})))
    error = refused(lambda: reader.get_object(Bucket=name, Key="k"))
    assert "because no resource-based policy allows the kms:Decrypt action" in str(error)


# ---- SageMaker, and what it does as an execution role ----

SCRIPT = "import os, pathlib\npathlib.Path(os.environ['SM_MODEL_DIR'], 'm').write_text('m')\nprint('trained')\n"


def train(cloud: Cloud, caller: Any, role: str, bucket: str) -> dict[str, Any]:
    name = unique("job")
    s3 = cloud.server.client("s3")
    s3.put_object(Bucket=bucket, Key="data/a.csv", Body=b"a")
    s3.put_object(Bucket=bucket, Key="source.tar.gz", Body=tar_gz({"train.py": SCRIPT}))
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/data/"}}
    caller.create_training_job(
        TrainingJobName=name,
        RoleArn=role,
        AlgorithmSpecification={
            "TrainingImage": f"{DEV}.dkr.ecr.us-east-1.amazonaws.com/image:1",
            "TrainingInputMode": "File",
        },
        HyperParameters={
            "sagemaker_program": '"train.py"',
            "sagemaker_submit_directory": json.dumps(f"s3://{bucket}/source.tar.gz"),
        },
        InputDataConfig=[{"ChannelName": "train", "DataSource": source}],
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 300},
    )

    def ended() -> dict[str, Any] | None:
        job = dict(cloud.server.client("sagemaker").describe_training_job(TrainingJobName=name))
        return job if job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped") else None

    return eventually(ended)


def training_permissions(bucket: str) -> dict[str, dict[str, Any]]:
    return {
        "pull": allow("ecr:*"),
        "list": allow("s3:ListBucket", f"arn:aws:s3:::{bucket}"),
        "read": allow("s3:GetObject", [f"arn:aws:s3:::{bucket}/data/*", f"arn:aws:s3:::{bucket}/source.tar.gz"]),
        "write": allow("s3:PutObject", f"arn:aws:s3:::{bucket}/out/*"),
        "log": allow("logs:*"),
    }


def test_passing_a_role_needs_permission(cloud: Cloud) -> None:
    bucket = cloud.bucket()
    execution = cloud.role(*training_permissions(bucket).values(), service=True)
    passing = allow(
        "iam:PassRole", execution.arn, Condition={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    )
    create = allow("sagemaker:CreateTrainingJob")
    error = refused(lambda: train(cloud, cloud.role(create).client("sagemaker"), execution.arn, bucket))
    assert code(error) == ("AccessDeniedException", 400)
    assert f"is not authorized to perform: iam:PassRole on resource: {execution.arn} because no" in str(error)
    job = train(cloud, cloud.role(create, passing).client("sagemaker"), execution.arn, bucket)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")


def test_instance_types_can_be_limited(cloud: Cloud) -> None:
    bucket = cloud.bucket()
    limited = allow(
        "sagemaker:CreateTrainingJob",
        Condition={"ForAllValues:StringEquals": {"sagemaker:InstanceTypes": ["ml.t3.medium"]}},
    )
    caller = cloud.role(limited, allow("iam:PassRole")).client("sagemaker")
    error = refused(lambda: train(cloud, caller, f"arn:aws:iam::{DEV}:role/any", bucket))
    assert "is not authorized to perform: sagemaker:CreateTrainingJob" in str(error)


@pytest.mark.parametrize(
    ("without", "reason", "action"),
    [
        ("pull", "ClientError: Cannot pull algorithm container. User: ", "ecr:GetAuthorizationToken"),
        ("list", "ClientError: Data download failed:User: ", "s3:ListBucket"),
        ("read", "ClientError: Data download failed:User: ", "s3:GetObject"),
        ("write", "ClientError: Artifact upload failed:User: ", "s3:PutObject"),
    ],
)
def test_a_job_fails_over_what_its_role_may_not_do(cloud: Cloud, without: str, reason: str, action: str) -> None:
    bucket = cloud.bucket()
    permissions = training_permissions(bucket)
    del permissions[without]
    role = cloud.role(*permissions.values(), service=True)
    job = train(cloud, cloud.server.client("sagemaker"), role.arn, bucket)
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(
        f"{reason}arn:aws:sts::{DEV}:assumed-role/{role.name}/SageMaker is not authorized to perform: {action} on"
    )


def test_a_job_that_may_not_log_runs_without_a_log(cloud: Cloud) -> None:
    bucket = cloud.bucket()
    permissions = training_permissions(bucket)
    del permissions["log"]
    role = cloud.role(*permissions.values(), service=True)
    job = train(cloud, cloud.server.client("sagemaker"), role.arn, bucket)
    assert job["TrainingJobStatus"] == "Completed"
    logs, group = cloud.server.client("logs"), "/aws/sagemaker/TrainingJobs"
    assert all(not line["allowed"] for line in cloud.calls(role.arn) if line["service"] == "logs")
    if any(found["logGroupName"] == group for found in logs.describe_log_groups()["logGroups"]):
        named = {"logGroupName": group, "logStreamNamePrefix": job["TrainingJobName"]}
        assert logs.describe_log_streams(**named)["logStreams"] == []


def test_an_endpoint_reads_its_model_and_captures_as_the_models_role(cloud: Cloud) -> None:
    bucket, name, sagemaker = cloud.bucket(), unique("endpoint"), cloud.server.client("sagemaker")
    s3 = cloud.server.client("s3")
    s3.put_object(Bucket=bucket, Key="model.tar.gz", Body=model_archive("7"))
    blind = cloud.role(service=True)
    reader = cloud.role(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/model.tar.gz"), service=True)
    container = {
        "Image": "registry/image:1",
        "ModelDataUrl": f"s3://{bucket}/model.tar.gz",
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"},
    }
    error = refused(
        lambda: sagemaker.create_model(ModelName=name, ExecutionRoleArn=blind.arn, PrimaryContainer=container)
    )
    assert 'that it has "s3:GetObject" permissions' in str(error)
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=reader.arn, PrimaryContainer=container)
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {"VariantName": "v", "ModelName": name, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        ],
        DataCaptureConfig={
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://{bucket}/capture",
            "CaptureOptions": [{"CaptureMode": "Input"}],
        },
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    eventually(lambda: sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService")
    caller = cloud.role(allow("sagemaker:InvokeEndpoint", f"arn:aws:sagemaker:us-east-1:{DEV}:endpoint/{name}"))
    runtime = caller.client("sagemaker-runtime")
    assert runtime.invoke_endpoint(EndpointName=name, Body=b"1")["Body"].read() == b"7"
    # As on AWS, a capture that may not be written does not fail the request.
    [put] = cloud.calls(reader.arn, "PutObject")
    assert (put["origin"], put["allowed"], put["actions"][0]["action"]) == ("service", False, "s3:PutObject")
    assert put["actions"][0]["resource"].startswith(f"arn:aws:s3:::{bucket}/capture/{name}/v/")
    assert s3.list_objects_v2(Bucket=bucket, Prefix="capture/")["KeyCount"] == 0
    assert [line["allowed"] for line in cloud.calls(reader.arn, "GetObject")] == [True]
    sagemaker.delete_endpoint(EndpointName=name)


def test_an_encrypted_volume_needs_a_grant_when_the_endpoint_is_made(cloud: Cloud) -> None:
    bucket, name, sagemaker = cloud.bucket(), unique("endpoint"), cloud.server.client("sagemaker")
    key = cloud.server.client("kms").create_key()["KeyMetadata"]["Arn"]
    cloud.server.client("s3").put_object(Bucket=bucket, Key="model.tar.gz", Body=model_archive("7"))
    execution = cloud.role(allow("s3:GetObject"), service=True).arn
    container = {"Image": "registry/image:1", "ModelDataUrl": f"s3://{bucket}/model.tar.gz"}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=execution, PrimaryContainer=container)
    variant = {"VariantName": "v", "ModelName": name, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], KmsKeyId=key)
    caller = cloud.role(allow("sagemaker:CreateEndpoint")).client("sagemaker")
    error = refused(lambda: caller.create_endpoint(EndpointName=name, EndpointConfigName=name))
    assert f"is not authorized to perform: kms:CreateGrant on resource: {key} because no identity" in str(error)


# ---- The record ----


def test_a_line_says_who_asked_for_what_and_why_it_was_decided_so(cloud: Cloud) -> None:
    name = cloud.bucket()
    role = cloud.role(allow("s3:PutObject", f"arn:aws:s3:::{name}/*", Sid="Write"))
    role.client("s3").put_object(Bucket=name, Key="k", Body=b"x", IfNoneMatch="*")
    refused(lambda: role.client("s3").get_object(Bucket=name, Key="k"))
    put, get = cloud.calls(role.arn)
    assert {key: put[key] for key in ("account", "session", "origin", "service", "operation", "allowed")} == {
        "account": DEV,
        "session": "test",
        "origin": "request",
        "service": "s3",
        "operation": "PutObject",
        "allowed": True,
    }
    [action] = put["actions"]
    assert action["context"]["s3:if-none-match"] == "*"
    assert action["context"]["aws:PrincipalArn"] == role.arn
    assert (action["action"], action["resource"]) == ("s3:PutObject", f"arn:aws:s3:::{name}/k")
    assert (action["allowed"], action["by"], action["why"]) == (True, "inline/Write", None)
    [action] = get["actions"]
    assert (get["operation"], get["allowed"], action["by"]) == ("GetObject", False, None)
    assert action["why"] == "because no identity-based policy allows the s3:GetObject action"


def test_the_administrators_calls_are_recorded(cloud: Cloud) -> None:
    name = cloud.bucket(STAGING)
    mine = cloud.calls(f"arn:aws:iam::{STAGING}:root", "CreateBucket")
    [action] = next(line["actions"] for line in mine if line["actions"][0]["resource"] == f"arn:aws:s3:::{name}")
    assert (action["action"], action["allowed"], action["by"]) == ("s3:CreateBucket", True, "administrator")


def test_parameters_reach_the_record_in_every_protocol(cloud: Cloud) -> None:
    role = cloud.role(allow("*"))
    datum = {"MetricName": "m", "Value": 1.0}
    role.client("cloudwatch").put_metric_data(Namespace="Some/Space", MetricData=[datum])
    role.client("sns").create_topic(Name="recorded")
    refused(lambda: role.client("scheduler").get_schedule(Name="none"))
    role.client("logs").create_log_group(logGroupName="/recorded")
    found = {line["operation"]: line["actions"][0] for line in cloud.calls(role.arn)}
    assert found["PutMetricData"]["context"]["cloudwatch:namespace"] == "Some/Space"
    assert found["CreateTopic"]["resource"].endswith(":recorded")
    assert found["GetSchedule"]["resource"].endswith(":schedule/default/none")
    assert found["CreateLogGroup"]["resource"].endswith(":log-group:/recorded:log-stream:")


def test_without_enforcement_the_record_says_what_would_have_been_refused(tmp_path: Path) -> None:
    server = Server.start(tmp_path, "--record", str(tmp_path / "calls.jsonl"))
    try:
        cloud = Cloud(server, tmp_path / "calls.jsonl")
        name, role = cloud.bucket(), cloud.role()
        role.client("s3").put_object(Bucket=name, Key="k", Body=b"x")
        assert role.client("sns").list_topics()["Topics"] == []
        assert [(line["operation"], line["allowed"]) for line in cloud.calls(role.arn)] == [
            ("PutObject", False),
            ("ListTopics", False),
        ]
    finally:
        assert server.stop() == 0


def test_without_either_nothing_is_refused_or_kept(server: Server, tmp_path: Path) -> None:
    cloud = Cloud(server, tmp_path / "none")
    assert cloud.role().client("sns").list_topics()["Topics"] is not None


def test_local_up_hands_both_on(tmp_path: Path) -> None:
    cli, record = Cli(copy_project(tmp_path / "project")), tmp_path / "calls.jsonl"
    up = ("local", "up", "--no-deploy", "--port", str(free_port()))
    done = cli(*up, "--enforce-iam", env={"MLOPS_KIT_LOCAL_RECORD": str(record)})
    try:
        assert done.code == 0, done.err
        running = state.read(Layout(cli.project))
        assert running is not None
        assert running.enforces_iam
        cli.ok(*up)
        cli.ok(*up, "--enforce-iam")
        assert record.read_text() == "", "nothing was asked yet"
    finally:
        cli.ok("local", "down")
    cli.ok(*up)
    try:
        refusal = cli(*up, "--enforce-iam")
        assert (refusal.code, "already runs, without enforcing IAM" in refusal.err) == (2, True)
    finally:
        cli.ok("local", "down")
