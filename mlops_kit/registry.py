"""Model versions: the packages in one environment's model package group.

Versions are numbers per group and differ between environments. The artifact's SHA-256 is the identity that travels, so
registering the same artifact again finds the version that is there; a promotion leaves a pointer beside the artifact,
so that finding it is one read. ``Approved`` means: was released in this
environment and verified; ``PendingManualApproval``: registered, not (yet) released here.

The lineage lies in ``CustomerMetadataProperties``, because package versions take no tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from mlops_kit.errors import IntegrityError, NotFoundError
from mlops_kit.naming import ModelNames
from mlops_kit.objects import Store, canonical_json
from mlops_kit.objects.strict_json import read_json

if TYPE_CHECKING:
    from types_boto3_sagemaker import SageMakerClient

APPROVED: Final = "Approved"
PENDING: Final = "PendingManualApproval"
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
"""An artifact's, in a version's description: listings tell the description, and not the lineage."""
_ABSENT = {"ValidationException", "ResourceNotFound", "ResourceNotFoundException"}


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a version was made of, exactly. Digests in hex; absent ones are empty strings."""

    dataset: str
    dataset_commit: str
    code_commit: str
    source_sha256: str
    training_job: str
    artifact_sha256: str
    source_package: str = ""
    """ARN of the version that was promoted; empty where it was trained."""
    image_digest: str = ""
    """``sha256:…`` of the serving image, where the model file pins one; a tag alone does not say what runs."""

    def to_metadata(self) -> dict[str, str]:
        return {name: value for name in self.__slots__ if (value := getattr(self, name))}

    @classmethod
    def from_metadata(cls, metadata: dict[str, str]) -> Lineage:
        known = {name: metadata.get(name, "") for name in cls.__slots__}
        return cls(**known)


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One registered version."""

    model: str
    version: int
    arn: str
    image: str
    artifact_uri: str
    metrics_uri: str
    status: str
    created: datetime
    lineage: Lineage

    @property
    def name(self) -> str:
        return f"{self.model}@{self.version}"


def list_versions(sagemaker: SageMakerClient, names: ModelNames) -> Iterator[ModelVersion]:
    """All versions, newest first; reads each one."""
    for arn in _arns(sagemaker, names):
        yield _describe(sagemaker, names.model, arn)


def _arns(sagemaker: SageMakerClient, names: ModelNames) -> list[str]:
    # By ARN, so that the next stage's promoter can ask as well; the order is explicit because it defaults to ascending.
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=names.package_group_arn, SortBy="CreationTime", SortOrder="Descending"
    )
    return [item["ModelPackageArn"] for page in pages for item in page["ModelPackageSummaryList"]]


def read_version(sagemaker: SageMakerClient, names: ModelNames, version: int) -> ModelVersion:
    """One version by its number.

    Raises:
        NotFoundError: there is no such version; names the ones that exist.
    """
    try:
        return _describe(sagemaker, names.model, names.package_arn(version))
    except ClientError as exc:
        if exc.response["Error"]["Code"] not in _ABSENT:
            raise
        known = [_number(arn) for arn in _arns(sagemaker, names)]
        environment = names.environment.environment
        raise NotFoundError(
            f"There is no {names.model}@{version} in {environment}.",
            hint=f"Versions there: {', '.join(map(str, sorted(known))) or 'none'}. "
            f"See `mlops-kit model list {names.model} --env {environment}`.",
        ) from exc


def find_artifact(sagemaker: SageMakerClient, names: ModelNames, sha256: str) -> ModelVersion | None:
    """The version of this artifact, if it is registered here.

    Looks through all versions, but reads only those whose description names no artifact, or this one.
    """
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=names.package_group_arn,
        SortBy="CreationTime",
        SortOrder="Descending",
        PaginationConfig={"PageSize": 100},
    )
    for page in pages:
        for item in page["ModelPackageSummaryList"]:
            named = _DIGEST.search(item.get("ModelPackageDescription", ""))
            if named is not None and named[0] != sha256:
                continue
            found = _describe(sagemaker, names.model, item["ModelPackageArn"])
            if found.lineage.artifact_sha256 == sha256:
                return found
    return None


def read_pointer(sagemaker: SageMakerClient, names: ModelNames, artifacts: Store, sha256: str) -> ModelVersion | None:
    """The version that the artifact's pointer names; None if there is no pointer, which need not mean no version.

    Raises:
        IntegrityError: it names another artifact's version, or none.
    """
    where = artifacts.uri(names.package_key(sha256))
    body = artifacts.get(names.package_key(sha256))
    if body is None:
        return None
    try:
        number = int(read_json(body)["version"])
    except (ValueError, TypeError, KeyError) as exc:
        raise IntegrityError(f"{where} names no version.") from exc
    found = read_version(sagemaker, names, number)
    if found.lineage.artifact_sha256 != sha256:
        raise IntegrityError(f"{where} names {found.name}, which is another artifact.")
    return found


def point(sagemaker: SageMakerClient, names: ModelNames, artifacts: Store, version: ModelVersion) -> ModelVersion:
    """Note in the artifacts bucket which version the artifact is, once and for all; returns the one that is noted."""
    sha256 = version.lineage.artifact_sha256
    body = canonical_json({"version": version.version, "arn": version.arn})
    if artifacts.put_new(names.package_key(sha256), body, "application/json"):
        return version
    # Somebody registered the artifact at the same time, or our own first request did more than we were told.
    return read_pointer(sagemaker, names, artifacts, sha256) or version


def register(
    sagemaker: SageMakerClient,
    names: ModelNames,
    *,
    lineage: Lineage,
    image: str,
    artifact_uri: str,
    metrics_uri: str,
    environment: dict[str, str],
    description: str,
) -> ModelVersion:
    """The version of this artifact: found if it is registered, made if it is not."""
    found = find_artifact(sagemaker, names, lineage.artifact_sha256)
    if found is not None:
        return found
    answer = sagemaker.create_model_package(
        ModelPackageGroupName=names.package_group,
        ModelPackageDescription=description,
        ModelApprovalStatus=PENDING,
        InferenceSpecification={
            "Containers": [{"Image": image, "ModelDataUrl": artifact_uri, "Environment": environment}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
        ModelMetrics={"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": metrics_uri}}},
        CustomerMetadataProperties=lineage.to_metadata(),
        # Two runs that race to register the same artifact make one version.
        ClientToken=lineage.artifact_sha256[:36],
    )
    return _describe(sagemaker, names.model, answer["ModelPackageArn"])


def approve(sagemaker: SageMakerClient, version: ModelVersion, description: str) -> None:
    """Mark a version as released here."""
    sagemaker.update_model_package(
        ModelPackageArn=version.arn, ModelApprovalStatus=APPROVED, ApprovalDescription=description[:1024]
    )


def _describe(sagemaker: SageMakerClient, model: str, arn: str) -> ModelVersion:
    found: dict[str, Any] = dict(sagemaker.describe_model_package(ModelPackageName=arn))
    try:
        container = found["InferenceSpecification"]["Containers"][0]
        metrics = found.get("ModelMetrics", {}).get("ModelQuality", {}).get("Statistics", {}).get("S3Uri", "")
        return ModelVersion(
            model=model,
            version=_number(arn),
            arn=arn,
            image=container["Image"],
            artifact_uri=container["ModelDataUrl"],
            metrics_uri=metrics,
            status=found["ModelApprovalStatus"],
            created=found["CreationTime"],
            lineage=Lineage.from_metadata(found.get("CustomerMetadataProperties", {})),
        )
    except (KeyError, IndexError) as exc:
        raise IntegrityError(
            f"{arn} was not registered by mlops-kit: it has no {exc}.",
            hint="Only versions with lineage can be promoted; register it with `mlops-kit train`.",
        ) from exc


def _number(arn: str) -> int:
    return int(arn.rsplit("/", 1)[-1])
