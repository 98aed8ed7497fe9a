"""Write the records of a commit, in the order that keeps it invisible until all of it is there.

First the file list, which tells ``gc`` that the files that follow are wanted; then, when the files are there,
SageMaker's manifest, and the header, which makes the commit visible; and last the ref. All but the ref are functions of
the commit's id and the bucket, so that writing them again, after a run that was killed, changes nothing.
"""

from __future__ import annotations

from datetime import datetime

from mlops_kit.datasets.manifest import sagemaker_manifest
from mlops_kit.datasets.records import Commit, FileList, compress
from mlops_kit.datasets.transfer import REFRESH_AFTER
from mlops_kit.errors import ConflictError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store, sha256_bytes

_TRIES = 3


def announce(lake: Store, header: Commit, files: FileList, now: datetime) -> None:
    """Write the file list: from now on the files it names are in flight, and not collected."""
    key = DatasetKeys(header.dataset).file_list(header.id)
    _record(lake, key, compress(files.dump()), "application/gzip", now)


def publish(lake: Store, header: Commit, files: FileList, now: datetime) -> None:
    """Write SageMaker's manifest and the header. The file list and all files must be there."""
    keys = DatasetKeys(header.dataset)
    manifest = sagemaker_manifest(lake, header.dataset, files)
    _record(lake, keys.manifest(header.id), manifest, "application/json", now)
    _record(lake, keys.commit(header.id), header.to_json(), "application/json", now)


def store(lake: Store, header: Commit, files: FileList, now: datetime | None = None) -> None:
    """Write all records of a commit whose files are there. ``now`` is the commit's own time, unless given."""
    now = now or datetime.fromisoformat(header.time)
    announce(lake, header, files, now)
    publish(lake, header, files, now)


def _record(lake: Store, key: str, body: bytes, content_type: str, now: datetime) -> None:
    """Have ``body`` at ``key``, young enough not to be collected as a leftover."""
    for _ in range(_TRIES):
        if lake.put_new(key, body, content_type):
            return
        found = lake.head(key)
        if found is None:
            continue
        if found.sha256 == sha256_bytes(body) and now - found.modified <= REFRESH_AFTER:
            return
        try:
            # Whatever it is, it is not what belongs here, or it is old. Its version is kept.
            lake.replace(key, body, found.etag)
            return
        except ConflictError:
            continue
    raise ConflictError(f"{lake.uri(key)} is being written by somebody else.", hint="Run the command again.")
