"""What is swept: commands, each with the world that it begins in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.aws.project import DATASET, MODEL
from tests.aws.world import World
from tests.cloud import Done

Run = Callable[..., Done]
FILES = {"a.csv": b"left,x\n0,1\n", "b.csv": b"left,x\n1,2\n"}
GROWN = {**FILES, "c.csv": b"left,x\n0,3\n"}
GROWN_AGAIN = {**GROWN, "d.csv": b"left,x\n1,4\n"}


@dataclass(frozen=True)
class Action:
    """``before`` are the commands that were run already; ``settled``: words by which a repetition says: it is done.

    ``once_more``: the command that ends it, where that is another one. ``trouble``: what makes the deployment fail, and
    is over when the command is run once more: an alarm, by which SageMaker goes back, or answers to the smoke request
    that are no good, by which the kit does. ``apart_from``: what two events may differ in: a run that fails lets go of
    a lock that it took over, and when it is run again, there is none to take over. ``variant``: it is planned as
    another action is, so that it is disturbed only from its first write on.
    """

    name: str
    arguments: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    settled: str = ""
    once_more: tuple[str, ...] = ()
    trouble: Literal["", "alarm", "smoke"] = ""
    apart_from: tuple[str, ...] = ()
    variant: bool = False

    @property
    def last(self) -> tuple[str, ...]:
        return self.once_more or self.arguments

    def world(self, directory: Path) -> World:
        """Not begun yet: a data set with three commits in dev, and six versions trained on the second."""
        (directory / "code").mkdir()
        (directory / "code" / "smoke.csv").write_text("1\n")
        world = World(directory, **self.settings)
        first = world.commit("dev", FILES)
        second = world.commit("dev", GROWN, first.id, minute=1)
        for _ in range(6):
            world.train(second)
        world.commit("dev", GROWN_AGAIN, second.id, minute=2)
        for stage in world.project.stages:
            for kind in world.project.model(MODEL, stage).alarm_kinds:
                world.aws.cloudwatch.set_alarm(stage.account, stage.names.model(MODEL).alarm(kind))
        return world

    def is_done(self, done: Done) -> bool:
        return done.code == 0 or (self.settled != "" and self.settled in done.err)


def promote(version: int, to: str = "staging", *options: str) -> tuple[str, ...]:
    return ("promote", "model", f"{MODEL}@{version}", "--to", to, "--yes", *options)


def data(to: str = "staging", revision: str = "main~1") -> tuple[str, ...]:
    """To the environment ``to``: what the versions were trained on, as a rule."""
    return ("promote", "dataset", f"{DATASET}@{revision}", "--to", to, "--yes")


def back(release: str, *options: str) -> tuple[str, ...]:
    return ("rollback", MODEL, "--in", "staging", "--to", release, "--yes", *options)


STAGING = (data(),)
PRODUCTION = (*STAGING, promote(1), data("production", "main"))
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
SMOKE = {"model": {"smoke": {"request": "smoke.csv", "expect": {"lines": 1, "at_least": 0, "at_most": 1}}}}
GATES = {
    "environments": {
        "production": {
            "approvals": {"required": 1, "distinct_from_requester": False},
            "gates": {"source_alarms": True, "budget": "block"},
        }
    },
    "model": {"gates": [{"metric": "accuracy", "at_least": 0.9, "not_worse_than_incumbent": 0.1}]},
}


def approve(version: int) -> tuple[str, ...]:
    return ("approve", f"{MODEL}@{version}", "--to", "production", "--reason", "looks right")


ACTIONS = (
    Action("promote dataset, first time", data()),
    Action("promote dataset, next commit", data(), (data(revision="main~2"),)),
    Action("promote model, first time", promote(1), STAGING),
    Action("promote model, with its data", promote(1), (data(revision="main~2"),), variant=True),
    Action("promote model, again", promote(1), (*STAGING, promote(1)), variant=True),
    Action("promote model, next version", promote(2), (*STAGING, promote(1))),
    Action("promote model, rolled back by an alarm", promote(2), (*STAGING, promote(1)), trouble="alarm", variant=True),
    Action("promote model, answering nonsense at first", promote(1), STAGING, SMOKE, trouble="smoke", variant=True),
    Action(
        "promote model, answering nonsense", promote(2), (*STAGING, promote(1)), SMOKE, trouble="smoke", variant=True
    ),
    Action(
        "promote model, begun without waiting",
        promote(2, "staging", "--no-wait"),
        (*STAGING, promote(1)),
        once_more=promote(2),
        variant=True,
    ),
    Action(
        "promote model, finishing what was begun",
        promote(2),
        (*STAGING, promote(1), promote(2, "staging", "--no-wait")),
        variant=True,
    ),
    Action("promote model, pruning", promote(5), (*STAGING, *map(promote, (1, 2, 3, 4))), variant=True),
    Action(
        "promote model, to production",
        promote(1, "production"),
        PRODUCTION,
        variant=True,
    ),
    Action(
        "promote model, past more gates",
        promote(2, "production"),
        (*PRODUCTION, approve(1), promote(1, "production"), promote(2), approve(2)),
        GATES,
    ),
    Action("promote model, with a shadow", promote(2, "dev"), settings=SHADOW, variant=True),
    Action("promote model, batch", promote(1), STAGING, settings=BATCH, variant=True),
    Action(
        "rollback",
        back("r1"),
        (*STAGING, promote(1), promote(2)),
        settled="is what runs now",
    ),
    Action(
        "rollback, with data",
        back("r1", "--with-data"),
        (*STAGING, promote(1), promote(2), data(revision="main")),
        settled="is what runs now",
    ),
    Action(
        "rollback, past a stuck promotion",
        back("r1"),
        (*STAGING, promote(1), promote(2), promote(3, "staging", "--no-wait")),
        settled="is what runs now",
        apart_from=("took_over",),
        variant=True,
    ),
)
