"""The objects of a version: what lies where in the source, and which of it the target has."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_kit.errors import IntegrityError
from mlops_kit.naming import ModelNames
from mlops_kit.objects import Store


@dataclass(frozen=True, slots=True)
class Copy:
    """One object of the version. ``sha256`` is the digest the copy must have; ``present``: the target has the key.

    ``name`` is the key below the version's own prefix, like ``baseline/statistics.json``. ``stored`` is the digest that
    S3 computed when the object was written; None for one that was written in parts.
    """

    name: str
    source_key: str
    key: str
    sha256: str
    size: int
    present: bool
    stored: str | None = None


def written_once(artifacts: Store, names: ModelNames, sha256: str) -> list[str]:
    """The keys of a version's objects, none of which was ever overwritten: the kit writes each of them once.

    Nothing else vouches for metrics and baseline, whose digests no package names. So whoever may write to the bucket,
    and may not delete versions for good, cannot change them either. Only the signature, which vouches for itself, may
    have been made anew: with another key, for example.

    Raises:
        IntegrityError: one has several versions, or was deleted.
    """
    keys: list[str] = []
    for version in artifacts.versions(names.artifact_prefix(sha256)):
        if version.key == names.package_key(sha256):
            continue  # which package of its own environment has the artifact is no part of the version
        if version.key == names.signature_key(sha256):
            keys += [version.key] if version.latest and not version.deleted else []
            continue
        if version.deleted or version.key in keys[-1:]:
            raise IntegrityError(
                f"{artifacts.uri(version.key)} was overwritten or deleted: it was not written once.",
                hint="See who did that (CloudTrail). The oldest version is what was recorded; take away what lies on "
                "top of it as an administrator, or train again.",
            )
        keys.append(version.key)
    return keys


def read_copies(
    source: Store, target: Store, source_names: ModelNames, names: ModelNames, sha256: str
) -> tuple[Copy, ...]:
    """Every object of the version, the artifact last: once it is there, all of it is.

    Two listings, and a HEAD of each object: only that tells its digest.

    Raises:
        IntegrityError: one is missing, or cannot be verified.
    """
    root = source_names.artifact_prefix(sha256)
    artifact = source_names.artifact_key(sha256)
    keys = written_once(source, source_names, sha256)
    if artifact not in keys:
        raise IntegrityError(f"{source.uri(artifact)} is missing.")
    if source_names.metrics_key(sha256) not in keys:
        raise IntegrityError(f"{source.uri(source_names.metrics_key(sha256))} is missing.")
    there = set(target.keys(names.artifact_prefix(sha256)))
    found: list[Copy] = []
    for source_key in sorted(keys, key=lambda key: key == artifact):
        name = source_key.removeprefix(root)
        key = names.artifact_prefix(sha256) + name
        head = source.head(source_key)
        if head is None:
            raise IntegrityError(f"{source.uri(source_key)} disappeared while it was being looked at.")
        digest = sha256 if source_key == artifact else head.sha256
        if digest is None:
            raise IntegrityError(f"{source.uri(source_key)} was stored without a SHA-256; it cannot be verified.")
        found.append(Copy(name, source_key, key, digest, head.size, key in there, head.sha256))
    return tuple(found)
