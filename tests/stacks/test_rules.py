"""The rules that hold everywhere, in the shipped environments, in the gallery, and in unusual ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.stacks.conftest import Synthesized
from tests.stacks.rules import RULES
from tests.stacks.stack import Stack

Rule = Callable[[Stack], list[str]]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule: Rule, synthesized: Synthesized) -> None:
    stacks = [*synthesized.local.values(), *synthesized.gallery.values(), *synthesized.corners.values()]
    assert len(stacks) >= 8
    assert {stack.environment.name: rule(stack) for stack in stacks if rule(stack)} == {}
