"""The SageMaker ManifestFile of a commit: how a training job reads exactly its files.

Format: "S3DataSource" in the SageMaker API reference: a JSON list, first ``{"prefix": …}``, then keys below it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from mlops_kit.datasets.records import FileEntry
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store


def sagemaker_manifest(lake: Store, dataset: str, entries: Iterable[FileEntry]) -> bytes:
    keys = DatasetKeys(dataset)
    below = [keys.file(entry.path, entry.sha256).removeprefix(keys.files_prefix) for entry in entries]
    return json.dumps([{"prefix": lake.uri(keys.files_prefix)}, *sorted(below)], ensure_ascii=False).encode()
