"""Sweep the actions and count. The exit code is 1 if anything was lost, doubled, half-visible or did not converge."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.faults_promotion.actions import ACTIONS
from tests.faults_promotion.harness import Outcome, kills, sweep
from tests.faults_promotion.injections import sample


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults_promotion", description="Disturb promotions.")
    parser.add_argument("--action", help="only actions whose name has this in it")
    parser.add_argument("--sample", type=int, help="so many injections an action, drawn with the seed; all, if absent")
    parser.add_argument("--kills", type=int, default=20, help="kill -9 an action")
    parser.add_argument("--crowds", type=int, default=0, help="rounds in which --at-once processes run the command")
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    total = Outcome()
    for action in ACTIONS:
        if options.action and options.action not in action.name:
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as directory, sweep(action, Path(directory)) as swept:
            chosen = swept.injections()
            if options.sample is not None:
                chosen = sample(chosen, options.sample, options.seed)
            for injection in chosen:
                swept.inject(injection)
            for target, after in kills(swept.calls, options.kills, options.seed):
                swept.kill(target, after=after)
            for _ in range(options.crowds):
                swept.crowd(options.at_once)
            took = time.monotonic() - began
            sys.stdout.write(f"{action.name}: {len(swept.calls)} calls; {swept.outcome.line()} ({took:.0f} s)\n")
            sys.stdout.writelines(f"{failure}\n" for failure in swept.outcome.failures)
            sys.stdout.flush()
            total += swept.outcome
    sys.stdout.write(f"{total.line()}\n")
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main())
