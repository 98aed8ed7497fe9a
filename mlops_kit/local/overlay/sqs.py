"""Mends: attributes of SQS queues.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
setting any attribute forgets the policy    keeps it
no RedriveAllowPolicy                       kept
RedrivePolicy comes back with blanks        without, as AWS writes it: Terraform compares the text
a queue with a KMS key says that it is      SqsManagedSseEnabled is false; each of the two replaces the other
encrypted with SQS's own as well
==========================================  ===========================================================================
"""

from __future__ import annotations

import json
from typing import Any

from moto.sqs.models import Queue, SQSBackend

from mlops_kit.local.overlay import guard

REDRIVE_ALLOW = "RedriveAllowPolicy"
REMOVABLE = {"Policy", REDRIVE_ALLOW, "KmsMasterKeyId"}
"""Attributes that an empty value removes; moto knows it of RedrivePolicy itself."""


def install() -> None:
    set_attributes = guard.original(Queue, "_set_attributes", "self", "attributes", "now")
    get_attributes = guard.original(SQSBackend, "get_queue_attributes", "self", "queue_name", "attribute_names")
    if REDRIVE_ALLOW in Queue.BASE_ATTRIBUTES:
        raise guard.MotoChangedError(f"moto now has {REDRIVE_ALLOW} itself: remove the overlay's own")

    def _set_attributes(self: Any, attributes: dict[str, Any], now: float | None = None) -> None:
        given = {name: None if value == "" and name in REMOVABLE else value for name, value in attributes.items()}
        if "Policy" not in given:
            given["Policy"] = getattr(self, "policy", None)
        if given.get("KmsMasterKeyId"):
            given["SqsManagedSseEnabled"] = "false"
        elif str(given.get("SqsManagedSseEnabled")).lower() == "true":
            given["KmsMasterKeyId"] = None
        set_attributes(self, given, now)

    def get_queue_attributes(self: Any, queue_name: str, attribute_names: list[str]) -> dict[str, Any]:
        found = dict(get_attributes(self, queue_name, attribute_names))
        if found.get("RedrivePolicy"):
            found["RedrivePolicy"] = json.dumps(json.loads(found["RedrivePolicy"]), separators=(",", ":"))
        return found

    guard.replace(Queue, "_set_attributes", _set_attributes)
    guard.replace(SQSBackend, "get_queue_attributes", get_queue_attributes)
    Queue.redrive_allow_policy = None
    Queue.BASE_ATTRIBUTES = [*Queue.BASE_ATTRIBUTES, REDRIVE_ALLOW]
