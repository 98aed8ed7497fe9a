"""Who may import what, and what the command line must not load before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("boto3", "botocore", "pydantic", "rich", "cdktf", "jsii", "duckdb", "moto", "numpy", "yaml")

READ_TABLES = ("drift/", "quality/", "tabular/", "datasets/row_diff.py", "datasets/api.py")
"""Who may import DuckDB."""


def imports(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def top(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("path", sorted((ROOT / "mlops_kit").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_library_never_imports_the_stacks(path: Path) -> None:
    forbidden = {"stacks", "cdktf", "jsii", "constructs"}
    if "local" not in path.relative_to(ROOT).parts:
        forbidden |= {"moto"}
    if not path.relative_to(ROOT / "mlops_kit").as_posix().startswith(READ_TABLES):
        forbidden |= {"duckdb"}
    assert not top(imports(path)) & forbidden


@pytest.mark.parametrize("path", sorted((ROOT / "stacks").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_stacks_import_only_the_contract(path: Path) -> None:
    found = imports(path)
    assert not top(found) & {"boto3", "botocore", "moto"}
    allowed = ("mlops_kit.config", "mlops_kit.naming", "mlops_kit.errors")
    ours = {name for name in found if name.startswith("mlops_kit.")}
    assert all(name.startswith(allowed) for name in ours), ours
    if path.name != "bindings.py":
        assert not top(found) & {"cdktf", "cdktf_cdktf_provider_aws", "jsii"}, "only bindings.py imports cdktf"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["--no-such-option"]])
def test_the_command_line_starts_light(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from mlops_kit.cli.run import run\n"
        f"run({arguments!r})\n"
        f"print(sorted(set(sys.modules) & set({HEAVY!r})), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"
