"""What must never be seen, not even between two calls: a state that says more than is true.

==================================  ====================================================================================
what is seen                        has to hold then
==================================  ====================================================================================
an event "succeeded"                the endpoint is in service with the release's config (or the schedule uses its
                                    model), the release's version is approved, its artifact has its digest, and its
                                    data commit is there
a registered version                its artifact is there and has the digest of its lineage; its metrics are there
a version becoming approved         the endpoint (or the schedule) runs its artifact
a commit's header                   all its files, its file list and its manifest are there
a branch                            its commit is there
an endpoint                         its config and the models of it exist
==================================  ====================================================================================
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mlops_kit.naming import DatasetKeys
from tests.aws.project import MODEL
from tests.aws.world import World
from tests.s3 import Call
from tests.s3.messages import Request

EVENT = re.compile(r"(?P<model>[a-z0-9-]+)/\d{8}\.json")
HEADER = re.compile(r"datasets/(?P<dataset>[^/]+)/commits/(?P<commit>[0-9a-f]{64})\.json")
REF = re.compile(r"datasets/(?P<dataset>[^/]+)/refs/[^/]+\.json")


class Watch:
    """An observer of a world's calls; ``seen`` is what it saw that must not be."""

    def __init__(self, world: World) -> None:
        self.aws = world.aws
        self.names = {stage.account: stage.names.model(MODEL) for stage in world.project.stages}
        self.seen: list[str] = []
        self._after: Mapping[str, Callable[[Call, Request], Iterator[str]]] = {
            "PutObject": self._object,
            "CopyObject": self._object,
            "CreateModelPackage": self._packages,
            "UpdateModelPackage": self._approved,
            "DeleteEndpointConfig": self._endpoints,
            "DeleteModel": self._endpoints,
            "UpdateEndpoint": self._endpoints,
            "DescribeEndpoint": self._endpoints,
        }

    def __call__(self, call: Call, request: Request) -> None:
        check = self._after.get(call.operation)
        if check is not None:
            self.seen += [f"after {call.operation} {call.key}: {what}" for what in check(call, request)]

    def _object(self, call: Call, request: Request) -> Iterator[str]:
        bucket = self.aws.buckets.get(call.bucket)
        version = bucket.current(call.key) if bucket is not None else None
        if bucket is None or version is None:
            return
        if call.bucket.endswith("-ledger") and EVENT.fullmatch(call.key):
            yield from self._event(bucket.owner, json.loads(version.data))
        elif match := HEADER.fullmatch(call.key):
            yield from self._commit(call.bucket, match["dataset"], match["commit"])
        elif match := REF.fullmatch(call.key):
            commit = json.loads(version.data)["commit"]
            if not self._there(call.bucket, DatasetKeys(match["dataset"]).commit(commit)):
                yield f"the branch points to {commit}, which is not there"

    def _event(self, account: str, event: dict[str, Any]) -> Iterator[str]:
        if event["outcome"] != "succeeded":
            return
        names, release = self.names[account], event["release"]
        if self._running(account) != ("InService", release["config"]):
            yield f"{release['id']} succeeded, and what runs is {' '.join(self._running(account))}"
        package = self.aws.sagemaker.of(account).groups[names.package_group].packages.get(release["version"])
        if package is None or package["ModelApprovalStatus"] != "Approved":
            yield f"{release['id']} succeeded, and its version is not approved"
        yield from self._artifact(release["spec"]["artifact_uri"], release["artifact_sha256"])
        lake = names.environment.bucket("lake")
        if not self._there(lake, DatasetKeys(release["dataset"]).commit(release["dataset_commit"])):
            yield f"{release['id']} succeeded, and its data is not there"

    def _packages(self, call: Call, request: Request) -> Iterator[str]:
        for package in self._of_group(call.account):
            container = package["InferenceSpecification"]["Containers"][0]
            sha256 = package["CustomerMetadataProperties"]["artifact_sha256"]
            yield from self._artifact(container["ModelDataUrl"], sha256)
            metrics = package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
            if not self._there(*_place(metrics)):
                yield f"{package['ModelPackageArn']} is registered, and its metrics are not there"

    def _approved(self, call: Call, request: Request) -> Iterator[str]:
        there = self.aws.sagemaker.of(call.account)
        package = next(one for one in self._of_group(call.account) if one["ModelPackageArn"] == call.key)
        if package["ModelApprovalStatus"] != "Approved":
            return
        model = there.models.get(self._running(call.account)[1])  # a release's model and config have the same name
        wanted = package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
        if model is None or model["PrimaryContainer"]["ModelDataUrl"] != wanted:
            yield f"{call.key} is approved, and what runs is something else"

    def _running(self, account: str) -> tuple[str, str]:
        """Status and config of the endpoint; of a batch model, whether its schedule is on, and its SageMaker model."""
        names = self.names[account]
        endpoint = self.aws.sagemaker.of(account).endpoints.get(names.endpoint)
        if endpoint is not None:
            return endpoint.status, endpoint.config
        schedule = self.aws.scheduler.of(account)[names.environment.schedule_group, names.schedule("batch")]
        on = "InService" if schedule["State"] == "ENABLED" else schedule["State"]
        return on, json.loads(schedule["Target"]["Input"])["ModelName"]

    def _endpoints(self, call: Call, request: Request) -> Iterator[str]:
        there = self.aws.sagemaker.of(call.account)
        for endpoint in there.endpoints.values():
            for name in filter(None, (endpoint.config, endpoint.pending)):
                config = there.configs.get(name)
                variants = config["ProductionVariants"] if config else ()
                if config is None or any(one["ModelName"] not in there.models for one in variants):
                    yield f"{endpoint.name} is {endpoint.status} with {name}, which is not there in full"

    def _commit(self, bucket: str, dataset: str, commit: str) -> Iterator[str]:
        keys, there = DatasetKeys(dataset), self.aws.buckets[bucket]
        listed = there.current(keys.file_list(commit))
        if listed is None or not self._there(bucket, keys.manifest(commit)):
            yield f"commit {commit} is visible, and its records are not there"
            return
        for line in gzip.decompress(listed.data).splitlines():
            entry = json.loads(line)
            version = there.current(keys.file(entry["path"], entry["sha256"]))
            if version is None or version.sha256 != entry["sha256"]:
                yield f"commit {commit} is visible, and {entry['path']} is not there"

    def _artifact(self, uri: str, sha256: str) -> Iterator[str]:
        bucket, key = _place(uri)
        version = self.aws.buckets[bucket].current(key)
        if version is None or version.sha256 != sha256:
            yield f"{uri} is referred to, and is not there with its digest"

    def _of_group(self, account: str) -> Iterator[dict[str, Any]]:
        return self.aws.sagemaker.packages(account, self.names[account].package_group)

    def _there(self, bucket: str, key: str) -> bool:
        return self.aws.buckets[bucket].current(key) is not None


def _place(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
