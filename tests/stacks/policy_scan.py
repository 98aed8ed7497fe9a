"""checkov over stacks and plans: many files in one process, and skips that stand on the resource they concern.

checkov reads ``checkov:skip`` comments in HCL only. Here a resource carries its skips in Terraform JSON's comment key::

    "//": {"checkov": {"skip": [{"id": "CKV_AWS_18", "comment": "why"}]}}

and they are laid over what checkov reports, for the stack and for its plan alike.

Two things would let a scan pass without having looked:

- checkov cannot read a ``terraform`` block with plain values in it (``required_version``), reports a parsing error and
  ends with 0. It gets a copy without them, and a parsing error is an error here.
- A policy with a reference in it is unknown in a plan, so that no check of policies sees it. The copy of the plan gets
  the text that the stack has, in which the reference stands as ``${…}``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

CHECKOV = Path(sys.prefix) / "checkov" / "bin" / "checkov"
FILE_NAMES = {"terraform_json": "cdk.tf.json", "terraform_plan": "plan.json"}

Framework = Literal["terraform_json", "terraform_plan"]
Content = dict[str, Any]
Skips = dict[tuple[str, str], str]


@dataclass(frozen=True, order=True)
class Result:
    """What one check said about one resource."""

    check: str
    address: str
    title: str

    def __str__(self) -> str:
        return f"{self.check} {self.address}: {self.title}"


@dataclass(frozen=True)
class Scanned:
    """A stack, and what checkov said about it or about its plan."""

    stack: Content
    passed: frozenset[Result]
    failed: frozenset[Result]

    @property
    def skips(self) -> Skips:
        return skips(self.stack)

    @property
    def refused(self) -> list[Result]:
        """Failed, and not skipped by the resource itself."""
        return sorted(result for result in self.failed if (result.address, result.check) not in self.skips)

    @property
    def used_skips(self) -> set[tuple[str, str]]:
        return self.skips.keys() & {(result.address, result.check) for result in self.failed}


def skips(stack: Content) -> Skips:
    """(address, check) -> reason."""
    return {
        (f"{kind}.{name}", skip["id"]): skip["comment"]
        for kind, resources in stack["resource"].items()
        for name, resource in resources.items()
        for skip in resource.get("//", {}).get("checkov", {}).get("skip", [])
    }


def readable_stack(stack: Content) -> Content:
    """The stack without what checkov cannot parse; no check looks at it."""
    return stack | {"terraform": {name: value for name, value in stack["terraform"].items() if isinstance(value, dict)}}


def readable_plan(plan: Content, stack: Content) -> Content:
    """The plan with the policies that Terraform knows only after the apply, as the stack has them."""
    unknown = {change["address"]: change["change"]["after_unknown"] for change in plan["resource_changes"]}
    for resource in plan["planned_values"]["root_module"]["resources"]:
        written = stack["resource"][resource["type"]][resource["name"]]
        for name, value in unknown[resource["address"]].items():
            if value is True and _is_document(written.get(name)):
                resource.setdefault("values", {})[name] = written[name]
    return plan


def _is_document(value: object) -> bool:
    try:
        return isinstance(value, str) and isinstance(json.loads(value), dict)
    except json.JSONDecodeError:
        return False


def scan(
    framework: Framework, stacks: Mapping[str, Content], plans: Mapping[str, Content], work: Path
) -> dict[str, Scanned]:
    """Scan the stacks, or their plans, in ``work``; the answer has the stacks' names.

    Each file has a directory to itself, as every Terraform configuration has: resources of the same name in different
    stacks are then different resources.
    """
    files = []
    for name, stack in stacks.items():
        files.append(work / name / FILE_NAMES[framework])
        files[-1].parent.mkdir(parents=True)
        readable = readable_stack(stack) if framework == "terraform_json" else readable_plan(plans[name], stack)
        files[-1].write_text(json.dumps(readable, indent=1))
    found = _checkov(framework, files, work)

    def results(kind: str, name: str) -> frozenset[Result]:
        addresses = _addresses(stacks[name])
        return frozenset(
            Result(record["check_id"], addresses.get(record["resource"], record["resource"]), record["check_name"])
            for record in found[kind]
            if Path(record["file_abs_path"]).parent.name == name
        )

    return {
        name: Scanned(stack, results("passed_checks", name), results("failed_checks", name))
        for name, stack in stacks.items()
    }


def _addresses(stack: Content) -> dict[str, str]:
    """The names that checkov has for resources of Terraform JSON, which lack the type -> the addresses."""
    found: dict[str, str] = {}
    for kind, resources in stack["resource"].items():
        for name in resources:
            assert found.setdefault(f"resource.{name}", f"{kind}.{name}") == f"{kind}.{name}", f"{name} is ambiguous"
    return found


def _checkov(framework: Framework, files: list[Path], work: Path) -> dict[str, list[dict[str, Any]]]:
    assert CHECKOV.exists(), "checkov is not installed: `make test` does it"
    options = ["--framework", framework, "--skip-download", "--compact", "--output", "json"]
    done = subprocess.run(
        [CHECKOV, *options, "--file", *files],
        cwd=work,  # no configuration file of anybody's
        env={
            "HOME": str(work),
            "PATH": os.environ["PATH"],
            "PYTHONWARNINGS": "ignore",  # what its packages are warned of by a newer Python is not a finding
            "CKV_SKIP_PACKAGE_UPDATE_CHECK": "1",
            "HTTPS_PROXY": "http://127.0.0.1:9",  # the discard port: whatever it still asks for, nothing gets out
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), f"checkov ended with {done.returncode}:\n{done.stderr}"
    assert done.stderr == "", f"checkov could not do all of it:\n{done.stderr}"
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["skipped"] == 0, "skips stand on the resource"
    found: dict[str, list[dict[str, Any]]] = report["results"]
    return found
