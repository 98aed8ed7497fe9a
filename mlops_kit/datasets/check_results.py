"""Results of data tests travel with their commit: they are about its bytes, which are the same everywhere.

Without them, the gate of the stage after next would have to ask for a test of data that was tested before.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store
from mlops_kit.quality import record


def lacking(source: Store, target: Store, dataset: str, commit: str) -> tuple[str, ...]:
    """SHA-256 of the constraints of each result that only the source has."""
    prefix = DatasetKeys(dataset).checks(commit)
    there = _constraints(source, prefix)
    return tuple(sorted(there - _constraints(target, prefix))) if there else ()


def bring(source: Store, target: Store, dataset: str, commit: str, constraints: Sequence[str]) -> None:
    """Store these results in the target, unless it has some by now: those stand.

    Raises:
        IntegrityError: what lies in the source is no result of this test.
    """
    for digest in constraints:
        found = record.read(source, dataset, commit, digest)
        if found is not None:
            target.put_new(DatasetKeys(dataset).check(commit, digest), found.to_json(), "application/json")


def _constraints(lake: Store, prefix: str) -> set[str]:
    return {PurePosixPath(listed.key).stem for listed in lake.listing(prefix)}
