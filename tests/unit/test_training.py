"""What travels to a training job, and how its end is read."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from mlops_kit import training
from mlops_kit.errors import JobError


def test_the_packed_source_is_the_team_s_files_and_our_entry_point(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "train.py").write_text("print(1)\n")
    (tmp_path / "sub" / "more.py").write_text("")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "train.pyc").write_bytes(b"x")
    packed = training.pack(tmp_path)
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert tar.getnames() == [training.ENTRY_IN_JOB, "sub/more.py", "train.py"]
    (tmp_path / "train.py").touch()
    assert training.pack(tmp_path) == packed, "time stamps do not change what the code is"
    (tmp_path / "train.py").write_text("print(2)\n")
    assert training.pack(tmp_path) != packed


def test_the_code_commit_says_when_the_directory_differs_from_it(tmp_path: Path) -> None:
    assert training.code_commit(tmp_path) == "", "outside of git there is none"

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    (tmp_path / "train.py").write_text("1")
    git("add", ".")
    git("commit", "-qm", "one")
    head = git("rev-parse", "HEAD")
    assert training.code_commit(tmp_path) == head
    (tmp_path / "train.py").write_text("2")
    assert training.code_commit(tmp_path) == f"{head}-dirty"


class Jobs:
    """DescribeTrainingJob that goes through ``states``."""

    def __init__(self, *states: dict[str, Any]) -> None:
        self.states = list(states)

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


def test_waiting_tells_each_phase_once_and_returns_the_job() -> None:
    running = {"TrainingJobStatus": "InProgress", "SecondaryStatus": "Training"}
    done = {"TrainingJobStatus": "Completed", "SecondaryStatus": "Completed"}
    told: list[str] = []
    pauses: list[float] = []
    jobs: Any = Jobs(running, running, done)
    assert training.wait(jobs, "job", sleep=pauses.append, tell=told.append) == done
    assert told == ["  Training", "  Completed"]
    assert len(pauses) == 2


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_a_job_that_did_not_complete_is_an_error_with_its_reason(status: str) -> None:
    jobs: Any = Jobs({"TrainingJobStatus": status, "FailureReason": "no rows in the CSV files"})
    with pytest.raises(JobError, match="no rows in the CSV files"):
        training.wait(jobs, "job", sleep=lambda s: None, tell=lambda line: None)
