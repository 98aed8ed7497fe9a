"""The objects that a job's ``S3DataSource`` or ``S3Input`` means, and their copies on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from mlops_kit.local.compute import storage
from mlops_kit.local.compute.storage import Place, Uri


def objects(kind: str, uri: Uri, place: Place) -> dict[str, Uri]:
    """The objects below a prefix (``S3Prefix``) or a ``ManifestFile``, by their path below the target.

    Raises:
        storage.MissingDataError: nothing is there, or the manifest is none.
    """
    if kind == "ManifestFile":
        found = _manifest(uri, place)
    else:
        found = {relative(key, uri.key): Uri(uri.bucket, key) for key in storage.keys(uri, place)}
    found.pop("", None)
    if not found:
        raise storage.MissingDataError(
            f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
            f"exists in the selected region ({place.region}), that objects exist under that S3 prefix, and that the "
            'role has "s3:ListBucket" permissions on the bucket.'
        )
    return found


def download(found: Mapping[str, Uri], target: Path, place: Place) -> None:
    """Copy ``found`` below ``target``, which is made.

    Raises:
        storage.MissingDataError: an object is missing, or its path leads outside of ``target``.
    """
    target.mkdir(parents=True, exist_ok=True)
    for name, uri in found.items():
        path = (target / name).resolve()
        if not path.is_relative_to(target.resolve()):
            raise storage.MissingDataError(f"{uri}: the key leads outside of the job's directory")
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(storage.read(uri, place))


def relative(key: str, prefix: str) -> str:
    """Where SageMaker puts an object: the key without the prefix up to the prefix's last complete directory."""
    if key == prefix:
        return key.rsplit("/", 1)[-1]
    if key.startswith(prefix) and (prefix.endswith("/") or not prefix or key[len(prefix)] == "/"):
        return key[len(prefix) :].lstrip("/")
    return key[prefix.rfind("/") + 1 :]


def _manifest(uri: Uri, place: Place) -> dict[str, Uri]:
    """``[{"prefix": "s3://bucket/some/prefix/"}, "relative/key", …]``, as the API reference of S3DataSource has it."""
    try:
        manifest = json.loads(storage.read(uri, place))
        prefix, *names = manifest
        base = Uri.parse(prefix["prefix"])
        return {name: Uri(base.bucket, base.key + name) for name in names}
    except (ValueError, TypeError, KeyError) as exc:
        raise storage.MissingDataError(f"{uri} is not a manifest: {exc!r}") from exc
