"""Terraform and the provider's own schema accept every stack. A machine without Terraform fails here, as it should."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mlops_kit.local.terraform import Terraform
from tests.stacks.conftest import STAGES, Synthesized


@pytest.mark.parametrize("name", [*STAGES, "lab", "empty", "bootstrap"])
def test_terraform_validates(name: str, synthesized: Synthesized, tmp_path: Path) -> None:
    # The local cloud's stacks: they differ in the backend only, and `init` of S3 state would ask S3.
    stacks = synthesized.local | synthesized.corners | {"bootstrap": synthesized.bootstrap["lab"]}
    stack = stacks[name]
    directory = tmp_path / name
    shutil.copytree(stack.directory, directory)
    terraform = Terraform.find(tmp_path)
    terraform.init(directory)
    terraform.validate(directory)
