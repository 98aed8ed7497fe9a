"""Our signatures are botocore's, byte for byte, whatever is signed."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import botocore.auth
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_kit.wire.signing import EMPTY_SHA256, Signer, encode_path, encode_query

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
NAMES = st.from_regex(r"x-amz-[a-z]{1,8}(-[a-z]{1,8})?|content-type|if-match|range", fullmatch=True)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).map(lambda text: f"v{text}v")
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1))


def by_botocore(
    method: str, url: str, headers: dict[str, str], credentials: Credentials, region: str, moment: datetime
) -> str:
    """The authorization header that botocore makes at ``moment``."""

    class At(S3SigV4Auth):
        def add_auth(self, request: Any) -> None:
            request.context["timestamp"] = moment.strftime(botocore.auth.SIGV4_TIMESTAMP)
            self._modify_request_before_signing(request)
            canonical = self.canonical_request(request)
            text = self.string_to_sign(request, canonical)
            self._inject_signature_to_request(request, self.signature(text, request))

    request: Any = AWSRequest(method, url, headers=headers)
    request.context["payload_signing_enabled"] = True
    At(credentials, "s3", region).add_auth(request)
    return str(request.headers["Authorization"])


@settings(max_examples=300, deadline=None)
@given(
    method=st.sampled_from(["GET", "PUT", "HEAD", "POST", "DELETE"]),
    key=KEYS,
    query=st.dictionaries(KEYS, KEYS | st.just(""), max_size=4),
    headers=st.dictionaries(NAMES, VALUES, max_size=4),
    token=st.none() | st.text("abc/+=", min_size=1, max_size=50),
    region=st.sampled_from(["us-east-1", "eu-central-1", "cn-north-1"]),
    moment=MOMENTS,
)
def test_signatures_are_botocores(
    method: str,
    key: str,
    query: dict[str, str],
    headers: dict[str, str],
    token: str | None,
    region: str,
    moment: datetime,
) -> None:
    path, question = f"/{encode_path(key)}", encode_query(query)
    headers["host"] = "bucket.s3.amazonaws.com"
    url = f"https://bucket.s3.amazonaws.com{path}{'?' if question else ''}{question}"
    expected = by_botocore(method, url, dict(headers), Credentials("AKID", "secret", token), region, moment)
    lines = Signer(region).sign(
        method,
        path,
        question,
        headers,
        EMPTY_SHA256,
        ReadOnlyCredentials("AKID", "secret", token),
        moment.replace(tzinfo=UTC).timestamp(),
    )
    assert lines.endswith(f"authorization:{expected}\r\n")


def test_a_signer_follows_the_day_and_the_credentials() -> None:
    signer, first, second = (
        Signer("us-east-1"),
        ReadOnlyCredentials("A", "one", None),
        ReadOnlyCredentials("B", "two", "t"),
    )
    midnight = datetime(2026, 3, 1, tzinfo=UTC).timestamp()

    def sign(with_: Signer, credentials: ReadOnlyCredentials, now: float) -> str:
        return with_.sign("GET", "/k", "", {"host": "h"}, EMPTY_SHA256, credentials, now)

    for credentials, now in ((first, midnight - 1), (first, midnight), (second, midnight), (first, midnight - 1)):
        assert sign(signer, credentials, now) == sign(Signer("us-east-1"), credentials, now)


def test_keys_are_encoded_as_s3_wants_them() -> None:
    assert encode_path("a b+c/ü~*'()//.") == "a%20b%2Bc/%C3%BC~%2A%27%28%29//."
    assert encode_query({"b": "/", "a": "", "a b": "~"}) == "a=&a%20b=~&b=%2F"
    assert encode_path("~") == quote("~", safe="~")


def test_a_header_cannot_bring_another_one() -> None:
    sneaky = {"host": "h", "content-type": "a\r\nx-amz-acl: public-read"}
    lines = Signer("us-east-1").sign(
        "PUT", "/k", "", sneaky, EMPTY_SHA256, ReadOnlyCredentials("A", "s", None), time.time()
    )
    assert "content-type:a x-amz-acl: public-read\r\n" in lines
    with pytest.raises(ValueError, match="line break"):
        Signer("us-east-1").sign(
            "PUT", "/k", "", {"host": "h", "a\nb": "c"}, EMPTY_SHA256, ReadOnlyCredentials("A", "s", None), 0
        )
