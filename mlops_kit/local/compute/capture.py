"""Data capture: each sampled request and its answer as one JSON line in S3, in SageMaker's own format.

See "Capture data from real-time endpoint". SageMaker collects lines and uploads a file every few minutes; here every
request makes an object of its own, at once, so that nobody waits. Only successful requests are captured.
"""

from __future__ import annotations

import base64
import json
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mlops_kit.local.compute import storage
from mlops_kit.local.compute.storage import Place, Uri


@dataclass(eq=False)
class CaptureConfig:
    """An endpoint config's DataCaptureConfig, and how much of the sampling percentage is used up."""

    given: Mapping[str, Any]
    _credit: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def enabled(self) -> bool:
        return bool(self.given.get("EnableCapture", True))

    @property
    def percentage(self) -> int:
        return int(self.given.get("InitialSamplingPercentage", 100))

    def describe(self) -> dict[str, Any]:
        summary = {
            "EnableCapture": self.enabled,
            "CaptureStatus": "Started" if self.enabled else "Stopped",
            "CurrentSamplingPercentage": self.percentage,
            "DestinationS3Uri": self.given["DestinationS3Uri"],
            "KmsKeyId": self.given.get("KmsKeyId"),
        }
        return {name: value for name, value in summary.items() if value is not None}

    def sampled(self) -> bool:
        """Whether this request is captured: evenly spread, so that any hundred requests give the percentage."""
        if not self.enabled:
            return False
        with self._lock:
            self._credit += self.percentage / 100
            if self._credit >= 1 - 1e-9:
                self._credit -= 1
                return True
            return False

    def encoding(self, content_type: str) -> str:
        """CSV or JSON for the content types that the config names so, BASE64 for all others."""
        header = self.given.get("CaptureContentTypeHeader") or {}
        plain = content_type.split(";")[0].strip().lower()
        for encoding, key in (("CSV", "CsvContentTypes"), ("JSON", "JsonContentTypes")):
            if plain in [name.lower() for name in header.get(key) or []]:
                return encoding
        return "BASE64"

    def wants(self, mode: str) -> bool:
        modes = {option["CaptureMode"] for option in self.given.get("CaptureOptions") or []}
        return mode in modes or "InputAndOutput" in modes


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer."""

    endpoint: str
    variant: str
    request_type: str
    request: bytes
    response_type: str
    response: bytes
    inference_id: str | None
    time: datetime


def line(config: CaptureConfig, exchange: Exchange, event_id: str) -> dict[str, Any]:
    """The capture record of ``exchange``."""
    data: dict[str, Any] = {}
    if config.wants("Input"):
        data["endpointInput"] = _side(config, "INPUT", exchange.request_type, exchange.request)
    if config.wants("Output"):
        data["endpointOutput"] = _side(config, "OUTPUT", exchange.response_type, exchange.response)
    metadata = {"eventId": event_id, "inferenceTime": exchange.time.strftime("%Y-%m-%dT%H:%M:%SZ")}
    if exchange.inference_id:
        metadata["inferenceId"] = exchange.inference_id
    return {"captureData": data, "eventMetadata": metadata, "eventVersion": "0"}


def _side(config: CaptureConfig, mode: str, content_type: str, body: bytes) -> dict[str, str]:
    encoding = config.encoding(content_type)
    if encoding != "BASE64":
        try:
            return {
                "observedContentType": content_type,
                "mode": mode,
                "data": body.decode("utf-8"),
                "encoding": encoding,
            }
        except UnicodeDecodeError:
            encoding = "BASE64"
    data = base64.b64encode(body).decode("ascii")
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}


def write(config: CaptureConfig, exchange: Exchange, place: Place) -> Uri:
    """Store the record where SageMaker would; the object's address.

    Raises:
        storage.MissingDataError: the destination bucket does not exist.
    """
    moment = exchange.time.astimezone(UTC)
    name = f"{moment:%M-%S}-{moment.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl"
    root = str(config.given["DestinationS3Uri"]).rstrip("/")
    uri = Uri.parse(f"{root}/{exchange.endpoint}/{exchange.variant}/{moment:%Y/%m/%d/%H}/{name}")
    body = json.dumps(line(config, exchange, str(uuid.uuid4())), separators=(",", ":")) + "\n"
    storage.write(
        uri, body.encode(), place, kms_key_id=config.given.get("KmsKeyId"), content_type="application/octet-stream"
    )
    return uri
