"""The state that an action ends in, without what differs between equal runs, and how two of them differ.

Not part of it: version ids, the times that AWS gives things, locks that were released, and the metrics that were put.
PutMetricData has no way to be idempotent, so a lost answer counts twice, and the ledger is what is true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.aws.server import LoopbackAws

State = dict[str, dict[str, Any]]
"""Kind of thing -> its name -> what it is.

Of an object that is the digests of all its versions, newest first; of an endpoint what it runs, and every update that
it was told to make.
"""

OF_AWS = frozenset({"CreationTime", "LastModifiedTime", "CreationDate", "LastModificationDate"})


LOCK = re.compile(r"environment/locks/")
"""Says who held it, and so is another one each time: what counts is that nobody holds it any more."""


def state_of(aws: LoopbackAws) -> State:
    with aws.lock:
        found: State = {kind: {} for kind in ("object", "package", "model", "config", "endpoint", "schedule")}
        for name, bucket in aws.buckets.items():
            for key, versions in bucket.snapshot_versions().items():
                if LOCK.match(key) and versions[0][1] is None:
                    continue
                found["object"][f"s3://{name}/{key}"] = [sha256 for _, sha256 in versions]
            for upload in bucket.uploads.values():
                found["object"][f"s3://{name}/{upload.key}?uploadId={upload.upload_id}"] = ["an upload under way"]
        for account, there in aws.sagemaker.state.items():
            for group in there.groups.values():
                for package in group.packages.values():
                    found["package"][package["ModelPackageArn"]] = _without_times(package)
            found["model"] |= {f"{account} {name}": _without_times(one) for name, one in there.models.items()}
            found["config"] |= {f"{account} {name}": _without_times(one) for name, one in there.configs.items()}
            for name, endpoint in there.endpoints.items():
                found["endpoint"][f"{account} {name}"] = [
                    endpoint.status,
                    endpoint.config,
                    endpoint.pending,
                    *endpoint.updates,
                ]
        for account, schedules in aws.scheduler.state.items():
            found["schedule"] |= {f"{account} {'/'.join(key)}": _without_times(one) for key, one in schedules.items()}
        return found


@dataclass(frozen=True)
class Difference:
    """``lost``: it should be there; ``duplicate``: it should not, or not so often; ``changed``: it is not the same."""

    what: Literal["lost", "duplicate", "changed"]
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.what}: {self.kind} {self.name}"


def differences(wanted: State, found: State) -> list[Difference]:
    return [one for kind in wanted for one in _of_kind(kind, wanted[kind], found[kind])]


def _of_kind(kind: str, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Difference]:
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            yield Difference("lost", kind, name)
        elif name not in wanted:
            yield Difference("duplicate", kind, name)
        elif wanted[name] != found[name]:
            more = kind in ("object", "endpoint") and len(found[name]) > len(wanted[name])
            yield Difference("duplicate" if more else "changed", kind, name)


def _without_times(thing: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in thing.items() if name not in OF_AWS}
