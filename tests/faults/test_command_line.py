"""The real command line, killed in the middle of a commit and of a promotion, and run again as anybody would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from mlops_kit.datasets import pointers
from mlops_kit.datasets.commit import commit
from mlops_kit.datasets.history import log
from mlops_kit.datasets.read import read_commit, read_files
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store, sha256_bytes
from tests.commits import NOW, PETS
from tests.faults.harness import unsound
from tests.faults.scenarios import FIRST
from tests.lakes import write_files
from tests.s3 import Fault, LoopbackS3
from tests.s3.messages import Request
from tests.stores import ACCOUNT, OTHER_ACCOUNT, store_of

PROJECT = Path(__file__).resolve().parents[2]
DEV, STAGING = f"acme-dev-{ACCOUNT}-lake", f"acme-staging-{OTHER_ACCOUNT}-lake"
KEYS = DatasetKeys(PETS)


class Commands:
    """``mlops-kit`` as a process, against the loopback."""

    def __init__(self, s3: LoopbackS3, home: Path) -> None:
        self.s3, self.home = s3, home

    def start(self, *words: str | Path, account: str = ACCOUNT) -> subprocess.Popen[str]:
        env = {
            **os.environ,
            "AWS_ENDPOINT_URL": self.s3.url,
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "x",
            "HOME": str(self.home),
        }
        command = [sys.executable, "-m", "mlops_kit", "--project", str(PROJECT), *map(str, words)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.home, env=env, stdout=pipe, stderr=pipe, text=True)

    def run(self, *words: str | Path, account: str = ACCOUNT) -> tuple[int, str, str]:
        process = self.start(*words, account=account)
        out, errors = process.communicate(timeout=120)
        return process.returncode, out, errors

    def kill(self, fault: Fault, *words: str | Path, account: str = ACCOUNT) -> None:
        """Run it until the fault strikes, and kills it."""
        started = self.start(*words, account=account)
        fault.callback = started.kill
        self.s3.faults[:] = [fault]
        started.communicate(timeout=120)
        self.s3.faults.clear()
        assert started.returncode == -signal.SIGKILL


class Lakes(NamedTuple):
    s3: LoopbackS3
    commands: Commands
    data: Path
    dev: Store
    staging: Store


@pytest.fixture
def lakes(tmp_path: Path) -> Iterator[Lakes]:
    with LoopbackS3({DEV: ACCOUNT, STAGING: OTHER_ACCOUNT}) as s3:
        (tmp_path / "home").mkdir()
        data = write_files(tmp_path / "data", FIRST)
        made = Lakes(s3, Commands(s3, tmp_path / "home"), data, store_of(s3, DEV), store_of(s3, STAGING))
        yield made
        made.dev.wire.close()
        made.staging.wire.close()


def content(lake: Store) -> dict[str, str]:
    """The digests of what the branch leads to."""
    found = pointers.read(lake, PETS, "main")
    assert found is not None
    return {entry.path: entry.sha256 for entry in read_files(lake, read_commit(lake, PETS, found.commit))}


def below(prefix: str, suffix: str = "") -> Callable[[Request], bool]:
    return lambda request: request.key.startswith(prefix) and request.key.endswith(suffix)


STEPS = {
    "before the first file": ("crash-before", below(KEYS.files_prefix)),
    "after a file": ("crash-after", below(KEYS.files_prefix, ".txt")),
    "after the header": ("crash-after", below(KEYS.commits_prefix, ".json")),
    "after the ref": ("crash-after", below(KEYS.refs_prefix)),
}
EXPECTED = {path: sha256_bytes(body) for path, body in FIRST.items()}


@pytest.mark.parametrize("step", [step for step in STEPS if step != "after a file"])
def test_a_killed_commit_is_finished_by_the_same_command(lakes: Lakes, step: str) -> None:
    kind, when = STEPS[step]
    command = ("dataset", "commit", PETS, lakes.data, "-m", "m", "--json")
    lakes.commands.kill(Fault(kind, when=lambda r: r.method == "PUT" and when(r)), *command)  # type: ignore[arg-type]
    assert list(unsound(lakes.s3, DEV)) == []
    code, out, errors = lakes.commands.run(*command)
    assert code == 0, errors
    assert list(unsound(lakes.s3, DEV)) == []
    assert content(lakes.dev) == EXPECTED
    done = json.loads(out)
    assert [header.id for header in log(lakes.dev, PETS, done["commit"]).commits] == [done["commit"]]
    assert done["changed"] == (step != "after the ref")
    assert done["uploaded"] <= (3 if step == "before the first file" else 0)


@pytest.mark.parametrize("step", [step for step in STEPS if step != "before the first file"])
def test_a_killed_promotion_is_finished_by_the_same_command(lakes: Lakes, step: str) -> None:
    kind, when = STEPS[step]
    commit(lakes.dev, PETS, lakes.data, message="m", author="me", now=NOW)
    command = ("promote", "dataset", PETS, "--to", "staging")
    fault = Fault(kind, when=lambda r: r.method == "PUT" and r.bucket == STAGING and when(r))  # type: ignore[arg-type]
    lakes.commands.kill(fault, *command, account=OTHER_ACCOUNT)
    assert list(unsound(lakes.s3, STAGING)) == []
    code, _, errors = lakes.commands.run(*command, account=OTHER_ACCOUNT)
    assert code == 0, errors
    assert list(unsound(lakes.s3, STAGING)) == []
    assert content(lakes.staging) == EXPECTED
    ends = [pointers.read(lake, PETS, "main") for lake in (lakes.dev, lakes.staging)]
    assert ends[0] is not None
    assert ends[1] is not None
    assert ends[0].commit == ends[1].commit
    assert all(len(versions) == 1 for versions in lakes.s3.snapshot_versions(STAGING).values())


def test_an_expired_token_ends_a_commit_with_a_message_and_not_with_a_trace(lakes: Lakes) -> None:
    lakes.s3.faults[:] = [Fault("expired", operation="PutObject", nth=3, times=None)]
    code, out, errors = lakes.commands.run("dataset", "commit", PETS, lakes.data, "-m", "m")
    assert (code, out) == (6, "")
    assert "Log in again" in errors
    assert "Traceback" not in errors
    assert list(unsound(lakes.s3, DEV)) == []
    lakes.s3.faults.clear()
    code, _, errors = lakes.commands.run("dataset", "commit", PETS, lakes.data, "-m", "m")
    assert code == 0, errors
    assert content(lakes.dev) == EXPECTED
