"""The serving image as ECR has it: whether it is there, which digest it is, and what the scan of it found."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from mlops_kit.promotion.evidence import ImageFound, ScanFound

_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
    r"(?P<repository>[^:@]+)(?:@(?P<digest>sha256:[0-9a-f]{64})|:(?P<tag>[^@]+))"
)
_ABSENT = {"ImageNotFoundException", "RepositoryNotFoundException"}
SCANNED = {"COMPLETE", "ACTIVE"}
"""Basic scanning ends; enhanced scanning (Amazon Inspector) goes on for as long as the image is there."""

OF_AWS = frozenset(
    {
        "763104351884",  # Deep Learning Containers, most regions
        "683313688378",  # scikit-learn and XGBoost: us-east-1, then the others
        "257758044811",
        "746614075791",
        "246618743249",
        "341280168497",
        "492215442770",
        "141502667606",
        "764974769150",
        "659782779980",
        "662702820516",
        "354813040037",
        "366743142698",
        "720646828776",
        "121021644041",
        "783357654285",
        "737474898029",
    }
)
"""Accounts that AWS publishes SageMaker's framework images from
(https://docs.aws.amazon.com/sagemaker/latest/dg-ecr-paths/sagemaker-algo-docker-registry-paths.html, November 2026).
An account that is missing here counts as a stranger's: its images are refused where scans are asked for."""


def is_here(address: str, account: str, region: str) -> bool:
    """Whether it is in the registry of this account and region, which can be asked."""
    match = _ECR.fullmatch(address)
    return match is not None and (match["account"], match["region"]) == (account, region)


def read_image(ecr: Any, address: str, account: str, region: str) -> ImageFound:
    """The image at ``address``: one request to ``ecr``, if :func:`is_here`; none else."""
    match = _ECR.fullmatch(address)
    if match is None:
        digest = address.partition("@")[2]
        return ImageFound(address, "", "", digest, pinned=bool(digest))
    owner, repository, digest = match["account"], match["repository"], match["digest"] or ""
    found = ImageFound(address, owner, repository, digest, pinned=bool(digest), of_aws=owner in OF_AWS)
    if not is_here(address, account, region):
        return found
    image_id = {"imageDigest": digest} if digest else {"imageTag": match["tag"]}
    try:
        answer = ecr.describe_images(registryId=account, repositoryName=repository, imageIds=[image_id])
    except ClientError as exc:
        if exc.response["Error"]["Code"] not in _ABSENT:
            raise
        return replace(found, present=False)
    return replace(found, digest=answer["imageDetails"][0]["imageDigest"], present=True)


def read_scan(ecr: Any, image: ImageFound) -> ScanFound:
    """What ECR found in an image of this account. Counts only: what they are is in ECR's console."""
    try:
        answer = ecr.describe_image_scan_findings(
            registryId=image.account,
            repositoryName=image.repository,
            imageId={"imageDigest": image.digest},
            maxResults=1,  # the counts are of all findings all the same
        )
    except ClientError as exc:
        if exc.response["Error"]["Code"] != "ScanNotFoundException":
            raise
        return ScanFound("not scanned", complete=False, counts={})
    status = str(answer.get("imageScanStatus", {}).get("status", "unknown"))
    counts = answer.get("imageScanFindings", {}).get("findingSeverityCounts", {})
    return ScanFound(status, status in SCANNED, {str(name): int(count) for name, count in counts.items()})
