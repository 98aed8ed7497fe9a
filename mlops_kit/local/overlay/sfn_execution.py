"""One execution of a state machine: what its tasks ask of this server, its history, its metrics and its events.

The interpreter decides what happens (:mod:`sfn_interpreter`); this makes it happen, as the machine's role.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import event_delivery, events, guard, sdk_calls, sfn_interpreter
from mlops_kit.local.overlay.sfn_interpreter import StateError, StoppedError

log = logging.getLogger(__name__)

PRINCIPAL = "states.amazonaws.com"
_PREFIX = "arn:aws:states:::"
_OPTIMIZED = {
    "sqs:sendMessage": ("sqs", "sendMessage", "MessageBody"),
    "sns:publish": ("sns", "publish", "Message"),
    "states:startExecution": ("sfn", "startExecution", "Input"),
}
"""Optimized integrations: service and action of the SDK, and the argument that may be JSON instead of text."""


class _TimedOutError(StoppedError):
    """The time that TimeoutSeconds gives is over."""


class Run:
    """One execution while it runs and afterwards: drives the interpreter and writes down what happens."""

    def __init__(self, execution: Any, machine: Any, place: Place) -> None:
        guard.require_attributes(
            execution, "execution_arn", "name", "start_date", "status", "stop_date", "output", "error", "cause"
        )
        self.execution, self.place = execution, place
        self.machine_arn, self.machine_name, self.role = str(machine.arn), str(machine.name), str(machine.roleArn)
        self.text, self.kind = str(machine.definition), str(machine.type)
        self.history: list[dict[str, Any]] = []
        self.stopping = threading.Event()
        self.deadline: datetime | None = None
        self._lock = threading.RLock()
        self._clients: dict[str, Any] = {}

    def start(self) -> None:
        started = {"input": self.execution.execution_input, "roleArn": self.role}
        self.record("ExecutionStarted", executionStartedEventDetails=started)
        self._announce("Started")
        threading.Thread(target=self._run, name=f"execution {self.execution.name}", daemon=True).start()

    def stop(self, error: str, cause: str) -> None:
        """StopExecution: no state is entered any more."""
        with self._lock:
            if self.execution.status == "RUNNING":
                self.stopping.set()
                self._end("ABORTED", "Aborted", error=error or None, cause=cause or None)

    def record(self, kind: str, **details: Any) -> None:
        """Append one event to the history."""
        with self._lock:
            if self.execution.status == "RUNNING":
                number = len(self.history) + 1
                self.history.append(
                    {
                        "timestamp": datetime.now(UTC),
                        "type": kind,
                        "id": number,
                        "previousEventId": number - 1,
                        **details,
                    }
                )

    def _run(self) -> None:
        try:
            output = self._interpret()
        except _TimedOutError:
            self._end("TIMED_OUT", "TimedOut", error="States.Timeout")
        except StoppedError:
            log.info("execution %s was stopped", self.execution.name)
        except StateError as exc:
            self._end("FAILED", "Failed", error=exc.error, cause=exc.cause)
        except Exception as exc:
            log.exception("execution %s", self.execution.name)
            self._end("FAILED", "Failed", error="States.Runtime", cause=f"{type(exc).__name__}: {exc}")
        else:
            self._end("SUCCEEDED", "Succeeded", output=json.dumps(output))

    def _interpret(self) -> Any:
        if self.kind != "STANDARD":
            raise StateError("States.Runtime", f"the local cloud does not run state machines of type {self.kind}")
        definition = json.loads(self.text)
        if seconds := definition.get("TimeoutSeconds"):
            self.deadline = datetime.now(UTC) + timedelta(seconds=float(seconds))
        given = json.loads(self.execution.execution_input)
        context = {
            "Execution": {
                "Id": self.execution.execution_arn,
                "Input": given,
                "Name": self.execution.name,
                "RoleArn": self.role,
                "StartTime": f"{self.execution.start_date.isoformat(timespec='milliseconds')}Z",
                "RedriveCount": 0,
            },
            "StateMachine": {"Id": self.machine_arn, "Name": self.machine_name},
        }
        return sfn_interpreter.Execution(
            definition, context, self._task, self.record, self._wait, self._check_stopped
        ).run(given)

    def _wait(self, until: datetime) -> None:
        end = min(until, self.deadline) if self.deadline else until
        self.stopping.wait(max(0.0, (end - datetime.now(UTC)).total_seconds()))

    def _check_stopped(self) -> None:
        if self.stopping.is_set():
            raise StoppedError
        if self.deadline and datetime.now(UTC) >= self.deadline:
            raise _TimedOutError

    def _task(self, resource: str, arguments: Any) -> Any:
        service, action, arguments = _request(resource, arguments)
        kind = {"resourceType": resource.removeprefix(_PREFIX).rpartition(":")[0], "resource": action}
        parameters = {"region": self.place.region, "parameters": json.dumps(arguments)}
        self.record("TaskScheduled", taskScheduledEventDetails={**kind, **parameters})
        try:
            client = self._client(service)
            self.record("TaskStarted", taskStartedEventDetails=kind)
            try:
                result = sdk_calls.sdk_call(client, action, arguments)
            except sdk_calls.CallFailedError as exc:
                raise _state_error(client, exc) from exc
        except StateError as exc:
            self.record("TaskFailed", taskFailedEventDetails={**kind, "error": exc.error, "cause": exc.cause})
            raise
        self.record("TaskSucceeded", taskSucceededEventDetails={**kind, "output": json.dumps(result)})
        return result

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            try:
                name = sdk_calls.botocore_name(service)
                self._clients[service] = sdk_calls.client_as(
                    self.role, self.place, name, principal=PRINCIPAL, source_arn=self.machine_arn
                )
            except sdk_calls.UnknownActionError as exc:
                raise StateError("States.Runtime", exc.message) from exc
            except sdk_calls.CallFailedError as exc:
                raise StateError("States.Permissions", exc.message) from exc
        return self._clients[service]

    def _end(self, status: str, word: str, **outcome: str | None) -> None:
        with self._lock:
            if self.execution.status != "RUNNING":
                return
            details = {name: value for name, value in outcome.items() if value is not None}
            self.record(f"Execution{word}", **{f"execution{word}EventDetails": details})
            for name, value in outcome.items():
                setattr(self.execution, name, value)
            self.execution.stop_date = datetime.now(UTC).replace(tzinfo=None)
            self.execution.status = status
        self._announce(word)
        if status != "SUCCEEDED":
            log.info("execution %s: %s %s", self.execution.execution_arn, status, details)

    def _announce(self, word: str) -> None:
        """Metric and event of a change of status."""
        execution = self.execution
        event_delivery.count(self.place, "AWS/States", f"Executions{word}", {"StateMachineArn": self.machine_arn})
        detail = {
            "executionArn": execution.execution_arn,
            "stateMachineArn": self.machine_arn,
            "name": execution.name,
            "status": execution.status,
            "startDate": execution.start_date,
            "stopDate": execution.stop_date,
            "input": execution.execution_input,
            "output": execution.output,
            "error": execution.error,
            "cause": execution.cause,
        }
        events.emit(
            self.place,
            "aws.states",
            "Step Functions Execution Status Change",
            events.milliseconds(detail),
            resources=[execution.execution_arn],
        )


def unknown_resource(resource: str) -> str | None:
    """What is wrong with a task's resource; None for one that names an operation, or another kind of resource."""
    try:
        service, action, _ = _request(resource, {})
    except StateError:
        return None  # a Lambda function, a nested Map: the execution will say that it is not run here
    try:
        sdk_calls.check_action(service, action)
    except sdk_calls.UnknownActionError as exc:
        return f"The resource provided {resource} is not recognized: {exc.message}"
    return None


def _request(resource: str, arguments: Any) -> tuple[str, str, Any]:
    """Service, action and arguments of a task in the SDK's words.

    Raises:
        StateError: a resource that is not run here.
    """
    name = resource.removeprefix(_PREFIX)
    if name in _OPTIMIZED and resource.startswith(_PREFIX):
        service, action, text = _OPTIMIZED[name]
        if isinstance(arguments, Mapping) and not isinstance(arguments.get(text, ""), str):
            arguments = {**arguments, text: json.dumps(arguments[text])}
        return service, action, arguments
    parts = name.split(":")
    if not resource.startswith(_PREFIX) or len(parts) != 3 or parts[0] != "aws-sdk" or "." in parts[2]:
        raise StateError("States.Runtime", f"the local cloud does not run tasks of the resource {resource}")
    return parts[1], parts[2], arguments


def _state_error(client: Any, exc: sdk_calls.CallFailedError) -> StateError:
    if isinstance(exc, sdk_calls.UnknownActionError) or exc.code == "ParamValidationError":
        return StateError("States.Runtime", exc.message)
    prefix = sdk_calls.service_prefix(client)
    cause = f"{exc.message} (Service: {prefix}, Status Code: {exc.status}, Request ID: local)"
    return StateError(sdk_calls.error_name(client, exc), cause)
