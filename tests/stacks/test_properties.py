"""The rules hold in environments that nobody wrote: generated ones, synthesized one after the other in one process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings

from mlops_kit.config import Project, load_project
from mlops_kit.errors import ConfigError
from tests.cloud import ROOT
from tests.stacks.generated import PROJECTS, write
from tests.stacks.rules import RULES
from tests.stacks.stack import Stack

WANTED = 60
FEATURES = {"realtime", "serverless", "async", "batch", "none", "vpc"}
"""Serving kinds and network modes, each of which has to be among the environments."""
DRIVER = """
import json, sys
from pathlib import Path
from mlops_kit.config import load_project
from stacks.app import synthesize
for root in json.loads(sys.stdin.read()):
    synthesize(load_project(Path(root)), Path(root) / "out", local=True)
"""


def collect(directory: Path) -> list[Path]:
    """Write generated projects, each in a directory of its own; those that the configuration accepts.

    As many as wanted; after these, only what has a feature that none had.
    """
    found: list[Path] = []
    seen: set[str] = set()

    @settings(
        max_examples=20 * WANTED,
        derandomize=True,  # the same environments in every run: a failure is a change, not a draw
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(PROJECTS)
    def generate(project: dict[str, Any]) -> None:
        if len(found) >= WANTED and seen >= FEATURES:
            return
        root = directory / f"project{len(list(directory.iterdir()))}"
        write(project, root)
        try:
            has = features(load_project(root))
        except ConfigError:
            return
        if len(found) < WANTED or not has <= seen:
            found.append(root)
            seen.update(has)

    generate()
    return found


def features(project: Project) -> set[str]:
    kinds = {model.serving.kind for model in project.models.values()}
    return kinds | {stage.network.mode for stage in project.stages}


def test_generated_environments_keep_the_rules(tmp_path: Path) -> None:
    roots = collect(tmp_path)
    assert len(roots) >= WANTED
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", DRIVER],
        input=json.dumps([str(root) for root in roots]),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    stacks = [
        Stack.read(project, stage, root / "out")
        for root in roots
        for project in [load_project(root)]
        for stage in project.stages
    ]
    assert {feature for root in roots for feature in features(load_project(root))} == FEATURES
    broken = {
        f"{stack.directory} {rule.__name__}": found for stack in stacks for rule in RULES if (found := rule(stack))
    }
    assert broken == {}
