"""The Condition element of an IAM policy: does it hold for a request?

Pure. Follows "IAM JSON policy elements: Condition operators" and "Creating a condition with multiple keys or values":
all operators and keys must hold; of a key's values any one is enough (for a negated operator: none may match); a key
that is absent from the request makes an operator false, a negated one true, and one with ``IfExists`` true.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Context = Mapping[str, str | Sequence[str]]
"""Condition keys of a request; a key with several values (``aws:TagKeys``) has a list. Keys are compared without regard
to case, as AWS does."""


class UnknownOperatorError(ValueError):
    """A condition operator that IAM does not have; AWS refuses such a policy when it is put."""


def _like(pattern: str, value: str) -> bool:
    translated = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch(translated, value, re.DOTALL) is not None


def arn_like(pattern: str, value: str) -> bool:
    """Each of the six parts of an ARN is matched on its own: ``*`` never reaches over a colon before the last."""
    wanted, actual = pattern.split(":", 5), value.split(":", 5)
    return len(wanted) == len(actual) and all(_like(w, a) for w, a in zip(wanted, actual, strict=True))


def _number(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    return lambda wanted, actual: compare(float(actual), float(wanted))


def _moment(text: str) -> datetime:
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return datetime.fromtimestamp(float(text), UTC)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _date(compare: Callable[[datetime, datetime], bool]) -> Callable[[str, str], bool]:
    return lambda wanted, actual: compare(_moment(actual), _moment(wanted))


def _in_network(wanted: str, actual: str) -> bool:
    return ipaddress.ip_address(actual) in ipaddress.ip_network(wanted, strict=False)


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, actual: wanted == actual,
    "StringEqualsIgnoreCase": lambda wanted, actual: wanted.lower() == actual.lower(),
    "StringLike": _like,
    "ArnEquals": arn_like,
    "ArnLike": arn_like,
    "Bool": lambda wanted, actual: wanted.lower() == actual.lower(),
    "BinaryEquals": lambda wanted, actual: base64.b64decode(wanted) == base64.b64decode(actual),
    "NumericEquals": _number(lambda a, b: a == b),
    "NumericLessThan": _number(lambda a, b: a < b),
    "NumericLessThanEquals": _number(lambda a, b: a <= b),
    "NumericGreaterThan": _number(lambda a, b: a > b),
    "NumericGreaterThanEquals": _number(lambda a, b: a >= b),
    "DateEquals": _date(lambda a, b: a == b),
    "DateLessThan": _date(lambda a, b: a < b),
    "DateLessThanEquals": _date(lambda a, b: a <= b),
    "DateGreaterThan": _date(lambda a, b: a > b),
    "DateGreaterThanEquals": _date(lambda a, b: a >= b),
    "IpAddress": _in_network,
}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
}


def holds(condition: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    """Whether every operator and key of ``condition`` holds for a request with ``context``.

    Raises:
        UnknownOperatorError: an operator that IAM does not have.
    """
    lowered = {key.lower(): value for key, value in context.items()}
    return all(
        _operator_holds(operator, lowered.get(key.lower()), values)
        for operator, keys in condition.items()
        for key, values in keys.items()
    )


def check_operators(condition: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise :class:`UnknownOperatorError` for the first operator that does not exist."""
    for operator in condition:
        _resolve(operator)


def _resolve(operator: str) -> tuple[str, bool, bool, bool]:
    """(positive operator, negated, if-exists, for-all-values)."""
    name, for_all = operator, False
    for prefix in ("ForAllValues:", "ForAnyValue:"):
        if name.startswith(prefix):
            name, for_all = name.removeprefix(prefix), prefix == "ForAllValues:"
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    negated = name in _NEGATED
    name = _NEGATED.get(name, name)
    if name != "Null" and name not in _OPERATORS:
        raise UnknownOperatorError(f"{operator!r} is not a condition operator")
    return name, negated, if_exists, for_all


def _operator_holds(operator: str, actual: str | Sequence[str] | None, values: Any) -> bool:
    name, negated, if_exists, for_all = _resolve(operator)
    wanted = [_text(value) for value in (values if isinstance(values, list) else [values])]
    if name == "Null":
        return any((actual is None) == (value.lower() == "true") for value in wanted)
    for_any = operator.startswith("ForAnyValue:")
    if actual is None or (not isinstance(actual, str) and not actual):
        # "For all values" of a key without any is vacuously true, "for any value" is not.
        return if_exists or for_all or (negated and not for_any)
    held = [_value_holds(name, negated, value, wanted) for value in ([actual] if isinstance(actual, str) else actual)]
    return all(held) if for_all or (negated and not for_any) else any(held)


def _value_holds(name: str, negated: bool, actual: str, wanted: Sequence[str]) -> bool:
    try:
        matched = any(_OPERATORS[name](value, actual) for value in wanted)
    except ValueError:
        matched = False  # a value of the wrong type never matches
    return matched != negated


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
