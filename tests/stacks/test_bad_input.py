"""What is wrong in a file is said by the synthesis, with file and line, before anything is written or deployed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stacks import app
from tests.cloud import ROOT

FRAUD, SANDBOX, SECURE = "models/fraud.yaml", "sandbox.yaml", "secure.yaml"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "tests" / "gallery", tmp_path / "project")
    return tmp_path / "project"


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        pytest.param(SANDBOX, '"666666666666"', '"66666666666"', "it has 12 digits", id="account"),
        pytest.param(SECURE, "10.41.0.0/20", "10.41.0.0/33", "not an IPv4 network", id="cidr"),
        pytest.param(SECURE, "10.41.0.0/20", "8.8.0.0/20", "not private address space", id="public cidr"),
        pytest.param(SECURE, "zones: [a, b, c]", "zones: [a, a, c]", "names something twice", id="zones"),
        pytest.param(FRAUD, "instance_type: ml.g5.xlarge", "instance_type: g5.xlarge", "like 'ml.m5.large'", id="type"),
        pytest.param(FRAUD, "cron(0 3 ? * SUN *)", "cron(0 3 * * SUN *)", "has to be '?'", id="schedule"),
        pytest.param(FRAUD, "rate(1 hour)", "rate(1 hours)", "one is singular", id="rate"),
        pytest.param(FRAUD, "latency_p50_ms: 100", "latency_p50_ms: 0", "greater than or equal to 1", id="threshold"),
        pytest.param(
            FRAUD, "latency_p50_ms: 100", "error_rate_percent: 101", "less than or equal to 100", id="rate of"
        ),
        pytest.param(SANDBOX, "logs_days: 365", "logs_days: 36500", "less than or equal to 3650", id="retention"),
        pytest.param("models/chat.yaml", "kind: serverless", "kind: lambda", "'realtime', 'serverless'", id="kind"),
        pytest.param(SANDBOX, "project: gallery", "project: " + "g" * 40, "AWS allows 63", id="long name"),
        pytest.param(
            SANDBOX, "models: [fraud,", "models: [forgery, fraud,", "no file environments/models/", id="model"
        ),
        pytest.param(FRAUD, "canary_percent: 50", "canary_percent: 51", "less than or equal to 50", id="canary"),
        pytest.param("models/fraud.pipeline.json", '"Steps": [', '"Stairs": [], "Steps": [', "Stairs", id="pipeline"),
        pytest.param(
            "models/fraud.pipeline.json", '"InstanceCount": {', '"Instances": {', "Instances", id="pipeline argument"
        ),
        pytest.param(
            SECURE, "[fraud, papers, churn]", "[fraud, papers, chat]", "inside a VPC", id="serverless in a VPC"
        ),
    ],
)
def test_a_mistake_ends_it_with_file_and_line(
    project: Path, capsys: pytest.CaptureFixture[str], file: str, old: str, new: str, expected: str
) -> None:
    path = project / "environments" / file
    text = path.read_text()
    assert old in text, "the gallery changed: this mistake is none any more"
    path.write_text(text.replace(old, new, 1))
    out = project / "out"
    assert app.main(["--out", str(out)], {"MLOPS_KIT_PROJECT": str(project)}) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if expected in line]
    assert said, "the mistake is not named"
    shown, line, _ = said[0].split(":", 2)
    assert shown.strip() == f"environments/{file}"
    around = path.read_text().splitlines()[max(0, int(line) - 4) : int(line) + 3]
    assert any(part in "\n".join(around) for part in new.splitlines()), f"line {line} is not where it was made"
    assert not out.exists()
