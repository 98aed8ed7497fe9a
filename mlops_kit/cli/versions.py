"""Versions on the command line, for commands that look at one and decide nothing: the number is named."""

from __future__ import annotations

from mlops_kit.errors import UsageError
from mlops_kit.promotion.request import parse_version


def numbered(text: str) -> tuple[str, int]:
    """``MODEL@NUMBER`` -> (model, number).

    Raises:
        UsageError: it is not that; ``@latest-approved`` is for promotions.
    """
    model, version = parse_version(text)
    if not isinstance(version, int):
        raise UsageError(f"{text!r} does not name one version.", hint=f"Write the number, for example {model}@3.")
    return model, version
