"""Versioned data beside dvc and s5cmd, on the loopback S3 of the test suite: the same bytes, the same server, in turns.

===============  ==================================================================================================
part             what is compared
===============  ==================================================================================================
small            10,000 files of 10 KB: commit beside `dvc add` and `dvc push`, checkout beside `dvc pull`, and a
                 commit of nothing new, which has a second
large            20 files of 50 MB, up and down, beside `s5cmd cp`; memory
copy             10,000 objects from bucket to bucket beside `s5cmd cp`: CPU, and with 30 ms of latency objects a second
million          1,000,000 entries: log, diff, and a commit of one file, against the clock and a gibibyte
===============  ==================================================================================================

Commands run as whole processes, start-up and all, except where a row says "copying": there the clock starts at the
first request, listing included, because what comes before is the start of Python. Each server holds nothing but what
the round put there. Wall clocks need a quiet machine; the ratios are what counts. Files are where ``TMPDIR`` says: on a
disk, as a rule, where writing them twice, as dvc does, costs more than in memory.

    python -m benchmarks.datasets [--rounds 3] [small large copy million]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from statistics import median

from benchmarks import generated_data
from benchmarks.process import Taken, run
from benchmarks.report import Bound, Row, limit, record, row
from benchmarks.s3_process import serving

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".venv" / "peers" / "bin"
MLOPS_KIT = ROOT / ".venv" / "bin" / "mlops-kit"
DEV, STAGING = "111111111111", "222222222222"
LAKES = {f"acme-dev-{DEV}-lake": DEV, f"acme-staging-{STAGING}-lake": STAGING}
PLAIN = {"plain": DEV, "plain-copy": DEV}
IN_FLIGHT = 64
LATENCY = 0.03
DATASET = "bench"


class Bench:
    """A server, a scratch directory, and the two sides' commands."""

    def __init__(self, url: str, scratch: Path) -> None:
        self.scratch = scratch
        self.env = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": DEV,
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "XDG_CACHE_HOME": str(scratch / "cache"),
            "DVC_NO_ANALYTICS": "1",
        }
        self.url = url

    def kit(self, *arguments: str | Path, account: str = DEV) -> Taken:
        return run([MLOPS_KIT, "--project", ROOT, *arguments], env=self.env | {"AWS_ACCESS_KEY_ID": account})

    def python(self, module: str, *arguments: str | Path) -> Taken:
        return run([sys.executable, "-m", module, *arguments], cwd=ROOT, env=self.env)

    def s5cmd(self, *arguments: str | Path) -> Taken:
        return run([_s5cmd(), "--endpoint-url", self.url, "--numworkers", str(IN_FLIGHT), *arguments], env=self.env)

    def dvc(self, directory: Path, *arguments: str) -> Taken:
        return run([PEERS / "dvc", *arguments, "--quiet"], cwd=directory, env=self.env)


def _s5cmd() -> Path:
    # The program itself, not the Python script that starts it: this is about the copier.
    return next((PEERS.parent / "lib").glob("python*/site-packages/s5cmd/bin/s5cmd"))


@contextmanager
def bench(latency: float = 0.0) -> Iterator[Bench]:
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as scratch,
        serving(LAKES | PLAIN, latency) as url,
    ):
        yield Bench(url, Path(scratch))


def small(rounds: int, data: Path) -> list[Row]:
    source = generated_data.files(data / "small", count=10_000, size=10_000)
    ours: dict[str, list[Taken]] = {"commit": [], "checkout": [], "nothing": []}
    theirs: dict[str, list[Taken]] = {"commit": [], "checkout": []}
    for _ in range(rounds):
        with bench() as at:
            ours["commit"].append(at.kit("dataset", "commit", DATASET, source, "-m", "all of it"))
            ours["nothing"].append(at.kit("dataset", "commit", DATASET, source, "-m", "again"))
            ours["checkout"].append(at.kit("dataset", "checkout", DATASET, at.scratch / "out"))
            _same(source, at.scratch / "out")
        with bench() as at:
            repository = at.scratch / "repository"
            shutil.copytree(source, repository / "data")
            at.dvc(repository, "init", "--no-scm")
            at.dvc(repository, "config", "core.analytics", "false")
            at.dvc(repository, "remote", "add", "-d", "s3", "s3://plain/dvc")
            at.dvc(repository, "remote", "modify", "s3", "endpointurl", at.url)
            theirs["commit"].append(at.dvc(repository, "add", "data") + at.dvc(repository, "push"))
            shutil.rmtree(repository / "data")
            shutil.rmtree(repository / ".dvc" / "cache")
            theirs["checkout"].append(at.dvc(repository, "pull"))
            _same(source, repository / "data")
    return [
        _wall("10,000 files of 10 KB: commit / dvc add + push", ours["commit"], theirs["commit"], "at least", 5),
        _wall("10,000 files of 10 KB: checkout / dvc pull", ours["checkout"], theirs["checkout"], "at least", 5),
        limit("10,000 files of 10 KB: commit of nothing new", _median(ours["nothing"], _WALL), 1.0, "s"),
    ]


def large(rounds: int, data: Path) -> list[Row]:
    source = generated_data.files(data / "large", count=20, size=50_000_000)
    ours: dict[str, list[Taken]] = {"up": [], "down": []}
    theirs: dict[str, list[Taken]] = {"up": [], "down": []}
    for _ in range(rounds):
        with bench() as at:
            ours["up"].append(at.kit("dataset", "commit", DATASET, source, "-m", "all of it"))
            ours["down"].append(at.kit("dataset", "checkout", DATASET, at.scratch / "out"))
            _same(source, at.scratch / "out")
        with bench() as at:
            theirs["up"].append(at.s5cmd("cp", f"{source}/", "s3://plain/data/"))
            theirs["down"].append(at.s5cmd("cp", "s3://plain/data/*", f"{at.scratch}/out/"))
            _same(source, at.scratch / "out")
    return [
        _wall("20 files of 50 MB: commit / s5cmd cp", ours["up"], theirs["up"], "at most", 1.5),
        _wall("20 files of 50 MB: checkout / s5cmd cp", ours["down"], theirs["down"], "at most", 1.5),
        limit("20 files of 50 MB: memory", max(taken.memory for taken in ours["up"] + ours["down"]), 200, "MiB"),
    ]


def copy(rounds: int, data: Path) -> list[Row]:
    source = generated_data.files(data / "small", count=10_000, size=10_000)
    ours: list[Taken] = []
    theirs: list[Taken] = []
    our_rate: list[float] = []
    their_rate: list[float] = []
    for latency in (0.0, LATENCY):
        for _ in range(rounds):
            with bench(latency) as at:
                at.kit("dataset", "commit", DATASET, source, "-m", "all of it")
                at.s5cmd("cp", f"{source}/", "s3://plain/data/")
                their = at.s5cmd("cp", "s3://plain/data/*", "s3://plain-copy/data/")
                if latency:
                    timed = at.python("benchmarks.copying", DATASET, str(IN_FLIGHT))
                    our_rate.append(json.loads(timed.out)["objects_per_second"])
                    their_rate.append(10_000 / their.wall)
                else:
                    ours.append(at.kit("promote", "dataset", DATASET, "--to", "staging", account=STAGING))
                    theirs.append(their)
    per_object = [taken.cpu / 10_000 * 1000 for taken in ours]
    return [
        limit("10,000 objects, bucket to bucket: CPU an object", median(per_object), 0.3, "ms"),
        row(
            "10,000 objects, bucket to bucket: CPU / s5cmd cp",
            ours=_median(ours, _CPU),
            other=_median(theirs, _CPU),
            unit="CPU s",
            bound="at most",
            goal=1.5,
        ),
        row(
            f"10,000 objects, 30 ms of latency, {IN_FLIGHT} in flight: copying / s5cmd cp",
            ours=median(our_rate),
            other=median(their_rate),
            unit="objects/s",
            bound="more",
            goal=1.0,
        ),
    ]


def million(rounds: int, data: Path) -> list[Row]:
    one = generated_data.files(data / "one", count=1, size=10_000)
    taken: dict[str, list[Taken]] = {"log": [], "diff": [], "one-file commit": []}
    for _ in range(rounds):
        with bench() as at:
            made = json.loads(at.python("benchmarks.million_entries", DATASET).out)
            taken["log"].append(at.kit("dataset", "log", DATASET))
            taken["diff"].append(at.kit("dataset", "diff", DATASET, made["old"], made["new"]))
            taken["one-file commit"].append(at.kit("dataset", "commit", DATASET, one, "--add", "-m", "one more"))
    rows = []
    for what, runs in taken.items():
        rows.append(limit(f"1,000,000 entries: {what}", _median(runs, _WALL), 10, "s"))
        rows.append(limit(f"1,000,000 entries: {what}, memory", max(one.memory for one in runs), 1024, "MiB"))
    return rows


_WALL: Callable[[Taken], float] = attrgetter("wall")
_CPU: Callable[[Taken], float] = attrgetter("cpu")


def _median(taken: list[Taken], what: Callable[[Taken], float]) -> float:
    return median(map(what, taken))


def _wall(name: str, ours: list[Taken], theirs: list[Taken], bound: Bound, goal: float) -> Row:
    return row(name, ours=_median(ours, _WALL), other=_median(theirs, _WALL), unit="s", bound=bound, goal=goal)


def _same(one: Path, other: Path) -> None:
    """The same files with the same sizes; the digests are checked by the tools themselves."""

    def files(root: Path) -> dict[str, int]:
        return {
            str(path.relative_to(root)): path.stat().st_size
            for path in root.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        }

    if files(one) != files(other):
        raise SystemExit(f"{other} does not hold what {one} holds: nothing was measured")


PARTS = {"small": small, "large": large, "copy": copy, "million": million}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure versioned data beside dvc and s5cmd.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; default: all")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side runs (default 3)")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts).difference(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}: {', '.join(PARTS)}")
    if not (PEERS / "dvc").exists():
        raise SystemExit("The peers are not installed: run `make bench`.")
    for name in list(os.environ):
        # Neither side is to compile its modules in every run.
        if name.startswith(("AWS_", "MLOPS_KIT_", "DVC_")) or name == "PYTHONDONTWRITEBYTECODE":
            del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="bench-data-") as data:
        for part in arguments.parts or PARTS:
            record(PARTS[part](arguments.rounds, Path(data)))


if __name__ == "__main__":
    main()
