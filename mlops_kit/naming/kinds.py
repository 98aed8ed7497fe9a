"""What kinds of things there are: the words that end names."""

from __future__ import annotations

import re
from typing import Literal

BucketKind = Literal["lake", "artifacts", "capture", "ledger", "logs"]
BUCKET_KINDS: tuple[BucketKind, ...] = ("lake", "artifacts", "capture", "ledger", "logs")
ReplicatedKind = Literal["lake", "artifacts", "ledger"]
REPLICATED_KINDS: tuple[ReplicatedKind, ...] = ("lake", "artifacts", "ledger")
"""What cannot be made again: the buckets that a second region gets a copy of, if the environment wants one."""

ReplicaKind = ReplicatedKind | Literal["logs"]
"""The buckets of the second region: the copies, and the access logs of the copies."""

PersonRole = Literal["promoter", "data-scientist", "approver", "auditor"]
PERSON_ROLES: tuple[PersonRole, ...] = ("promoter", "data-scientist", "approver", "auditor")
"""What people, and CI for them, act as."""
ServiceRole = Literal["events", "schedules", "retrain", "off-hours", "replication", "flow-logs"]
SERVICE_ROLES: tuple[ServiceRole, ...] = ("events", "schedules", "retrain", "off-hours", "replication", "flow-logs")
"""What AWS services act as for an environment."""
ModelRole = Literal["training", "serving", "pipeline", "drift"]
MODEL_ROLES: tuple[ModelRole, ...] = ("training", "serving", "pipeline", "drift")
"""What SageMaker acts as for one model."""

AlarmKind = Literal[
    "errors",
    "latency",
    "latency-p50",
    "overhead",
    "cpu",
    "memory",
    "disk",
    "quiet",
    "backlog",
    "drift",
    "drift-heartbeat",
    "data-quality",
    "model-quality",
    "batch-failed",
    "training-failed",
    "pipeline-failed",
    "unhealthy",
]
ROLLBACK_ALARM_KINDS: tuple[AlarmKind, ...] = ("errors", "latency")
"""The alarms that undo a deployment while it bakes. Drift is not among them: it says nothing within minutes."""
EnvironmentAlarmKind = Literal["dead-letters", "retrain-failed"]
ENVIRONMENT_ALARM_KINDS: tuple[EnvironmentAlarmKind, ...] = ("dead-letters", "retrain-failed")

DRIFT_NAMESPACE = "MlopsKit/Drift"
QUALITY_NAMESPACE = "MlopsKit/Quality"
RELEASES_NAMESPACE = "MlopsKit/Releases"
VARIANT = "main"
"""The one production variant. A blue/green update requires that its name never changes."""
SHADOW_VARIANT = "shadow"

SHORT_HASH = 12

STAGING_PREFIX = "staging/"
"""Lake: what imports of data sets copy to before they know its digest."""

LOCKS_PREFIX = "environment/locks/"
"""Artifacts: who is changing what a model runs, one object a model."""

NETWORK_KEY = "environment/network.json"
"""Where the commands read which subnets and security groups jobs and endpoints get (artifacts bucket)."""

NAME_PATTERN = re.compile(r"^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$")
"""Projects, environments, models, data sets and refs: what is legal in every AWS name they become part of."""
