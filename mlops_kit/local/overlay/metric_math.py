"""CloudWatch metric math, as far as alarms commonly use it: arithmetic, comparisons and a handful of functions.

Pure. Each expression is evaluated period by period: a name is a number, or None where the metric has no data.
Supported: ``+ - * / ^``, comparisons (1 or 0), ``AND OR``, ``IF(condition, a, b)``, ``FILL(m, number)``, ``ABS CEIL
FLOOR``, and ``MAX MIN SUM AVG`` over a list in brackets. Anything else is refused when the alarm is put, not ignored
when it is evaluated.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping

Value = float | None


class UnsupportedExpressionError(ValueError):
    """An expression outside of the supported part of metric math."""


_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_COMPARE: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_OVER_LIST: dict[str, Callable[[list[float]], float]] = {
    "MAX": max,
    "MIN": min,
    "SUM": sum,
    "AVG": lambda values: sum(values) / len(values),
}
_OF_ONE: dict[str, Callable[[float], float]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}


def parse(expression: str) -> ast.expr:
    """The expression as a tree in which every node is supported.

    Raises:
        UnsupportedExpressionError: see there.
    """
    text = re.sub(r"\bAND\b|&&", " and ", expression.replace("^", "**"))
    text = re.sub(r"\bOR\b|\|\|", " or ", text)
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError) as exc:
        raise UnsupportedExpressionError(f"{expression!r} is not an expression: {exc}") from exc
    _check(tree, expression)
    return tree


def names(tree: ast.expr) -> set[str]:
    """The ids of metrics and other expressions that ``tree`` uses."""
    functions = {
        node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - functions


def _check(node: ast.expr, expression: str) -> None:
    children: list[ast.expr]
    match node:
        case ast.Constant(value=int() | float()) | ast.Name():
            return
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            children = [left, right]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            children = [operand]
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
            children = [left, right]
        case ast.BoolOp(values=values):
            children = list(values)
        case ast.Call(func=ast.Name(id=name), args=[ast.List(elts=elements)], keywords=[]) if name in _OVER_LIST:
            children = list(elements)
        case ast.Call(func=ast.Name(id=name), args=[only], keywords=[]) if name in (*_OVER_LIST, *_OF_ONE):
            children = [only]
        case ast.Call(func=ast.Name(id="IF"), args=[_, _, _] | [_, _] as arguments, keywords=[]):
            children = list(arguments)
        case ast.Call(func=ast.Name(id="FILL"), args=[only, ast.Constant(value=int() | float())], keywords=[]):
            children = [only]
        case _:
            raise UnsupportedExpressionError(
                f"the local cloud does not evaluate {ast.unparse(node)!r} in {expression!r}"
            )
    for child in children:
        _check(child, expression)


def evaluate(node: ast.expr, values: Mapping[str, Value]) -> Value:
    """The value of one period; None where an input that matters is missing."""
    match node:
        case ast.Constant(value=number):
            return float(number) if isinstance(number, (int, float)) else None
        case ast.Name(id=name):
            return values.get(name)
        case ast.UnaryOp(operand=operand):
            inner = evaluate(operand, values)
            return None if inner is None else -inner
        case ast.BinOp(left=left, op=op, right=right):
            return _both(_ARITHMETIC[type(op)], evaluate(left, values), evaluate(right, values))
        case ast.Compare(left=left, ops=[comparison], comparators=[right]):
            compare = _COMPARE[type(comparison)]
            return _both(lambda a, b: float(compare(a, b)), evaluate(left, values), evaluate(right, values))
        case ast.BoolOp(op=op, values=operands):
            found = [evaluate(operand, values) for operand in operands]
            if any(value is None for value in found):
                return None
            return float(all(found) if isinstance(op, ast.And) else any(found))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _call(name, arguments, values)
    return None


def _both(function: Callable[[float, float], float], left: Value, right: Value) -> Value:
    if left is None or right is None:
        return None
    try:
        return float(function(left, right))
    except (ZeroDivisionError, OverflowError):
        return None  # CloudWatch has no datapoint where it would divide by zero


def _call(name: str, arguments: list[ast.expr], values: Mapping[str, Value]) -> Value:
    if name == "FILL":
        inner = evaluate(arguments[0], values)
        return evaluate(arguments[1], values) if inner is None else inner
    if name == "IF":
        condition = evaluate(arguments[0], values)
        if condition is None:
            return None
        branch = arguments[1] if condition else (arguments[2] if len(arguments) == 3 else None)
        return evaluate(branch, values) if branch is not None else None
    if name in _OF_ONE:
        inner = evaluate(arguments[0], values)
        return None if inner is None else float(_OF_ONE[name](inner))
    elements = arguments[0].elts if isinstance(arguments[0], ast.List) else arguments
    present = [value for element in elements if (value := evaluate(element, values)) is not None]
    return float(_OVER_LIST[name](present)) if present else None
