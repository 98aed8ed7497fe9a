"""What an EventBridge target is given of an event: all of it, a constant, a part, or a template that was filled in.

Pure. See "Amazon EventBridge input transformation". Paths are the subset of JSONPath that EventBridge has: names after
dots, and list indices.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\['([^']+)'\]|\[(\d+)\]|\.\*")
_PLACEHOLDER = re.compile(r"<([A-Za-z0-9_.-]+)>")
_MISSING = object()


class InputError(ValueError):
    """A path or a template that EventBridge would refuse, or that gives no JSON."""


def target_input(target: Mapping[str, Any], event: Mapping[str, Any], rule: Mapping[str, str]) -> str:
    """The payload for ``target``, which is JSON, or plain text where a template makes that.

    ``rule`` has the values of ``aws.events.rule-arn`` and ``aws.events.rule-name``.

    Raises:
        InputError: see there.
    """
    if target.get("Input") is not None:
        return str(target["Input"])
    if target.get("InputPath"):
        found = at(event, str(target["InputPath"]))
        return json.dumps(None if found is _MISSING else found)
    if transformer := target.get("InputTransformer"):
        return _transformed(transformer, event, rule)
    return json.dumps(event)


def at(event: Mapping[str, Any], path: str) -> Any:
    """The value at ``path``, or a marker that is no JSON value where the event has none.

    Raises:
        InputError: not a path.
    """
    if not path.startswith("$"):
        raise InputError(f"Invalid path {path!r}: it has to begin with $")
    found: Any = event
    position = 1
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None or match[0] == ".*":
            raise InputError(f"Invalid path {path!r}")
        position = match.end()
        name, index = match[1] or match[2], match[3]
        if name is not None:
            found = found.get(name, _MISSING) if isinstance(found, Mapping) else _MISSING
        else:
            found = found[int(index)] if isinstance(found, list) and int(index) < len(found) else _MISSING
        if found is _MISSING:
            return _MISSING
    return found


def _transformed(transformer: Mapping[str, Any], event: Mapping[str, Any], rule: Mapping[str, str]) -> str:
    values: dict[str, Any] = {
        name: at(event, str(path)) for name, path in (transformer.get("InputPathsMap") or {}).items()
    }
    values |= {f"aws.events.{name}": value for name, value in rule.items()}
    values |= {"aws.events.event.json": event, "aws.events.event": event}
    values |= {"aws.events.event.ingestion-time": event.get("time", "")}
    template = str(transformer["InputTemplate"])
    as_json = template.lstrip().startswith("{")
    unknown = {name for name in _PLACEHOLDER.findall(template) if name not in values}
    if unknown:
        raise InputError(f"InputTemplate uses {', '.join(sorted(unknown))}, which InputPathsMap does not define")

    def fill(match: re.Match[str]) -> str:
        value = values[match[1]]
        quoted = _inside_quotes(template, match.start())
        if value is _MISSING:
            return "" if quoted or not as_json else '""'
        if isinstance(value, str):
            text = json.dumps(value)
            return text[1:-1] if quoted or not as_json else text
        text = json.dumps(value)
        return json.dumps(text)[1:-1] if quoted else text

    filled = _PLACEHOLDER.sub(fill, template)
    if as_json:
        try:
            json.loads(filled)
        except ValueError as exc:
            raise InputError(f"InputTemplate gives no valid JSON: {filled}") from exc
    return filled


def _inside_quotes(template: str, position: int) -> bool:
    """Whether an odd number of quotation marks that are not escaped comes before ``position``."""
    return len(re.findall(r'(?<!\\)"', template[:position])) % 2 == 1
