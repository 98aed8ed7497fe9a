"""What a look at a promotion takes, and how often a rollback asks before the endpoint starts to change.

``promote model --dry-run`` runs as a whole process, start-up and all, against the AWS in memory of the test suite,
which answers in a millisecond or two: so what is measured is what comes on top of AWS's own latency. Once as
environments are by default, and once where staging asks for a signature, a data test, a scan of the image, an approval
and a budget.

    python -m benchmarks.promotion [--rounds 7]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from benchmarks.process import run
from benchmarks.report import limit, record
from mlops_kit.promotion import lock
from tests.aws.project import DATASET, MODEL
from tests.aws.world import World
from tests.tampers.scene import untouched

ROOT = Path(__file__).resolve().parents[1]
MLOPS_KIT = ROOT / ".venv" / "bin" / "mlops-kit"
DRY_RUN_SECONDS = 2.0
ROLLBACK_CALLS = 12
RELEASES = 5


@contextmanager
def released(root: Path) -> Iterator[World]:
    """Five versions, which staging has released one after the other, and one more."""
    with World(root, clock=_now()) as world:
        world.aws.sagemaker.looks = 0
        commit = world.commit("dev", {f"{number}.csv": b"left,x\n0,1\n" for number in range(100)})
        for _ in range(RELEASES + 1):
            world.train(commit)
        _do(world, "promote", "dataset", DATASET, "--to", "staging")
        for version in range(1, RELEASES + 1):
            _do(world, "promote", "model", f"{MODEL}@{version}", "--to", "staging")
        yield world


def _do(world: World, *arguments: str) -> None:
    done = world.cli(*arguments, fresh=True)
    if done.code != 0:
        raise SystemExit(f"{' '.join(arguments)} ended with {done.code}:\n{done.err}")


def dry_run(world: World, version: int, rounds: int) -> float:
    """Seconds, of the whole process; the first one compiles modules and does not count."""
    command = (MLOPS_KIT, "--project", world.root, "promote", "model", f"{MODEL}@{version}", "--to", "staging")
    taken = [run([*command, "--dry-run"], env=world.variables) for _ in range(rounds + 1)]
    if "plan id" not in taken[0].out:
        raise SystemExit(f"no plan was shown:\n{taken[0].out}")
    return median(one.wall for one in taken[1:])


def calls_before_the_update(world: World) -> int:
    """With somebody's lock in the way, which is the worst case."""
    names = world.names("staging")
    lock.acquire(world.cloud("staging").store("artifacts"), names, what="promote", holder="somebody", now=_now())
    world.aws.forget()
    _do(world, "rollback", MODEL, "--in", "staging")
    return [call.operation for call in world.aws.calls].index("UpdateEndpoint")


def _now() -> datetime:
    return datetime.now(UTC)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure promotions.")
    parser.add_argument("--rounds", type=int, default=7, help="how often a dry run is measured (default 7)")
    rounds = parser.parse_args().rounds
    for name in list(os.environ):
        if name.startswith(("AWS_", "MLOPS_KIT_")) or name == "PYTHONDONTWRITEBYTECODE":
            del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, released(Path(directory)) as world:
        plain = dry_run(world, RELEASES + 1, rounds)
        calls = calls_before_the_update(world)
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, untouched(Path(directory), _now()) as scene:
        strict = dry_run(scene.world, 3, rounds)
    record(
        [
            limit("promote model --dry-run, whole process", plain, DRY_RUN_SECONDS, "s"),
            limit("promote model --dry-run, whole process, more gates", strict, DRY_RUN_SECONDS, "s"),
            limit("rollback: calls to AWS before UpdateEndpoint", calls, ROLLBACK_CALLS, "calls"),
        ]
    )


if __name__ == "__main__":
    main()
