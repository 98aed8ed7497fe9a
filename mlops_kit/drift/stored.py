"""Baselines where they are kept: beside the model artifact, so that they are promoted with it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mlops_kit.datasets.checkout import checkout
from mlops_kit.drift.baseline import CONSTRAINTS, STATISTICS, record_baseline
from mlops_kit.drift.statistics import Statistics, load_statistics
from mlops_kit.errors import NotFoundError
from mlops_kit.naming import ModelNames
from mlops_kit.objects import Store
from mlops_kit.registry import ModelVersion


def record(lake: Store, artifacts: Store, names: ModelNames, version: ModelVersion, label: str) -> Statistics:
    """Profile the data commit that ``version`` was trained on and store the result beside its artifact.

    The same commit gives the same files, and they are written create-only: recording again changes nothing.
    """
    lineage = version.lineage
    keys = {
        STATISTICS: names.statistics_key(lineage.artifact_sha256),
        CONSTRAINTS: names.constraints_key(lineage.artifact_sha256),
    }
    with tempfile.TemporaryDirectory(prefix="mlops-kit-baseline-") as directory:
        checkout(lake, lineage.dataset, lineage.dataset_commit, Path(directory))
        return record_baseline(
            Path(directory), label, lambda name, body: artifacts.put_new(keys[name], body, "application/json")
        )


def read(artifacts: Store, names: ModelNames, sha256: str) -> Statistics:
    """The baseline of a released artifact.

    Raises:
        NotFoundError: none was recorded before the version was promoted.
    """
    key = names.statistics_key(sha256)
    body = artifacts.get(key)
    if body is None:
        raise NotFoundError(
            f"The running version of {names.model} has no baseline: {artifacts.uri(key)} does not exist.",
            hint=f"Record one where it was trained, `mlops-kit drift baseline {names.model}@VERSION`, then promote "
            "the version again: promotion brings what is missing.",
        )
    return load_statistics(body, artifacts.uri(key))
