"""What the AWS provider takes: its own schema, reduced to the resource types that :mod:`stacks.bindings` names.

``provider_schema.json`` is made from what the provider says about itself. ``tests/stacks/test_provider_schema.py``
holds it to that, and writes it anew with ``pytest tests/stacks --update-golden``.

Format: type -> ``{"attributes": {name: kind}, "blocks": {name: block}}`` where a kind is ``required``, ``optional`` or
``computed`` (can be read, not given), and a block has the same two members, plus ``max`` if Terraform limits how often
it stands there and ``min`` if it demands it.
Source: "Providers Schema Representation", https://developer.hashicorp.com/terraform/cli/commands/providers/schema
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

PROVIDER_SOURCE = "registry.terraform.io/hashicorp/aws"
PROVIDER_VERSION = "5.100.0"
PROVIDER = "provider"
"""The key under which the provider's own block stands."""
FILE = Path(__file__).with_name("provider_schema.json")

Block = dict[str, Any]


class ArgumentError(ValueError):
    """A construct gave a resource what its type does not take, or left out what it needs."""


@cache
def schema() -> dict[str, Block]:
    found: dict[str, Block] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def has_attribute(kind: str, name: str) -> bool:
    return name in schema()[kind].get("attributes", {})


def taggable() -> frozenset[str]:
    """The types that take tags."""
    return frozenset(kind for kind in schema() if kind != PROVIDER and has_attribute(kind, "tags_all"))


def check(kind: str, arguments: Mapping[str, Any]) -> None:
    """Check what a construct gives to a resource of type ``kind``.

    Raises:
        ArgumentError: naming the argument by its path.
    """
    if kind not in schema():
        raise ArgumentError(f"{kind} is not in {FILE.name}: write it anew with `pytest tests/stacks --update-golden`")
    _check(arguments, schema()[kind], kind)


def _check(arguments: Mapping[str, Any], block: Block, where: str) -> None:
    attributes: dict[str, str] = block.get("attributes", {})
    blocks: dict[str, Block] = block.get("blocks", {})
    for name, value in arguments.items():
        if name in blocks:
            _check_block(value, blocks[name], f"{where}.{name}")
        elif name not in attributes:
            known = ", ".join(sorted({n for n, kind in attributes.items() if kind != "computed"} | set(blocks)))
            raise ArgumentError(f"{where} has no argument {name!r}; it has {known}")
        elif attributes[name] == "computed":
            raise ArgumentError(f"{where}.{name} can be read, not given")
    missing = {name for name, kind in attributes.items() if kind == "required"}
    missing |= {name for name, inner in blocks.items() if inner.get("min")}
    if lacking := sorted(name for name in missing if arguments.get(name) is None):
        raise ArgumentError(f"{where} lacks {', '.join(lacking)}")


def _check_block(value: Any, block: Block, where: str) -> None:
    items = value if isinstance(value, list) else [value]
    if len(items) > block.get("max", len(items)):
        raise ArgumentError(f"{where} may stand there {block['max']} times, not {len(items)}")
    for item in items:
        if not isinstance(item, Mapping):
            raise ArgumentError(f"{where} is a block: it takes a mapping, not {type(item).__name__}")
        _check({name: inner for name, inner in item.items() if inner is not None}, block, where)
