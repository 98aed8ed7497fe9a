"""What must be true of a lake at any time, and processes that die while they write to it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store
from tests.s3 import LoopbackS3

WRITES = frozenset({"PUT", "POST", "DELETE"})


def write_files(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Files below ``root``, by path."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def assert_whole(s3: LoopbackS3, bucket: str, dataset: str) -> list[str]:
    """Every commit that is visible is complete, and every ref points to one; the ids of the visible ones."""
    keys = DatasetKeys(dataset)
    there = s3.snapshot(bucket)
    commits = [key for key in there if key.startswith(keys.commits_prefix) and key.endswith(".json")]
    ids = [key.removeprefix(keys.commits_prefix).removesuffix(".json") for key in commits]
    for commit in ids:
        for line in files_of(s3, bucket, dataset, commit):
            assert there.get(keys.file(line["path"], line["sha256"])) == line["sha256"], line["path"]
        assert keys.manifest(commit) in there
    for key in there:
        if key.startswith(keys.refs_prefix):
            assert json.loads(s3.buckets[bucket].version(key).data)["commit"] in ids
    return ids


def files_of(s3: LoopbackS3, bucket: str, dataset: str, commit: str) -> list[dict[str, Any]]:
    body = s3.buckets[bucket].version(DatasetKeys(dataset).file_list(commit)).data
    return [json.loads(line) for line in gzip.decompress(body).splitlines()]


def duplicates(s3: LoopbackS3, bucket: str) -> list[str]:
    """Keys that were written more than once, but for those of imports under way."""
    found = s3.snapshot_versions(bucket)
    return [key for key, versions in found.items() if len(versions) > 1 and not key.startswith("staging/")]


class KilledError(BaseException):
    """The process is gone."""


@contextmanager
def killed(monkeypatch: pytest.MonkeyPatch, nth: int, *, after: bool) -> Iterator[None]:
    """The process dies right before its ``nth`` write (from 1), or right after it, and sends nothing any more."""
    seen = 0
    send = Store.request

    def request(store: Store, operation: str, method: str, *rest: Any, **options: Any) -> Any:
        nonlocal seen
        if method in WRITES:
            seen += 1
        if seen > nth or (seen == nth and not (after and method in WRITES)):
            raise KilledError
        answer = send(store, operation, method, *rest, **options)
        if seen == nth:
            seen += 1
            raise KilledError
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(Store, "request", request)
        yield


def writes(s3: LoopbackS3) -> list[str]:
    """The operations of ``calls`` that change something, in their order."""
    reads = ("Get", "Head", "List")
    return [call.operation for call in s3.calls if not call.operation.startswith(reads)]
