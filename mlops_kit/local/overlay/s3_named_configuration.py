"""Mends: the configurations of which a bucket has several, each with an id.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
takes intelligent tiering, metrics and      kept, listed and deleted, as they were put
analytics for something else: PUT makes a
bucket, GET lists objects
deletes the **bucket** when a               deletes the configuration
configuration is deleted, inventory too
==========================================  ===========================================================================

Nothing follows from them: no inventory is delivered, nothing changes its tier.
"""

from __future__ import annotations

from typing import Any

from moto.s3.responses import S3Response

from mlops_kit.local.overlay import guard, replies

STORED = "mlops_kit_named_configurations"
KINDS = ("intelligent-tiering", "inventory", "metrics", "analytics")


def install() -> None:
    put = guard.original(S3Response, "_bucket_response_put", "self", "request", "bucket_name", "querystring")
    get = guard.original(S3Response, "_bucket_response_get", "self", "bucket_name", "querystring")
    delete = guard.original(S3Response, "_bucket_response_delete", "self", "bucket_name", "querystring")

    def _bucket_response_put(self: Any, request: Any, bucket_name: str, querystring: dict[str, Any]) -> Any:
        stored = _stored(self, bucket_name, querystring)
        if stored is None:
            return put(self, request, bucket_name, querystring)
        stored[_id(querystring)] = bytes(self.raw_body).decode()
        return 200, {}, ""

    def _bucket_response_get(self: Any, bucket_name: str, querystring: dict[str, Any]) -> Any:
        stored = _stored(self, bucket_name, querystring)
        if stored is None:
            return get(self, bucket_name, querystring)
        if "id" in querystring:
            if _id(querystring) not in stored:
                return _absent()
            body = stored[_id(querystring)]
        else:
            items = "".join(stored[name].partition("?>")[2] or stored[name] for name in sorted(stored))
            body = f"<Configurations><IsTruncated>false</IsTruncated>{items}</Configurations>"
        return 200, {"Content-Type": "application/xml"}, body

    def _bucket_response_delete(self: Any, bucket_name: str, querystring: dict[str, Any]) -> Any:
        stored = _stored(self, bucket_name, querystring)
        if stored is None:
            return delete(self, bucket_name, querystring)
        if stored.pop(_id(querystring), None) is None:
            return _absent()
        return 204, {}, ""

    guard.replace(S3Response, "_bucket_response_put", _bucket_response_put)
    guard.replace(S3Response, "_bucket_response_get", _bucket_response_get)
    guard.replace(S3Response, "_bucket_response_delete", _bucket_response_delete)


def _stored(response: Any, bucket_name: str, querystring: dict[str, Any]) -> dict[str, str] | None:
    """The bucket's configurations of the kind that the request is about, by id; None if it is about something else."""
    kind = next((kind for kind in KINDS if kind in querystring), None)
    if kind is None:
        return None
    bucket = response.backend.get_bucket(bucket_name)
    by_kind: dict[str, dict[str, str]] = bucket.__dict__.setdefault(STORED, {})
    return by_kind.setdefault(kind, {})


def _id(querystring: dict[str, Any]) -> str:
    return str(next(iter(querystring.get("id") or []), ""))


def _absent() -> replies.Reply:
    return replies.error("s3", "", "NoSuchConfiguration", "The specified configuration does not exist.", 404)
