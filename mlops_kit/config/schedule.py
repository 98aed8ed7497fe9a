"""Schedule expressions as EventBridge Scheduler and Application Auto Scaling take them.

``cron(minutes hours day-of-month month day-of-week year)``, six fields of which one of the two days is ``?``, and
``rate(value unit)``. Source: "Schedule types in EventBridge Scheduler", EventBridge Scheduler user guide.
"""

from __future__ import annotations

import re

_RATE = re.compile(r"rate\((?P<value>[1-9]\d{0,5}) (?P<unit>minutes?|hours?|days?)\)")
_CRON = re.compile(r"cron\((?P<fields>[^()]+)\)")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minutes", 0, 59, ()),
    ("hours", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 1, 7, _DAYS),
    ("year", 1970, 2199, ()),
)


def check_schedule(expression: str) -> str:
    """Returns ``expression`` if AWS will take it.

    Raises:
        ValueError: what is wrong, and where.
    """
    if expression.startswith("rate("):
        return _check_rate(expression)
    found = _CRON.fullmatch(expression)
    if found is None:
        raise ValueError(f"{expression!r} is not a schedule like 'cron(0 7 ? * MON-FRI *)' or 'rate(6 hours)'")
    fields = found["fields"].split(" ")
    if len(fields) != len(_FIELDS):
        names = ", ".join(name for name, *_ in _FIELDS)
        raise ValueError(f"{expression!r} has {len(fields)} fields, a schedule has {len(_FIELDS)}: {names}")
    for text, (name, low, high, words) in zip(fields, _FIELDS, strict=True):
        if not _is_field(text, name, low, high, words):
            raise ValueError(f"{expression!r}: {text!r} is not a {name} ({low} to {high})")
    if (fields[2] == "?") == (fields[4] == "?"):
        raise ValueError(f"{expression!r}: exactly one of day of month and day of week has to be '?'")
    return expression


def _check_rate(expression: str) -> str:
    found = _RATE.fullmatch(expression)
    if found is None:
        raise ValueError(f"{expression!r} is not a rate like 'rate(1 hour)' or 'rate(15 minutes)'")
    if (found["value"] == "1") == found["unit"].endswith("s"):
        raise ValueError(f"{expression!r}: one is singular, more are plural, as in 'rate(1 hour)' and 'rate(2 hours)'")
    return expression


def _is_field(text: str, name: str, low: int, high: int, words: tuple[str, ...]) -> bool:
    if text == "?":
        return name in ("day of month", "day of week")
    if name == "day of month" and re.fullmatch(r"L|LW|([1-9]|[12]\d|3[01])W", text):
        return True
    if name == "day of week" and re.fullmatch(r"([1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)(L|#[1-5])", text):
        return True
    return all(_is_part(part, low, high, words) for part in text.split(","))


def _is_part(part: str, low: int, high: int, words: tuple[str, ...]) -> bool:
    base, slash, step = part.partition("/")
    if slash and not (step.isascii() and step.isdigit() and 1 <= int(step) <= high):
        return False
    if base == "*":
        return True
    start, dash, end = base.partition("-")
    values = [_value(word, low, words) for word in ([start, end] if dash else [start])]
    return all(value is not None and low <= value <= high for value in values)


def _value(word: str, low: int, words: tuple[str, ...]) -> int | None:
    if word in words:
        return words.index(word) + low
    return int(word) if word.isascii() and word.isdigit() else None
