"""Inject every fault into every call of a scenario, one at a time, and judge what is left.

A sweep runs the scenario undisturbed first, which tells its calls and its end. Then, for each call and each fault that
can meet it, the world begins anew, the fault strikes, and this has to hold:

- The run succeeds, with the same end, if what went wrong passes. Otherwise it fails with an error that the command line
  reports as one of its own, with a documented exit code.
- Every commit that is visible, in either lake, is complete and bit for bit what its id says; every branch and tag names
  one that is visible.
- Every object and every file is as it was before, or as it is after an undisturbed run: nothing is lost, nothing else
  appears, nothing is half written. A directory that is made appears as a whole.
- A second run, undisturbed, comes to the same end.

Calls are known by what they ask for, not by their number: many are in flight at once, in any order.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from mlops_kit.cli.run import _ours
from mlops_kit.datasets.local_paths import OWN_PREFIX, STATE_NAME
from mlops_kit.datasets.records import FileList, parse_commit
from mlops_kit.naming import DatasetKeys
from tests.faults.processes import Process, Processes
from tests.faults.world import Checkpoint, Seen, World, empty, serve
from tests.s3 import Fault, LoopbackS3
from tests.s3.faults import ONLY_FOR, Kind
from tests.s3.messages import Request

ADVISORY = re.compile(r"staging/|datasets/[^/]+/imports/")
"""What imports leave for the next one, and what they put aside: no part of any commit."""
_RANDOM = re.compile(r"^(staging/[^/]+/)[0-9a-f]{16}/")
_READS = ("Get", "Head", "List")
_NAMELESS = frozenset({"uploadId", "versionId", "version-id-marker", "upload-id-marker", "continuation-token"})
"""Parameters that are different in every run."""


@dataclass(frozen=True, order=True)
class Step:
    """One call of a run: what it asks for, and the how manieth of these it is."""

    operation: str
    bucket: str
    key: str
    query: str
    nth: int = 1

    def __str__(self) -> str:
        where = f"{self.bucket}/{self.key}" + (f"?{self.query}" if self.query else "")
        return f"{self.operation} {where}" + (f" ({self.nth})" if self.nth > 1 else "")

    @property
    def what(self) -> tuple[str, str, str, str]:
        return self.operation, self.bucket, self.key, self.query


def what(request: Request) -> tuple[str, str, str, str]:
    query = "&".join(f"{name}={value}" for name, value in sorted(request.query.items()) if name not in _NAMELESS)
    if "range" in request.headers and request.operation == "GetObject":
        query += f"&{request.headers['range']}"
    return request.operation, request.bucket, _RANDOM.sub(r"\1*/", request.key), query


@dataclass
class Strike:
    """When a fault strikes: at ``step`` alone, at it and all later calls like it, or at it and all later calls."""

    step: Step
    extent: str
    seen: int = 0

    def __call__(self, request: Request) -> bool:
        same = what(request) == self.step.what
        self.seen += same
        if self.extent == "on":
            return self.seen >= self.step.nth
        return same and (self.seen >= self.step.nth if self.extent == "here" else self.seen == self.step.nth)


@dataclass(frozen=True)
class Injection:
    """``extent``: "once", "here" (from then on with the same call) or "on" (from then on with all calls)."""

    kind: Kind
    extent: str
    code: int | None = None
    """With which exit code the run may end; None: it has to succeed."""

    def applies(self, step: Step) -> bool:
        if step.operation.startswith(_READS) and self.kind in ("lost", "timeout-after", "409", "500"):
            return False  # there is no effect to lose, no condition to conflict with, and 500 is 503
        return step.operation in ONLY_FOR.get(self.kind, (step.operation,))

    def __str__(self) -> str:
        return self.kind if self.extent == "once" else f"{self.kind} {self.extent}"


PASSING: tuple[Kind, ...] = (
    "503", "500", "409", "timeout", "timeout-after", "reset", "lost", "200-error", "truncated"
)  # fmt: skip
SWEPT = (
    *(Injection(kind, "once") for kind in PASSING),
    Injection("expired", "once", 6),
    Injection("denied", "once", 6),
    Injection("corrupt", "once", 7),
    Injection("503", "here", 1),
    Injection("lost", "here", 1),
    Injection("200-error", "here", 1),
    Injection("corrupt", "here", 7),
    Injection("denied", "here", 6),
    Injection("expired", "on", 6),
)


@dataclass(frozen=True)
class Scenario:
    """Something that people run. ``run`` knows nothing but the world, so that another process can run it as well."""

    name: str
    run: Callable[[World], object]
    prepare: Callable[[World, LoopbackS3], object] = lambda world, s3: None
    again: Callable[[World], object] | None = None
    """The second run, if it has to be asked for in another way."""
    directory: str | None = None
    """Name of the directory that a checkout writes."""
    damaged: Literal["never", "before", "always"] = "never"
    """Until when the first lake has lost files of a commit."""
    vague: str = "(?!)"
    """Pattern of keys that may get more versions than they need."""
    litter: str = "(?!)"
    """Pattern of keys that a run that fails may leave for ``gc``."""


class Lab:
    """One scenario's world, over and over again."""

    def __init__(self, scenario: Scenario, s3: LoopbackS3, directory: Path) -> None:
        self.scenario, self.s3 = scenario, s3
        self.root = directory / "world"
        self.root.mkdir()
        self.world = World.at(s3.url, self.root)
        scenario.prepare(self.world, s3)
        self.start = Checkpoint(s3, self.root, directory / "copy")
        self.steps = self._undisturbed()
        self.end = self.look()
        self.problems: list[str] = []
        self.injections = 0
        self._judge_end(self.end, "the undisturbed run")
        self._fail_if(self.attempt(self.again) is not None, "a second run after it fails")
        self._judge_end(self.look(), "a second run after it")

    @property
    def again(self) -> Callable[[World], object]:
        return self.scenario.again or self.scenario.run

    def look(self) -> Seen:
        return Seen.of(self.s3, self.root)

    def _undisturbed(self) -> list[Step]:
        asked: list[tuple[str, str, str, str]] = []
        watch = Fault("before", when=lambda request: asked.append(what(request)) is not None)
        self.s3.faults[:] = [watch]
        self.scenario.run(self.world)
        self.s3.faults.clear()
        counted: Counter[tuple[str, str, str, str]] = Counter()
        steps = []
        for one in asked:
            counted[one] += 1
            steps.append(Step(*one, counted[one]))
        return [step for step in steps if not self._is_one_of_many(step)]

    def _is_one_of_many(self, step: Step) -> bool:
        """Whether it lists headers by the first digit of their ids, where there are none: one of sixteen alike."""
        prefix = step.query.rpartition("&prefix=")[2]
        if step.operation != "ListObjectsV2" or not re.fullmatch(r"datasets/[^/]+/commits/[0-9a-f]", prefix):
            return False
        return not any(key.startswith(prefix) for key in self.start.seen.visible[step.bucket])

    def attempt(self, run: Callable[[World], object], *, impatient: bool = False) -> Exception | None:
        world = World.at(self.s3.url, self.root, impatient=True) if impatient else self.world
        try:
            run(world)
        except Exception as exc:
            return exc
        finally:
            if impatient:
                world.close()
                self.world.close()
                self.drain()
        return None

    def drain(self) -> None:
        """Wait until nothing that was sent can have an effect any more."""
        self._wait_for(lambda: not self.s3.connections)

    def _wait_for(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not done():
            assert time.monotonic() < deadline, "connections stay open"
            time.sleep(0.0005)

    # -- faults

    def inject(self, step: Step, injection: Injection) -> None:
        label = f"{injection} at {step}"
        self.injections += 1
        self.start.bring_back()
        fault = Fault(injection.kind, times=None, when=Strike(step, injection.extent))
        self.s3.faults[:] = [fault]
        error = self.attempt(self.scenario.run, impatient=injection.kind.startswith("timeout"))
        self.s3.faults.clear()
        self._fail_if(not fault.struck, f"{label}: never happened")
        self._judge_error(error, injection, label)
        self.judge_between(label)
        if error is None:
            self._judge_end(self.look(), label)
        elif not self.start.is_untouched():  # from there, the undisturbed run has shown what a run comes to
            self.finish(label)

    # -- kills

    def kill(self, step: Step, kind: Kind, processes: Processes) -> None:
        label = f"{kind} at {step}"
        self.injections += 1
        self.start.bring_back()
        own = set(self.s3.connections)
        process = Process(processes, self.s3.url, self.root, self.scenario.name)
        fault = Fault(kind, times=None, when=Strike(step, "once"), callback=process.kill)
        self.s3.faults[:] = [fault]
        code = process.run()
        self._wait_for(lambda: self.s3.connections <= own)  # what the dead process has sent, the server may still do
        self.s3.faults.clear()
        self._fail_if(code != -signal.SIGKILL, f"{label}: ended with {code}")
        self.judge_between(label, killed=True)
        self.finish(label)

    def finish(self, label: str) -> None:
        """A second run, and what it comes to."""
        failed = self.attempt(self.again)
        self._fail_if(failed is not None, f"{label}: the second run fails: {failed!r}")
        self._judge_end(self.look(), f"{label}, run again")

    def report(self) -> str:
        """Raises:
        AssertionError: there were problems.
        """
        shown = "\n".join(self.problems[:40])
        assert not self.problems, f"{len(self.problems)} problems in {self.injections} injections:\n{shown}"
        return f"{self.injections} injections at {len(self.steps)} calls"

    # -- judgement

    def _fail_if(self, wrong: bool, problem: str) -> None:
        if wrong:
            self.problems.append(problem)

    def _judge_error(self, error: Exception | None, injection: Injection, label: str) -> None:
        if error is None:
            return
        told = _ours(error)
        if told is None:
            self.problems.append(f"{label}: not an error of ours: {error!r}")
        elif injection.code is None:
            self.problems.append(f"{label}: should have passed: {told!r}")
        elif told.exit_code != injection.code:
            self.problems.append(f"{label}: exit code {told.exit_code}, not {injection.code}: {told!r}")

    def judge_between(self, label: str, *, killed: bool = False) -> None:
        """Whether the world is one to be found at any time."""
        now, before, after = self.look(), self.start.seen, self.end
        for bucket, keys in now.visible.items():
            every = {*keys, *before.visible[bucket], *after.visible[bucket]}
            for key in sorted(key for key in every if self._matters(bucket, key)):
                allowed = (before.visible[bucket].get(key), after.visible[bucket].get(key))
                self._fail_if(keys.get(key) not in allowed, f"{label}: {bucket}/{key} is {keys.get(key)}")
            for key, versions in after.versions[bucket].items():
                kept = versions.keys() & before.versions[bucket].get(key, {}).keys()
                gone = kept - now.versions[bucket].get(key, {}).keys()
                self._fail_if(bool(gone), f"{label}: versions of {bucket}/{key} are gone")
        self._judge_lakes(label, ended=False)
        for problem in self._wrong_files(now, killed):
            self.problems.append(f"{label}: {problem}")

    def _judge_end(self, now: Seen, label: str) -> None:
        """Whether it is what an undisturbed run comes to."""
        for bucket, keys in self.end.visible.items():
            found = now.visible[bucket].items() ^ keys.items()
            different = sorted({key for key, _ in found if self._matters(bucket, key)})
            self._fail_if(bool(different), f"{label}: {bucket} ends with other objects: {different}")
            for key in now.versions[bucket].keys() | self.end.versions[bucket].keys():
                count, right = (len(seen.versions[bucket].get(key, {})) for seen in (now, self.end))
                exact = self._matters(bucket, key) and not re.search(self.scenario.vague, key)
                self._fail_if(count != right and exact, f"{label}: {count} versions of {key}, not {right}")
        self._judge_lakes(label, ended=True)
        different = sorted(path for path in self._data(now).items() ^ self._data(self.end).items())
        self._fail_if(bool(different), f"{label}: ends with other files: {different}")

    def _matters(self, bucket: str, key: str) -> bool:
        """Whether ``key`` is part of what is judged."""
        if key in self.start.seen.visible[bucket] or key in self.end.visible[bucket]:
            return not ADVISORY.match(key)
        return not ADVISORY.match(key) and not re.search(self.scenario.litter, key)

    def _judge_lakes(self, label: str, *, ended: bool) -> None:
        damaged = self.scenario.damaged == "always" or (self.scenario.damaged == "before" and not ended)
        for bucket in self.s3.buckets:
            if damaged and bucket == self.world.lake.bucket:
                continue
            for problem in unsound(self.s3, bucket):
                self.problems.append(f"{label}: {bucket}: {problem}")

    def _data(self, seen: Seen) -> dict[str, bytes]:
        """Files and directories, unfinished ones too; but not what is remembered of times."""
        return {
            path: body
            for path, body in seen.files.items()
            if PurePosixPath(path).name != STATE_NAME and not path.startswith("cache/")
        }

    def _wrong_files(self, now: Seen, killed: bool) -> Iterator[str]:
        before, after = self._data(self.start.seen), self._data(self.end)
        found = self._data(now)
        unfinished = {path for path in found if OWN_PREFIX in path}
        for path in sorted({*found, *before, *after} - unfinished):
            if found.get(path) not in (before.get(path), after.get(path)):
                yield f"{path} is {found.get(path)!r}"
        made = self.scenario.directory
        if made is not None and f"{made}/" not in before:
            below = {path for path in found if path.startswith(f"{made}/")}
            if below and below != {path for path in after if path.startswith(f"{made}/")}:
                yield f"{made} has appeared in part: {sorted(below)}"
        whole = set(after.values())
        for path in sorted(unfinished):
            if not killed and not path.endswith("/") and (path.endswith(".part") or found[path] not in whole):
                yield f"{path} was left"
        for path, body in now.files.items():
            kind, _, name = path.removeprefix("cache/mlops-kit/files/").partition("/")
            if not path.startswith("cache/mlops-kit/files/") or not name:
                continue
            if kind == "tmp" and not killed:
                yield f"{path} was left"
            elif kind != "tmp" and hashlib.sha256(body).hexdigest() != kind + name:
                yield f"{path} is not what its name says"


def unsound(s3: LoopbackS3, bucket: str) -> Iterator[str]:
    """What is wrong with the commits and names of all data sets in a bucket."""
    there = s3.snapshot(bucket)
    for dataset in {key.split("/")[1] for key in there if key.startswith("datasets/")}:
        keys = DatasetKeys(dataset)
        visible = set()
        for key in there:
            if key.startswith(keys.commits_prefix) and key.endswith(".json"):
                commit = key.removeprefix(keys.commits_prefix).removesuffix(".json")
                visible.add(commit)
                yield from _wrong_with(s3, bucket, keys, commit, there)
        for key in there:
            if key.startswith((keys.refs_prefix, keys.tags_prefix)):
                named = json.loads(s3.buckets[bucket].version(key).data)["commit"]
                if named not in visible:
                    yield f"{key} names {named}, which is not visible"


def _wrong_with(s3: LoopbackS3, bucket: str, keys: DatasetKeys, commit: str, there: dict[str, str]) -> Iterator[str]:
    def read(key: str) -> bytes:
        return s3.buckets[bucket].version(key).data

    header = parse_commit(read(keys.commit(commit)), commit)
    if keys.file_list(commit) not in there or keys.manifest(commit) not in there:
        yield f"{commit} is visible without its list or its manifest"
        return
    files = FileList.parse(read(keys.file_list(commit)), header)
    for entry in files:
        key = keys.file(entry.path, entry.sha256)
        if there.get(key) != entry.sha256 or s3.buckets[bucket].version(key).body.size != entry.size:
            yield f"{commit} is visible, and {key} is {there.get(key)}"
    prefix, *listed = json.loads(read(keys.manifest(commit)))
    own = f"s3://{bucket}/"
    expected = sorted(keys.file(entry.path, entry.sha256) for entry in files)
    if sorted(prefix["prefix"].removeprefix(own) + below for below in listed) != expected:
        yield f"{commit} is visible with a manifest of other files"


@contextlib.contextmanager
def lab(scenario: Scenario, directory: Path) -> Iterator[Lab]:
    with serve() as s3:
        yield Lab(scenario, s3, directory)
        for bucket in s3.buckets.values():
            empty(bucket)


def sweep(scenario: Scenario, directory: Path, injections: Sequence[Injection] = SWEPT, *, one_in: int = 1) -> str:
    """Inject them all, or one in so many; how many these were, and at how many calls.

    Raises:
        AssertionError: something did not hold; says all of it.
    """
    with lab(scenario, directory) as at:
        pairs = [(step, one) for one in injections for step in at.steps if one.applies(step)]
        for step, injection in pairs[::one_in]:
            at.inject(step, injection)
        return at.report()


def kill_at_every_call(scenario: Scenario, directory: Path, processes: Processes, *, one_in: int = 1) -> str:
    """Kill a process that runs it before each of its calls, and after each that has an effect, or one in so many times.

    Raises:
        AssertionError: something did not hold; says all of it.
    """
    with lab(scenario, directory) as at:
        before: list[tuple[Step, Kind]] = [(step, "crash-before") for step in at.steps]
        after: list[tuple[Step, Kind]] = [
            (step, "crash-after") for step in at.steps if not step.operation.startswith(_READS)
        ]
        for step, kind in (*before, *after)[::one_in]:
            at.kill(step, kind, processes)
        return at.report()
