"""What a scenario acts upon, and all of it that can be seen afterwards."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from botocore.credentials import Credentials

from mlops_kit.objects import Limits, Store
from mlops_kit.wire import Wire
from tests.s3 import LoopbackS3
from tests.s3.model import Bucket, Upload, Version
from tests.stores import ACCOUNT, LAKE, OTHER_ACCOUNT, OTHER_LAKE

SINGLE, PART = 32 * 1024, 16 * 1024
LIMITS = Limits(single=SINGLE, least_part=PART)
LAKES = {LAKE: ACCOUNT, OTHER_LAKE: OTHER_ACCOUNT}
MANY = 50
"""Attempts of those who do not wait: on a busy machine, they give up some that would have been answered."""
IMPATIENT = 0.025
"""Seconds; the loopback answers in a hundredth of it."""


@dataclass(frozen=True)
class World:
    """Two lakes in two accounts, and a directory."""

    lake: Store
    staging: Store
    root: Path

    @classmethod
    def at(cls, url: str, root: Path, *, impatient: bool = False) -> World:
        patience: dict[str, Any] = {"read_timeout": IMPATIENT, "attempts": MANY} if impatient else {"read_timeout": 30}

        def store(bucket: str) -> Store:
            owner = LAKES[bucket]
            wire = Wire(url, "us-east-1", Credentials(owner, "secret"), sleep=lambda _: None, **patience)
            return Store(wire, bucket, owner, LIMITS)

        return cls(store(LAKE), store(OTHER_LAKE), root)

    def close(self) -> None:
        self.lake.wire.close()
        self.staging.wire.close()


def serve() -> LoopbackS3:
    return LoopbackS3(LAKES, max_single=SINGLE, min_part=PART, record=False)


@dataclass(frozen=True)
class Seen:
    """Everything that somebody can find: SHA-256s by bucket and key, also of older versions, and files by path.

    Links count as files whose content is where they lead. A directory is a path that ends with a slash.
    """

    visible: Mapping[str, Mapping[str, str]]
    versions: Mapping[str, Mapping[str, Mapping[str, str | None]]]
    files: Mapping[str, bytes]

    @classmethod
    def of(cls, s3: LoopbackS3, root: Path) -> Seen:
        versions = {
            name: {key: dict(found) for key, found in s3.snapshot_versions(name).items()} for name in s3.buckets
        }
        newest = {
            name: {key: next(iter(found.values())) for key, found in keys.items()} for name, keys in versions.items()
        }
        visible = {name: {key: sha for key, sha in keys.items() if sha is not None} for name, keys in newest.items()}
        return cls(visible, versions, files_below(root))


def files_below(root: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for above, directories, files in os.walk(root):
        for name in directories:
            found[Path(above, name).relative_to(root).as_posix() + "/"] = b""
        for name in files:
            path = Path(above, name)
            body = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
            found[path.relative_to(root).as_posix()] = body
    return found


@dataclass
class Checkpoint:
    """A world that can be brought back."""

    s3: LoopbackS3
    root: Path
    copy: Path
    seen: Seen = field(init=False)
    kept: dict[str, list[tuple[str, list[Version]]]] = field(init=False)
    uploads: dict[str, dict[str, Upload]] = field(init=False)

    def __post_init__(self) -> None:
        self.seen = Seen.of(self.s3, self.root)
        self.kept = {
            name: [(key, bucket.versions(key)[::-1]) for key in bucket.keys()]  # noqa: SIM118 - not a mapping
            for name, bucket in self.s3.buckets.items()
        }
        self.uploads = {name: _copied(bucket.uploads) for name, bucket in self.s3.buckets.items()}
        shutil.copytree(self.root, self.copy, symlinks=True)

    def is_untouched(self) -> bool:
        """Whether the world still is as it was, down to its versions."""
        uploads = {name: bucket.uploads for name, bucket in self.s3.buckets.items()}
        return uploads == self.uploads and Seen.of(self.s3, self.root) == self.seen

    def bring_back(self) -> None:
        if self.is_untouched():
            return
        with self.s3.lock:
            for name, bucket in self.s3.buckets.items():
                empty(bucket)
                for key, versions in self.kept[name]:
                    for version in versions:
                        bucket.add(key, version)
                bucket.uploads.update(_copied(self.uploads[name]))
        if files_below(self.root) != self.seen.files:
            shutil.rmtree(self.root)
            shutil.copytree(self.copy, self.root, symlinks=True)


def _copied(uploads: Mapping[str, Upload]) -> dict[str, Upload]:
    return {name: replace(upload, parts=dict(upload.parts)) for name, upload in uploads.items()}


def empty(bucket: Bucket) -> None:
    for key in list(bucket.keys()):
        bucket.remove(key)
    bucket.uploads.clear()
