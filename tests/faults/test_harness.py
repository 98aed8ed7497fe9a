"""The harness itself: that it meets every call there is, and notices what is wrong."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

import mlops_kit.objects
from mlops_kit.datasets import pointers
from mlops_kit.datasets.publish import announce, publish
from mlops_kit.datasets.read import read_commit, read_files
from mlops_kit.datasets.records import compress
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import sha256_bytes
from tests.commits import NOW, PETS, entries, header
from tests.faults.harness import Injection, Scenario, lab, sweep
from tests.faults.scenarios import ALL, COMMITS, FIRST, ONE, committing, files, promoting
from tests.faults.world import World

KEYS = DatasetKeys(PETS)
ENTRIES = entries(FIRST)
HEADER = header(ENTRIES)
DENIED, LOST = Injection("denied", "once", 6), Injection("lost", "once")


def test_every_operation_that_a_store_has_is_swept(tmp_path: Path) -> None:
    modules = Path(mlops_kit.objects.__file__).parent.glob("*.py")
    sent = {name for module in modules for name in re.findall(r'request\(\s*"(\w+)"', module.read_text())}
    swept = set()
    for number, scenario in enumerate(ALL):
        (tmp_path / f"{number}").mkdir()
        with lab(scenario, tmp_path / f"{number}") as at:
            assert at.problems == []
            swept |= {step.operation for step in at.steps}
    assert swept == sent


def bring_files(world: World) -> None:
    for path, body in FIRST.items():
        world.lake.put_new(KEYS.file(path, sha256_bytes(body)), body)


def name_first(world: World) -> None:
    announce(world.lake, HEADER, ENTRIES, NOW)
    bring_files(world)
    pointers.move(world.lake, PETS, "main", HEADER.id, pointers.read(world.lake, PETS, "main"), "me", NOW)
    publish(world.lake, HEADER, ENTRIES, NOW)


def show_first(world: World) -> None:
    announce(world.lake, HEADER, ENTRIES, NOW)
    publish(world.lake, HEADER, ENTRIES, NOW)
    bring_files(world)


def hush(world: World) -> None:
    with suppress(ClientError):
        committing("first")(world)


def rephrase(world: World) -> None:
    try:
        committing("first")(world)
    except ClientError as exc:
        raise ValueError("something is wrong") from exc


def give_up(world: World) -> None:
    key = KEYS.file("a", sha256_bytes(b"a"))
    if not world.lake.put_new(key, b"a"):
        world.lake.delete(key)


def write_over(world: World) -> None:
    world.lake.put(KEYS.file("a.csv", sha256_bytes(FIRST["a.csv"])), FIRST["a.csv"])


def start_anew(world: World) -> None:
    found = pointers.read(world.lake, PETS, "main")
    assert found is not None
    listed = read_files(world.lake, read_commit(world.lake, PETS, found.commit))
    world.lake.delete(KEYS.file_list(found.commit))
    world.lake.put_new(KEYS.file_list(found.commit), compress(listed.dump()))


def check_out_by_hand(world: World) -> None:
    (world.root / "out").mkdir(exist_ok=True)
    for path in ("a.csv", "old"):
        body = world.lake.get(KEYS.file(path, sha256_bytes(FIRST[path])))
        (world.root / "out" / path).write_bytes(body or b"")


def write_halves(world: World) -> None:
    (world.root / "out").write_bytes(FIRST["old"][:0])
    body = world.lake.get(KEYS.file("old", sha256_bytes(FIRST["old"])))
    (world.root / "out").write_bytes(body or b"")


FIRST_FILES = files("first", FIRST)
WRONG = {
    "a ref before its commit": (Scenario("", name_first), DENIED, r"refs/main\.json names .* not visible"),
    "a header before its files": (Scenario("", show_first), DENIED, "is visible, and .* is None"),
    "an error that nobody hears": (Scenario("", hush, FIRST_FILES), DENIED, "ends with other objects"),
    "an error of another kind": (Scenario("", rephrase, FIRST_FILES), DENIED, "not an error of ours: ValueError"),
    "a write that is taken back": (Scenario("", give_up), LOST, "ends with other objects"),
    "a write that is repeated": (Scenario("", write_over, ONE), LOST, "3 versions of .*, not 2"),
    "a record that is away for a moment": (Scenario("", start_anew, ONE), DENIED, "is None|without its list"),
    "a directory in pieces": (Scenario("", check_out_by_hand, ONE, directory="out"), DENIED, "appeared in part"),
    "a file in pieces": (Scenario("", write_halves, ONE), DENIED, "out is b''"),
    "trouble that passes": (Scenario("", promoting, ONE), Injection("denied", "once"), "have passed"),
    "a code of another error": (Scenario("", promoting, ONE), Injection("denied", "once", 4), "exit code 6, not 4"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_noticed(name: str, tmp_path: Path) -> None:
    scenario, injection, told = WRONG[name]
    with pytest.raises(AssertionError, match=told):
        sweep(scenario, tmp_path, [injection])


def test_a_fault_that_strikes_nothing_is_noticed(tmp_path: Path) -> None:
    with lab(COMMITS[0], tmp_path) as at:
        at.steps = [type(at.steps[0])("GetObject", "acme-dev-lake", "elsewhere", "")]
        at.inject(at.steps[0], DENIED)
        with pytest.raises(AssertionError, match="never happened"):
            at.report()
