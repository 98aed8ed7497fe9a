"""What is swept: commands, each with the world that it begins in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.aws.project import DATASET, MODEL
from tests.aws.world import Done, World

Run = Callable[..., Done]
FILES = {"a.csv": b"left,x\n0,1\n", "b.csv": b"left,x\n1,2\n"}
GROWN = {**FILES, "c.csv": b"left,x\n0,3\n"}


@dataclass(frozen=True)
class Action:
    """``before`` are the commands that were run already; ``settled``: words by which a repetition says: it is done.

    ``alarm``: the deployment is rolled back by an alarm, which is quiet again when the command is run once more.
    """

    name: str
    arguments: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    settled: str = ""
    alarm: bool = False

    def world(self, directory: Path) -> World:
        """Not begun yet: a data set with two commits in dev, and six versions trained on the newer one."""
        world = World(directory, **self.settings)
        first = world.commit("dev", FILES)
        second = world.commit("dev", GROWN, first.id, minute=1)
        for _ in range(6):
            world.train(second)
        return world

    def is_done(self, done: Done) -> bool:
        return done.code == 0 or (self.settled != "" and self.settled in done.err)


def promote(version: int, to: str = "staging") -> tuple[str, ...]:
    return ("promote", "model", f"{MODEL}@{version}", "--to", to, "--yes")


def data(to: str = "staging", revision: str = "main") -> tuple[str, ...]:
    return ("promote", "dataset", f"{DATASET}@{revision}", "--to", to, "--yes")


STAGING = (data(),)
SHADOW = {"model": {"environments": {"dev": {"serving": {"shadow": {"version": 1, "percent": 20}}}}}}
BATCH = {
    "model": {
        "serving": {
            "entry_point": "inference.py",
            "kind": "batch",
            "batch": {"schedule": "rate(1 day)"},
        }
    }
}
ACTIONS = (
    Action("promote dataset, first time", data()),
    Action("promote dataset, next commit", data(), (data(revision="main~1"),)),
    Action("promote model, first time", promote(1), STAGING),
    Action("promote model, again", promote(1), (*STAGING, promote(1))),
    Action("promote model, next version", promote(2), (*STAGING, promote(1))),
    Action("promote model, rolled back by an alarm", promote(2), (*STAGING, promote(1)), alarm=True),
    Action("promote model, pruning", promote(5), (*STAGING, *map(promote, (1, 2, 3, 4)))),
    Action(
        "promote model, to production",
        promote(1, "production"),
        (*STAGING, promote(1), data("production")),
    ),
    Action("promote model, with a shadow", promote(2, "dev"), settings=SHADOW),
    Action("promote model, batch", promote(1), STAGING, settings=BATCH),
    Action(
        "rollback",
        ("rollback", MODEL, "--in", "staging", "--to", "r1", "--yes"),
        (*STAGING, promote(1), promote(2)),
        settled="is what runs now",
    ),
)
