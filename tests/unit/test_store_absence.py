"""A caller that may list only a part of a bucket is refused what is not there: the listing tells what that means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops_kit.objects import Store


def refusal(operation: str, code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, operation)


class Bucket:
    """S3 for a caller who may list below ``readable``, and is refused each read; S3 gives HEAD the bare status."""

    def __init__(self, keys: list[str], readable: str, code: str = "AccessDenied") -> None:
        self.held, self.readable, self.code = keys, readable, code

    def get_object(self, **arguments: Any) -> Any:
        raise refusal("GetObject", self.code)

    def head_object(self, **arguments: Any) -> Any:
        raise refusal("HeadObject", "403" if self.code == "AccessDenied" else self.code)

    def get_paginator(self, name: str) -> Bucket:
        assert name == "list_objects_v2"
        return self

    def paginate(self, *, Prefix: str, **arguments: Any) -> Iterator[dict[str, Any]]:  # noqa: N803 - boto3's name
        if not Prefix.startswith(self.readable):
            raise refusal("ListObjectsV2", "AccessDenied")
        yield {"Contents": [{"Key": key} for key in sorted(self.held) if key.startswith(Prefix)]}


def store(*keys: str, readable: str = "datasets/", code: str = "AccessDenied") -> Store:
    s3: Any = Bucket(list(keys), readable, code)
    return Store(s3, "lake", "111111111111")


def test_refused_and_not_listed_is_absent() -> None:
    assert store().get("datasets/a/refs/b.json") is None
    assert store().head("datasets/a/refs/b.json") is None
    assert store("datasets/a/refs/b.json.old").get("datasets/a/refs/b.json") is None


def test_refused_and_listed_is_refused() -> None:
    held = store("datasets/a/refs/b.json")
    for read in (held.get, held.head):
        with pytest.raises(ClientError, match=r"AccessDenied|403"):
            read("datasets/a/refs/b.json")


def test_refused_both_ways_is_refused() -> None:
    for read in (store().get, store().head):
        with pytest.raises(ClientError, match=r"GetObject|HeadObject"):
            read("raw/a.csv")


def test_nothing_else_is_taken_for_absent() -> None:
    broken = store(code="SlowDown")
    for read in (broken.get, broken.head):
        with pytest.raises(ClientError, match="SlowDown"):
            read("datasets/a/refs/b.json")
