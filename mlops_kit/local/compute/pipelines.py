"""One execution of a SageMaker pipeline: its steps, each as soon as what it depends on is over.

A step that makes a job sends the same request that a user would, as the pipeline's role, and waits for the job. A step
that fails ends the execution as Failed once the steps that do not depend on it are over, and those that do never start.
What the requests go through is a parameter.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mlops_kit.local.compute import pipeline_definition, pipeline_values
from mlops_kit.local.compute.pipeline_definition import Definition, Step
from mlops_kit.local.compute.pipeline_steps import KINDS, Kind, StepRun, job_name
from mlops_kit.local.compute.pipeline_values import ResolveError, Scope

log = logging.getLogger(__name__)

POLL_SECONDS = 0.25
MAX_PARALLEL_STEPS = 50
FAILED = "Step failure: One or multiple steps failed."
FINAL = ("Succeeded", "Failed", "Stopped")

Call = Callable[[str, str, Mapping[str, Any]], dict[str, Any]]
"""(service, operation, parameters) -> the answer; raises an exception whose text says what was refused."""


class _StepFailedError(Exception):
    """Ends a step as Failed with this reason."""


class _StoppedError(Exception):
    """The execution was stopped while a step ran."""


@dataclass(eq=False)
class PipelineRun:
    """An execution while it runs and afterwards. ``on_change`` is told of every new status of it or of a step."""

    definition: Definition
    parameters: Mapping[str, Any]
    pipeline_name: str
    pipeline_arn: str
    arn: str
    call: Call
    on_change: Callable[[PipelineRun, StepRun | None], None]
    parallel: int = MAX_PARALLEL_STEPS
    status: str = "Executing"
    previous_status: str | None = None
    reason: str | None = None
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))
    steps: dict[str, StepRun] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _changed: threading.Condition = field(default_factory=lambda: threading.Condition(threading.RLock()))

    @property
    def execution_id(self) -> str:
        return self.arn.rsplit("/", 1)[-1]

    @property
    def final(self) -> bool:
        return self.status in FINAL

    def start(self) -> None:
        self.on_change(self, None)
        threading.Thread(target=self._run, name=f"pipeline {self.pipeline_name}", daemon=True).start()

    def stop(self) -> None:
        """Start no further step, and end the jobs that run."""
        with self._changed:
            if self.final or self._stopping.is_set():
                return
            self._stopping.set()
            self._set_status("Stopping")
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            self._run_steps()
        except Exception as exc:
            log.exception("pipeline execution %s", self.arn)
            self._set_status("Failed", f"InternalServerError: {type(exc).__name__}: {exc}")
            return
        failed = [run for run in self.steps.values() if run.status == "Failed"]
        if self._stopping.is_set():
            self._set_status("Stopped")
        elif failed:
            self._set_status("Failed", FAILED)
        else:
            self._set_status("Succeeded")
        log.info("pipeline execution %s: %s", self.arn, self.status)

    def _run_steps(self) -> None:
        waiting = dict(self.definition.steps)
        with self._changed:
            while True:
                running = [run for run in self.steps.values() if run.status == "Executing"]
                for name, step in list(waiting.items()):
                    ready = self._ready(step, waiting)
                    if ready is False or self._stopping.is_set():
                        del waiting[name]
                    elif ready and len(running) < self.parallel:
                        del waiting[name]
                        self.steps[name] = run = StepRun(step)
                        running.append(run)
                        threading.Thread(target=self._run_step, args=(run,), name=f"step {name}", daemon=True).start()
                if not running and not waiting:
                    return
                if running:
                    self._changed.wait()

    def _ready(self, step: Step, waiting: Mapping[str, Step]) -> bool | None:
        """True: start it; False: it will never start; None: not yet."""
        for need in pipeline_definition.all_needs(step):
            run = self.steps.get(need)
            if run is None:
                if need not in waiting:
                    return False  # it was in a branch that was not taken, or followed one that failed
                return None
            if run.status == "Executing":
                return None
            if run.status != "Succeeded":
                return False
        return step.branch is None or self.steps[step.branch[0]].outcome == step.branch[1]

    def _run_step(self, run: StepRun) -> None:
        self.on_change(self, run)
        status, reason = "Succeeded", None
        try:
            self._work(run)
        except _StoppedError:
            status = "Stopped"
        except (_StepFailedError, ResolveError) as exc:
            status, reason = "Failed", str(exc)
        except Exception as exc:
            log.exception("step %s of %s", run.step.name, self.arn)
            status, reason = "Failed", f"InternalServerError: {type(exc).__name__}: {exc}"
        with self._changed:
            run.status, run.reason, run.ended = status, reason, datetime.now(UTC)
            self.modified = run.ended
            self._changed.notify_all()
        self.on_change(self, run)
        if reason:
            log.info("step %s of %s failed: %s", run.step.name, self.arn, reason)

    def _work(self, run: StepRun) -> None:
        step, scope = run.step, self._scope()
        if step.type == "Condition":
            run.outcome = all(pipeline_values.holds(c, scope) for c in step.arguments["Conditions"])
            run.metadata = {"Condition": {"Outcome": str(run.outcome)}}
            run.properties = {"Outcome": str(run.outcome)}
            return
        arguments = pipeline_values.resolve(step.arguments, scope)
        if step.type == "Fail":
            message = str(arguments.get("ErrorMessage", ""))
            run.metadata = {"Fail": {"ErrorMessage": message}}
            raise _StepFailedError(message)
        kind = KINDS[step.type]
        if step.type == "RegisterModel":
            answer = self._create(kind, {"ClientToken": f"{self.execution_id}{step.name}"[:36], **arguments})
            name = str(answer[kind.arn])
        else:
            name = job_name(self.execution_id, step.name, arguments.get(kind.name))
            answer = self._create(kind, {**arguments, kind.name: name})
        run.metadata = {kind.metadata: {"Arn": str(answer[kind.arn])}}
        self._watch(run, kind, name)

    def _create(self, kind: Kind, arguments: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self.call("sagemaker", kind.create, arguments)
        except Exception as exc:
            message = f"ClientError: Failed to invoke sagemaker:{kind.create}. Error Details: {exc}"
            raise _StepFailedError(message) from exc

    def _watch(self, run: StepRun, kind: Kind, name: str) -> None:
        """Wait until the job is over."""
        stopped = False
        while True:
            run.properties = self.call("sagemaker", kind.describe, {kind.name: name})
            if kind.job is None:
                return
            status = run.properties[f"{kind.job}JobStatus"]
            if status == "Completed":
                return
            if status == "Failed":
                raise _StepFailedError(str(run.properties.get("FailureReason") or f"{kind.job} job failed"))
            if status == "Stopped":
                if stopped:
                    raise _StoppedError
                raise _StepFailedError(f"ClientError: the {kind.job.lower()} job {name} was stopped")
            if self._stopping.is_set() and not stopped:
                stopped = True
                if status == "InProgress":
                    self.call("sagemaker", f"Stop{kind.job}Job", {kind.name: name})
            if stopped:
                threading.Event().wait(POLL_SECONDS)
            else:
                self._stopping.wait(POLL_SECONDS)

    def _scope(self) -> Scope:
        now = datetime.now(UTC)
        execution = {
            "StartDateTime": _iso(self.created),
            "CurrentDateTime": _iso(now),
            "PipelineName": self.pipeline_name,
            "PipelineArn": self.pipeline_arn,
            "PipelineExecutionId": self.execution_id,
            "PipelineExecutionArn": self.arn,
        }
        properties = {name: run.properties for name, run in self.steps.items() if run.status == "Succeeded"}
        return Scope(self.parameters, execution, properties, self._property_file)

    def _property_file(self, step: str, name: str) -> str:
        """The text of a file that a processing step wrote."""
        files = self.definition.steps[step].property_files if step in self.definition.steps else ()
        found = next((f for f in files if f["PropertyFileName"] == name), None)
        if found is None:
            raise ResolveError(f"step {step} has no property file {name}")
        path: list[str | int] = ["ProcessingOutputConfig", "Outputs", found["OutputName"], "S3Output", "S3Uri"]
        uri = str(pipeline_values.walk(self.steps[step].properties, path, f"property file {name}"))
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        key = f"{prefix.rstrip('/')}/{found['FilePath']}".lstrip("/")
        try:
            body: bytes = self.call("s3", "GetObject", {"Bucket": bucket, "Key": key})["Body"].read()
        except Exception as exc:
            raise ResolveError(f"the property file s3://{bucket}/{key} cannot be read: {exc}") from exc
        return body.decode()

    def _set_status(self, status: str, reason: str | None = None) -> None:
        with self._changed:
            self.previous_status, self.status = self.status, status
            self.reason, self.modified = reason, datetime.now(UTC)
        self.on_change(self, None)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
