"""Isolation for every test: no real credentials, no real home directory, no configuration of the developer's own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

from mlops_kit.local.lifecycle import RECORD_VARIABLE
from mlops_kit.local.state import Layout
from tests.cloud import Cli, copy_project, free_port, processes_in, story_calls


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--every-fault",
        action="store_true",
        help="tests/faults: inject every fault at every call, instead of a sample",
    )


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in list(os.environ):
        if name.startswith(("AWS_", "MLOPS_KIT_")):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """The local cloud as the demo leaves it, deployed by real Terraform: shared, because deploying takes minutes.

    IAM is enforced, and every API call of the story recorded.

    In production the demo has released version 1, then version 2, has rolled back to 1, and failed to release 2 once
    more; staging runs version 2.
    """
    project = copy_project(tmp_path_factory.mktemp("cloud"))
    cli = Cli(project)
    record = project / "calls.jsonl"
    done = cli("demo", "--keep", "--enforce-iam", "--port", str(free_port()), env={RECORD_VARIABLE: str(record)})
    try:
        assert done.code == 0, f"the demo ended with {done.code}:\n{done.out[-6000:]}\n{done.err[-6000:]}"
        shutil.copy(record, story_calls(project))
        yield cli
    finally:
        cli("local", "down")
    layout = Layout(project)
    assert not processes_in(layout.root), "the local cloud left processes behind"


@pytest.fixture
def edited(cloud: Cli, tmp_path: Path) -> Cli:
    """The same cloud seen from a copy of its project, which a test may break."""
    project = copy_project(tmp_path)
    layout = Layout(project)
    layout.root.mkdir(parents=True)
    shutil.copy(Layout(cloud.project).state_file, layout.state_file)
    return Cli(project)


@pytest.fixture(scope="session")
def bare_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a local cloud with nothing deployed: for what only needs buckets."""
    cli = Cli(copy_project(tmp_path_factory.mktemp("bare")))
    url = cli.ok("local", "up", "--no-deploy", "--port", str(free_port())).out.strip()
    yield url
    cli("local", "down")


# What shares an expensive fixture has to run in one worker, or each worker makes its own.
SHARED = {
    "tests/cli/": "cloud",
    "tests/e2e/test_interruption.py": "cloud",
    "tests/e2e/test_permissions.py": "cloud",
    "tests/e2e/test_story.py": "cloud",
    "tests/local_cloud/": "server",
    "tests/stacks/": "stacks",
}


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    return _ByFixture(config, log)


class _ByFixture(LoadScopeScheduling):  # type: ignore[misc]
    """Groups tests by the fixture they share; all others by file."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.split("::", 1)[0]
        return next((scope for prefix, scope in SHARED.items() if path.startswith(prefix)), path)
