"""Mends: the events that S3 sends to EventBridge.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
one constant id, requester and sequencer;   as in S3's "EventBridge event message structure"
``reason`` and ``etag`` are other words
rules of all buses get the event            those of the default bus
an upload in parts is announced twice, and  once; not
every put as one of tags
==========================================  ===========================================================================

Delete markers are not announced: moto does not tell of them.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from moto.s3 import notifications
from moto.s3.models import s3_backends

from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import event_delivery, guard

_REASONS = {
    "s3:ObjectCreated:Put": "PutObject",
    "s3:ObjectCreated:Post": "POST Object",
    "s3:ObjectCreated:Copy": "CopyObject",
    "s3:ObjectCreated:CompleteMultipartUpload": "CompleteMultipartUpload",
    "s3:ObjectRemoved:Delete": "DeleteObject",
    "s3:ObjectRemoved:DeleteMarkerCreated": "DeleteObject",
}
"""``detail.reason`` of S3's events, by the name of the notification."""


def install() -> None:
    guard.original(notifications, "_send_event_bridge_message", "account_id", "bucket", "event_name", "key")

    def _send_event_bridge_message(account_id: str, bucket: Any, event_name: Any, key: Any) -> None:
        name = str(event_name.value)
        if not _is_no_event(account_id, bucket, name, key):
            event_delivery.publish(Place(account_id, bucket.region_name), describe(account_id, bucket, name, key))

    guard.replace(notifications, "_send_event_bridge_message", _send_event_bridge_message)


def describe(account: str, bucket: Any, name: str, key: Any) -> event_delivery.Event:
    """The event of a change of an object; ``name`` is that of the notification, ``s3:ObjectCreated:Put``."""
    versioned = getattr(bucket, "is_versioned", False) and getattr(key, "version_id", None)
    described: dict[str, Any] = {"key": key.name}
    if "ObjectRemoved" not in name:
        described |= {"size": key.size, "etag": key.etag.replace('"', "")}
    if versioned:
        described["version-id"] = key.version_id
    described["sequencer"] = f"{time.time_ns():018X}"
    detail: dict[str, Any] = {
        "version": "0",
        "bucket": {"name": bucket.name},
        "object": described,
        "request-id": uuid.uuid4().hex[:16].upper(),
        "requester": account,
        "source-ip-address": "127.0.0.1",
    }
    if reason := _REASONS.get(name):
        detail["reason"] = reason
    if "ObjectRemoved" in name:
        marker = name.endswith("DeleteMarkerCreated")
        detail["deletion-type"] = "Delete Marker Created" if marker else "Permanently Deleted"
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": notifications._detail_type(name),
        "source": "aws.s3",
        "account": account,
        "time": event_delivery.stamp(),
        "region": bucket.region_name,
        "resources": [bucket.arn],
        "detail": detail,
    }


def _is_no_event(account: str, bucket: Any, name: str, key: Any) -> bool:
    """Whether moto announces what AWS does not: a completed upload as a put as well, and no tags with every put."""
    if name == "s3:ObjectCreated:Put":
        return getattr(key, "multipart", None) is not None
    if name == "s3:ObjectTagging:Put":
        return not s3_backends[account][Place(account, bucket.region_name).partition].tagger.get_tag_dict_for_resource(
            key.arn
        )
    return False
