"""One transform job: start the model's container, send it every object of the input, write the answers.

After "Use Batch Transform" and "Use Your Own Inference Code with Batch Transform": an object is sent as a whole or line
by line, one line or as many as fit a request, and its answers are put together in the order of the input. An object
with a record that the model refuses gets no output; the others do, and the job fails. Requests go one after the other,
whatever MaxConcurrentTransforms says.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from mlops_kit.local.compute import sources, storage
from mlops_kit.local.compute.containers import Container, ContainerGoneError, NotHealthyError, Site, VariantSpec
from mlops_kit.local.compute.jobs import JobFailedError, JobRun
from mlops_kit.local.compute.storage import Uri
from mlops_kit.objects.unpacking import gunzip_bytes

log = logging.getLogger(__name__)

LOG_GROUP = "/aws/sagemaker/TransformJobs"
DEFAULT_PAYLOAD_MB = 6
DEFAULT_TIMEOUT = 600
DEFAULT_RETRIES = 3
MOST_BYTES = 512 * 1024 * 1024
"""What one compressed object of the input may unpack to."""


class RefusedError(Exception):
    """One object of the input could not be transformed; the message says why."""


@dataclass(eq=False)
class TransformRun(JobRun):
    """See :class:`JobRun`. ``model`` is what the container needs."""

    kind: ClassVar[str] = "Transform"

    model: VariantSpec | None = None
    _container: Container | None = None

    def interrupt(self) -> None:
        if self._container is not None:
            self._container.stop()

    def work(self) -> None:
        source = self.request["TransformInput"]["DataSource"]["S3DataSource"]
        found = sources.objects(source["S3DataType"], Uri.parse(source["S3Uri"]), self.place)
        container = self._start()
        try:
            self.mark_started()
            refused: list[str] = []
            written: dict[str, Uri] = {}
            for name, uri in found.items():
                if self.stopping.is_set():
                    return
                if name.endswith("/"):
                    continue
                try:
                    self._write(name, self._transform(container, uri))
                    written[name] = uri
                except RefusedError as exc:
                    log.warning("transform job %s: %s: %s", self.name, uri, exc)
                    refused.append(f"{uri}: {exc}")
            self._capture(written)
        finally:
            container.stop()
        if refused and not self.stopping.is_set():
            raise JobFailedError(f"AlgorithmError: See job logs for more information. {refused[0]}")

    def _start(self) -> Container:
        if self.model is None:
            raise JobFailedError("InternalServerError: there is no model")
        request = self.request
        given = {
            "SAGEMAKER_BATCH": "true",
            "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD" if self._single else "MULTI_RECORD",
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(self._payload_mb),
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(request.get("MaxConcurrentTransforms") or 1),
        }
        environment = {**self.model.environment, **given, **(request.get("Environment") or {})}
        site = Site(
            label=f"transform-job/{self.place.account}/{self.name}",
            purpose=f"transform job {self.name}",
            directory=self.runtime.directory / "transforms" / self.place.account / self.name,
            log_group=LOG_GROUP,
            log_stream=f"{self.name}/i-{uuid.uuid4().hex[:12]}",
        )
        container = Container(site, replace(self.model, environment=environment), self.place, self.runtime)
        try:
            with self.lock:
                self._container = container
                if not self.stopping.is_set():
                    container.start()
            container.wait_healthy()
        except NotHealthyError as exc:
            container.stop()
            raise JobFailedError(f"AlgorithmError: {exc}") from exc
        return container

    @property
    def _single(self) -> bool:
        return bool(self.request.get("BatchStrategy") == "SingleRecord")

    @property
    def _payload_mb(self) -> int:
        """The most that one request may carry; 0 for no limit."""
        given = self.request.get("MaxPayloadInMB")
        return DEFAULT_PAYLOAD_MB if given is None else int(given)

    def _transform(self, container: Container, uri: Uri) -> bytes:
        """The answers for one object, assembled.

        Raises:
            RefusedError: the model did not answer all of it, or a record is too large.
        """
        given = self.request["TransformInput"]
        try:
            body = storage.read(uri, self.place)
            if given.get("CompressionType") == "Gzip":
                body = gunzip_bytes(body, MOST_BYTES)
        except (storage.MissingDataError, ValueError) as exc:
            raise RefusedError(f"ClientError: {exc}") from exc
        line = self.request["TransformOutput"].get("AssembleWith") == "Line"
        answers = []
        for payload in payloads(body, given.get("SplitType") == "Line", self._single, self._payload_mb * 1024 * 1024):
            answer = self._ask(container, payload)
            answers.append(answer + b"\n" if line and not answer.endswith(b"\n") else answer)
        return b"".join(answers)

    def _ask(self, container: Container, payload: bytes) -> bytes:
        client = self.request.get("ModelClientConfig") or {}
        timeout = float(client.get("InvocationsTimeoutInSeconds") or DEFAULT_TIMEOUT)
        headers = {
            "Content-Type": self.request["TransformInput"].get("ContentType") or "application/octet-stream",
            "Accept": self.request["TransformOutput"].get("Accept") or "*/*",
        }
        problem = ""
        for _ in range(1 + int(client.get("InvocationsMaxRetries", DEFAULT_RETRIES))):
            try:
                reply = container.invoke(payload, headers, timeout)
            except ContainerGoneError as exc:
                if self.stopping.is_set() or not container.running:
                    raise JobFailedError(f"AlgorithmError: the model container ended: {exc}") from exc
                problem = f"no answer from the model: {exc}"
                continue
            if reply.status < 300:
                return reply.body
            problem = f"Bad HTTP status received from algorithm: {reply.status} {reply.body.decode('utf-8', 'replace')}"
            if reply.status < 500:
                break
        raise RefusedError(problem)

    def _write(self, name: str, body: bytes) -> None:
        output = self.request["TransformOutput"]
        target = Uri.parse(f"{str(output['S3OutputPath']).rstrip('/')}/{name}.out")
        content_type = output.get("Accept") or ""
        storage.write(target, body, self.place, kms_key_id=output.get("KmsKeyId"), content_type=content_type)

    def _capture(self, written: Mapping[str, Uri]) -> None:
        """Manifests of what was read and written: see "Capture data from batch transform job"."""
        config: Mapping[str, Any] | None = self.request.get("DataCaptureConfig")
        if not config or not written:
            return
        read: dict[str, list[str]] = {}
        for name, uri in written.items():
            read.setdefault(str(uri).removesuffix(name), []).append(name)
        output = str(self.request["TransformOutput"]["S3OutputPath"]).rstrip("/")
        directory = f"{self.created:%Y/%m/%d/%H}"
        root = str(config["DestinationS3Uri"]).rstrip("/")
        for prefix, names in read.items():
            file = f"{directory}/{uuid.uuid4()}.jsonl"
            manifests = {
                "input": [{"prefix": prefix}, *names],
                "output": [{"prefix": f"{output}/"}, *(f"{name}.out" for name in names)],
            }
            for side, content in manifests.items():
                target = Uri.parse(f"{root}/{side}/{file}")
                storage.write(target, json.dumps(content).encode(), self.place, kms_key_id=config.get("KmsKeyId"))


def payloads(body: bytes, by_line: bool, single: bool, limit: int) -> Iterator[bytes]:
    """The requests that ``body`` becomes: the whole of it, each line, or as many lines as fit ``limit`` bytes.

    ``limit`` 0 is none. A payload ends without a line break.

    Raises:
        RefusedError: what cannot be divided is larger than ``limit``.
    """
    records = body.split(b"\n") if by_line else [body]
    batch: list[bytes] = []
    size = 0
    for record in records:
        if by_line and not record:
            continue
        if limit and len(record) > limit:
            raise RefusedError(f"ClientError: a record of {len(record)} bytes is larger than MaxPayloadInMB")
        if batch and (single or (limit and size + 1 + len(record) > limit)):
            yield b"\n".join(batch)
            batch, size = [], 0
        size += len(record) + (1 if batch else 0)
        batch.append(record)
    if batch:
        yield b"\n".join(batch)
