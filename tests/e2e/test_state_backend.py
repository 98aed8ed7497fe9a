"""An empty account becomes one that holds Terraform state: the bootstrap stack, then its bucket as a locked back end.

What uses the bucket here is a stack of one parameter with the very back-end block of the environment's stack: the back
end is what is tried, and not the environment, which other tests deploy.
"""

from __future__ import annotations

import getpass
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from mlops_kit.config import Environment, load_project
from mlops_kit.errors import ServiceError
from mlops_kit.local import lifecycle, state
from mlops_kit.local.state import Layout
from mlops_kit.local.terraform import Terraform
from tests.cloud import Cli, copy_project, free_port, processes_in

PARAMETER = "/acme/dev/tried"
"""A lock as Terraform writes it (statemgr.LockInfo), held by somebody who is not at this machine."""
HELD = {
    "ID": "11111111-2222-3333-4444-555555555555",
    "Operation": "OperationTypeApply",
    "Info": "",
    "Who": "grace@build-7",
    "Version": "1.11.4",
    "Created": "2026-01-02T03:04:05Z",
}


@dataclass(frozen=True)
class Account:
    """A prepared account of the local cloud."""

    project: Path
    environment: Environment
    variables: dict[str, str]
    s3: Any
    terraform: Terraform = field(repr=False)
    bootstrap: Path

    def synthesize(self, out: Path, *arguments: str, **environ: str) -> Path:
        """The stacks as ``npx cdktf`` asks for them; the directory that holds them."""
        subprocess.run(
            [sys.executable, "-m", "stacks.app", "--out", str(out), *arguments],
            cwd=self.project,
            env={**os.environ, **environ},
            check=True,
            capture_output=True,
        )
        return out / "stacks"

    def state_keys(self) -> set[str]:
        listed = self.s3.list_objects_v2(Bucket=self.environment.names.state_bucket)
        return {entry["Key"] for entry in listed.get("Contents", [])}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """`dev-bootstrap` applied to an empty local cloud by real Terraform, with CI allowed in."""
    tmp_path = tmp_path_factory.mktemp("account")
    cli = Cli(copy_project(tmp_path))
    dev = tmp_path / "environments" / "dev.yaml"
    dev.write_text(dev.read_text() + "ci: {repository: example/ml-platform}\n")
    layout = Layout(tmp_path)
    try:
        cli.ok("local", "up", "--no-deploy", "--port", str(free_port()))
        environment = load_project(tmp_path).environment("dev")
        running = state.require(layout)
        lines = cli.ok("local", "env", "dev").out.splitlines()
        variables = dict(shlex.split(line)[1].split("=", 1) for line in lines)
        prepared = Account(
            tmp_path,
            environment,
            variables,
            boto3.client(
                "s3",
                endpoint_url=running.url,
                # Not the kit's own clients: they act as a role that the environment has yet to get.
                aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            ),
            lifecycle.terraform_for(layout, running, environment),
            tmp_path / "bootstrap" / "stacks" / environment.names.bootstrap_stack,
        )
        prepared.synthesize(tmp_path / "bootstrap", MLOPS_KIT_BOOTSTRAP="1", **variables)
        layout.terraform_state.mkdir(parents=True, exist_ok=True)
        prepared.terraform.init(prepared.bootstrap)
        prepared.terraform.apply(prepared.bootstrap)
        yield prepared
    finally:
        cli("local", "down")
    assert not processes_in(layout.root)


@pytest.fixture
def stack(account: Account, tmp_path: Path) -> Iterator[Path]:
    """A stack of one parameter, whose state is where the environment's own is on AWS; destroyed in the end."""
    synthesized = account.synthesize(tmp_path / "aws", "--environment", "dev") / "dev" / "cdk.tf.json"
    environment_stack: dict[str, Any] = json.loads(synthesized.read_text())
    directory = tmp_path / "tried"
    directory.mkdir()
    content = {
        "terraform": environment_stack["terraform"],
        "provider": environment_stack["provider"],
        "resource": {"aws_ssm_parameter": {"tried": {"name": PARAMETER, "type": "String", "value": "first"}}},
    }
    (directory / "main.tf.json").write_text(json.dumps(content))
    account.terraform.init(directory)
    yield directory
    account.terraform.destroy(directory)


def test_the_bootstrap_is_what_it_says(account: Account) -> None:
    assert account.terraform.has_changes(account.bootstrap) is None
    names, s3 = account.environment.names, account.s3
    assert s3.get_bucket_versioning(Bucket=names.state_bucket)["Status"] == "Enabled"
    assert (Layout(account.project).terraform_state / f"{names.bootstrap_stack}.tfstate").is_file()
    with pytest.raises(ServiceError, match="prevent_destroy"):
        account.terraform.destroy(account.bootstrap)
    assert s3.head_bucket(Bucket=names.state_bucket)


def test_state_is_kept_in_the_bucket(account: Account, stack: Path) -> None:
    account.terraform.apply(stack)
    assert account.state_keys() == {"terraform.tfstate"}, "the state is there, and the lock was released"
    stored = account.s3.get_object(Bucket=account.environment.names.state_bucket, Key="terraform.tfstate")
    (resource,) = json.loads(stored["Body"].read())["resources"]
    assert resource["instances"][0]["attributes"]["name"] == PARAMETER
    assert stored["ServerSideEncryption"] == "AES256", "what the back end asks for, and the bucket's own default"
    assert not list(stack.glob("*.tfstate")), "nothing is left beside the stack"


def test_a_second_apply_is_refused_and_names_the_holder(account: Account, stack: Path) -> None:
    account.terraform.apply(stack)
    bucket, lock = account.environment.names.state_bucket, "terraform.tfstate.tflock"
    before = account.s3.head_object(Bucket=bucket, Key="terraform.tfstate")["VersionId"]
    held = HELD | {"Path": f"{bucket}/terraform.tfstate"}
    account.s3.put_object(Bucket=bucket, Key=lock, Body=json.dumps(held).encode(), IfNoneMatch="*")
    content = json.loads((stack / "main.tf.json").read_text())
    content["resource"]["aws_ssm_parameter"]["tried"]["value"] = "second"
    (stack / "main.tf.json").write_text(json.dumps(content))
    try:
        with pytest.raises(ServiceError) as refused:
            account.terraform.apply(stack)
        assert "Error acquiring the state lock" in refused.value.message
        assert HELD["Who"] in refused.value.message
        assert HELD["ID"] in refused.value.message
        assert account.state_keys() == {"terraform.tfstate", lock}, "the lock is still its holder's"
        assert account.s3.head_object(Bucket=bucket, Key="terraform.tfstate")["VersionId"] == before
    finally:
        account.s3.delete_object(Bucket=bucket, Key=lock)
    account.terraform.apply(stack)
    assert account.state_keys() == {"terraform.tfstate"}
    assert account.s3.head_object(Bucket=bucket, Key="terraform.tfstate")["VersionId"] != before


def test_of_two_applies_at_once_one_is_refused(account: Account, stack: Path, tmp_path: Path) -> None:
    """A real holder: an apply that is held in the middle of its work until the other one was refused."""
    started, go = tmp_path / "started", tmp_path / "go"
    content = json.loads((stack / "main.tf.json").read_text())
    hold = f"touch '{started}'; while [ ! -e '{go}' ]; do sleep 0.1; done"
    content["resource"]["terraform_data"] = {"held": {"provisioner": [{"local-exec": {"command": hold}}]}}
    (stack / "main.tf.json").write_text(json.dumps(content))
    account.terraform.init(stack)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(account.terraform.apply, stack)
        try:
            while not started.exists() and not first.done():
                time.sleep(0.05)
            with pytest.raises(ServiceError, match="Error acquiring the state lock") as refused:
                account.terraform.apply(stack)
            assert getpass.getuser() in refused.value.message, "names the holder"
            assert "terraform.tfstate.tflock" in account.state_keys()
        finally:
            go.touch()
        first.result()
    assert account.state_keys() == {"terraform.tfstate"}
