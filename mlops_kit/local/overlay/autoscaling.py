"""Mends: Application Auto Scaling.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
no tag operations, which Terraform's        implemented
provider calls after every change
no provisioned concurrency of serverless    a dimension like others
endpoints
==========================================  ===========================================================================

Scaling itself is only accepted: nothing scales here.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import Any

from moto.applicationautoscaling import models, responses
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse

from mlops_kit.local.overlay import guard

TAGS = "mlops_kit_tags"
PROVISIONED_CONCURRENCY = "sagemaker:variant:DesiredProvisionedConcurrency"


def install() -> None:
    _add_dimension(PROVISIONED_CONCURRENCY)
    register = guard.original(ApplicationAutoScalingResponse, "register_scalable_target", "self")

    def register_scalable_target(self: Any) -> Any:
        answer = register(self)
        if tags := self._get_param("Tags"):
            _tags(self)[json.loads(answer)["ScalableTargetARN"]] = dict(tags)
        return answer

    def list_tags_for_resource(self: Any) -> Any:
        return json.dumps({"Tags": _tags(self).get(self._get_param("ResourceARN"), {})})

    def tag_resource(self: Any) -> Any:
        _tags(self).setdefault(self._get_param("ResourceARN"), {}).update(self._get_param("Tags"))
        return json.dumps({})

    def untag_resource(self: Any) -> Any:
        tags = _tags(self).get(self._get_param("ResourceARN"), {})
        for key in self._get_param("TagKeys"):
            tags.pop(key, None)
        return json.dumps({})

    guard.replace(ApplicationAutoScalingResponse, "register_scalable_target", register_scalable_target)
    guard.add(ApplicationAutoScalingResponse, "list_tags_for_resource", list_tags_for_resource)
    guard.add(ApplicationAutoScalingResponse, "tag_resource", tag_resource)
    guard.add(ApplicationAutoScalingResponse, "untag_resource", untag_resource)


def _add_dimension(value: str) -> None:
    known = {member.name: member.value for member in models.ScalableDimensionValueSet}
    if value in known.values():
        raise guard.MotoChangedError(f"moto now has the dimension {value} itself: remove the overlay's own")
    members = {**known, "SAGEMAKER_VARIANT_PROVISIONED_CONCURRENCY": value}
    extended = Enum("ScalableDimensionValueSet", members)  # type: ignore[misc]  # known only when it runs
    for module in (models, responses):
        setattr(module, extended.__name__, extended)


def _tags(response: Any) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = response.applicationautoscaling_backend.__dict__.setdefault(TAGS, {})
    return found
