"""Container images. Nothing is pulled here, but the role that would pull one is asked for its permissions."""

from __future__ import annotations

import re
from dataclasses import replace

from mlops_kit.local.compute import storage
from mlops_kit.local.compute.storage import Place

_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/(?P<repository>[^:@]+)"
)


def pull(image: str, place: Place) -> None:
    """Ask for what pulling ``image`` takes, if it is in ECR; other registries know nothing of IAM.

    Raises:
        storage.DeniedError: the role may not pull it.
    """
    match = _ECR.match(image)
    if match is None:
        return
    there = replace(place, region=match["region"])
    storage.require(there, "ecr", "GetAuthorizationToken")
    for operation in ("BatchCheckLayerAvailability", "GetDownloadUrlForLayer", "BatchGetImage"):
        storage.require(there, "ecr", operation, repositoryName=match["repository"], registryId=match["account"])
