"""The synthesized Terraform JSON is the contract: a change of it has to be seen, and meant.

The files carry the logical ids on purpose. A changed id is not cosmetic: Terraform destroys the resource under the old
one. Policies and the dashboard are spelled out as JSON, and archives as their digest, so that a difference can be read.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.stacks.stack import Stack

GOLDEN = Path(__file__).parent / "golden"


def readable(value: Any) -> Any:
    if isinstance(value, dict):
        shown = {key: readable(item) for key, item in value.items() if key != "//"}
        if isinstance(archive := shown.pop("content_base64", None), str):
            shown["content_sha256"] = hashlib.sha256(base64.b64decode(archive)).hexdigest()
        return shown
    if isinstance(value, list):
        return [readable(item) for item in value]
    if isinstance(value, str) and value.startswith("{"):
        return json.loads(value)
    return value


def check_golden(stack: Stack, file: Path, update: bool) -> None:
    path = GOLDEN / file
    text = json.dumps(readable(stack.content), indent=2, sort_keys=True) + "\n"
    text = text.replace(str(stack.project.root), "<project>")
    if update:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    if not path.exists():
        pytest.fail(f"{path.name} is missing; write it with `pytest tests/stacks --update-golden`")
    assert json.loads(text) == json.loads(path.read_text()), "if meant: `pytest tests/stacks --update-golden`"


def test_golden(stack: Stack, update_golden: bool) -> None:
    check_golden(stack, Path(f"{stack.environment.name}.json"), update_golden)


def test_no_golden_file_without_an_environment(stack: Stack) -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == {stage.name for stage in stack.project.stages}
