"""YAML text -> plain data, with the line of every value.

Read by PyYAML's safe loader only as far as nodes, so that duplicate keys can be refused (the loader would keep the
last) and errors can name a line. Anchors and aliases are refused: configuration gains nothing from them, and nested
aliases are how a small file becomes gigabytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mlops_kit.errors import ConfigError, Problem

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
MAX_DIGITS = 40
"""YAML 1.1 reads ``59:59:59:…`` as one number, as long as it is; Python then refuses to print it."""

_PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "int", "float", "bool", "null")}

Loc = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """One parsed file: ``data`` as plain Python values, ``lines`` from each value's path to its line (from 1)."""

    file: str
    data: dict[str, Any]
    lines: dict[Loc, int] = field(default_factory=dict)

    def line(self, loc: Loc) -> int:
        """The line of ``loc``, or of the nearest enclosing value that is in the file."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return self.lines.get(loc, 1)

    def problem(self, loc: Loc, message: str) -> Problem:
        return Problem(self.file, self.line(loc), message)


if TYPE_CHECKING:
    from yaml import SafeLoader
else:
    # The scanner in C, where PyYAML came with it: every command reads these files, and Python takes its time.
    SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(SafeLoader):
    """The safe loader under a name of our own, so that no other code can register constructors on it."""


def read(path: Path, shown_as: str) -> Source:
    """Parse one file.

    Raises:
        ConfigError: not readable, not UTF-8, too large, not YAML, not a mapping, or with a key twice.
    """
    try:
        raw = path.read_bytes()
    except OSError as exc:
        raise ConfigError([Problem(shown_as, 1, f"cannot be read: {exc.strerror}")]) from exc
    return parse(raw, shown_as)


def parse(raw: bytes, shown_as: str) -> Source:
    """As :func:`read`, of what has been read."""
    if len(raw) > MAX_BYTES:
        raise ConfigError([Problem(shown_as, 1, f"is {len(raw)} bytes; at most {MAX_BYTES} are read")])
    try:
        text = raw.decode("utf-8")
        loader = _Loader(text)
        try:
            _refuse_deep_and_aliased(text, shown_as)
            node = loader.get_single_node()
            return _source(loader, node, shown_as)
        finally:
            loader.dispose()
    except UnicodeDecodeError as exc:
        line = raw[: exc.start].count(b"\n") + 1
        raise ConfigError([Problem(shown_as, line, "is not UTF-8")]) from exc
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        what = " ".join(str(part) for part in (exc.context, exc.problem) if part)
        raise ConfigError([Problem(shown_as, mark.line + 1 if mark else 1, f"is not valid YAML: {what}")]) from exc
    except yaml.YAMLError as exc:
        raise ConfigError([Problem(shown_as, 1, f"is not valid YAML: {exc}")]) from exc


def _refuse_deep_and_aliased(text: str, file: str) -> None:
    # Works on events, before any node is built, so neither recursion nor memory can be exhausted by the file.
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ConfigError([Problem(file, line, "anchors and aliases are not allowed here; write the value out")])
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise ConfigError([Problem(file, line, f"is nested more than {MAX_DEPTH} levels deep")])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _source(loader: _Loader, node: yaml.Node | None, file: str) -> Source:
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError([Problem(file, 1, "must be a mapping of keys to values")])
    problems: list[Problem] = []
    lines: dict[Loc, int] = {}
    data = _value(loader, node, (), lines, problems, file)
    if problems:
        raise ConfigError(problems)
    return Source(file, data, lines)


def _value(
    loader: _Loader, node: yaml.Node, loc: Loc, lines: dict[Loc, int], problems: list[Problem], file: str
) -> Any:
    lines.setdefault(loc, node.start_mark.line + 1)
    if node.tag == "tag:yaml.org,2002:timestamp":
        return node.value  # as it is written: whoever expects a date reads it, and nobody else gets one
    if node.tag not in _PLAIN_TAGS:
        tag = node.tag.removeprefix("tag:yaml.org,2002:")
        text = f"cannot be read as a value: {tag!r} is not text, a number, a truth value, a list or a mapping"
        problems.append(Problem(file, node.start_mark.line + 1, text))
        return None
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                problems.append(Problem(file, line, "keys must be plain text"))
                continue
            key = key_node.value
            if key in found:
                first = lines[(*loc, key)]
                problems.append(Problem(file, line, f"the key {key!r} is given twice (first on line {first})"))
                continue
            lines[(*loc, key)] = line
            found[key] = _value(loader, value_node, (*loc, key), lines, problems, file)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, item, (*loc, i), lines, problems, file) for i, item in enumerate(node.value)]
    if node.tag == "tag:yaml.org,2002:int" and len(node.value) > MAX_DIGITS:
        problems.append(Problem(file, node.start_mark.line + 1, f"is a number of more than {MAX_DIGITS} digits"))
        return None
    try:
        return loader.construct_object(node)
    except (yaml.YAMLError, ValueError) as exc:
        problems.append(Problem(file, node.start_mark.line + 1, f"cannot be read as a value: {exc}".splitlines()[0]))
        return None


def merge(base: Source, override: Loc) -> Source:
    """``base`` with the mapping at ``override`` laid over it, key by key; lists are replaced, not joined.

    The result's lines point to where each value really came from.
    """
    overlay: Any = base.data
    for key in override:
        overlay = overlay.get(key, {}) if isinstance(overlay, dict) else {}
    lines = dict(base.lines)

    def lay(under: Any, over: Any, loc: Loc) -> Any:
        if isinstance(under, dict) and isinstance(over, dict):
            if loc and (*override, *loc) in base.lines:
                lines[loc] = base.lines[
                    *override, *loc
                ]  # what is wrong with the whole is wrong because of the override
            merged = dict(under)
            for key, value in over.items():
                merged[key] = lay(under.get(key), value, (*loc, key))
            return merged
        prefix = (*override, *loc)
        for known, line in base.lines.items():
            if known[: len(prefix)] == prefix:
                lines[known[len(override) :]] = line
        return over

    return Source(base.file, lay(base.data, overlay, ()), lines)
