"""Run an action undisturbed, then with every injection, and say what differs."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.aws.endpoints import Endpoint
from tests.aws.runtime import one_number_a_line
from tests.aws.world import World
from tests.cloud import Done
from tests.faults_promotion.actions import Action
from tests.faults_promotion.injections import Injection, Target, every, is_write, targets
from tests.faults_promotion.state import State, differences, state_of
from tests.faults_promotion.watch import EVENT, Watch
from tests.s3 import Call

USAGE, CONFLICT, ROLLED_BACK = 2, 4, 5
"""Exit codes of a command: there is nothing to do; somebody else was at it; its deployment was rolled back."""
ROOT = Path(__file__).resolve().parents[2]


class Worker:
    """The process that commands run in; see ``worker``."""

    def __init__(self, world: World) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MLOPS_KIT_"))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults_promotion.worker", str(world.root)],
            cwd=ROOT,
            env={**kept, **world.variables, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def run(self, arguments: Sequence[str]) -> Done:
        return Done(**self._ask(arguments, forks=0))

    def begin(self, arguments: Sequence[str], count: int = 1) -> list[int]:
        """Run the command in so many children at once: their process ids. They are gone when ``ended`` has returned."""
        return list(self._ask(arguments, forks=count)["pids"])

    def ended(self) -> list[int]:
        """The children's exit codes, or the negative numbers of the signals that ended them."""
        return list(self._answer()["statuses"])

    def _ask(self, arguments: Sequence[str], *, forks: int) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"arguments": list(arguments), "forks": forks}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the worker has ended; what it said is above")
        return json.loads(line)


@dataclass(frozen=True)
class Failure:
    """An injection after which not all was as it had to be."""

    action: str
    injection: str
    problems: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([f"{self.action}: {self.injection}", *(f"    {problem}" for problem in self.problems)])


@dataclass
class Outcome:
    """What came of injections and kills. ``lost`` counts what was changed as well."""

    injections: int = 0
    kills: int = 0
    crowds: int = 0
    tampers: int = 0
    lost: int = 0
    duplicates: int = 0
    failures: list[Failure] = field(default_factory=list)

    def line(self) -> str:
        counted = f"{self.injections} injections, {self.kills} kills, {self.tampers} tampers"
        return f"{counted}: {self.lost} lost, {self.duplicates} duplicates"

    def __iadd__(self, other: Outcome) -> Outcome:
        self.injections += other.injections
        self.kills += other.kills
        self.crowds += other.crowds
        self.tampers += other.tampers
        self.lost += other.lost
        self.duplicates += other.duplicates
        self.failures += other.failures
        return self


class Sweep:
    """One action in one world. ``calls`` and ``wanted`` are of the undisturbed run."""

    def __init__(self, action: Action, world: World, worker: Worker) -> None:
        self.action, self.world, self.worker = action, world, worker
        self.watch = Watch(world)
        self.outcome = Outcome()
        self.names = world.names("staging")
        for arguments in action.before:
            done = worker.run(arguments)
            if done.code != 0:
                raise AssertionError(f"{' '.join(arguments)}: {done.err}")
        self.incumbent = self._endpoint().config if action.trouble else ""
        self.begin = world.aws.save()
        world.aws.observers.append(self.watch)
        world.aws.forget()
        self._make_trouble()
        done = worker.run(action.arguments)
        self.calls: list[Call] = list(world.aws.calls)
        if done.code != (ROLLED_BACK if action.trouble else 0):
            raise AssertionError(f"{action.name}, undisturbed: {done.err}")
        problems = self._incumbent_runs() if action.trouble else []
        self._end_trouble()
        if action.trouble or action.once_more:
            done = worker.run(action.last)
        self.wanted: State = self._state()
        if done.code != 0 or problems or self.watch.seen:
            raise AssertionError(f"{action.name}, undisturbed: {done.err} {problems} {self.watch.seen}")

    def injections(self, *, alike: bool = False) -> list[Injection]:
        return every(self.calls, from_first_write=self.action.variant, alike=alike)

    def inject(self, injection: Injection) -> None:
        """Run with the injection, then once more, and note what is not as it must be."""
        self._begin_anew()
        faults = injection.faults()
        self.world.aws.faults[:] = faults
        disturbed = self.worker.run(self.action.arguments)
        problems = [] if faults[0].struck else ["it was never struck"]
        if "Unexpected error" in disturbed.err:
            problems.append(f"the disturbed run has a bug: {disturbed.err.partition('Unexpected error')[2].strip()}")
        self.outcome.injections += 1
        self._finish(str(injection), problems)

    def kill(self, target: Target, *, after: bool) -> None:
        """Kill the process at the call, before its effect or after it, then run once more."""
        self._begin_anew()
        born, process = threading.Event(), 0

        def end() -> None:
            born.wait()
            os.kill(process, signal.SIGKILL)

        injection = Injection(target, "crash-after" if after else "crash-before")
        self.world.aws.faults[:] = injection.faults(end)
        (process,) = self.worker.begin(self.action.arguments)
        born.set()
        (status,) = self.worker.ended()
        problems = [] if status == -signal.SIGKILL else [f"it was not killed, but ended with {status}"]
        self.outcome.kills += 1
        self._finish(f"kill -9 {'after' if after else 'before'} {target}", problems)

    def crowd(self, count: int) -> None:
        """Run the command in so many processes at once: some may be told of a conflict; then once more."""
        self._begin_anew()
        self.worker.begin(self.action.arguments, count)
        statuses = Counter(self.worker.ended())
        end = ROLLED_BACK if self.action.trouble else 0
        allowed = {end, CONFLICT, *([USAGE] if self.action.settled else [])}
        problems = [] if set(statuses) <= allowed and statuses[end] else [f"they ended with {dict(statuses)}"]
        self.outcome.crowds += 1
        self._finish(f"{count} at once", problems)

    def _finish(self, what: str, problems: list[str]) -> None:
        self.world.aws.faults.clear()
        if self.action.trouble:
            problems += self._after_the_trouble()
        done = self.worker.run(self.action.last)
        if not self.action.is_done(done):
            problems.append(f"the next run ended with {done.code}: {' '.join(done.err.split('Error:')[-1].split())}")
        for difference in differences(self.wanted, self._state()):
            problems.append(str(difference))
            self.outcome.lost += difference.what != "duplicate"
            self.outcome.duplicates += difference.what == "duplicate"
        problems += [f"half-visible {seen}" for seen in self.watch.seen]
        self.watch.seen.clear()
        self.world.aws.forget()
        if problems:
            self.outcome.failures.append(Failure(self.action.name, what, tuple(problems)))

    def _begin_anew(self) -> None:
        self.world.aws.restore(self.begin)
        self._make_trouble()

    def _make_trouble(self) -> None:
        if self.action.trouble == "alarm":
            self._set_alarm("ALARM")
        if self.action.trouble == "smoke":
            self.world.aws.runtime.model = nonsense

    def _end_trouble(self) -> None:
        if self.action.trouble == "alarm":
            self._set_alarm("OK")
        self.world.aws.runtime.model = one_number_a_line

    def _set_alarm(self, state: str) -> None:
        self.world.aws.cloudwatch.set_alarm(self.names.environment.account, self.names.rollback_alarms[0], state)

    def _endpoint(self) -> Endpoint:
        return self.world.aws.sagemaker.endpoint(self.names.environment.account, self.names.endpoint)

    def _incumbent_runs(self) -> list[str]:
        found = self._endpoint()
        runs = (found.status, found.config) == ("InService", self.incumbent)
        return [] if runs else [f"not the incumbent runs, but {found.config} ({found.status})"]

    def _after_the_trouble(self) -> list[str]:
        """Let the deployment come to its end, and the trouble to its own: the incumbent has to run.

        Of a bad answer nobody but the kit knows: the same command goes back, wherever the one before it was cut off.
        """
        problems, aws, endpoint = [], self.world.aws, self._endpoint()
        if self.action.trouble == "smoke":
            done = self.worker.run(self.action.last)
            if done.code != ROLLED_BACK:
                problems.append(f"the next run, in the same trouble, ended with {done.code}: {done.err}")
        while endpoint.busy:
            endpoint.look(aws.sagemaker.clock(), lambda names: aws.cloudwatch.firing(endpoint.arn.split(":")[4], names))
        problems += self._incumbent_runs()
        self._end_trouble()
        return problems

    def _state(self) -> State:
        """Where a deployment failed, without the updates and the ledger, as it may not have got to them."""
        found = state_of(self.world.aws)
        place = f"s3://{self.names.environment.bucket('ledger')}/"
        bucket = self.world.aws.buckets[place.removeprefix("s3://").removesuffix("/")]
        read = {key: json.loads(bucket.version(key).data) for key in bucket.snapshot() if EVENT.fullmatch(key)}
        if self.action.apart_from:
            for key, event in read.items():
                found["object"][place + key] = [{k: v for k, v in event.items() if k not in self.action.apart_from}]
        if not self.action.trouble:
            return found
        found["endpoint"] = {name: one[:3] for name, one in found["endpoint"].items()}
        found["object"] = {name: one for name, one in found["object"].items() if not name.startswith(place)}
        found["event"] = Counter(event["release"]["id"] for event in read.values() if event["outcome"] == "succeeded")
        return found


def nonsense(endpoint: Endpoint, body: bytes) -> bytes:
    """Out of the bounds that the smoke request of the actions sets."""
    return b"7\n"


@contextmanager
def sweep(action: Action, directory: Path) -> Iterator[Sweep]:
    """The action, run undisturbed, and ready to be disturbed."""
    with action.world(directory) as world:
        worker = Worker(world)
        try:
            yield Sweep(action, world, worker)
        finally:
            worker.close()


def kills(calls: Sequence[Call], count: int, seed: int = 0) -> Iterable[tuple[Target, bool]]:
    """``count`` moments at which to kill, drawn with a fixed seed: before any call, or after a write."""
    moments = [(target, False) for target in targets(calls)]
    moments += [(target, True) for target in targets(calls) if is_write(target)]
    return random.Random(seed).choices(moments, k=count)  # noqa: S311 - not a secret
