"""Whose credentials commands act with; and AWS's errors become the kit's by their codes, and by nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session
import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ProfileNotFound

from mlops_kit import aws, errors
from mlops_kit.aws import translate, translate_botocore
from mlops_kit.config import Environment, load_project
from mlops_kit.naming import PERSON_ROLES, PersonRole
from tests.cloud import ROOT


@pytest.fixture
def environment() -> Environment:
    return load_project(ROOT).environment("dev")


class Sts:
    """STS as one caller sees it."""

    def __init__(self, caller: str, assumed: list[str], refuses: bool) -> None:
        self.caller, self.assumed, self.refuses = caller, assumed, refuses

    def get_caller_identity(self) -> dict[str, str]:
        return {"Account": self.caller.split(":")[4], "Arn": self.caller}

    def assume_role(self, **arguments: str) -> dict[str, Any]:
        self.assumed.append(arguments["RoleArn"])
        if self.refuses:
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "AssumeRole")
        expires = datetime.now(UTC) + timedelta(hours=1)
        keys = {"AccessKeyId": "a", "SecretAccessKey": "b", "SessionToken": "c", "Expiration": expires}
        return {"Credentials": keys}


@pytest.fixture
def called_by(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let a caller connect; gives the list of the roles that it assumed on the way."""

    def login(caller: str, *, refuses: bool = False) -> list[str]:
        assumed: list[str] = []

        class Session:
            """boto3's: the caller's own, or one with the credentials of the role that was assumed last."""

            def __init__(self, *, region_name: str, botocore_session: Any = None) -> None:
                acts = caller if botocore_session is None else assumed[-1].replace(":iam:", ":sts:")
                self.sts = Sts(acts, assumed, refuses)
                self._session = self
                self.get_component = botocore.session.Session().get_component

            def client(self, service: str, **_: Any) -> Sts:
                assert service == "sts"
                return self.sts

            create_client = client

            def get_credentials(self) -> Credentials:
                return Credentials("a", "b", "c")

        monkeypatch.setattr(aws.boto3, "Session", Session)
        return assumed

    return login


@pytest.mark.parametrize("role", PERSON_ROLES)
def test_who_acts_in_a_role_of_the_environment_stays_in_it(
    role: PersonRole, environment: Environment, called_by: Any
) -> None:
    caller = f"arn:aws:sts::{environment.account}:assumed-role/{environment.names.role(role)}/somebody"
    assumed = called_by(caller)
    assert aws.connect(environment).actor == caller
    assert assumed == []


@pytest.mark.parametrize(
    "caller",
    [
        "arn:aws:iam::111111111111:user/somebody",
        "arn:aws:sts::111111111111:assumed-role/administrator/somebody",
        "arn:aws:sts::111111111111:assumed-role/acme-dev-auditor-2/somebody",
        "arn:aws:sts::111111111111:assumed-role/acme-staging-data-scientist/somebody",
        "arn:aws:sts::222222222222:assumed-role/acme-dev-data-scientist/somebody",
    ],
)
def test_everybody_else_becomes_the_promoter(caller: str, environment: Environment, called_by: Any) -> None:
    assumed = called_by(caller)
    assert aws.connect(environment).actor == caller, "the ledger records who it was"
    assert assumed == [environment.names.role_arn("promoter")]


def test_who_may_not_become_the_promoter_is_told_how(environment: Environment, called_by: Any) -> None:
    called_by("arn:aws:iam::222222222222:user/somebody", refuses=True)
    with pytest.raises(errors.AccessError, match=r"user/somebody .* may not act in dev") as caught:
        aws.connect(environment)
    assert "operators" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AccessDenied", errors.AccessError),
        ("403", errors.AccessError),
        ("ExpiredToken", errors.AccessError),
        ("InvalidClientTokenId", errors.AccessError),
        ("PreconditionFailed", errors.ConflictError),
        ("ResourceInUse", errors.ConflictError),
        ("NoSuchBucket", errors.NotFoundError),
        ("ResourceNotFound", errors.NotFoundError),
        ("InternalError", errors.ServiceError),
        ("", errors.ServiceError),
    ],
)
def test_codes_are_translated_by_the_table(code: str, kind: type[errors.MlopsKitError]) -> None:
    # The message says something else on purpose: it must not decide anything.
    found = translate(ClientError({"Error": {"Code": code, "Message": "AccessDenied NoSuchBucket"}}, "PutObject"))
    assert type(found) is kind
    assert "PutObject" in found.message
    assert found.hint


def test_a_timeout_or_a_missing_permission_is_never_not_found() -> None:
    for code in ("403", "AccessDenied", "RequestTimeout", "SlowDown", "ExpiredToken", "500"):
        found = translate(ClientError({"Error": {"Code": code}}, "HeadObject"))
        assert not isinstance(found, errors.NotFoundError)


def test_what_fails_before_aws_answers_is_translated_too() -> None:
    assert isinstance(translate_botocore(NoCredentialsError()), errors.AccessError)
    assert isinstance(translate_botocore(ProfileNotFound(profile="x")), errors.AccessError)
    assert isinstance(translate_botocore(EndpointConnectionError(endpoint_url="http://x")), errors.ServiceError)
