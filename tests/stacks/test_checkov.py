"""Every policy of checkov that applies holds, or its exception stands on the resource with the reason.

The stacks are scanned as they were synthesized, and as Terraform plans them: only the plan has the provider's defaults,
and only in a plan does checkov take IAM policies apart. ``open`` is a stack that nobody should deploy, scanned with the
others: what is not found there would not be found in ours either.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from mlops_kit.config import Environment
from mlops_kit.local.lifecycle import aws_environment
from mlops_kit.local.state import Running
from mlops_kit.local.terraform import Terraform
from tests.stacks.conftest import STAGES, Synthesized
from tests.stacks.policy_scan import FILE_NAMES, Content, Framework, Scanned, scan
from tests.stacks.stack import Stack

GALLERY = ("sandbox", "secure", "adopted")
BOOTSTRAPS = ("production-bootstrap", "lab-bootstrap")
SHIPPED = (*STAGES, *BOOTSTRAPS)
SCANNED = (*SHIPPED, *GALLERY)
MOST_SKIPPED = 5
IMPOSSIBLE = {"CKV_AWS_370", "CKV_AWS_98"}
"""Network isolation of serverless endpoints, and keys for volumes that are none or encrypt themselves: SageMaker
refuses both. No shipped environment has such an endpoint."""

FLOORS = {"terraform_json": {"stack": 120, "bootstrap": 15}, "terraform_plan": {"stack": 150, "bootstrap": 15}}
"""How many checks pass at the least: fewer, and something was not scanned."""

ALWAYS_SCANNED = ("aws_cloudwatch_log_group", "aws_iam_role", "aws_kms_key", "aws_s3_bucket")

OPEN = {
    "aws_s3_bucket.{bucket}": {"CKV2_AWS_6", "CKV_AWS_20", "CKV_AWS_21", "CKV_AWS_145"},
    "aws_vpc_security_group_ingress_rule.everybody": {"CKV_AWS_24"},
}
"""What has to be found in the open stack, by address."""
OPEN_IAM = {
    "terraform_json": {"aws_iam_role_policy.everything": {"CKV_AWS_62", "CKV_AWS_63"}},
    "terraform_plan": {"aws_iam_role_policy.everything": {"CKV_AWS_62", "CKV_AWS_63", "CKV_AWS_290", "CKV_AWS_355"}},
}


def open_stack(like: Stack) -> Content:
    """A public bucket with nothing around it, a door open to everybody, a role that may do everything.

    The bucket's logical name is one of ``like``, where that bucket is encrypted, versioned and private. The policy
    names the bucket, so that a plan does not know it.
    """
    bucket = next(iter(like.all("aws_s3_bucket")))
    skip = {"checkov": {"skip": [{"id": "CKV_AWS_18", "comment": "who reads this may stay unknown"}]}}
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    everything = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"${{aws_s3_bucket.{bucket}.arn}}/*"},
    ]
    return {
        "terraform": like.content["terraform"],
        "provider": like.content["provider"],
        "resource": {
            "aws_s3_bucket": {bucket: {"//": skip, "bucket": "open", "acl": "public-read"}},
            "aws_iam_role": {"role": {"name": "open", "assume_role_policy": json.dumps(_policy(trust))}},
            "aws_iam_role_policy": {
                "everything": {"role": "${aws_iam_role.role.name}", "policy": json.dumps(_policy(*everything))}
            },
            "aws_vpc_security_group_ingress_rule": {
                "everybody": {
                    "security_group_id": "sg-00000000000000000",
                    "cidr_ipv4": "0.0.0.0/0",
                    "ip_protocol": "tcp",
                    "from_port": 22,
                    "to_port": 22,
                }
            },
        },
    }


def _policy(*statements: Mapping[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}


def scanned_sources(synthesized: Synthesized) -> dict[str, Stack]:
    """What is scanned besides ``open``: the environments, the gallery, a bootstrap stack without CI and one with it."""
    bootstraps = {name: synthesized.bootstrap[name.removesuffix("-bootstrap")] for name in BOOTSTRAPS}
    return {name: synthesized.aws[name] for name in STAGES} | bootstraps | synthesized.gallery


@pytest.fixture(scope="module")
def scanned_stacks(synthesized: Synthesized, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scanned]:
    stacks = {name: stack.content for name, stack in scanned_sources(synthesized).items()}
    stacks["open"] = open_stack(synthesized.aws["dev"])
    return scan("terraform_json", stacks, {}, tmp_path_factory.mktemp("stacks"))


@pytest.fixture(scope="module")
def scanned_plans(
    synthesized: Synthesized, bare_cloud: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Scanned]:
    """The same stacks, planned against an account of the local cloud with nothing in it."""
    sources = scanned_sources(synthesized)
    stacks = {name: stack.content for name, stack in sources.items()}
    stacks["open"] = open_stack(sources["dev"])
    directory = tmp_path_factory.mktemp("planned")

    def planned(name: str) -> Content:
        source = sources.get(name, sources["dev"])
        shutil.copytree(source.directory, directory / name)
        here = stacks[name]["terraform"] | {"backend": {"local": {}}}  # there is no state to be asked for
        (directory / name / "cdk.tf.json").write_text(json.dumps(stacks[name] | {"terraform": here}))
        return plan(directory / name, source.environment, bare_cloud)

    with ThreadPoolExecutor(2) as pool:  # a provider takes half a gigabyte
        plans = dict(zip(stacks, pool.map(planned, stacks), strict=True))
    return scan("terraform_plan", stacks, plans, tmp_path_factory.mktemp("plans"))


def plan(directory: Path, environment: Environment, url: str) -> Content:
    """``terraform show -json`` of a plan of the stack in ``directory``."""
    running = Running(os.getpid(), urlsplit(url).port or 0)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    terraform = Terraform.find(directory.parent / f"{directory.name}-cli", kept | aws_environment(running, environment))
    terraform.init(directory)
    for arguments in (["plan", "-no-color", "-out=plan"], ["show", "-json", "plan"]):
        done = subprocess.run(
            [terraform.binary, f"-chdir={directory}", *arguments],
            env=dict(terraform.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"terraform {arguments[0]} failed in {directory.name}:\n{done.stderr}"
    found: Content = json.loads(done.stdout)
    return found


@pytest.fixture(params=FILE_NAMES)
def framework(request: pytest.FixtureRequest) -> Framework:
    found: Framework = request.param
    return found


@pytest.fixture
def scans(framework: Framework, request: pytest.FixtureRequest) -> dict[str, Scanned]:
    found: dict[str, Scanned] = request.getfixturevalue(
        "scanned_stacks" if framework == "terraform_json" else "scanned_plans"
    )
    return found


@pytest.mark.parametrize("name", SCANNED)
def test_every_check_passes(name: str, scans: dict[str, Scanned]) -> None:
    assert not scans[name].refused, "\n".join(map(str, scans[name].refused))


@pytest.mark.parametrize("name", SCANNED)
def test_everything_was_scanned(name: str, scans: dict[str, Scanned], framework: Framework) -> None:
    scanned = scans[name]
    assert len(scanned.passed) >= FLOORS[framework]["bootstrap" if name in BOOTSTRAPS else "stack"]
    wanted = {f"{kind}.{logical}" for kind in ALWAYS_SCANNED for logical in scanned.stack["resource"].get(kind, {})}
    assert wanted <= {result.address for result in scanned.passed}


def test_few_checks_are_skipped(scanned_stacks: dict[str, Scanned]) -> None:
    skipped = {check for name in SHIPPED for _, check in scanned_stacks[name].skips}
    assert len(skipped) <= MOST_SKIPPED, f"fix one of {', '.join(sorted(skipped))} instead"
    everywhere = {check for name in GALLERY for _, check in scanned_stacks[name].skips}
    assert everywhere <= skipped | IMPOSSIBLE


@pytest.mark.parametrize("name", SCANNED)
def test_a_skip_says_why(name: str, scanned_stacks: dict[str, Scanned]) -> None:
    for (address, check), reason in scanned_stacks[name].skips.items():
        assert len(reason.split()) >= 3, f"{address} skips {check} and does not say why"


@pytest.mark.parametrize("name", SCANNED)
def test_a_skip_is_needed(name: str, scanned_stacks: dict[str, Scanned], scanned_plans: dict[str, Scanned]) -> None:
    unused = scanned_stacks[name].skips.keys() - scanned_stacks[name].used_skips - scanned_plans[name].used_skips
    assert not unused, "these pass: their skips can go"


def test_an_open_stack_is_refused(scans: dict[str, Scanned], framework: Framework) -> None:
    scanned = scans["open"]
    (bucket,) = scanned.stack["resource"]["aws_s3_bucket"]
    refused: dict[str, set[str]] = {}
    for result in scanned.refused:
        refused.setdefault(result.address, set()).add(result.check)
    for address, checks in (OPEN | OPEN_IAM[framework]).items():
        found = refused.get(address.format(bucket=bucket), set())
        assert checks <= found, f"{address} has to fail {checks}"


def test_a_skip_concerns_one_check_of_one_resource(scans: dict[str, Scanned]) -> None:
    scanned = scans["open"]
    (bucket,) = scanned.stack["resource"]["aws_s3_bucket"]
    assert scanned.used_skips == {(f"aws_s3_bucket.{bucket}", "CKV_AWS_18")}
    assert "CKV_AWS_18" not in {result.check for result in scanned.refused}
    assert len(scanned.failed) == len(scanned.refused) + 1
