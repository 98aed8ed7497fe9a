"""Mends: bucket configuration comes back as it was put.

moto parses lifecycle, notification and replication configuration into objects and writes different XML from them: the
EventBridge element and several filters get lost, and Terraform's provider waits for minutes for what it put to appear.
Here moto still parses, for its checks and for the events it sends, but GET answers with the XML that was put.
"""

from __future__ import annotations

from typing import Any

from moto.s3.responses import S3Response

from mlops_kit.local.overlay import guard

STORED = "mlops_kit_configuration"
KINDS = ("lifecycle", "notification", "replication")
MINIMUM_SIZE = "x-amz-transition-default-minimum-object-size"


def install() -> None:
    put = guard.original(S3Response, "_bucket_response_put", "self", "request", "bucket_name", "querystring")
    get = guard.original(S3Response, "_bucket_response_get", "self", "bucket_name", "querystring")
    delete = guard.original(S3Response, "_bucket_response_delete", "self", "bucket_name", "querystring")

    def _bucket_response_put(self: Any, request: Any, bucket_name: str, querystring: dict[str, Any]) -> Any:
        answer = put(self, request, bucket_name, querystring)
        kind = _kind(querystring)
        if kind is not None:
            minimum = request.headers.get(MINIMUM_SIZE) or "all_storage_classes_128K"
            stored = _stored(self.backend.get_bucket(bucket_name))
            stored[kind] = (bytes(self.raw_body), {MINIMUM_SIZE: minimum} if kind == "lifecycle" else {})
            return 200, dict(stored[kind][1]), ""
        return answer

    def _bucket_response_get(self: Any, bucket_name: str, querystring: dict[str, Any]) -> Any:
        answer = get(self, bucket_name, querystring)
        kind = _kind(querystring)
        found = _stored(self.backend.get_bucket(bucket_name)).get(kind) if kind is not None else None
        if found is not None:
            body, headers = found
            return 200, {**headers, "Content-Type": "application/xml"}, body.decode()
        return answer

    def _bucket_response_delete(self: Any, bucket_name: str, querystring: dict[str, Any]) -> Any:
        answer = delete(self, bucket_name, querystring)
        kind = _kind(querystring)
        if kind is not None:
            _stored(self.backend.get_bucket(bucket_name)).pop(kind, None)
        return answer

    guard.replace(S3Response, "_bucket_response_put", _bucket_response_put)
    guard.replace(S3Response, "_bucket_response_get", _bucket_response_get)
    guard.replace(S3Response, "_bucket_response_delete", _bucket_response_delete)


def _kind(querystring: dict[str, Any]) -> str | None:
    return next((kind for kind in KINDS if kind in querystring), None)


def _stored(bucket: Any) -> dict[str, tuple[bytes, dict[str, str]]]:
    found: dict[str, tuple[bytes, dict[str, str]]] = bucket.__dict__.setdefault(STORED, {})
    return found
