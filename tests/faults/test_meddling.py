"""Somebody writes to what is being read, right before any call: what comes out is one or the other, and never both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlops_kit.cli.run import _ours
from mlops_kit.datasets import pointers
from mlops_kit.datasets.read import read_commit, read_files
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import sha256_bytes
from tests.commits import PETS
from tests.faults.harness import Lab, Strike, lab, unsound
from tests.faults.scenarios import CHECKOUTS, FIRST, LARGE, PROMOTIONS, SCENARIOS
from tests.faults.world import World, files_below
from tests.s3 import Fault
from tests.stores import LAKE, OTHER_LAKE

KEYS = DatasetKeys(PETS)
Change = Callable[[Lab], object]


def digests(world: World) -> dict[str, str]:
    """Of the files that the branch leads to."""
    found = pointers.read(world.lake, PETS, "main")
    assert found is not None
    return {entry.path: entry.sha256 for entry in read_files(world.lake, read_commit(world.lake, PETS, found.commit))}


def of(content: dict[str, bytes]) -> dict[str, str]:
    return {path: sha256_bytes(body) for path, body in content.items()}


def written(path: str, body: bytes) -> Change:
    return lambda at: (at.root / path).write_bytes(body)


def removed(path: str) -> Change:
    return lambda at: (at.root / path).unlink(missing_ok=True)


def put(key: str, body: bytes) -> Change:
    return lambda at: at.s3.buckets[OTHER_LAKE].put(key, body)


def deleted(key: str) -> Change:
    return lambda at: at.s3.buckets[OTHER_LAKE].delete(key)


OTHER = LARGE["large"][:-1] + b"?"
LESS = OTHER[:-2]
SOURCES: dict[str, tuple[str, dict[str, bytes], Change, dict[str, bytes]]] = {
    "a file of the same size": ("first commit", FIRST, written("first/a.csv", b"id\n?\n"), {"a.csv": b"id\n?\n"}),
    "a shorter file": ("first commit", FIRST, written("first/a.csv", b""), {"a.csv": b""}),
    "a longer file": ("first commit", FIRST, written("first/a.csv", b"longer\n" * 9), {"a.csv": b"longer\n" * 9}),
    "a file that is gone": ("first commit", FIRST, removed("first/a.csv"), {}),
    "a file in parts": ("commit in parts", LARGE, written("large/large", OTHER), {"large": OTHER}),
    "a file in parts that is shorter": ("commit in parts", LARGE, written("large/large", LESS), {"large": LESS}),
    "an object": ("import", FIRST, put("raw/a.csv", b"id\n?\n"), {"a.csv": b"id\n?\n"}),
    "an object that is gone": ("import", FIRST, deleted("raw/a.csv"), {}),
    "an object in parts": ("import in parts", LARGE, put("raw/large", OTHER), {"large": OTHER}),
}


@pytest.mark.parametrize("name", SOURCES)
def test_data_that_changes_while_it_is_committed_is_refused_or_was_read_before(name: str, tmp_path: Path) -> None:
    scenario, content, change, changed = SOURCES[name]
    without = {path: body for path, body in content.items() if path != next(iter(content))}
    outcomes = set()
    with lab(SCENARIOS[scenario], tmp_path) as at:
        for step in at.steps:
            at.start.bring_back()
            at.s3.faults[:] = [Fault("before", when=Strike(step, "once"), callback=lambda: change(at))]
            error = at.attempt(at.scenario.run)
            at.s3.faults.clear()
            assert list(unsound(at.s3, LAKE)) == []
            if error is None:
                assert digests(at.world) in (of(content), of(without | changed))
            else:
                told = _ours(error)
                assert told is not None, f"{step}: {error!r}"
                assert told.exit_code in (2, 4, 7), f"{step}: {error!r}"
                assert pointers.read(at.world.lake, PETS, "main") is None
            outcomes.add(error is None)
            at.scenario.run(at.world)
            assert digests(at.world) == of(without | changed)
            assert list(unsound(at.s3, LAKE)) == []
    assert outcomes == {True, False}


LOSSES: dict[str, Callable[[Lab, str], object]] = {
    "deleted": lambda at, key: at.s3.buckets[LAKE].delete(key),
    "overwritten": lambda at, key: at.s3.buckets[LAKE].put(key, b"?" * at.s3.buckets[LAKE].version(key).body.size),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("scenario", [*CHECKOUTS[:4], *PROMOTIONS[:2]], ids=lambda scenario: scenario.name)
def test_an_object_that_is_lost_while_it_is_read_comes_from_its_older_version(
    scenario: object, loss: str, tmp_path: Path
) -> None:
    with lab(scenario, tmp_path) as at:  # type: ignore[arg-type]
        lost = [key for key in at.start.seen.visible[LAKE] if key.startswith(KEYS.files_prefix)]
        for step in at.steps:
            at.start.bring_back()

            def lose_all() -> None:
                for key in lost:
                    LOSSES[loss](at, key)

            at.s3.faults[:] = [Fault("before", when=Strike(step, "once"), callback=lose_all)]
            at.scenario.run(at.world)
            at.s3.faults.clear()
            assert at.s3.snapshot(OTHER_LAKE) == at.end.visible[OTHER_LAKE]
            found, expected = (
                {path: body for path, body in files.items() if not path.endswith(".json")}
                for files in (files_below(at.root), at.end.files)
            )
            assert found == expected
