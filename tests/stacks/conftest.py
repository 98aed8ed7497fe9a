"""Synthesize once per session, in one process: every test here reads what that wrote.

Golden files: ``pytest tests/stacks --update-golden`` writes them anew; read the difference before you commit it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlops_kit.config import load_project
from tests.cloud import ROOT
from tests.stacks.stack import Stack

GALLERY = ROOT / "tests" / "gallery"
STAGES = ("dev", "staging", "production")

DRIVER = """
import json, sys
from stacks.app import main
for argv, environ in json.loads(sys.argv[1]):
    if code := main(argv, environ):
        sys.exit(code)
"""

CORNERS = {  # what the shipped environments do not have
    "lab.yaml": """
name: lab
account: "444444444444"
region: us-gov-west-1
project: corner
owner: owner@example.com
protect: true
operators: ["arn:aws-us-gov:iam::999999999999:role/release-bot"]
ci: {repository: example/ml-platform}
retention: {logs_days: 100}
signing: {}
budget:
  monthly_usd: 1
  alert_at: [90, 50, 90]
  anomalies: {monitor: "arn:aws-us-gov:ce::444444444444:anomalymonitor/0a1b2c3d"}
models: [plain, vision]
""",
    "empty.yaml": """
name: empty
account: "555555555555"
region: us-gov-west-1
project: corner
owner: owner@example.com
promotes_from: lab
budget: {monthly_usd: 1}
""",
    "models/plain.yaml": """
name: plain
dataset: numbers
label: y
training:
  source_dir: ../../code
  image: registry.example.com/team/train:1
""",
    "models/vision.yaml": """
name: vision
dataset: pictures
label: y
training:
  source_dir: ../../code
  image: 123456789012.dkr.ecr.us-gov-west-1.amazonaws.com/team/vision/train:1.4
serving:
  image: 123456789012.dkr.ecr.us-gov-west-1.amazonaws.com/team/vision/serve:1.4
  instance_type: ml.g5.xlarge
""",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/stacks/golden anew")


@pytest.fixture(scope="session")
def update_golden(pytestconfig: pytest.Config) -> bool:
    return bool(pytestconfig.getoption("update_golden", False))


@dataclass(frozen=True)
class Synthesized:
    """``aws``: for AWS; ``local``: for the local cloud; ``corners``: a project of unusual settings.

    ``gallery``: ``tests/gallery``, for the local cloud: a project with every serving kind and every network.
    ``bootstrap``: the bootstrap stacks of all three projects, for AWS.
    ``subset``: where two environments were synthesized in the way that ``cdktf`` asks for it.
    """

    aws: dict[str, Stack]
    local: dict[str, Stack]
    corners: dict[str, Stack]
    gallery: dict[str, Stack]
    bootstrap: dict[str, Stack]
    subset: Path


@pytest.fixture(scope="session")
def synthesized(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    out = tmp_path_factory.mktemp("synthesized")
    corners, subset = out / "project", out / "subset"
    for name, text in CORNERS.items():
        path = corners / "environments" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (corners / "code").mkdir()
    for name in ("train.py", "inference.py"):
        (corners / "code" / name).touch()

    runs = [
        (["--out", str(out / "aws")], {"MLOPS_KIT_PROJECT": str(ROOT)}),
        (["--out", str(out / "local")], {"MLOPS_KIT_PROJECT": str(ROOT), "MLOPS_KIT_LOCAL": "1"}),
        ([], {"MLOPS_KIT_PROJECT": str(ROOT), "CDKTF_OUTDIR": str(subset), "MLOPS_KIT_ENVIRONMENTS": "dev, staging"}),
        (["--out", str(out / "corners")], {"MLOPS_KIT_PROJECT": str(corners), "MLOPS_KIT_LOCAL": "1"}),
        (["--out", str(out / "gallery")], {"MLOPS_KIT_PROJECT": str(GALLERY), "MLOPS_KIT_LOCAL": "1"}),
        (["--out", str(out / "bootstrap")], {"MLOPS_KIT_PROJECT": str(ROOT), "MLOPS_KIT_BOOTSTRAP": "1"}),
        (["--bootstrap", "--out", str(out / "corners-bootstrap")], {"MLOPS_KIT_PROJECT": str(corners)}),
        (["--bootstrap", "--out", str(out / "gallery-bootstrap")], {"MLOPS_KIT_PROJECT": str(GALLERY)}),
    ]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", DRIVER, json.dumps(runs)],
        env={name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MLOPS_KIT_", "JSII_"))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "synth must be quiet"

    def read(project_root: Path, kind: str, suffix: str = "") -> dict[str, Stack]:
        project = load_project(project_root)
        return {stage.name: Stack.read(project, stage, out / kind, suffix) for stage in project.stages}

    return Synthesized(
        aws=read(ROOT, "aws"),
        local=read(ROOT, "local"),
        corners=read(corners, "corners"),
        gallery=read(GALLERY, "gallery"),
        bootstrap=read(ROOT, "bootstrap", "-bootstrap")
        | read(corners, "corners-bootstrap", "-bootstrap")
        | read(GALLERY, "gallery-bootstrap", "-bootstrap"),
        subset=subset,
    )


@pytest.fixture(params=STAGES)
def stack(request: pytest.FixtureRequest, synthesized: Synthesized) -> Stack:
    """Each of the shipped environments in turn."""
    found: Stack = synthesized.aws[request.param]
    return found


@pytest.fixture
def sandbox(synthesized: Synthesized) -> Stack:
    """Of the gallery: every serving kind, no VPC, everything automatic, off-hours."""
    return synthesized.gallery["sandbox"]


@pytest.fixture
def secure(synthesized: Synthesized) -> Stack:
    """Of the gallery: a VPC of its own, a second region, people in every role."""
    return synthesized.gallery["secure"]


@pytest.fixture
def adopted(synthesized: Synthesized) -> Stack:
    """Of the gallery: somebody else's network."""
    return synthesized.gallery["adopted"]


@pytest.fixture
def lab(synthesized: Synthesized) -> Stack:
    return synthesized.corners["lab"]


@pytest.fixture
def empty(synthesized: Synthesized) -> Stack:
    return synthesized.corners["empty"]
