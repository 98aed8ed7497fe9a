"""Trouble with any one call of the verbs that read, name and revert: passing trouble is survived, a refusal is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from mlops_kit.datasets import branch, history, refs, tag
from mlops_kit.datasets.cat import cat
from mlops_kit.datasets.diff import diff
from mlops_kit.datasets.listing import ls
from mlops_kit.datasets.revert import revert
from mlops_kit.datasets.show import show
from mlops_kit.objects import Store
from tests.commits import NOW, PETS, chain
from tests.s3 import Fault, LoopbackS3
from tests.s3.faults import Kind

Verb = Callable[[Store], object]


def head(lake: Store) -> str:
    return refs.resolve(lake, PETS, "main")


READS: dict[str, Verb] = {
    "resolve": lambda lake: refs.resolve(lake, PETS, "main~2"),
    "short id": lambda lake: refs.resolve(lake, PETS, head(lake)[:9]),
    "log": lambda lake: history.log(lake, PETS, head(lake)),
    "graph": lambda lake: history.graph(lake, PETS),
    "show": lambda lake: show(lake, PETS, head(lake)),
    "diff": lambda lake: diff(lake, PETS, refs.resolve(lake, PETS, "main^"), head(lake)).summary,
    "ls": lambda lake: ls(lake, PETS, head(lake)),
    "cat": lambda lake: b"".join(cat(lake, PETS, head(lake), "c2")),
}
WRITES: dict[str, Verb] = {
    "branch": lambda lake: branch.create(lake, PETS, "exp", head(lake), actor="me", now=NOW),
    "tag": lambda lake: tag.create(lake, PETS, "v1", head(lake), actor="me", now=NOW),
    "delete branch": lambda lake: branch.delete(lake, PETS, "old"),
    "delete tag": lambda lake: tag.delete(lake, PETS, "first"),
    "revert": lambda lake: revert(
        lake, PETS, "main", refs.resolve(lake, PETS, "first"), message="back", author="me", now=NOW + timedelta(days=1)
    ),
}


@pytest.fixture
def full(lake: Store) -> Store:
    made = chain(lake, 3)
    branch.create(lake, PETS, "main", made[2].id, actor="me", now=NOW)
    branch.create(lake, PETS, "old", made[1].id, actor="me", now=NOW)
    tag.create(lake, PETS, "first", made[0].id, actor="me", now=NOW)
    return lake


def calls_of(verb: Verb, lake: Store, s3: LoopbackS3) -> int:
    s3.forget()
    verb(lake)
    return len(s3.calls)


@pytest.mark.parametrize("kind", ["503", "reset", "truncated"])
@pytest.mark.parametrize("name", READS)
def test_passing_trouble_changes_nothing_of_what_is_read(full: Store, s3: LoopbackS3, name: str, kind: Kind) -> None:
    verb = READS[name]
    expected = verb(full)
    for number in range(1, calls_of(verb, full, s3) + 1):
        fault = Fault(kind, nth=number)
        s3.faults[:] = [fault]
        assert verb(full) == expected
        assert fault.struck or kind == "truncated"  # which only GetObject can be


@pytest.mark.parametrize("kind", ["denied", "expired"])
@pytest.mark.parametrize("name", READS)
def test_what_is_refused_is_never_taken_for_absent(full: Store, s3: LoopbackS3, name: str, kind: Kind) -> None:
    verb = READS[name]
    expected = verb(full)
    refused = 0
    for number in range(1, calls_of(verb, full, s3) + 1):
        s3.faults[:] = [Fault(kind, nth=number)]
        try:
            assert verb(full) == expected, "denied was what really is absent: the listing told"
        except ClientError:
            refused += 1
    assert refused == number if kind == "expired" else refused


@pytest.mark.parametrize("kind", ["503", "reset", "lost", "denied"])
@pytest.mark.parametrize("name", WRITES)
def test_trouble_anywhere_leaves_nothing_half_written(full: Store, s3: LoopbackS3, name: str, kind: Kind) -> None:
    verb = WRITES[name]
    bucket = s3.buckets[full.bucket]
    before = {key: list(bucket.versions(key)) for key in list(bucket.keys())}
    count = calls_of(verb, full, s3)
    expected = s3.snapshot(full.bucket)
    assert expected != {key: versions[0].sha256 for key, versions in before.items()}
    for number in range(1, count + 1):
        for key in list(bucket.keys()):
            for version in bucket.versions(key):
                if version not in before.get(key, []):
                    bucket.remove(key, version.version_id)
        fault = Fault(kind, nth=number)
        s3.faults[:] = [fault]
        try:
            verb(full)
        except ClientError:
            assert kind == "denied"
            if s3.snapshot(full.bucket) != expected:
                verb(full)
        assert fault.struck
        assert s3.snapshot(full.bucket) == expected
