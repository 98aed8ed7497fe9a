"""The SageMaker ManifestFile of a commit: how a training job reads exactly its files.

Format: "S3DataSource" in the SageMaker API reference: a JSON list, first ``{"prefix": …}``, then keys below it.
"""

from __future__ import annotations

import json

from mlops_kit.datasets.records import FileList, path_of, sha256_of
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store


def sagemaker_manifest(lake: Store, dataset: str, files: FileList) -> bytes:
    """The same for the same files in the same bucket."""
    keys = DatasetKeys(dataset)
    prefix = keys.files_prefix
    below = [keys.file(path_of(line), sha256_of(line).decode()).removeprefix(prefix) for line in files.lines]
    below.sort()
    return json.dumps([{"prefix": lake.uri(prefix)}, *below], ensure_ascii=False).encode()
