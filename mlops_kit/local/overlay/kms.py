"""Mends: replicas of multi-region KMS keys, and their rotation.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
primary and replica share one description   each says what it is: PRIMARY or REPLICA
of themselves, so the primary becomes a
replica
a replica has the primary's policy,         the ones that ReplicateKey was given
description and grants, and no tags
a key that is not multi-region, or already  UnsupportedOperationException, AlreadyExistsException
has a replica there, is replicated
RotationPeriodInDays is forgotten           kept; 365 unless given
==========================================  ===========================================================================
"""

from __future__ import annotations

import json
from copy import copy
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.core.utils import unix_time
from moto.kms.models import KmsBackend, kms_backends
from moto.kms.responses import KmsResponse

from mlops_kit.local.overlay import guard

ROTATION_DAYS = "mlops_kit_rotation_days"


def install() -> None:
    enable = guard.original(KmsResponse, "enable_key_rotation", "self")
    status = guard.original(KmsResponse, "get_key_rotation_status", "self")
    guard.original(KmsResponse, "replicate_key", "self")
    guard.original(KmsBackend, "replicate_key", "self", "key_id", "replica_region")

    def replicate_key(self: Any) -> str:
        key_id, region = self._get_param("KeyId"), self._get_param("ReplicaRegion")
        self._validate_key_id(key_id)
        primary = _key(self)
        replica = _replica(primary, region)
        replica.description = self._get_param("Description") or ""
        replica.policy = self._get_param("Policy") or replica.generate_default_policy()
        backend = kms_backends[primary.account_id][region]
        backend.keys[replica.id] = replica
        if tags := self._get_param("Tags"):
            backend.tagger.tag_resource(replica.id, tags)
        return json.dumps(
            {
                "ReplicaKeyMetadata": replica.to_dict()["KeyMetadata"],
                "ReplicaPolicy": replica.policy,
                "ReplicaTags": tags or [],
            }
        )

    def enable_key_rotation(self: Any) -> str:
        answer = enable(self)
        setattr(_key(self), ROTATION_DAYS, self._get_param("RotationPeriodInDays") or 365)
        return str(answer)

    def get_key_rotation_status(self: Any) -> str:
        answer = json.loads(status(self))
        if answer["KeyRotationEnabled"]:
            answer["RotationPeriodInDays"] = getattr(_key(self), ROTATION_DAYS, 365)
        return json.dumps(answer)

    guard.replace(KmsResponse, "replicate_key", replicate_key)
    guard.replace(KmsResponse, "enable_key_rotation", enable_key_rotation)
    guard.replace(KmsResponse, "get_key_rotation_status", get_key_rotation_status)


def _key(response: Any) -> Any:
    return response.kms_backend.keys[response.kms_backend.any_id_to_key_id(response._get_param("KeyId"))]


def _replica(primary: Any, region: str) -> Any:
    guard.require_attributes(primary, "multi_region", "aliases", "grants", "rotations", "deletion_date", "key_state")
    if not primary.multi_region or primary.multi_region_configuration["MultiRegionKeyType"] != "PRIMARY":
        raise JsonRESTError("UnsupportedOperationException", f"{primary.arn} is not a multi-Region primary key.")
    known = primary.multi_region_configuration
    if primary.id in kms_backends[primary.account_id][region].keys:
        raise JsonRESTError("AlreadyExistsException", f"{primary.id} already exists in {region}.")
    replica = copy(primary)
    replica.region, replica.arn = region, primary.arn.replace(f":{primary.region}:", f":{region}:")
    replica.creation_date, replica.deletion_date = unix_time(), None
    replica.enabled, replica.key_state = True, "Enabled"
    replica.aliases, replica.grants, replica.rotations = {}, {}, []
    known["ReplicaKeys"].append({"Arn": replica.arn, "Region": region})  # one list, which all of them show
    replica.multi_region_configuration = {**known, "MultiRegionKeyType": "REPLICA"}
    return replica
