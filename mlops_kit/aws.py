"""An environment -> AWS clients that act in its account, in one of its roles, and nowhere else.

Clients are made when first used. Before the first one is handed out, STS has said whose credentials these are. Who acts
in a role of the environment's people already (a data scientist, an approver) stays in it, with what it may do; everyone
else has to be able to assume the promoter role of the environment's own account. AWS's error codes become the kit's
errors in one table at the end of this module.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    EndpointConnectionError,
    NoCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)

from mlops_kit.config import Environment
from mlops_kit.errors import AccessError, ConflictError, MlopsKitError, NotFoundError, ServiceError
from mlops_kit.naming import PERSON_ROLES, BucketKind
from mlops_kit.objects import Store
from mlops_kit.redaction import redact_logs
from mlops_kit.wire import Wire

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_s3 import S3Client
    from types_boto3_sagemaker import SageMakerClient
    from types_boto3_sagemaker_runtime import SageMakerRuntimeClient

CLIENT_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 5},
    connect_timeout=10,
    read_timeout=70,  # InvokeEndpoint answers within 60 s or not at all
    max_pool_connections=32,
    user_agent_extra="mlops-kit",
)


def _config(endpoint_url: str | None) -> Config:
    # No proxy stands between this machine and itself, whatever the environment says.
    return CLIENT_CONFIG.merge(Config(proxies={})) if endpoint_url else CLIENT_CONFIG


@dataclass(frozen=True, slots=True)
class Identity:
    """Who STS says the caller is."""

    account: str
    arn: str


class Cloud:
    """One environment's clients, and its buckets as stores."""

    def __init__(self, environment: Environment, session: boto3.Session, endpoint_url: str | None, actor: str) -> None:
        self.environment = environment
        self.names = environment.names
        self.actor = actor
        """ARN of the person or job behind the promoter role: what the ledger records."""
        self._session, self._endpoint_url = session, endpoint_url
        self._client: Callable[..., Any] = partial(
            session.client, endpoint_url=endpoint_url, config=_config(endpoint_url)
        )

    @cached_property
    def s3(self) -> S3Client:
        client: S3Client = self._client("s3")
        return client

    @cached_property
    def _wire(self) -> Wire:
        """One pool of connections for all stores."""
        return Wire.of(self.s3)

    @cached_property
    def sagemaker(self) -> SageMakerClient:
        client: SageMakerClient = self._client("sagemaker")
        return client

    @cached_property
    def runtime(self) -> SageMakerRuntimeClient:
        client: SageMakerRuntimeClient = self._client("sagemaker-runtime")
        return client

    @cached_property
    def cloudwatch(self) -> CloudWatchClient:
        client: CloudWatchClient = self._client("cloudwatch")
        return client

    @cached_property
    def scheduler(self) -> Any:
        """EventBridge Scheduler; not among the clients that the kit has type stubs for."""
        return self._client("scheduler")

    @cached_property
    def ecr(self) -> Any:
        """No type stubs."""
        return self._client("ecr")

    @cached_property
    def budgets(self) -> Any:
        """AWS Budgets, which has one endpoint for all regions; no type stubs."""
        return self._client("budgets", region_name="us-east-1")

    def kms(self, region: str) -> Any:
        """KMS, in the region of the key that is to be used; no type stubs."""
        return self._client("kms", region_name=region)

    def observe(self, other: Environment) -> Cloud:
        """Another environment with the eyes of its auditor: releases and alarms, no data and no models.

        CloudWatch cannot be asked from another account, so the role of this one assumes one there.

        Raises:
            AccessError: it may not.
        """
        role_arn = other.names.role_arn("auditor")
        try:
            session = _assume(self._session, role_arn, other.region, self.actor, self._endpoint_url)
        except ClientError as exc:
            raise AccessError(
                f"{role_arn} cannot be assumed by {self.environment.name} ({error_code(exc)}).",
                hint=f"Deploy {other.name}: its stack lets the next stage's promoter act as its auditor.",
            ) from exc
        return Cloud(other, session, self._endpoint_url, self.actor)

    def store(self, kind: BucketKind, of: Environment | None = None) -> Store:
        """A bucket of this environment, or of another one as this environment's role may see it."""
        names = (of or self.environment).names
        return Store(self._wire, names.bucket(kind), names.account)


def connect(environment: Environment, *, local_endpoint: str | None = None) -> Cloud:
    """Clients for ``environment``; with ``local_endpoint``, of the local cloud that listens there.

    Raises:
        AccessError: no credentials, expired ones, or ones that cannot act in the environment's account.
    """
    redact_logs()
    base = local_session(environment) if local_endpoint else boto3.Session(region_name=environment.region)
    try:
        caller = _identity(base, local_endpoint)
        session = _as_promoter(environment, base, caller, local_endpoint)
        redact_logs()  # once more: what was needed for that has loggers of its own
        acting = caller if session is base else _identity(session, local_endpoint)
    except ClientError as exc:
        raise translate(exc) from exc
    except BotoCoreError as exc:
        raise translate_botocore(exc) from exc
    if acting.account != environment.account:
        raise AccessError(
            f"These credentials act in account {acting.account}; {environment.name} is account {environment.account}.",
            hint=f"Log in to account {environment.account}.",
        )
    return Cloud(environment, session, local_endpoint, caller.arn)


def local_session(environment: Environment) -> boto3.Session:
    """The administrator of the environment's account on the local cloud."""
    # The user's own profile and configuration files must neither be needed nor be used: an access key id of twelve
    # digits is how the local cloud knows the account.
    core = botocore.session.Session(
        {"profile": (None, None, None, None), "config_file": (None, None, os.devnull, None)}
    )
    return boto3.Session(
        aws_access_key_id=environment.account,
        aws_secret_access_key="local",  # noqa: S106 - the local cloud checks no signature
        region_name=environment.region,
        botocore_session=core,
    )


def _identity(session: boto3.Session, endpoint_url: str | None) -> Identity:
    answer = session.client("sts", endpoint_url=endpoint_url, config=_config(endpoint_url)).get_caller_identity()
    return Identity(answer["Account"], answer["Arn"])


def _as_promoter(
    environment: Environment, base: boto3.Session, caller: Identity, endpoint_url: str | None
) -> boto3.Session:
    roles = (environment.names.role(kind) for kind in PERSON_ROLES)
    if caller.account == environment.account and any(f":assumed-role/{role}/" in caller.arn for role in roles):
        return base  # a data scientist, an approver or an auditor stays one, with what that role may do
    role_arn = environment.names.role_arn("promoter")
    try:
        return _assume(base, role_arn, environment.region, caller.arn, endpoint_url)
    except ClientError as exc:
        raise AccessError(
            f"The credentials of {caller.arn} (account {caller.account}) may not act in {environment.name} "
            f"(account {environment.account}): {role_arn} cannot be assumed ({error_code(exc)}).",
            hint=f"Log in to account {environment.account}, or list this principal under `operators` in "
            f"environments/{environment.name}.yaml and deploy it. A new environment has to be deployed first.",
        ) from exc


def _assume(base: boto3.Session, role_arn: str, region: str, actor: str, endpoint_url: str | None) -> boto3.Session:
    """A session in a role, whose credentials renew themselves; its name says who is behind it."""
    core = base._session
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=partial(core.create_client, endpoint_url=endpoint_url, config=_config(endpoint_url)),
        source_credentials=base.get_credentials(),
        role_arn=role_arn,
        extra_args={"RoleSessionName": re.sub(r"[^\w+=,.@-]", "-", actor.rsplit(":", 1)[-1])[-64:]},
    )
    credentials = DeferredRefreshableCredentials(method="assume-role", refresh_using=fetcher.fetch_credentials)
    credentials.get_frozen_credentials()  # now, so that a refusal is known now
    assumed = botocore.session.Session()
    # What describes the services is read from large files; once is enough.
    assumed.register_component("data_loader", core.get_component("data_loader"))
    assumed._credentials = credentials  # type: ignore[attr-defined]  # botocore has no public way to hand over credentials that refresh
    if endpoint_url:
        assumed.set_config_variable("profile", None)
    return boto3.Session(botocore_session=assumed, region_name=region)


def error_code(exc: ClientError) -> str:
    return str(exc.response.get("Error", {}).get("Code", ""))


# AWS error code -> our error, and what to do about it. Never matched by text: codes are the contract, messages are not.
_TABLE: dict[str, tuple[type[MlopsKitError], str]] = {
    **dict.fromkeys(
        ("AccessDenied", "AccessDeniedException", "403", "Forbidden", "UnauthorizedOperation", "AllAccessDisabled"),
        (AccessError, "The role has no permission for this. Check the account, and that the stacks are deployed."),
    ),
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"),
        (AccessError, "The credentials have expired. Log in again."),
    ),
    # To HEAD, S3 answers with a status and no reason; of the reasons for this one, an expired token is the usual one.
    "400": (AccessError, "S3 gives no reason here; as a rule, the credentials have expired. Log in again."),
    **dict.fromkeys(
        ("InvalidClientTokenId", "InvalidAccessKeyId", "SignatureDoesNotMatch", "UnrecognizedClientException"),
        (AccessError, "AWS does not know these credentials. Check the profile or the keys."),
    ),
    **dict.fromkeys(
        ("PreconditionFailed", "412", "ConditionalRequestConflict", "ResourceInUse", "ConflictException", "409"),
        (ConflictError, "Somebody else changed this at the same time. Run the command again."),
    ),
    **dict.fromkeys(
        ("NoSuchBucket", "ResourceNotFound", "ResourceNotFoundException", "NoSuchEntity"),
        (NotFoundError, "Check the name, and that the environment is deployed: `cdktf deploy <environment>`."),
    ),
}


def translate(exc: ClientError) -> MlopsKitError:
    """AWS's error as the kit's; the caller raises it ``from exc``."""
    code = error_code(exc)
    message = exc.response.get("Error", {}).get("Message", "")
    kind, hint = _TABLE.get(code, (ServiceError, "If it persists, look the code up in the service's API reference."))
    return kind(f"AWS refused {exc.operation_name}: {code}: {message}", hint=hint)


def translate_botocore(exc: BotoCoreError) -> MlopsKitError:
    """What went wrong before AWS could answer."""
    if isinstance(exc, NoCredentialsError | ProfileNotFound | TokenRetrievalError):
        return AccessError(f"No usable AWS credentials: {exc}", hint="Log in, or set AWS_PROFILE.")
    if isinstance(exc, EndpointConnectionError | ConnectionError):
        return ServiceError(f"AWS cannot be reached: {exc}", hint="Check the network and the region, and run it again.")
    return ServiceError(f"The AWS client failed: {exc}")
