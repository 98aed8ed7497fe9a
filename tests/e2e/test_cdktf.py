"""``npx cdktf deploy dev``, as the README has it, from nothing to a deployed environment on the local cloud."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_kit import aws
from mlops_kit.config import load_project
from mlops_kit.local import state
from mlops_kit.local.state import Layout
from mlops_kit.local.terraform import Terraform
from tests.cloud import Cli, copy_project, free_port, processes_in


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Cli]:
    """A local cloud with nothing in it."""
    cli = Cli(copy_project(tmp_path))
    cli.ok("local", "up", "--no-deploy", "--port", str(free_port()))
    yield cli
    cli.ok("local", "down")
    assert not processes_in(Layout(cli.project).root)


def exports(cli: Cli, environment: str) -> dict[str, str]:
    """What ``eval "$(mlops-kit local env dev)"`` puts into the shell."""
    lines = cli.ok("local", "env", environment).out.splitlines()
    return dict(shlex.split(line)[1].split("=", 1) for line in lines)


def test_cdktf_deploys_an_environment(empty: Cli) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    env |= exports(empty, "dev") | {"CI": "true"}

    def cdktf(*arguments: str) -> str:
        done = subprocess.run(
            ["npx", "--no-install", "cdktf", *arguments],
            cwd=empty.project,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"cdktf {arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    cdktf("synth")
    stack = empty.project / "cdktf.out" / "stacks" / "dev"
    # Where only a mirror is reachable, cdktf must find a lock file, or it asks the provider registry for one.
    Terraform.find(empty.project / ".mlops-kit", env).init(stack)
    output = cdktf("deploy", "dev", "--auto-approve")
    assert "Apply complete!" in output
    terraform = Terraform.find(empty.project / ".mlops-kit", env)
    assert terraform.has_changes(stack) is None, "the deployed environment is what the stack says"

    project = load_project(empty.project)
    dev = project.environment("dev")
    endpoint = state.require(Layout(empty.project)).url
    cloud = aws.connect(dev, local_endpoint=endpoint)
    names = dev.names.model("diagnosis")
    assert cloud.sagemaker.describe_endpoint(EndpointName=names.endpoint)["EndpointStatus"] == "InService"
    assert empty.json("status", "--in", "dev")[0]["endpoint"] == "InService"
