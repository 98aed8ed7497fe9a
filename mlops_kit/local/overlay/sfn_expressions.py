"""JSONata in a state machine: strings in ``{% %}``, the reserved variable ``$states``, and the functions AWS adds.

Pure but for ``$uuid``, ``$random`` and the clock. See "Transforming data with JSONata in Step Functions": ``$eval``
does not exist, and an expression without a value (undefined) is an error, not null.
"""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from collections.abc import Mapping
from typing import Any

from jsonata.jexception import JException
from jsonata.jsonata import Jsonata
from jsonata.utils import Utils

ERROR = "States.QueryEvaluationError"
_HASHES = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


class EvaluationError(Exception):
    """An expression that cannot be evaluated, or has no value. ``location`` is the field it stands in."""

    def __init__(self, cause: str, location: str) -> None:
        super().__init__(cause)
        self.cause, self.location = cause, location


def is_expression(value: Any) -> bool:
    """``{%`` and ``%}`` have to be the very first and last characters."""
    return isinstance(value, str) and value.startswith("{%") and value.endswith("%}") and len(value) >= 4


def syntax_error(expression: str) -> str | None:
    """What is wrong with ``{% … %}`` before it is ever evaluated; None if nothing is."""
    try:
        Jsonata(expression[2:-2])
    except JException as exc:
        return str(exc)
    return None


def evaluate(template: Any, variables: Mapping[str, Any], location: str) -> Any:
    """``template`` with every expression in it replaced by its value.

    Raises:
        EvaluationError: see there.
    """
    if isinstance(template, Mapping):
        return {name: evaluate(item, variables, f"{location}/{name}") for name, item in template.items()}
    if isinstance(template, list):
        return [evaluate(item, variables, f"{location}[{i}]") for i, item in enumerate(template)]
    if is_expression(template):
        return _evaluate(template[2:-2].strip(), variables, location)
    return template


def _evaluate(text: str, variables: Mapping[str, Any], location: str) -> Any:
    try:
        expression = Jsonata(text)
        expression.set_output_convert_nulls(False)  # tells null from undefined
        for name, function in _FUNCTIONS.items():
            expression.register_lambda(name, function)
        found = expression.evaluate(None, dict(variables))
    except (JException, ArithmeticError, ValueError, TypeError, LookupError, RecursionError) as exc:
        raise EvaluationError(f"The JSONata expression '{text}' threw an error: {exc}", location) from exc
    if found is None:
        raise EvaluationError(f"The JSONata expression '{text}' returned nothing (undefined).", location)
    try:
        return _plain(found)
    except TypeError as exc:
        raise EvaluationError(
            f"The JSONata expression '{text}' returned something that is not JSON.", location
        ) from exc


def _plain(value: Any) -> Any:
    """A result as JSON has it: the library's lists and null are its own."""
    if value is Utils.NULL_VALUE or value is None:
        return None
    if isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, range)):
        return [_plain(item) for item in value]
    raise TypeError(type(value).__name__)


def _parse(text: Any) -> Any:
    return json.loads(text)


def _uuid() -> str:
    return str(uuid.uuid4())


def _random(seed: Any = None) -> float:
    return random.Random(seed).random()  # noqa: S311  # AWS's is not for secrets either


def _hash(content: Any, algorithm: Any) -> str:
    if algorithm not in _HASHES:
        raise ValueError(f"$hash does not know {algorithm!r}; it has {', '.join(_HASHES)}")
    return hashlib.new(_HASHES[algorithm], str(content).encode(), usedforsecurity=False).hexdigest()


def _partition(items: Any, size: Any) -> list[Any]:
    return [list(items[start : start + int(size)]) for start in range(0, len(items), int(size))]


def _range(first: Any, last: Any, step: Any) -> list[Any]:
    return list(range(int(first), int(last) + (1 if step > 0 else -1), int(step)))


def _eval(*_: Any) -> Any:
    raise ValueError("Step Functions does not support $eval; $parse reads JSON")


_FUNCTIONS = {
    "parse": _parse,
    "uuid": _uuid,
    "random": _random,
    "hash": _hash,
    "partition": _partition,
    "range": _range,
    "eval": _eval,
}
