"""Runs a state machine written in JSONata, one state after the other.

Implements the Amazon States Language (https://states-language.net) for Pass, Task, Choice, Wait, Succeed and Fail with
Arguments, Output, Assign, Retry (at once, without waiting) and Catch. Anything else ends the execution with a cause
that says so. What a task does, how time passes and where history goes are parameters.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mlops_kit.local.overlay import sfn_definition, sfn_expressions
from mlops_kit.local.overlay.sfn_expressions import EvaluationError

SUPPORTED = ("Pass", "Task", "Choice", "Wait", "Succeed", "Fail")
UNCATCHABLE = ("States.Runtime", "States.DataLimitExceeded")
"""What States.ALL does not match."""

DEFAULT_ATTEMPTS = 3


class StateError(Exception):
    """A state failed with an error name that Retry and Catch can match."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error, self.cause = error, cause


class StoppedError(Exception):
    """The execution was stopped, or its time is over."""


Task = Callable[[str, Any], Any]
"""(resource, arguments) -> result; raises StateError."""
Record = Callable[..., None]
"""(event type, details): one event of the execution's history."""


@dataclass
class Execution:
    """One run. ``context`` becomes ``$states.context``; ``wait`` returns when that moment has come."""

    definition: Mapping[str, Any]
    context: dict[str, Any]
    task: Task
    record: Record
    wait: Callable[[datetime], None]
    check_stopped: Callable[[], None]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    variables: dict[str, Any] = field(default_factory=dict)

    def run(self, given: Any) -> Any:
        """From StartAt to the end; the execution's output.

        Raises:
            StateError: a state failed and nothing caught it.
            StoppedError: see there.
        """
        name: str | None = str(self.definition["StartAt"])
        value = given
        while name is not None:
            self.check_stopped()
            state = self.definition["States"][name]
            kind = str(state["Type"])
            language = sfn_definition.query_language(self.definition, state)
            if language != "JSONata":
                raise StateError("States.Runtime", f"the local cloud does not run JSONPath states, and {name!r} is one")
            if kind not in SUPPORTED:
                raise StateError("States.Runtime", f"the local cloud does not run {kind} states, and {name!r} is one")
            self.context["State"] = {"Name": name, "EnteredTime": _iso(self.now()), "RetryCount": 0}
            details = {"name": name, "input": json.dumps(value)}
            self.record(f"{kind}StateEntered", stateEnteredEventDetails=details)
            name, value = self._step(name, state, value)
        return value

    def _step(self, name: str, state: Mapping[str, Any], given: Any) -> tuple[str | None, Any]:
        try:
            return self._attempt(name, state, given)
        except EvaluationError as exc:  # outside of a task, nothing can catch it
            raise self._evaluation_failed(name, exc) from exc

    def _attempt(self, name: str, state: Mapping[str, Any], given: Any) -> tuple[str | None, Any]:
        kind = state["Type"]
        if kind == "Task":
            return self._task(name, state, given)
        if kind == "Choice":
            return self._choice(name, state, given)
        if kind == "Fail":
            raise StateError(
                str(self._evaluate(state.get("Error", ""), given, "Error")),
                str(self._evaluate(state.get("Cause", ""), given, "Cause")),
            )
        if kind == "Wait":
            self.wait(self._until(state, given))
            self.check_stopped()
        return self._leave(name, state, given, given)

    def _task(self, name: str, state: Mapping[str, Any], given: Any) -> tuple[str | None, Any]:
        attempts = [0 for _ in state.get("Retry") or []]
        while True:
            try:
                arguments = self._evaluate(state.get("Arguments", {}), given, "Arguments")
                result = self.task(str(state["Resource"]), arguments)
                return self._leave(name, state, given, result, result=result)
            except EvaluationError as exc:
                failure = self._evaluation_failed(name, exc)
            except StateError as exc:
                failure = exc
            self.check_stopped()
            if not self._may_retry(state, failure.error, attempts):
                return self._catch(name, state, given, failure)
            self.context["State"]["RetryCount"] = sum(attempts)

    def _may_retry(self, state: Mapping[str, Any], error: str, attempts: list[int]) -> bool:
        for i, retrier in enumerate(state.get("Retry") or []):
            if matches(retrier["ErrorEquals"], error):
                attempts[i] += 1
                return attempts[i] <= int(retrier.get("MaxAttempts", DEFAULT_ATTEMPTS))
        return False

    def _catch(self, name: str, state: Mapping[str, Any], given: Any, failure: StateError) -> tuple[str | None, Any]:
        for catcher in state.get("Catch") or []:
            if matches(catcher["ErrorEquals"], failure.error):
                found = {"Error": failure.error, "Cause": failure.cause}
                return self._leave(name, {**catcher, "Type": "Task"}, given, found, errorOutput=found)
        raise failure

    def _choice(self, name: str, state: Mapping[str, Any], given: Any) -> tuple[str | None, Any]:
        for i, choice in enumerate(state["Choices"]):
            where = f"Choices[{i}]/Condition"
            holds = self._evaluate(choice["Condition"], given, where)
            if not isinstance(holds, bool):
                raise EvaluationError(f"The Condition returned {json.dumps(holds)}, which is not a boolean.", where)
            if holds:
                return self._leave(name, {**choice, "Type": "Choice"}, given, given)
        if "Default" not in state:
            raise StateError("States.NoChoiceMatched", f"No choice of the state {name!r} matched")
        return self._leave(name, {**state, "Next": state["Default"]}, given, given)

    def _until(self, state: Mapping[str, Any], given: Any) -> datetime:
        if "Timestamp" in state:
            text = self._evaluate(state["Timestamp"], given, "Timestamp")
            try:
                return datetime.fromisoformat(str(text)).astimezone(UTC)
            except ValueError as exc:
                raise EvaluationError(f"The Timestamp {text!r} is not in ISO 8601.", "Timestamp") from exc
        seconds = self._evaluate(state["Seconds"], given, "Seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 0:
            raise EvaluationError(f"Seconds is {json.dumps(seconds)}, which is not a non-negative integer.", "Seconds")
        return datetime.fromtimestamp(self.now().timestamp() + seconds, UTC)

    def _leave(
        self, name: str, fields: Mapping[str, Any], given: Any, default: Any, **available: Any
    ) -> tuple[str | None, Any]:
        """Output and Assign see the variables as they were; the next state sees what was assigned."""
        assigned = self._evaluate(fields.get("Assign", {}), given, "Assign", **available)
        output = default
        if "Output" in fields:
            output = self._evaluate(fields["Output"], given, "Output", **available)
        self.variables |= assigned
        details: dict[str, Any] = {"name": name, "output": json.dumps(output)}
        if assigned:
            details["assignedVariables"] = {key: json.dumps(item) for key, item in assigned.items()}
        self.record(f"{fields['Type']}StateExited", stateExitedEventDetails=details)
        return (str(fields["Next"]) if "Next" in fields else None), output

    def _evaluate(self, template: Any, given: Any, location: str, **available: Any) -> Any:
        states = {"input": given, "context": self.context, **available}
        return sfn_expressions.evaluate(template, {**self.variables, "states": states}, location)

    def _evaluation_failed(self, name: str, exc: EvaluationError) -> StateError:
        self.record(
            "EvaluationFailed",
            evaluationFailedEventDetails={
                "error": sfn_expressions.ERROR,
                "cause": exc.cause,
                "location": exc.location,
                "state": name,
            },
        )
        return StateError(sfn_expressions.ERROR, f"An error occurred while evaluating {exc.location}: {exc.cause}")


def matches(names: list[str], error: str) -> bool:
    """Whether ``ErrorEquals`` covers an error."""
    return (
        error in names
        or ("States.ALL" in names and error not in UNCATCHABLE)
        or ("States.TaskFailed" in names and error not in (*UNCATCHABLE, "States.Timeout"))
    )


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
