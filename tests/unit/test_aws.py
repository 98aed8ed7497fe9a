"""AWS's errors become the kit's by their codes, and by nothing else."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ProfileNotFound

from mlops_kit import errors
from mlops_kit.aws import translate, translate_botocore


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
