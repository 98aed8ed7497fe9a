"""What synthesizing all environments costs, beside importing the provider's generated classes alone: lean and stock.

Measured is the CPU time of the whole process tree (Python and the Node process behind jsii), as the kernel accounts it
when the process ends: the wall clock of a shared machine says more about its neighbours. The three take turns, and the
median of each counts. The stock import takes half a minute and more than a gigabyte.

    python -m benchmarks.synth [--rounds 5] [--stock-rounds 3]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.report import record, row

ROOT = Path(__file__).resolve().parents[1]
SYNTH_GOAL = 1.3
STOCK_GOAL = 10

LEAN = ("-m", "benchmarks.generated_bindings", "lean")
STOCK = ("-m", "benchmarks.generated_bindings", "stock")


def cpu_seconds(*arguments: str) -> float:
    """User and system time of ``python *arguments`` and of every process that it started and waited for."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MLOPS_KIT_", "CDKTF_"))}
    environment["JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION"] = "20"
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"python {' '.join(arguments)[:60]} … ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def resources_in(directory: Path) -> dict[str, int]:
    """Environment -> how many resources its stack has."""
    stacks = {path.parent.name: json.loads(path.read_text()) for path in directory.glob("stacks/*/cdk.tf.json")}
    return {name: sum(len(kind) for kind in stack["resource"].values()) for name, stack in sorted(stacks.items())}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what synthesizing all environments costs.")
    parser.add_argument("--rounds", type=int, default=5, help="how often to synthesize and to import lean (default 5)")
    parser.add_argument("--stock-rounds", type=int, default=3, help="how often to import the stock way (default 3)")
    arguments = parser.parse_args()

    synth: list[float] = []
    lean: list[float] = []
    stock: list[float] = []
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory)
        cpu_seconds(*LEAN)  # the first load of an assembly unpacks it into the user's cache
        for turn in range(max(arguments.rounds, arguments.stock_rounds)):
            if turn < arguments.rounds:
                synth.append(cpu_seconds("-m", "stacks.app", "--out", str(out)))
                lean.append(cpu_seconds(*LEAN))
            if turn < arguments.stock_rounds:
                stock.append(cpu_seconds(*STOCK))
        print("resources:", ", ".join(f"{name} {count}" for name, count in resources_in(out).items()))

    rows = [
        row(
            "synth of all environments / lean import",
            ours=median(synth),
            other=median(lean),
            unit="CPU s",
            bound="at most",
            goal=SYNTH_GOAL,
        )
    ]
    if stock:
        rows.append(
            row(
                "synth of all environments / stock import",
                ours=median(synth),
                other=median(stock),
                unit="CPU s",
                bound="at least",
                goal=STOCK_GOAL,
            )
        )
    record(rows)


if __name__ == "__main__":
    main()
