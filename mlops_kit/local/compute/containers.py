"""The server's side of a serving container: prepare its model, start it, ask whether it is well, send it requests."""

from __future__ import annotations

import http.client
import logging
import shutil
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops_kit.local.compute import archives, container, images, storage
from mlops_kit.local.compute.environment import base_environment, cloud_environment
from mlops_kit.local.compute.logs import LogStream
from mlops_kit.local.compute.processes import Child
from mlops_kit.local.compute.runtime import Runtime
from mlops_kit.local.compute.storage import Place, Uri

log = logging.getLogger(__name__)

CONTAINER_MODEL_DIR = "/opt/ml/model"
DEFAULT_STARTUP_SECONDS = 120.0
INVOCATION_SECONDS = 60.0
"""How long a real-time endpoint waits for its model."""


class NotHealthyError(Exception):
    """The container did not come up; the message is for the endpoint's FailureReason."""


class ContainerGoneError(Exception):
    """The container does not answer."""


@dataclass(frozen=True, slots=True)
class VariantSpec:
    """A model with what running it takes: one variant of an endpoint config, or the model of a transform job."""

    name: str
    image: str
    model_data: str | None
    model_prefix: bool
    """``model_data`` is a prefix of uncompressed files rather than one ``model.tar.gz``."""
    environment: Mapping[str, str]
    credentials: Mapping[str, str]
    """Of the model's execution role; empty for a model with network isolation."""
    role: str | None
    """The execution role: it pulls the image, reads the model, and writes logs and captures."""
    instances: int
    weight: float
    startup_seconds: float = DEFAULT_STARTUP_SECONDS
    serverless: Mapping[str, int] | None = None
    """The ServerlessConfig of a variant that has no instances."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a container belongs."""

    label: str
    """By which the health request shows it."""
    purpose: str
    """For messages, for example ``production variant main``."""
    directory: Path
    log_group: str
    log_stream: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model answered, and how long it took (seconds)."""

    status: int
    content_type: str
    body: bytes
    latency: float


class Container:
    """One model server process. It stands for all instances of its variant."""

    def __init__(self, site: Site, spec: VariantSpec, place: Place, runtime: Runtime) -> None:
        place = place.acting_as(spec.role)
        self.spec = spec
        self.pid: int | None = None
        self.port = 0
        self._site, self._runtime, self._place = site, runtime, place
        self._base = site.directory
        self.logs = LogStream(place, site.log_group, site.log_stream)
        self._child: Child | None = None

    @property
    def label(self) -> str:
        return self._site.label

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    def start(self) -> None:
        """Lay out the model and start the process. It is not healthy yet.

        Raises:
            NotHealthyError: the model's artifact is missing or cannot be unpacked, or the role may not have it.
        """
        model_dir = self._base / "model"
        try:
            images.pull(self.spec.image, self._place)
        except storage.DeniedError as exc:
            raise NotHealthyError(f"The image {self.spec.image} cannot be pulled: {exc}") from exc
        try:
            self._materialize(model_dir)
        except storage.MissingDataError as exc:
            raise NotHealthyError(f"Failed to download model data for container: {exc}") from exc
        except archives.BadArchiveError as exc:
            raise NotHealthyError(
                f"Failed to extract model data archive from URL {self.spec.model_data}: {exc}"
            ) from exc
        home = self._base / "home"
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen(128)
            self.port = listening.getsockname()[1]
            self._child = self._runtime.processes.start(
                self.label,
                # -P: the directory of container.py must not shadow modules of the team's own
                [sys.executable, "-P", str(Path(container.__file__)), str(listening.fileno()), str(model_dir)],
                env=self._environment(home, model_dir),
                cwd=model_dir,
                log=self._base / "log.txt",
                on_line=self.logs.write,
                pass_fds=(listening.fileno(),),
            )

    def _materialize(self, model_dir: Path) -> None:
        shutil.rmtree(self._base, ignore_errors=True)
        model_dir.mkdir(parents=True)
        if self.spec.model_data:
            uri = Uri.parse(self.spec.model_data)
            if self.spec.model_prefix:
                for key in storage.keys(uri, self._place):
                    path = (model_dir / key[len(uri.key) :].lstrip("/")).resolve()
                    if path.is_relative_to(model_dir.resolve()) and not key.endswith("/"):
                        path.parent.mkdir(parents=True, exist_ok=True)
                        path.write_bytes(storage.read(Uri(uri.bucket, key), self._place))
            else:
                archives.unpack(storage.read(uri, self._place), model_dir)
        submitted = self.spec.environment.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
        if submitted.startswith("s3://"):
            archives.unpack(storage.read(Uri.parse(submitted), self._place), model_dir / "code")
        (model_dir / "code").mkdir(exist_ok=True)

    def _environment(self, home: Path, model_dir: Path) -> dict[str, str]:
        region = self._place.region
        cloud = cloud_environment(self._runtime.endpoint_url, region, dict(self.spec.credentials))
        env = {
            **base_environment(home),
            **(cloud if self.spec.credentials else {"AWS_REGION": region}),
            "OMP_NUM_THREADS": "1",  # several models share this machine
            "SM_MODEL_DIR": str(model_dir),
            **self.spec.environment,
            "SAGEMAKER_BASE_DIR": str(model_dir.parent),
        }
        submitted = env.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
        if submitted.startswith(CONTAINER_MODEL_DIR):
            env["SAGEMAKER_SUBMIT_DIRECTORY"] = str(model_dir) + submitted.removeprefix(CONTAINER_MODEL_DIR)
        elif submitted.startswith("s3://"):
            env["SAGEMAKER_SUBMIT_DIRECTORY"] = str(model_dir / "code")
        return env

    def wait_healthy(self) -> None:
        """Ping until the model is loaded.

        Raises:
            NotHealthyError: the process ended, or did not answer in time.
        """
        deadline = time.monotonic() + self.spec.startup_seconds
        while self._child is not None:
            if not self._child.running:
                self._child.wait(5)
                break
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                break
            try:
                status, headers, _ = self._request("GET", "/ping", b"", {}, remaining)
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
                continue
            if status == 200:
                self.pid = int(headers.get(container.PID_HEADER, "0"))
                return
            time.sleep(0.05)
        last = next(reversed(self._child.last_lines), "") if self._child else ""
        raise NotHealthyError(
            f"The primary container for {self._site.purpose} did not pass the ping health check. "
            f"Please check CloudWatch logs for this {self._site.label.split('/')[0]}. Last line of the log: {last}"
        )

    def invoke(self, body: bytes, headers: Mapping[str, str], timeout: float = INVOCATION_SECONDS) -> Reply:
        """Send one request to the model, and wait ``timeout`` seconds for its answer.

        Raises:
            ContainerGoneError: no answer.
        """
        start = time.perf_counter()
        try:
            status, found, answer = self._request("POST", "/invocations", body, headers, timeout)
        except (OSError, http.client.HTTPException) as exc:
            raise ContainerGoneError(f"{type(exc).__name__}: {exc}") from exc
        content_type = found.get("Content-Type", "application/octet-stream")
        return Reply(status, content_type, answer, time.perf_counter() - start)

    def _request(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body or None, dict(headers))
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def stop(self) -> None:
        """End the process and drop the unpacked model; the log stays."""
        if self._child is not None:
            self._child.end()
        shutil.rmtree(self._base / "model", ignore_errors=True)
        shutil.rmtree(self._base / "home", ignore_errors=True)
