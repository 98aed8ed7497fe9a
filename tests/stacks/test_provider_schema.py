"""The schema that the constructs are checked against is the pinned provider's own, as it describes itself."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mlops_kit.local.terraform import PROVIDER as LOCAL_PROVIDER
from mlops_kit.local.terraform import PROVIDER_VERSION as LOCAL_VERSION
from mlops_kit.local.terraform import Terraform
from stacks.provider_schema import (
    FILE,
    PROVIDER,
    PROVIDER_SOURCE,
    PROVIDER_VERSION,
    ArgumentError,
    Block,
    check,
    schema,
    taggable,
)

BINDINGS = Path(__file__).parents[2] / "stacks" / "bindings.py"


def kinds() -> list[str]:
    """The types that ``stacks/bindings.py`` names; read and not imported, because cdktf belongs to another process."""
    lines = BINDINGS.read_text().splitlines()
    return sorted(line.split('"')[1] for line in lines if '_resource("aws_' in line)


def described_by_terraform(directory: Path) -> dict[str, Any]:
    terraform = Terraform.find(directory)
    requirement = {"aws": {"source": PROVIDER_SOURCE, "version": PROVIDER_VERSION}}
    (directory / "main.tf.json").write_text(json.dumps({"terraform": {"required_providers": requirement}}))
    terraform.init(directory)
    done = subprocess.run(
        [terraform.binary, f"-chdir={directory}", "providers", "schema", "-json"],
        env=dict(terraform.environment),
        capture_output=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def reduced_schema(described: Mapping[str, Any], kinds: Iterable[str]) -> dict[str, Block]:
    """``terraform providers schema -json``, with only what ``check`` asks for."""
    provider = described["provider_schemas"][PROVIDER_SOURCE]
    blocks = {kind: _reduced(provider["resource_schemas"][kind]["block"]) for kind in sorted(kinds)}
    return {PROVIDER: _reduced(provider["provider"]["block"]), **blocks}


def _reduced(block: Mapping[str, Any]) -> Block:
    attributes = {name: _kind(attribute) for name, attribute in sorted(block.get("attributes", {}).items())}
    reduced: Block = {"attributes": attributes} if attributes else {}
    if inner := block.get("block_types"):
        reduced["blocks"] = {name: _reduced_block(found) for name, found in sorted(inner.items())}
    return reduced


def _reduced_block(found: Mapping[str, Any]) -> Block:
    limits = {short: found[name] for short, name in (("min", "min_items"), ("max", "max_items")) if found.get(name)}
    return {**limits, **_reduced(found["block"])}


def _kind(attribute: Mapping[str, Any]) -> str:
    if attribute.get("required"):
        return "required"
    return "optional" if attribute.get("optional") else "computed"


def as_text(blocks: Mapping[str, Block]) -> str:
    """One type a line, so that an upgrade of the provider can be read as a difference."""
    lines = (f"{json.dumps(kind)}: {json.dumps(block, separators=(',', ':'))}" for kind, block in blocks.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def test_the_schema_is_the_provider_s(tmp_path: Path, update_golden: bool) -> None:
    text = as_text(reduced_schema(described_by_terraform(tmp_path), kinds()))
    if update_golden:
        FILE.write_text(text)
    assert json.loads(text) == json.loads(FILE.read_text()), "renew it: `pytest tests/stacks --update-golden`"


def test_the_local_cloud_runs_the_same_provider() -> None:
    assert (LOCAL_PROVIDER, LOCAL_VERSION) == (PROVIDER_SOURCE, PROVIDER_VERSION)


def test_every_type_is_in_the_schema() -> None:
    assert sorted(schema()) == sorted([*kinds(), PROVIDER])


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("aws_sns_topic", {"nmae": "x"}, "aws_sns_topic has no argument 'nmae'; it has "),
        ("aws_sns_topic", {"arn": "x"}, "aws_sns_topic.arn can be read, not given"),
        ("aws_s3_bucket_policy", {"bucket": "x"}, "aws_s3_bucket_policy lacks policy"),
        (
            "aws_s3_bucket_lifecycle_configuration",
            {"bucket": "x", "rule": [{"id": "x", "status": "Enabled", "filter": [{"prefx": ""}]}]},
            "aws_s3_bucket_lifecycle_configuration.rule.filter has no argument 'prefx'",
        ),
        ("aws_s3_bucket_versioning", {"bucket": "x"}, "aws_s3_bucket_versioning lacks versioning_configuration"),
        (
            "aws_s3_bucket_versioning",
            {"bucket": "x", "versioning_configuration": [{"status": "a"}, {"status": "b"}]},
            "aws_s3_bucket_versioning.versioning_configuration may stand there 1 times, not 2",
        ),
        (
            "aws_s3_bucket_versioning",
            {"bucket": "x", "versioning_configuration": "Enabled"},
            "aws_s3_bucket_versioning.versioning_configuration is a block: it takes a mapping, not str",
        ),
        ("aws_nothing", {}, "aws_nothing is not in provider_schema.json"),
    ],
)
def test_a_wrong_argument_is_named(kind: str, arguments: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        check(kind, arguments)
    assert str(caught.value).startswith(message)


def test_taggable_types_are_known() -> None:
    assert "aws_s3_bucket" in taggable()
    assert "aws_s3_bucket_policy" not in taggable()
