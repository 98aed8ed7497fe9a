"""One processing job: download, run the container's command, upload.

After "Build Your Own Processing Container" in the SageMaker developer guide. The job's base directory stands for
``/opt/ml`` (:mod:`mlops_kit.local.compute.paths`), and this Python stands for the image: ``python3`` is the kit's own
environment, any other command is looked for on the PATH. One "instance" runs, whatever the instance count says.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from mlops_kit.local.compute import images, paths, sources, storage
from mlops_kit.local.compute.environment import base_environment
from mlops_kit.local.compute.jobs import STOP_GRACE, JobFailedError, JobRun
from mlops_kit.local.compute.logs import LogStream
from mlops_kit.local.compute.processes import Child
from mlops_kit.local.compute.storage import Uri

LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
DEFAULT_MAX_RUNTIME = 86400
MESSAGE_BYTES = 1024
HOST = "algo-1"
PYTHONS = ("python", "python3")


@dataclass(eq=False)
class ProcessingRun(JobRun):
    """See :class:`JobRun`. ``arn`` is written into the job's own configuration file."""

    kind: ClassVar[str] = "Processing"

    arn: str = ""
    credentials: Mapping[str, str] = field(default_factory=dict)
    exit_message: str | None = None
    _child: Child | None = None

    @property
    def base(self) -> Path:
        return self.runtime.directory / "processing" / self.place.account / self.name

    @property
    def outputs(self) -> list[dict[str, Any]]:
        given = self.request.get("ProcessingOutputConfig") or {}
        return [output["S3Output"] for output in given.get("Outputs") or [] if not output.get("AppManaged")]

    @property
    def _inputs(self) -> list[dict[str, Any]]:
        """Those that the platform reads; what is managed by the application is its own affair."""
        given = self.request.get("ProcessingInputs") or []
        return [entry["S3Input"] for entry in given if not entry.get("AppManaged")]

    def interrupt(self) -> None:
        if self._child is not None:
            self._child.end()

    def work(self) -> None:
        try:
            self._process()
        finally:
            # The copies of the data set; what the job wrote stays for whoever looks for a mistake.
            kept = {paths.locate(output["LocalPath"], self.base) for output in self.outputs}
            for source in self._inputs:
                if (copies := paths.locate(source["LocalPath"], self.base)) not in kept:
                    shutil.rmtree(copies, ignore_errors=True)

    def _process(self) -> None:
        shutil.rmtree(self.base, ignore_errors=True)
        for directory in ("config", "output", "home", "processing"):
            (self.base / directory).mkdir(parents=True, exist_ok=True)
        images.pull(str(self.request["AppSpecification"].get("ImageUri")), self.place)
        self._download()
        for output in self.outputs:
            paths.locate(output["LocalPath"], self.base).mkdir(parents=True, exist_ok=True)
        self._write_config()
        status, last = self._execute()
        self._read_message()
        stopped = self.stopping.is_set()
        for output in self.outputs:
            if output["S3UploadMode"] == "Continuous" or (status == 0 and not stopped):
                self._upload(output)
        if status != 0 and not stopped:
            raise JobFailedError(
                f"AlgorithmError: See job logs for more information, exit code: {status}. Last line of the log: {last}"
            )

    def _download(self) -> None:
        for source in self._inputs:
            found = sources.objects(source["S3DataType"], Uri.parse(source["S3Uri"]), self.place)
            sources.download(found, paths.locate(source["LocalPath"], self.base), self.place)

    def _write_config(self) -> None:
        """``/opt/ml/config/*.json``; the paths in them are those that the job can use."""
        given = {name: value for name, value in self.request.items() if name not in ("Tags", "ExperimentConfig")}
        job = json.dumps({"ProcessingJobArn": self.arn, **given}, sort_keys=True)
        (self.base / "config" / "processingjobconfig.json").write_text(paths.rewrite(job, self.base))
        resources = {"current_host": HOST, "hosts": [HOST]}
        (self.base / "config" / "resourceconfig.json").write_text(json.dumps(resources))

    def _command(self) -> list[str]:
        application = self.request["AppSpecification"]
        words = [*application["ContainerEntrypoint"], *(application.get("ContainerArguments") or [])]
        first, *others = [paths.rewrite(word, self.base) for word in words]
        return [sys.executable if Path(first).name in PYTHONS else first, *others]

    def _environment(self) -> dict[str, str]:
        env = base_environment(self.base / "home")
        # For entry points that are shell scripts and call python3 themselves.
        env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
        given = self.request.get("Environment") or {}
        return {**env, **self.credentials, **{k: paths.rewrite(v, self.base) for k, v in given.items()}}

    def _execute(self) -> tuple[int, str]:
        """Exit status and last line of the command, which has ended one way or another."""
        stream = LogStream(self.place, LOG_GROUP, f"{self.name}/{HOST}-{int(time.time())}")
        with self.lock:
            if self.stopping.is_set():
                return 0, ""
            self._child = child = self.runtime.processes.start(
                f"processing-job/{self.name}",
                self._command(),
                env=self._environment(),
                cwd=self.base,
                log=self.base / "log.txt",
                on_line=stream.write,
                grace=STOP_GRACE,
            )
            self.mark_started()
        limit = (self.request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME)
        try:
            status = child.wait(limit)
        except subprocess.TimeoutExpired:
            self.stop()
            status = child.wait()
        return status, next(reversed(child.last_lines), "")

    def _read_message(self) -> None:
        with contextlib.suppress(OSError):
            raw = (self.base / "output" / "message").read_bytes()
            try:
                raw.decode("utf-8")
            except UnicodeDecodeError as exc:
                raise JobFailedError("ClientError: /opt/ml/output/message is not encoded in UTF-8") from exc
            self.exit_message = raw[:MESSAGE_BYTES].decode("utf-8", "ignore") or None

    def _upload(self, output: Mapping[str, Any]) -> None:
        directory = paths.locate(output["LocalPath"], self.base)
        target = Uri.parse(str(output["S3Uri"]).rstrip("/"))
        key = (self.request.get("ProcessingOutputConfig") or {}).get("KmsKeyId")
        for path in sorted(directory.rglob("*")):
            # Links are not followed, as AWS does not: they could lead out of the job.
            if path.is_symlink() or not path.is_file() or not path.resolve().is_relative_to(directory):
                continue
            name = path.relative_to(directory).as_posix()
            uri = Uri(target.bucket, f"{target.key}/{name}".lstrip("/"))
            storage.write(uri, path.read_bytes(), self.place, kms_key_id=key)

    def describe(self) -> dict[str, Any]:
        message = {"ExitMessage": self.exit_message} if self.final and self.exit_message else {}
        return {**super().describe(), **message}
