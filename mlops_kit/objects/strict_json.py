"""Read JSON that came out of a bucket, and so may be anybody's: what is read in one way only, or not at all.

A key that is there twice, ``NaN`` and numbers beyond all numbers are read differently by different readers, and nesting
without end exhausts any of them. The kit writes none of it.
"""

from __future__ import annotations

import json
import math
from typing import Any

MAX_BYTES = 16 * 1024 * 1024
"""Records of the kit have kilobytes."""


def read_json(body: bytes | str, most: int = MAX_BYTES) -> Any:
    """What ``body`` says.

    Raises:
        ValueError: it is no JSON, or says something in a way that nobody should; the message is fit to be shown.
    """
    if len(body) > most:
        raise ValueError(f"it has {len(body)} bytes, and at most {most} are read")
    try:
        return json.loads(body, object_pairs_hook=_once, parse_constant=_refuse, parse_float=_finite)
    except RecursionError as exc:
        raise ValueError("it is nested too deeply") from exc


def number(value: Any) -> float:
    """``value`` if it is a number; text that looks like one, or a truth value, is none.

    Raises:
        TypeError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{str(value)[:40]!r} is not a number")
    try:
        return float(value)
    except OverflowError as exc:
        raise TypeError("it has a number that is too large") from exc


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it has a key twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"it says {constant}, which is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("it has a number that is too large")
    return value
