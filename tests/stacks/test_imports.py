"""Who may import what, and who may read the process environment: read from the source, so nothing slips in unseen."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud import ROOT

MODULES = sorted((ROOT / "stacks").rglob("*.py"))
BINDINGS = {"cdktf", "cdktf_cdktf_provider_aws", "constructs", "jsii"}
OF_THE_KIT = ("mlops_kit.config", "mlops_kit.naming", "mlops_kit.errors")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_import_rules(path: Path) -> None:
    for module in imported(path):
        top = module.split(".")[0]
        assert top not in {"boto3", "botocore"}
        if path.name != "bindings.py":
            assert top not in BINDINGS
        if top == "mlops_kit":
            assert module.startswith(OF_THE_KIT)
        if path.name not in ("app.py", "bindings.py"):
            assert top not in {"os", "sys"}, "constructs never read the process environment"
