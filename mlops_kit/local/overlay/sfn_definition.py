"""Is a state machine's definition well-formed? What ValidateStateMachineDefinition and Create look at.

A part of AWS's own checks: JSON, states and their types, transitions that lead somewhere, states that are reached, the
fields of the query language, the syntax of JSONata, and that the actions of tasks exist.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlops_kit.local.overlay import sfn_expressions

TYPES = ("Pass", "Task", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map")
JSONPATH_FIELDS = ("InputPath", "Parameters", "ResultSelector", "ResultPath", "OutputPath", "Result")
JSONATA_FIELDS = ("Arguments", "Output")
TERMINAL = ("Succeed", "Fail", "Choice")
"""Types that have neither Next nor End."""

ResourceCheck = Callable[[str], str | None]
"""What is wrong with the Resource of a task, if anything."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that is wrong, and where: ``/States/Train/Next``."""

    code: str
    message: str
    location: str

    def describe(self) -> dict[str, str]:
        """As ValidateStateMachineDefinition has it."""
        return {"severity": "ERROR", "code": self.code, "message": self.message, "location": self.location}


def query_language(definition: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    """``JSONata`` or ``JSONPath``: the state's own, else the machine's, else JSONPath."""
    return str(state.get("QueryLanguage") or definition.get("QueryLanguage") or "JSONPath")


def check(text: str, resource_check: ResourceCheck = lambda _: None) -> list[Diagnostic]:
    """Everything that is wrong with a definition."""
    try:
        definition = json.loads(text)
    except ValueError as exc:
        return [Diagnostic("INVALID_JSON_DESCRIPTION", f"The definition is not valid JSON: {exc}", "/")]
    if not isinstance(definition, dict):
        return [Diagnostic("INVALID_JSON_DESCRIPTION", "The definition is not a JSON object", "/")]
    return list(_check(definition, resource_check))


def _check(definition: dict[str, Any], resource_check: ResourceCheck) -> Iterator[Diagnostic]:
    states = definition.get("States")
    if not isinstance(states, dict) or not states:
        yield _schema("The field 'States' is required and must not be empty", "/States")
        return
    if definition.get("QueryLanguage", "JSONPath") not in ("JSONata", "JSONPath"):
        yield _schema("QueryLanguage must be JSONata or JSONPath", "/QueryLanguage")
    start = definition.get("StartAt")
    if start not in states:
        yield _missing(f"StartAt names {start!r}, which is not a state", "/StartAt")
    targets = {start}
    for name, state in states.items():
        where = f"/States/{name}"
        if not isinstance(state, dict):
            yield _schema("A state is a JSON object", where)
            continue
        yield from _check_state(state, where, query_language(definition, state), resource_check)
        for target, place in _transitions(state, where):
            targets.add(target)
            if target not in states:
                yield _missing(f"Missing 'Next' target: {target}", place)
    for name in states:
        if name not in targets:
            yield _missing(f"State '{name}' is not reachable", f"/States/{name}")


def _check_state(
    state: Mapping[str, Any], where: str, language: str, resource_check: ResourceCheck
) -> Iterator[Diagnostic]:
    kind = state.get("Type")
    if kind not in TYPES:
        yield _schema(f"Type {kind!r} is not one of {', '.join(TYPES)}", f"{where}/Type")
        return
    if kind in TERMINAL and ("Next" in state or "End" in state):
        yield _schema(f"A {kind} state has neither Next nor End", where)
    if kind not in TERMINAL and ("Next" in state) == (state.get("End") is True):
        yield _schema("Exactly one of Next and End is required", where)
    if kind == "Choice" and not state.get("Choices"):
        yield _schema("The field 'Choices' is required and must not be empty", f"{where}/Choices")
    if kind == "Wait" and len({"Seconds", "Timestamp", "SecondsPath", "TimestampPath"} & state.keys()) != 1:
        yield _schema("Exactly one of Seconds and Timestamp is required", where)
    if kind == "Task":
        problem = "The field 'Resource' is required" if "Resource" not in state else None
        problem = problem or resource_check(str(state["Resource"]))
        if problem:
            yield _schema(problem, f"{where}/Resource")
    wrong = JSONPATH_FIELDS if language == "JSONata" else JSONATA_FIELDS
    for field in wrong:
        if field in state:
            yield _schema(f"The field '{field}' does not belong to {language}", f"{where}/{field}")
    if language == "JSONata":
        for i, choice in enumerate(state.get("Choices") or []):
            if "Condition" not in choice:
                yield _schema("The field 'Condition' is required", f"{where}/Choices[{i}]")
        for expression, place in _expressions(state, where):
            if problem := sfn_expressions.syntax_error(expression):
                yield _schema(f"The JSONata expression '{expression[2:-2].strip()}' is invalid: {problem}", place)


def _transitions(state: Mapping[str, Any], where: str) -> Iterator[tuple[Any, str]]:
    for field in ("Next", "Default"):
        if field in state:
            yield state[field], f"{where}/{field}"
    for field in ("Choices", "Catch"):
        for i, item in enumerate(state.get(field) or []):
            yield item.get("Next"), f"{where}/{field}[{i}]/Next"


def _expressions(value: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            # The states inside of Map and Parallel may have another query language; they are not run here anyway.
            if name not in ("ItemProcessor", "Iterator", "Branches"):
                yield from _expressions(item, f"{where}/{name}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _expressions(item, f"{where}[{i}]")
    elif sfn_expressions.is_expression(value):
        yield value, where


def _schema(message: str, location: str) -> Diagnostic:
    return Diagnostic("SCHEMA_VALIDATION_FAILED", message, location)


def _missing(message: str, location: str) -> Diagnostic:
    return Diagnostic("MISSING_TRANSITION_TARGET", message, location)
