"""The SageMaker ManifestFile of a commit: how a training job reads exactly its files.

Format: "S3DataSource" in the SageMaker API reference: a JSON list, first ``{"prefix": …}``, then keys below it.
"""

from __future__ import annotations

import json

from mlops_kit.datasets.records import FileList, path_of
from mlops_kit.naming import SHORT_HASH, DatasetKeys
from mlops_kit.objects import Store

_DIGEST = b'","sha256":"'


def sagemaker_manifest(lake: Store, dataset: str, files: FileList) -> bytes:
    """The same for the same files in the same bucket."""
    keys = DatasetKeys(dataset)
    prefix = keys.files_prefix
    below = [keys.file(path_of(line), _start_of_digest(line)).removeprefix(prefix) for line in files.lines]
    below.sort()
    return json.dumps([{"prefix": lake.uri(prefix)}, *below], ensure_ascii=False).encode()


def _start_of_digest(line: bytes) -> str:
    # As much as a key takes. Of a million entries none is parsed for it.
    start = line.rindex(_DIGEST) + len(_DIGEST)
    return line[start : start + SHORT_HASH].decode()
