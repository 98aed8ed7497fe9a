"""Mends: the versions of an object, listed and deleted.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
all versions, and after them all delete     by key, and the newest of a key first, whatever it is; so the first that is
markers                                     told of a key is what is visible of it
once versioning is suspended, deleting one  only that version is deleted; so Terraform can empty a bucket
version deletes all, or fails over a
delete marker
==========================================  ===========================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any
from xml.etree import ElementTree

from moto.s3.exceptions import AccessDeniedByLock
from moto.s3.models import FakeKey, S3Backend
from moto.s3.responses import S3Response

from mlops_kit.local.overlay import guard

_ENTRY = re.compile(r"<(Version|DeleteMarker)>.*?</\1>", re.DOTALL)


def install() -> None:
    list_versions = guard.original(S3Response, "list_object_versions", "self")

    def list_object_versions(self: Any) -> Any:
        status, headers, body = list_versions(self)
        keys = self.backend.get_bucket(self.bucket_name).keys
        text = body if isinstance(body, str) else body.decode()
        return status, headers, in_order(text, lambda key: [str(one.version_id) for one in keys.getlist(key, [])])

    delete = guard.original(S3Backend, "delete_object", "self", "bucket_name", "key_name", "version_id", "bypass")

    def delete_object(
        self: Any, bucket_name: str, key_name: str, version_id: str | None = None, bypass: bool = False
    ) -> Any:
        bucket = self.get_bucket(bucket_name)
        if version_id is None or bucket.versioning_status != "Suspended":
            return delete(self, bucket_name, key_name, version_id, bypass)
        there = bucket.keys.getlist(key_name, [])
        kept = [version for version in there if str(version.version_id) != version_id]
        for version in there:
            if version not in kept and isinstance(version, FakeKey) and version.is_locked(governance_bypass=bypass):
                raise AccessDeniedByLock
        if kept:
            bucket.keys.setlist(key_name, kept)
        elif there:
            bucket.keys.setlist(key_name, [])
            bucket.keys.pop(key_name)
        return len(kept) < len(there), {"version-id": version_id}

    guard.replace(S3Response, "list_object_versions", list_object_versions)
    guard.replace(S3Backend, "delete_object", delete_object)


def in_order(body: str, versions_of: Callable[[str], Sequence[str]]) -> str:
    """The answer with its entries in S3's order. ``versions_of``: key -> ids of its versions, oldest first."""
    entries = [found.group() for found in _ENTRY.finditer(body)]
    if not entries:
        return body

    def place(entry: str) -> tuple[str, int]:
        element = ElementTree.fromstring(entry)  # noqa: S314 - moto's own answer
        key, version = element.findtext("Key", ""), element.findtext("VersionId", "")
        known = versions_of(key)
        return key, -known.index(version) if version in known else 0

    start = body.index(entries[0])
    return body[:start] + "".join(sorted(entries, key=place)) + _ENTRY.sub("", body[start:])
