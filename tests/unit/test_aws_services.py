"""The services of the AWS on loopback as their boto3 clients see them."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.aws import Fault, LoopbackAws
from tests.aws.budgets import Budget
from tests.aws.ecr import Image
from tests.aws.kms import RSA, RSA_SPEC
from tests.aws.protocol import Time, cbor_answer, decode, encode
from tests.s3.clients import client

ONE, OTHER = "111111111111", "222222222222"
DIGEST = f"sha256:{'d' * 64}"
PACKAGE: dict[str, Any] = {
    "ModelPackageGroupName": "churn",
    "InferenceSpecification": {
        "Containers": [{"Image": "i", "ModelDataUrl": "s3://b/k"}],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    },
}


@pytest.fixture
def aws() -> Iterator[LoopbackAws]:
    with LoopbackAws({"b": ONE}) as server:
        server.sagemaker.add_group(ONE, "churn")
        yield server


def asking(aws: LoopbackAws, service: str, account: str = ONE, **options: Any) -> AbstractContextManager[Any]:
    return client(aws, account, service=service, **options)


def code(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def config(sagemaker: Any, name: str) -> None:
    """A model and an endpoint configuration of this name."""
    sagemaker.create_model(ModelName=name, ExecutionRoleArn="arn:aws:iam::111111111111:role/r")
    variant = {"VariantName": "main", "ModelName": name, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])


def test_what_is_made_is_there_until_it_is_deleted(aws: LoopbackAws) -> None:
    with asking(aws, "sagemaker") as sagemaker:
        with pytest.raises(ClientError) as caught:
            sagemaker.describe_model(ModelName="m")
        assert code(caught) == (
            "ValidationException",
            'Could not find model "arn:aws:sagemaker:us-east-1:111111111111:model/m".',
        )
        config(sagemaker, "m")
        assert isinstance(sagemaker.describe_model(ModelName="m")["CreationTime"], datetime)
        with pytest.raises(ClientError, match="Cannot create already existing endpoint configuration"):
            sagemaker.create_endpoint_config(
                EndpointConfigName="m", ProductionVariants=[{"VariantName": "main", "ModelName": "m"}]
            )
        with pytest.raises(ClientError, match="Could not find model"):
            sagemaker.create_endpoint_config(
                EndpointConfigName="n", ProductionVariants=[{"VariantName": "main", "ModelName": "n"}]
            )
        sagemaker.delete_endpoint_config(EndpointConfigName="m")
        sagemaker.delete_model(ModelName="m")
        for gone in (sagemaker.delete_model, sagemaker.describe_model):
            with pytest.raises(ClientError, match="Could not find model"):
                gone(ModelName="m")


def test_an_update_takes_its_looks_and_lets_no_other_in(aws: LoopbackAws) -> None:
    aws.sagemaker.looks = 2
    aws.sagemaker.add_endpoint(ONE, "e", "old")
    with asking(aws, "sagemaker") as sagemaker:
        config(sagemaker, "new")
        sagemaker.update_endpoint(EndpointName="e", EndpointConfigName="new")
        with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
            sagemaker.update_endpoint(EndpointName="e", EndpointConfigName="new")
        seen = [sagemaker.describe_endpoint(EndpointName="e") for _ in range(3)]
    assert [one["EndpointStatus"] for one in seen] == ["Updating", "Updating", "InService"]
    assert [one["EndpointConfigName"] for one in seen] == ["old", "old", "new"]
    assert [one.get("PendingDeploymentSummary", {}).get("EndpointConfigName") for one in seen] == ["new", "new", None]
    assert seen[2]["ProductionVariants"][0]["CurrentInstanceCount"] == 1


@pytest.mark.parametrize("by", ["an alarm", "the test"])
def test_an_update_is_rolled_back(aws: LoopbackAws, by: str) -> None:
    aws.sagemaker.looks = 0
    endpoint = aws.sagemaker.add_endpoint(ONE, "e", "old")
    if by == "an alarm":
        aws.cloudwatch.set_alarm(ONE, "errors", "ALARM")
    else:
        endpoint.refusals.append("the alarm errors went off")
    with asking(aws, "sagemaker") as sagemaker:
        config(sagemaker, "new")
        routing = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
        deployment = {
            "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing},
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]},
        }
        sagemaker.update_endpoint(EndpointName="e", EndpointConfigName="new", DeploymentConfig=deployment)
        seen = [sagemaker.describe_endpoint(EndpointName="e") for _ in range(2)]
    assert [one["EndpointStatus"] for one in seen] == ["RollingBack", "InService"]
    assert (seen[1]["EndpointConfigName"], "errors" in seen[1]["FailureReason"]) == ("old", True)


def test_versions_are_numbered_found_again_and_paged(aws: LoopbackAws) -> None:
    with asking(aws, "sagemaker") as sagemaker:
        arns = [
            sagemaker.create_model_package(**PACKAGE, ClientToken=f"{number}")["ModelPackageArn"]
            for number in (*range(25), 3)
        ]
        assert arns[25] == arns[3]
        assert arns[24].endswith(":model-package/churn/25")
        pages = sagemaker.get_paginator("list_model_packages").paginate(
            ModelPackageGroupName="churn", SortBy="CreationTime", SortOrder="Descending"
        )
        listed = [one["ModelPackageVersion"] for page in pages for one in page["ModelPackageSummaryList"]]
        assert listed == list(range(25, 0, -1))
        sagemaker.update_model_package(ModelPackageArn=arns[0], ModelApprovalStatus="Approved")
        found = sagemaker.describe_model_package(ModelPackageName=arns[0])
        assert (found["ModelApprovalStatus"], "InferenceSpecification" in found) == ("Approved", True)
        with pytest.raises(ClientError, match="does not exist"):
            sagemaker.describe_model_package(ModelPackageName=arns[0][:-1] + "99")
        approved = sagemaker.list_model_packages(ModelPackageGroupName="churn", ModelApprovalStatus="Approved")
        assert len(approved["ModelPackageSummaryList"]) == 1


def test_another_account_reads_a_version_by_its_arn_and_does_not_write_it(aws: LoopbackAws) -> None:
    with asking(aws, "sagemaker") as mine, asking(aws, "sagemaker", OTHER) as theirs:
        arn = mine.create_model_package(**PACKAGE)["ModelPackageArn"]
        assert theirs.describe_model_package(ModelPackageName=arn)["ModelPackageVersion"] == 1
        with pytest.raises(ClientError) as caught:
            theirs.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
        assert code(caught)[0] == "AccessDeniedException"
        with pytest.raises(ClientError, match="does not exist"):
            theirs.list_model_packages(ModelPackageGroupName="churn")
        assert mine.list_tags(ResourceArn=arn)["Tags"] == []


def test_an_endpoint_answers_by_a_function(aws: LoopbackAws) -> None:
    aws.sagemaker.add_endpoint(ONE, "e", "old")
    with asking(aws, "sagemaker-runtime") as runtime:
        answer = runtime.invoke_endpoint(EndpointName="e", Body=b"1\n2\n", ContentType="text/csv")
        assert answer["Body"].read() == b"0.5\n0.5\n"
        with pytest.raises(ClientError) as caught:
            runtime.invoke_endpoint(EndpointName="absent", Body=b"")
        assert code(caught)[0] == "ValidationError"

        def broken(endpoint: object, body: bytes) -> bytes:
            raise ValueError("no model")

        aws.runtime.model = broken
        with pytest.raises(ClientError) as caught:
            runtime.invoke_endpoint(EndpointName="e", Body=b"")
        assert code(caught)[0] == "ModelError"
    assert (aws.calls[0].service, aws.calls[0].key) == ("sagemaker-runtime", "e")


def test_alarms_and_metrics(aws: LoopbackAws) -> None:
    when = datetime(2026, 1, 1, tzinfo=UTC)
    aws.cloudwatch.set_alarm(ONE, "errors", "ALARM", since=when.timestamp())
    aws.cloudwatch.set_alarm(ONE, "latency")
    with asking(aws, "cloudwatch") as cloudwatch:
        (found,) = cloudwatch.describe_alarms(AlarmNames=["errors", "latency"], StateValue="ALARM")["MetricAlarms"]
        assert (found["AlarmName"], found["StateTransitionedTimestamp"]) == ("errors", when)
        pages = cloudwatch.get_paginator("describe_alarms").paginate(PaginationConfig={"PageSize": 1})
        assert [one["AlarmName"] for page in pages for one in page["MetricAlarms"]] == ["errors", "latency"]
        data = [{"MetricName": f"m{number}", "Value": 1.5} for number in range(400)]  # enough to be compressed
        cloudwatch.put_metric_data(Namespace="N", MetricData=data)
    metrics = aws.cloudwatch.of(ONE).metrics
    assert (len(metrics), metrics[0]) == (400, {"Namespace": "N", "MetricName": "m0", "Value": 1.5})


def test_cloudwatch_in_cbor(aws: LoopbackAws) -> None:
    aws.cloudwatch.set_alarm(ONE, "errors", "ALARM", since=1.5)
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{aws.url}/service/GraniteServiceVersion20100801/operation/DescribeAlarms",
        encode({"AlarmNames": ["errors"], "MaxRecords": 10}),
        {
            "authorization": f"AWS4-HMAC-SHA256 Credential={ONE}/20260101/us-east-1/monitoring/aws4_request",
            "smithy-protocol": "rpc-v2-cbor",
        },
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        found = decode(answer.read())
    assert found["MetricAlarms"][0]["StateUpdatedTimestamp"] == datetime.fromtimestamp(1.5, UTC)


@pytest.mark.parametrize("value", [0, 23, 24, 255, 256, 70_000, 2**40, -1, -300, 1.5, "é" * 30, True, b"\0"])
def test_cbor_there_and_back(value: object) -> None:
    assert decode(encode({"a": [value, {"b": value}]})) == {"a": [value, {"b": value}]}


def test_cbor_has_no_form_for_everything() -> None:
    assert decode(encode([None])) == [None]
    assert decode(encode(Time(0.0))) == datetime.fromtimestamp(0, UTC)
    assert cbor_answer({}).headers["smithy-protocol"] == "rpc-v2-cbor"
    with pytest.raises(TypeError):
        encode(object())


def test_images_and_what_a_scan_found(aws: LoopbackAws) -> None:
    aws.ecr.add_image(ONE, "acme/churn", Image(DIGEST, ("1",), {"CRITICAL": 2}))
    aws.ecr.add_image(ONE, "acme/churn", Image("sha256:never", ("2",)))
    with asking(aws, "ecr", OTHER) as ecr:
        here = {"registryId": ONE, "repositoryName": "acme/churn"}
        (found,) = ecr.describe_images(**here, imageIds=[{"imageTag": "1"}])["imageDetails"]
        assert found["imageDigest"] == DIGEST
        scanned = ecr.describe_image_scan_findings(**here, imageId={"imageDigest": DIGEST})
        assert scanned["imageScanFindings"]["findingSeverityCounts"] == {"CRITICAL": 2}
        got = ecr.batch_get_image(**here, imageIds=[{"imageDigest": DIGEST}, {"imageTag": "3"}])
        assert (len(got["images"]), got["failures"][0]["failureCode"]) == (1, "ImageNotFound")
        for asked, wanted in (
            (lambda: ecr.describe_image_scan_findings(**here, imageId={"imageTag": "2"}), "ScanNotFoundException"),
            (lambda: ecr.describe_images(**here, imageIds=[{"imageTag": "3"}]), "ImageNotFoundException"),
            (lambda: ecr.describe_images(repositoryName="acme/churn"), "RepositoryNotFoundException"),
        ):
            with pytest.raises(ClientError) as caught:
                asked()
            assert code(caught)[0] == wanted


def test_a_budget(aws: LoopbackAws) -> None:
    aws.budgets.of(ONE)["monthly"] = Budget(500, 120.5, 510)
    with asking(aws, "budgets") as budgets:
        found = budgets.describe_budget(AccountId=ONE, BudgetName="monthly")["Budget"]
        assert found["CalculatedSpend"]["ForecastedSpend"] == {"Amount": "510.00", "Unit": "USD"}
        for account, wanted in ((ONE, "NotFoundException"), (OTHER, "AccessDeniedException")):
            with pytest.raises(ClientError) as caught:
                budgets.describe_budget(AccountId=account, BudgetName="absent")
            assert code(caught)[0] == wanted


def test_a_schedule_is_replaced_as_a_whole(aws: LoopbackAws) -> None:
    target = {"Arn": "arn:aws:scheduler:::aws-sdk:sagemaker:createTransformJob", "RoleArn": "r", "Input": "{}"}
    made = {"ScheduleExpression": "rate(1 hour)", "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": target}
    aws.scheduler.add(ONE, "g", "s", {**made, "State": "DISABLED", "Description": "d"})
    with asking(aws, "scheduler") as scheduler:
        assert scheduler.get_schedule(GroupName="g", Name="s")["State"] == "DISABLED"
        scheduler.update_schedule(GroupName="g", Name="s", **made)
        found = scheduler.get_schedule(GroupName="g", Name="s")
        assert (found["State"], "Description" in found, found["Target"]["Input"]) == ("ENABLED", False, "{}")
        with pytest.raises(ClientError) as caught:
            scheduler.get_schedule(GroupName="g", Name="absent")
        assert code(caught)[0] == "ResourceNotFoundException"


def test_a_signature_is_real(aws: LoopbackAws) -> None:
    key = aws.kms.add_key(ONE, "alias/signing")
    rsa_key = aws.kms.add_key(ONE, spec=RSA_SPEC)
    digest = hashlib.sha256(b"model").digest()
    with asking(aws, "kms") as kms, asking(aws, "kms", OTHER) as theirs:
        signed = kms.sign(
            KeyId="alias/signing", Message=digest, MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256"
        )["Signature"]
        public: Any = serialization.load_der_public_key(theirs.get_public_key(KeyId=key.arn)["PublicKey"])
        public.verify(signed, b"model", ec.ECDSA(hashes.SHA256()))
        asked = {"KeyId": key.arn, "Message": b"model", "SigningAlgorithm": "ECDSA_SHA_256"}
        assert theirs.verify(**asked, Signature=signed)["SignatureValid"]
        with pytest.raises(ClientError) as caught:
            theirs.verify(**{**asked, "Message": b"other"}, Signature=signed)
        assert code(caught)[0] == "KMSInvalidSignatureException"
        for algorithm in RSA:
            by_rsa = {"KeyId": rsa_key.id, "Message": b"model", "SigningAlgorithm": algorithm}
            assert kms.verify(**by_rsa, Signature=kms.sign(**by_rsa)["Signature"])["SignatureValid"]
        with pytest.raises(ClientError) as caught:
            kms.sign(**{**asked, "SigningAlgorithm": RSA[0]})
        assert code(caught)[0] == "InvalidKeyUsageException"
        with pytest.raises(ClientError) as caught:
            theirs.get_public_key(KeyId="alias/signing")
        assert code(caught)[0] == "NotFoundException"


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("503", "ServiceUnavailableException"),
        ("500", "InternalFailure"),
        ("409", "ConflictException"),
        ("expired", "ExpiredTokenException"),
        ("denied", "AccessDeniedException"),
    ],
)
@pytest.mark.parametrize("service", ["sagemaker", "cloudwatch", "scheduler", "sagemaker-runtime"])
def test_every_service_fails_as_it_is_told(aws: LoopbackAws, service: str, kind: Any, wanted: str) -> None:
    aws.faults.append(Fault(kind))
    asks: dict[str, Any] = {
        "sagemaker": lambda made: made.create_model_package(**PACKAGE),
        "cloudwatch": lambda made: made.put_metric_data(Namespace="N", MetricData=[{"MetricName": "m", "Value": 1}]),
        "scheduler": lambda made: made.get_schedule(Name="s"),
        "sagemaker-runtime": lambda made: made.invoke_endpoint(EndpointName="e", Body=b""),
    }
    with asking(aws, service) as made, pytest.raises(ClientError) as caught:
        asks[service](made)
    assert code(caught)[0] == wanted
    assert (list(aws.sagemaker.packages(ONE, "churn")), aws.cloudwatch.of(ONE).metrics) == ([], [])
    assert (aws.calls[0].service, aws.calls[0].account) == (service, ONE)


def test_an_answer_is_lost_after_the_effect(aws: LoopbackAws) -> None:
    aws.faults.append(Fault("lost", operation="CreateModelPackage"))
    with asking(aws, "sagemaker") as sagemaker, pytest.raises(ConnectionClosedError):
        sagemaker.create_model_package(**PACKAGE)
    assert len(list(aws.sagemaker.packages(ONE, "churn"))) == 1


def test_what_was_is_brought_back(aws: LoopbackAws) -> None:
    aws.buckets["b"].put("k", b"1")
    aws.sagemaker.add_endpoint(ONE, "e", "old")
    saved = aws.save()
    for _ in range(2):
        aws.buckets["b"].put("k", b"2")
        aws.buckets["b"].overwrite("k", b"3", aws.buckets["b"].versions("k")[-1].version_id)
        aws.sagemaker.endpoint(ONE, "e").config = "new"
        with asking(aws, "sagemaker") as sagemaker:
            sagemaker.create_model_package(**PACKAGE)
        aws.restore(saved)
        assert [version.data for version in aws.buckets["b"].versions("k")] == [b"1"]
        assert aws.sagemaker.endpoint(ONE, "e").config == "old"
        assert list(aws.sagemaker.packages(ONE, "churn")) == []


def test_what_no_service_has_is_refused(aws: LoopbackAws) -> None:
    with asking(aws, "sagemaker") as sagemaker, pytest.raises(ClientError) as caught:
        sagemaker.list_endpoints()
    assert code(caught)[0] == "UnknownOperationException"
    assert aws.calls[0].operation == "Unknown"


def test_sts_knows_who_acts_in_a_role(aws: LoopbackAws) -> None:
    with asking(aws, "sts") as sts:
        role = "arn:aws:iam::222222222222:role/promoter"
        given = sts.assume_role(RoleArn=role, RoleSessionName="alice")["Credentials"]
    request = urllib.request.Request(  # noqa: S310 - loopback
        aws.url,
        b"Action=GetCallerIdentity&Version=2011-06-15",
        {
            "authorization": f"AWS4-HMAC-SHA256 Credential={given['AccessKeyId']}/20260101/us-east-1/sts/aws4_request",
            "x-amz-security-token": given["SessionToken"],
        },
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        assert b"arn:aws:sts::222222222222:assumed-role/promoter/alice" in answer.read()
    assert json.dumps([call.service for call in aws.calls]) == '["sts", "sts"]'
