"""ECR: images by digest, their scan findings and their manifests. Read from any account, by registry id."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.aws.protocol import Asked, AwsError, JsonService
from tests.aws.sagemaker import invalid

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


@dataclass
class Image:
    """``findings``: how many of each severity; None if it was never scanned."""

    digest: str
    tags: tuple[str, ...] = ()
    findings: Mapping[str, int] | None = None
    status: str = "COMPLETE"
    pushed: float = 0.0


@dataclass
class Registry:
    """Repositories of one account: by name, then by digest."""

    repositories: dict[str, dict[str, Image]] = field(default_factory=dict)


class Ecr(JsonService):
    name = "ecr"
    target = "AmazonEC2ContainerRegistry_V20150921"
    subject = ("repositoryName",)

    def __init__(self) -> None:
        self.state: dict[str, Registry] = {}
        self.operations = {
            "DescribeImages": self._describe_images,
            "DescribeImageScanFindings": self._describe_findings,
            "BatchGetImage": self._batch_get_image,
        }

    def of(self, account: str) -> Registry:
        return self.state.setdefault(account, Registry())

    def add_image(self, account: str, repository: str, image: Image) -> None:
        self.of(account).repositories.setdefault(repository, {})[image.digest] = image

    def _describe_images(self, account: str, asked: Asked) -> Asked:
        registry, images = self._repository(account, asked)
        wanted: Sequence[Mapping[str, str]] = asked.get("imageIds") or [{"imageDigest": digest} for digest in images]
        return {"imageDetails": [_detail(registry, asked, self._image(images, one)) for one in wanted]}

    def _describe_findings(self, account: str, asked: Asked) -> Asked:
        registry, images = self._repository(account, asked)
        image = self._image(images, asked["imageId"])
        if image.findings is None:
            raise AwsError("ScanNotFoundException", f"Image scan does not exist for the image {image.digest}")
        return {
            "registryId": registry,
            "repositoryName": asked["repositoryName"],
            "imageId": {"imageDigest": image.digest},
            "imageScanStatus": {"status": image.status, "description": ""},
            "imageScanFindings": {"findings": [], "findingSeverityCounts": dict(image.findings)},
        }

    def _batch_get_image(self, account: str, asked: Asked) -> Asked:
        registry, images = self._repository(account, asked)
        found, failures = [], []
        for one in asked["imageIds"]:
            try:
                image = self._image(images, one)
            except AwsError as error:
                failures.append({"imageId": one, "failureCode": "ImageNotFound", "failureReason": error.message})
                continue
            manifest = json.dumps({"schemaVersion": 2, "config": {"digest": image.digest}})
            found.append(
                {
                    "registryId": registry,
                    "repositoryName": asked["repositoryName"],
                    "imageId": {"imageDigest": image.digest},
                    "imageManifest": manifest,
                    "imageManifestMediaType": MANIFEST_TYPE,
                }
            )
        return {"images": found, "failures": failures}

    def _repository(self, account: str, asked: Asked) -> tuple[str, dict[str, Image]]:
        registry = asked.get("registryId") or account
        found = self.of(registry).repositories.get(asked["repositoryName"])
        if found is None:
            name = asked["repositoryName"]
            message = f"The repository with name '{name}' does not exist in the registry with id '{registry}'"
            raise AwsError("RepositoryNotFoundException", message)
        return registry, found

    def _image(self, images: Mapping[str, Image], wanted: Mapping[str, str]) -> Image:
        digest, tag = wanted.get("imageDigest"), wanted.get("imageTag")
        if digest is None and tag is None:
            raise invalid("An image is named by its digest or a tag.")
        for image in images.values():
            if digest in (None, image.digest) and (tag is None or tag in image.tags):
                return image
        message = f"The image with imageId {dict(wanted)} does not exist within the repository"
        raise AwsError("ImageNotFoundException", message)


def _detail(registry: str, asked: Asked, image: Image) -> Asked:
    found: Asked = {
        "registryId": registry,
        "repositoryName": asked["repositoryName"],
        "imageDigest": image.digest,
        "imageTags": list(image.tags),
        "imageSizeInBytes": 1,
        "imagePushedAt": image.pushed,
        "imageManifestMediaType": MANIFEST_TYPE,
    }
    if image.findings is not None:
        found["imageScanStatus"] = {"status": image.status}
        found["imageScanFindingsSummary"] = {"findingSeverityCounts": dict(image.findings)}
    return found
