"""Which account and principal a key means, and who may become whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from mlops_kit.local.overlay import principals
from tests.local_cloud.support import DEV, STAGING, Server, new_role, unique


@pytest.mark.parametrize("account", [DEV, STAGING, "000000000042"])
def test_a_key_of_twelve_digits_is_the_root_of_that_account(server: Server, account: str) -> None:
    identity = server.client("sts", account).get_caller_identity()
    assert identity["Account"] == account
    assert identity["Arn"] == f"arn:aws:iam::{account}:root"


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
        ("sagemaker", "list_models", "UnrecognizedClientException"),
    ],
)
def test_a_key_that_nobody_was_given_is_refused(server: Server, service: str, call: str, code: str) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(server.client(service, key="AKIANOBODYHASTHISKEY"), call)()
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_keys_of_iam_users_work(server: Server) -> None:
    iam, name = server.client("iam", STAGING), unique("user")
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    identity = server.client("sts", key=key["AccessKeyId"], secret=key["SecretAccessKey"]).get_caller_identity()
    assert identity["Arn"] == f"arn:aws:iam::{STAGING}:user/{name}"


@pytest.mark.parametrize(
    "trust",
    [
        {"Principal": {"AWS": f"arn:aws:iam::{DEV}:root"}},
        {"Principal": {"AWS": [STAGING, DEV]}},
        {"Principal": "*"},
        {
            "Principal": {"AWS": "*"},
            "Condition": {"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{DEV}:root"}},
        },
    ],
)
def test_a_trusted_caller_gets_into_the_other_account(server: Server, trust: dict[str, object]) -> None:
    role = new_role(server, STAGING, trust)
    credentials = server.assume(role)
    identity = server.client("sts", **credentials).get_caller_identity()
    assert identity["Account"] == STAGING
    assert identity["Arn"] == f"arn:aws:sts::{STAGING}:assumed-role/{role.rsplit('/', 1)[-1]}/test"
    name = unique()
    server.client("sagemaker", **credentials).create_model_package_group(ModelPackageGroupName=name)
    server.client("sagemaker", STAGING).describe_model_package_group(ModelPackageGroupName=name)


@pytest.mark.parametrize(
    "trust",
    [
        {"Principal": {"AWS": "arn:aws:iam::999999999999:root"}},
        {"Principal": {"Service": "sagemaker.amazonaws.com"}},
        {"Principal": {"AWS": f"arn:aws:iam::{DEV}:root"}, "Condition": {"StringEquals": {"sts:ExternalId": "secret"}}},
    ],
)
def test_anybody_else_does_not(server: Server, trust: dict[str, object]) -> None:
    role = new_role(server, STAGING, trust)
    with pytest.raises(ClientError) as caught:
        server.assume(role)
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert f"is not authorized to perform: sts:AssumeRole on resource: {role}" in str(caught.value)


def test_a_role_that_does_not_exist_cannot_be_assumed(server: Server) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        server.assume(f"arn:aws:iam::{STAGING}:role/nobody")


def test_an_external_id_is_passed_on(server: Server) -> None:
    role = new_role(
        server, STAGING, {"Principal": {"AWS": DEV}, "Condition": {"StringEquals": {"sts:ExternalId": "secret"}}}
    )
    answer = server.client("sts").assume_role(RoleArn=role, RoleSessionName="test", ExternalId="secret")
    assert answer["Credentials"]["AccessKeyId"].startswith("ASIA")


def test_a_session_ends_when_sts_said_so() -> None:
    now = datetime.now(UTC)
    caller = principals.root(DEV)
    principals.remember_session("ASIATEST", caller, now + timedelta(hours=1))
    assert principals.find("ASIATEST", now) == caller
    with pytest.raises(principals.ExpiredError):
        principals.find("ASIATEST", now + timedelta(hours=1))
