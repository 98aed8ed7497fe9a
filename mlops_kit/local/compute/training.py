"""One training job: download, run the team's script, collect metrics, upload.

The stages are those that SageMaker reports as secondary status: Starting, Downloading, Training, Uploading, Completed;
or Failed, Stopped, MaxRuntimeExceeded. A job runs on one "instance", whatever its instance count says. See
:mod:`mlops_kit.local.compute.layout` for the contract the script runs under.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlops_kit.local.compute import archives, images, layout, storage
from mlops_kit.local.compute.environment import base_environment
from mlops_kit.local.compute.layout import Layout
from mlops_kit.local.compute.logs import LogStream
from mlops_kit.local.compute.processes import Child
from mlops_kit.local.compute.runtime import Runtime
from mlops_kit.local.compute.storage import Place, Uri

log = logging.getLogger(__name__)

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
REASON_LENGTH = 1024
DEFAULT_MAX_RUNTIME = 86400
STOP_GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL when a job is stopped. AWS gives 120; nobody waits that long for a laptop."""

FINAL = ("Completed", "Failed", "Stopped")


class _JobFailedError(Exception):
    """Ends the job as Failed with this reason."""


@dataclass(eq=False)
class TrainingRun:
    """A job while it runs and afterwards. Everything that DescribeTrainingJob adds to the request is here."""

    request: Mapping[str, Any]
    place: Place
    runtime: Runtime
    credentials: Mapping[str, str]
    on_change: Callable[[TrainingRun], None]
    status: str = "InProgress"
    secondary_status: str = "Starting"
    transitions: list[dict[str, Any]] = field(default_factory=list)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: datetime | None = None
    ended: datetime | None = None
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))
    failure_reason: str | None = None
    artifacts: str | None = None
    metrics: list[dict[str, Any]] = field(default_factory=list)
    _child: Child | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def name(self) -> str:
        return str(self.request["TrainingJobName"])

    @property
    def final(self) -> bool:
        return self.status in FINAL

    def start(self) -> None:
        self._move("Starting", "Preparing the instances for training")
        threading.Thread(target=self._run, name=f"training {self.name}", daemon=True).start()

    def stop(self) -> None:
        """Ask the job to end: SIGTERM now, SIGKILL after a grace."""
        with self._lock:
            if self.final or self._stopping.is_set():
                return
            self._stopping.set()
            self.status = "Stopping"
            self._move("Stopping", "Stopping the training job")
            if self._child is not None:
                self._child.end()

    def _run(self) -> None:
        files = Layout(self.runtime.directory / "jobs" / self.place.account / self.name)
        try:
            self._work(files)
        except _JobFailedError as exc:
            self._finish("Failed", str(exc))
        except storage.MissingDataError as exc:
            what = "Artifact upload" if self.secondary_status == "Uploading" else "Data download"
            self._finish("Failed", f"ClientError: {what} failed:{exc}")
        except archives.BadArchiveError as exc:
            self._finish("Failed", f"ClientError: the submitted source archive cannot be unpacked: {exc}")
        except Exception as exc:
            log.exception("training job %s", self.name)
            self._finish("Failed", f"InternalServerError: {type(exc).__name__}: {exc}")
        finally:
            # The copies of the data set; what the script wrote stays for whoever looks for a mistake.
            shutil.rmtree(files.data, ignore_errors=True)

    def _work(self, files: Layout) -> None:
        shutil.rmtree(files.base, ignore_errors=True)
        files.make()
        request = self.request
        hyperparameters = layout.decode(request.get("HyperParameters") or {})
        try:
            images.pull(str(request["AlgorithmSpecification"].get("TrainingImage")), self.place)
        except storage.DeniedError as exc:
            raise _JobFailedError(f"ClientError: Cannot pull algorithm container. {exc}") from exc
        self._move("Downloading", "Downloading input data")
        layout.write_config(files, request)
        for channel in request.get("InputDataConfig") or []:
            layout.download_channel(files, channel, self.place)
        program = layout.fetch_code(files, hyperparameters, self.place)

        self.started = datetime.now(UTC)
        self._move("Training", "Training image download completed. Training in progress.")
        status, last_lines, lines, timed_out = self._train(files, program, hyperparameters)
        self.metrics = final_metrics(request, lines)

        stopped = timed_out or self._stopping.is_set()
        if status != 0 and not stopped:
            raise _JobFailedError(failure_reason(status, last_lines, files.failure))
        self._move("Uploading", "Uploading generated training model")
        if not stopped or any(files.model.iterdir()):
            self._upload(files)
        if stopped:
            self._finish("Stopped", None, "MaxRuntimeExceeded" if timed_out else "Stopped")
        else:
            self._finish("Completed", None)

    def _train(
        self, files: Layout, program: str, hyperparameters: Mapping[str, Any]
    ) -> tuple[int, list[str], list[str], bool]:
        stream = LogStream(self.place, LOG_GROUP, f"{self.name}/algo-1-{int(time.time())}")
        lines: list[str] = []

        def on_line(line: str) -> None:
            lines.append(line)
            stream.write(line)

        if (files.code / "requirements.txt").is_file():
            on_line("requirements.txt was found and not installed: the local cloud runs in the kit's own environment")
        env = {
            **base_environment(files.home),
            **self.credentials,
            **layout.environment(files, self.request, hyperparameters),
            **(self.request.get("Environment") or {}),
        }
        limit = (self.request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME)
        with self._lock:
            if self._stopping.is_set():
                return 0, [], lines, False
            self._child = child = self.runtime.processes.start(
                f"training-job/{self.name}",
                [sys.executable, "-u", program, *layout.arguments(hyperparameters)],
                env=env,
                cwd=files.code,
                log=files.base / "log.txt",
                on_line=on_line,
                grace=STOP_GRACE,
            )
        try:
            return child.wait(limit), list(child.last_lines), lines, False
        except subprocess.TimeoutExpired:
            child.end()
            return child.wait(), list(child.last_lines), lines, True

    def _upload(self, files: Layout) -> None:
        destination = self.request["OutputDataConfig"]
        prefix = f"{str(destination['S3OutputPath']).rstrip('/')}/{self.name}/output"
        key = destination.get("KmsKeyId")
        artifacts = f"{prefix}/model.tar.gz"
        storage.write(Uri.parse(artifacts), archives.pack(files.model), self.place, kms_key_id=key)
        if any(files.output_data.iterdir()):
            output = Uri.parse(f"{prefix}/output.tar.gz")
            storage.write(output, archives.pack(files.output_data), self.place, kms_key_id=key)
        self.artifacts = artifacts

    def _finish(self, status: str, reason: str | None, secondary: str | None = None) -> None:
        with self._lock:
            self.ended = datetime.now(UTC)
            self.failure_reason = reason[:REASON_LENGTH] if reason else None
            self._move(secondary or status, reason or f"Training job {status.lower()}", final=True)
            self.status = status
            self.on_change(self)
        log.info("training job %s: %s%s", self.name, status, f": {reason}" if reason else "")

    def _move(self, secondary: str, message: str, *, final: bool = False) -> None:
        with self._lock:
            now = datetime.now(UTC)
            if self.transitions:
                self.transitions[-1]["EndTime"] = now
            self.transitions.append(
                {"Status": secondary, "StartTime": now, "StatusMessage": message, **({"EndTime": now} if final else {})}
            )
            self.secondary_status, self.modified = secondary, now
            self.on_change(self)

    def describe(self) -> dict[str, Any]:
        """What DescribeTrainingJob says beyond the request."""
        with self._lock:
            seconds = int((self.ended - self.started).total_seconds()) + 1 if self.ended and self.started else None
            found = {
                "TrainingJobStatus": self.status,
                "SecondaryStatus": self.secondary_status,
                "SecondaryStatusTransitions": [dict(t) for t in self.transitions],
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
                "TrainingStartTime": self.started,
                "TrainingEndTime": self.ended,
                "TrainingTimeInSeconds": seconds,
                "BillableTimeInSeconds": seconds,
                "FailureReason": self.failure_reason,
                "FinalMetricDataList": list(self.metrics) or None,
                "ModelArtifacts": {"S3ModelArtifacts": self.artifacts} if self.artifacts else None,
            }
        return {name: value for name, value in found.items() if value is not None}


def final_metrics(request: Mapping[str, Any], lines: list[str]) -> list[dict[str, Any]]:
    """The last match of each metric's regular expression in the log; metrics without a number are left out."""
    metrics: list[dict[str, Any]] = []
    for definition in (request.get("AlgorithmSpecification") or {}).get("MetricDefinitions") or []:
        pattern = re.compile(definition["Regex"])
        last = next((found for line in reversed(lines) if (found := list(pattern.finditer(line)))), [])
        with contextlib.suppress(IndexError, TypeError, ValueError):
            value = float(last[-1][1])
            metrics.append({"MetricName": definition["Name"], "Value": value, "Timestamp": datetime.now(UTC)})
    return metrics


def failure_reason(status: int, last_lines: list[str], failure_file: Path) -> str:
    """Why the script failed: its own words from ``/opt/ml/output/failure``, else the end of its output."""
    with contextlib.suppress(OSError):
        if text := failure_file.read_text(errors="replace").strip():
            return f"AlgorithmError: {text}"[:REASON_LENGTH]
    head, tail = f'AlgorithmError: ExecuteUserScriptError: ExitCode {status}, ErrorMessage "', '"'
    room = REASON_LENGTH - len(head) - len(tail)
    return head + "\n".join(last_lines)[-room:] + tail
