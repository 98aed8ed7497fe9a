"""Reading the evidence: images, scans, costs, and what becomes of a piece that cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from mlops_kit.config import load_project
from mlops_kit.errors import IntegrityError
from mlops_kit.objects import Store
from mlops_kit.promotion.cost import HOURLY_USD, HOURS_A_MONTH, REGION_GROUPS, Cost, cost
from mlops_kit.promotion.events import ReleaseSpec, ServerlessSpec, ShadowSpec
from mlops_kit.promotion.evidence import ImageFound, ScanFound, Unread
from mlops_kit.promotion.gather import attempt, read_metrics
from mlops_kit.promotion.images import read_image, read_scan
from tests.s3 import LoopbackS3
from tests.stores import LAKE

ACCOUNT, REGION = "333333333333", "us-east-1"
DIGEST = "sha256:" + "d" * 64
REPOSITORY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/acme/churn"


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "m"}}, "DescribeThings")


class Ecr:
    """One image under a tag, or an error."""

    def __init__(self, error: str | None = None, scan: dict[str, Any] | None = None) -> None:
        self.error, self.scan = error, scan
        self.asked: list[dict[str, Any]] = []

    def describe_images(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        if self.error:
            raise refusal(self.error)
        return {"imageDetails": [{"imageDigest": DIGEST, "imageTags": ["1"]}]}

    def describe_image_scan_findings(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        if self.error:
            raise refusal(self.error)
        assert self.scan is not None
        return self.scan


# ---- what cannot be read ----


def test_a_piece_that_is_refused_says_which_and_why() -> None:
    def read() -> int:
        raise refusal("AccessDeniedException")

    found = attempt("the scan", read)
    assert found == Unread("the scan could not be read: DescribeThings was refused (AccessDeniedException)")
    assert attempt("the scan", lambda: 3) == 3


@pytest.mark.parametrize(
    "error",
    [IntegrityError("it was edited"), EndpointConnectionError(endpoint_url="https://ecr"), refusal("Throttling")],
)
def test_whatever_is_wrong_with_one_piece_is_a_reason(error: Exception) -> None:
    def read() -> None:
        raise error

    found = attempt("it", read)
    assert isinstance(found, Unread)
    assert found.reason.startswith("it could not be read: ")


@pytest.mark.parametrize("error", [refusal("ExpiredToken"), refusal("InvalidClientTokenId"), NoCredentialsError()])
def test_who_cannot_ask_at_all_is_told_so_instead(error: Exception) -> None:
    def read() -> None:
        raise error

    with pytest.raises(type(error)):
        attempt("it", read)


def test_a_bug_is_no_evidence() -> None:
    with pytest.raises(ZeroDivisionError):
        attempt("it", lambda: 1 / 0)


@pytest.mark.parametrize("body", [b"[1]", b"{", b'{"a": "much"}', b'{"a": null}', b"\xff"])
def test_metrics_that_are_none_are_an_integrity_failure(s3: LoopbackS3, lake: Store, body: bytes) -> None:
    names = load_project(Path(__file__).resolve().parents[2]).environment("dev").names.model("diagnosis")
    with pytest.raises(IntegrityError, match="missing"):
        read_metrics(lake, names, "a" * 64)
    lake.put_new(names.metrics_key("a" * 64), body)
    with pytest.raises(IntegrityError, match=f"{LAKE}.*is not what a training job reports"):
        read_metrics(lake, names, "a" * 64)


# ---- images ----


@pytest.mark.parametrize(("name", "pinned"), [(f"{REPOSITORY}:1", False), (f"{REPOSITORY}@{DIGEST}", True)])
def test_an_image_of_the_targets_registry_is_looked_up(name: str, pinned: bool) -> None:
    ecr = Ecr()
    found = read_image(ecr, name, ACCOUNT, REGION)
    assert found == ImageFound(name, ACCOUNT, "acme/churn", DIGEST, pinned=pinned, present=True)
    (asked,) = ecr.asked
    assert asked["imageIds"] == [{"imageDigest": DIGEST} if pinned else {"imageTag": "1"}]
    assert (asked["registryId"], asked["repositoryName"]) == (ACCOUNT, "acme/churn")


@pytest.mark.parametrize("code", ["ImageNotFoundException", "RepositoryNotFoundException"])
def test_an_image_that_is_not_there_is_absent(code: str) -> None:
    assert read_image(Ecr(code), f"{REPOSITORY}:1", ACCOUNT, REGION).present is False


def test_a_refusal_is_not_absence() -> None:
    with pytest.raises(ClientError):
        read_image(Ecr("AccessDeniedException"), f"{REPOSITORY}:1", ACCOUNT, REGION)
    with pytest.raises(ClientError):
        read_scan(Ecr("AccessDeniedException"), ImageFound("i", ACCOUNT, "r", DIGEST, pinned=True))


@pytest.mark.parametrize(
    ("name", "account", "digest", "of_aws"),
    [
        ("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1", "683313688378", "", True),
        (f"999999999999.dkr.ecr.us-east-1.amazonaws.com/x@{DIGEST}", "999999999999", DIGEST, False),
        (f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/acme/churn:1", ACCOUNT, "", False),
        (f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn/acme/churn:1", ACCOUNT, "", False),
        (f"registry.example.com/team/x@{DIGEST}", "", DIGEST, False),
        ("registry.example.com:5000/team/x:1", "", "", False),
    ],
)
def test_other_registries_are_not_asked(name: str, account: str, digest: str, of_aws: bool) -> None:
    ecr = Ecr()
    found = read_image(ecr, name, ACCOUNT, REGION)
    assert (found.account, found.digest, found.of_aws, found.present) == (account, digest, of_aws, None)
    assert found.pinned is bool(digest)
    assert ecr.asked == []


@pytest.mark.parametrize(
    ("scan", "expected"),
    [
        (
            {"imageScanStatus": {"status": "COMPLETE"}, "imageScanFindings": {"findingSeverityCounts": {"HIGH": 2}}},
            ScanFound("COMPLETE", True, {"HIGH": 2}),
        ),
        ({"imageScanStatus": {"status": "ACTIVE"}, "imageScanFindings": {}}, ScanFound("ACTIVE", True, {})),
        ({"imageScanStatus": {"status": "IN_PROGRESS"}}, ScanFound("IN_PROGRESS", False, {})),
        ({"imageScanStatus": {"status": "FAILED"}}, ScanFound("FAILED", False, {})),
        ({}, ScanFound("unknown", False, {})),
    ],
)
def test_only_a_finished_scan_is_a_result(scan: dict[str, Any], expected: ScanFound) -> None:
    assert read_scan(Ecr(scan=scan), ImageFound("i", ACCOUNT, "r", DIGEST, pinned=True)) == expected


def test_an_image_that_nobody_scanned_has_no_result() -> None:
    found = read_scan(Ecr("ScanNotFoundException"), ImageFound("i", ACCOUNT, "r", DIGEST, pinned=True))
    assert found == ScanFound("not scanned", False, {})


# ---- cost ----


def spec(type_: str = "ml.m5.large", count: int = 1, **changes: Any) -> ReleaseSpec:
    return ReleaseSpec(
        image="i",
        artifact_uri="s3://a",
        environment={},
        instance_type=type_,
        instance_count=count,
        capture_percent=100,
        encrypt_volume=True,
        **changes,
    )


SHADOW = ShadowSpec(
    version=1, image="i", artifact_uri="s3://b", percent=10, instance_type="ml.m5.large", instance_count=1
)


@pytest.mark.parametrize(
    ("before", "after", "change", "text"),
    [
        (spec(), spec(), 0.0, "the same, 83.95 USD a month"),
        (None, spec(), 0.0, "the same"),
        (spec(), spec(count=2), 83.95, "+83.95 USD a month, 167.90 in all"),
        (spec(count=2), spec(), -83.95, "-83.95 USD a month, 83.95 in all"),
        (spec(), spec(shadow=SHADOW), 83.95, "+83.95"),
        (
            spec(),
            spec("", 0, kind="serverless", serverless=ServerlessSpec(memory_mb=1024, max_concurrency=1)),
            -83.95,
            "",
        ),
        (spec(kind="batch"), spec(kind="batch", count=9), 0.0, "the same, 0.00"),
        (spec(), spec("ml.x9.large"), None, "unknown: of ml.x9.large in us-east-1 there is no price here"),
        (spec("ml.x9.large"), spec(), None, "unknown: of ml.x9.large"),
        (
            spec(),
            spec(
                "",
                0,
                kind="serverless",
                serverless=ServerlessSpec(memory_mb=1024, max_concurrency=2, provisioned_concurrency=1),
            ),
            None,
            "unknown: of provisioned concurrency",
        ),
    ],
)
def test_what_a_release_costs_more_or_less(
    before: ReleaseSpec | None, after: ReleaseSpec, change: float | None, text: str
) -> None:
    found = cost(before, after, REGION)
    assert found.change_usd == change
    assert text in str(found)


def test_a_region_without_prices_is_unknown() -> None:
    assert cost(None, spec(), "eu-west-1") == Cost(None, None, "of ml.m5.large in eu-west-1 there is no price here")


def test_the_table_has_prices_an_hour_of_instance_types() -> None:
    assert set(REGION_GROUPS.values()) <= set(HOURLY_USD)
    for prices in HOURLY_USD.values():
        for type_, price in prices.items():
            assert type_.startswith("ml.")
            assert 0.01 < price < 100
    assert HOURS_A_MONTH == 8760 / 12
