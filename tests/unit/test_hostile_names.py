"""Names that are paths, or more: whoever gets to write a command line of a CI job must not choose what is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_kit.datasets.local_paths import is_safe
from tests import commits
from tests.aws.project import DATASET, MODEL
from tests.aws.world import World

ODD = [
    "../other",
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    "a/../b",
    "a%2f..%2fb",
    "a\nb",
    "a\x1b[2Jb",
    "a b",
    "a;touch ran",
    "$(touch ran)",
    "`touch ran`",
    "{0.__class__}",
    "a?versionId=null",
    "\uff41",
    "x" * 5000,
]
READS = {"GetCallerIdentity", "AssumeRole"}

COMMANDS: dict[str, tuple[str, ...]] = {
    "model of promote": ("promote", "model", "{}@1", "--to", "staging"),
    "version of promote": ("promote", "model", f"{MODEL}@{{}}", "--to", "staging"),
    "target of promote": ("promote", "model", f"{MODEL}@1", "--to", "{}"),
    "source of promote": ("promote", "model", f"{MODEL}@1", "--to", "staging", "--from", "{}"),
    "gate of override": ("promote", "model", f"{MODEL}@1", "--to", "staging", "--override", "{}", "--reason", "why"),
    "data set of promote": ("promote", "dataset", "{}", "--to", "staging"),
    "model of approve": ("approve", "{}@1", "--to", "staging", "--reason", "good"),
    "target of reject": ("reject", f"{MODEL}@1", "--to", "{}", "--reason", "bad"),
    "model of rollback": ("rollback", "{}", "--in", "staging"),
    "release of rollback": ("rollback", MODEL, "--in", "staging", "--to", "{}"),
    "environment of rollback": ("rollback", MODEL, "--in", "{}"),
    "model of history": ("history", "{}", "--in", "staging"),
    "model of ledger": ("ledger", "verify", "{}", "--in", "staging"),
    "model of unlock": ("unlock", "{}", "--in", "staging", "--id", "x"),
    "model of lineage": ("lineage", "{}@1", "--in", "staging"),
    "model of sign": ("sign", "{}@1"),
    "data set of log": ("dataset", "log", "{}"),
    "tag": ("dataset", "tag", f"{DATASET}@main", "{}"),
    "branch": ("dataset", "branch", f"{DATASET}@main", "{}"),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("world")) as made:
        made.train(made.commit("dev", {"a.csv": b"1"}))
        for stage in ("dev", "staging"):
            made.cloud(stage)
        yield made


@pytest.mark.parametrize("odd", ODD, ids=[ascii(name)[:20] for name in ODD])
@pytest.mark.parametrize("place", COMMANDS)
def test_a_name_that_is_more_than_a_name_is_refused(
    world: World, place: str, odd: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    world.aws.calls.clear()
    before = world.aws.save()
    done = world.cli(*(word.replace("{}", odd) for word in COMMANDS[place]))
    assert done.code == 2, done
    assert "bug in mlops-kit" not in done.err
    assert done.out == ""
    assert world.aws.save() == before, "nothing was written"
    assert list(tmp_path.iterdir()) == []
    keys = [call.key for call in world.aws.calls if call.operation not in READS]
    assert not [key for key in keys if ".." in key or key.startswith("/")]
    assert "\x1b" not in done.err


UNSAFE = ["../a", "a/../../b", "/a", "a//b", "", ".", "a/.", "a\\..\\b", "a\0b", "~/a/..", "C:..", "a/" * 2000 + "a"]


@pytest.mark.parametrize("path", ["../evil", "/tmp/evil", "a/../../evil", "..", "a\0b", "./evil"])
def test_a_file_list_with_a_path_that_climbs_out_is_not_checked_out(world: World, path: str, tmp_path: Path) -> None:
    """The list and the header are in order: whoever may write to the lake can make such a commit."""
    made = world.commit("dev", {path: b"evil", "b.csv": b"1"})
    done = world.cli("dataset", "checkout", f"{DATASET}@{made.id}", str(tmp_path / "inside"))
    assert done.code in (2, 7), done
    assert not [found for found in tmp_path.rglob("*") if found.is_file()]
    assert not Path("/tmp/evil").exists()
    assert not is_safe(path)
    assert commits.header(commits.entries({path: b"evil"})).files == 1
