"""What a whole sweep consists of, in parts that know nothing of each other, each for a process of its own."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.faults_promotion.actions import ACTIONS, Action
from tests.faults_promotion.harness import Failure, Outcome, kills, sweep
from tests.faults_promotion.injections import sample
from tests.tampers.scene import untouched
from tests.tampers.table import BYTES, EVERYTHING, refusal

CROWDED = "promote model, next version"


@dataclass(frozen=True)
class Options:
    """``sample``: so many injections an action, None for all. ``kills``: so many an action. ``rounds``: of a crowd."""

    action: str
    sample: int | None
    kills: int
    rounds: int
    at_once: int
    tampers: bool
    alike: bool
    seed: int


@dataclass(frozen=True)
class Report:
    """What came of a part. ``calls``: of the action, undisturbed."""

    name: str
    outcome: Outcome
    calls: int
    seconds: float

    def line(self) -> str:
        found, done = self.outcome, []
        if self.calls:
            done.append(f"{self.calls} calls")
        for count, what in (
            (found.injections, "injections"),
            (found.kills, "kills"),
            (found.crowds, "rounds"),
            (found.tampers, "tampers"),
        ):
            if count:
                done.append(f"{count} {what}")
        bad = f"{found.lost} lost, {found.duplicates} duplicates, {len(found.failures)} failures"
        return f"{self.name}: {', '.join(done)}: {bad} ({self.seconds:.0f} s)"


Part = Callable[[], Report]


def parts(options: Options) -> list[Part]:
    """The longest first."""
    chosen = [action for action in ACTIONS if options.action in action.name]
    found: list[Part] = []
    if options.rounds:
        found += [partial(crowds, action.name, options) for action in chosen if action.name == CROWDED]
    if options.tampers:
        found.append(tampers)
    for action in sorted(chosen, key=lambda action: action.variant):
        found.append(partial(disturb, action.name, options))
    return found


def disturb(name: str, options: Options) -> Report:
    """Every injection, and some kills."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory, sweep(_named(name), Path(directory)) as swept:
        chosen = swept.injections(alike=options.alike)
        if options.sample is not None:
            chosen = sample(chosen, options.sample, options.seed)
        for injection in chosen:
            swept.inject(injection)
        for target, after in kills(swept.calls, options.kills, options.seed):
            swept.kill(target, after=after)
        return Report(name, swept.outcome, len(swept.calls), time.monotonic() - began)


def crowds(name: str, options: Options) -> Report:
    """So many processes at once, again and again."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory, sweep(_named(name), Path(directory)) as swept:
        for _ in range(options.rounds):
            swept.crowd(options.at_once)
        title = f"{name}, {options.at_once} at once"
        return Report(title, swept.outcome, len(swept.calls), time.monotonic() - began)


def tampers() -> Report:
    """Those that have to be refused with the exit code of an integrity failure."""
    began, outcome = time.monotonic(), Outcome()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        scene = stack.enter_context(untouched(directory))
        for name, (_, code, _) in EVERYTHING.items():
            if code != BYTES:
                continue
            scene.world.aws.restore(scene.saved)
            outcome.tampers += 1
            if problems := refusal(scene, name):
                outcome.failures.append(Failure("tamper", name, tuple(problems)))
    return Report("tampers, each refused with exit code 7", outcome, 0, time.monotonic() - began)


def _named(name: str) -> Action:
    return next(action for action in ACTIONS if action.name == name)
