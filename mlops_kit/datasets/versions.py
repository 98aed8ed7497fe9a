"""Find bytes again that were deleted or overwritten: among the older versions that the bucket keeps of a key."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_kit.objects import ObjectInfo, Store, Version
from mlops_kit.objects.checking import read_digest


def versions_of(lake: Store, key: str, size: int | None = None) -> Iterator[Version]:
    """The versions of exactly this key that hold bytes, newest first; only those of ``size`` bytes, if it is known."""
    for version in lake.versions(key):
        if version.key != key:  # listings are by prefix, and the key itself comes first
            return
        if not version.deleted and size in (None, version.size):
            yield version


def find_version(
    lake: Store, key: str, sha256: str, size: int, *, composite: str | None = None, deep: bool = False
) -> Version | None:
    """The newest version of ``key`` with these bytes.

    S3's own record of a version's digest is believed, if it has one, unless ``deep``: then every candidate is read.
    """
    for version in versions_of(lake, key, size):
        known = None if deep else recorded(lake.head(key, version.version), sha256, composite)
        if known is None:
            known = read_digest(lake, key, version.version) == sha256
        if known:
            return version
    return None


def recorded(found: ObjectInfo | None, sha256: str, composite: str | None) -> bool | None:
    """Whether an object holds these bytes by what S3 has on record of it; None: there is no telling from that."""
    if found is not None and found.sha256 is not None:
        return found.sha256 == sha256
    if found is not None and found.composite is not None and found.composite == composite:
        return True
    return None  # no digest of the whole, or one over other parts than ours
