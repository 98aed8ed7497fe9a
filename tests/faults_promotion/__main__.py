"""Sweep the actions and count: a line for each part, and one at the end.

The exit code is 1 if anything was lost, doubled, half-visible or let through, or did not converge.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed

from tests.faults_promotion.harness import Outcome
from tests.faults_promotion.parts import Options, parts


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults_promotion", description="Disturb promotions.")
    parser.add_argument("--action", default="", help="only actions whose name has this in it, and no tampers")
    parser.add_argument("--sample", type=int, help="so many injections an action, drawn with the seed; all, if absent")
    parser.add_argument("--kills", type=int, default=8, help="kill -9 an action")
    parser.add_argument("--rounds", type=int, default=20, help="in which --at-once processes run the same command")
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--alike", action="store_true", help="also the ways that look like another way to the caller")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=(os.cpu_count() or 1) + 1, help="parts at the same time")
    asked = parser.parse_args()
    options = Options(
        asked.action, asked.sample, asked.kills, asked.rounds, asked.at_once, not asked.action, asked.alike, asked.seed
    )
    total = Outcome()
    # Not forked: each part has threads, and a worker that forks.
    with ProcessPoolExecutor(asked.jobs, multiprocessing.get_context("spawn")) as pool:
        for done in as_completed([pool.submit(part) for part in parts(options)]):
            report = done.result()
            sys.stdout.write(f"{report.line()}\n")
            sys.stdout.writelines(f"{failure}\n" for failure in report.outcome.failures)
            sys.stdout.flush()
            total += report.outcome
    sys.stdout.write(f"{total.line()}\n")
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main())
