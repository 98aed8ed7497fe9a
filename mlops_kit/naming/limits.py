"""Whether every name fits what AWS allows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from mlops_kit.naming.environment import EnvironmentNames
from mlops_kit.naming.kinds import (
    BUCKET_KINDS,
    MODEL_ROLES,
    PERSON_ROLES,
    REPLICATED_KINDS,
    SERVICE_ROLES,
    ReplicaKind,
)


def check_lengths(names: EnvironmentNames, models: Iterable[str], *, replicated: bool = False) -> list[str]:
    """What is too long for AWS, in words; empty when every name fits."""
    problems: list[str] = []

    def limit(name: str, maximum: int, what: str) -> None:
        if len(name) > maximum:
            problems.append(
                f"the {what} would be named {name!r}, {len(name)} characters; AWS allows {maximum}. "
                "Shorten the project, environment or model name"
            )

    for kind in BUCKET_KINDS:
        limit(names.bucket(kind), 63, f"{kind} bucket")
    limit(names.state_bucket, 63, "state bucket")
    replicas: tuple[ReplicaKind, ...] = (*REPLICATED_KINDS, "logs") if replicated else ()
    for replica in replicas:
        limit(names.replica_bucket(replica), 63, f"{replica} bucket's replica")
    for role in (*PERSON_ROLES, *SERVICE_ROLES):
        limit(names.role(role), 64, f"{role} role")
    limit(names.deploy_role, 64, "deploy role")
    limit(names.schedule_group, 64, "schedule group")
    limit(names.retrain_machine, 80, "retraining state machine")
    limit(names.forward_rule, 64, "rule that forwards drift alarms")
    limit(names.dead_letter_queue, 80, "dead-letter queue")
    limit(names.anomaly_monitor, 50, "cost anomaly monitor")
    limit(names.anomaly_subscription, 50, "cost anomaly subscription")
    limit(names.budget, 100, "budget")
    for model in models:
        m = names.model(model)
        limit(m.package_group, 63, "model package group")
        for model_role in MODEL_ROLES:
            limit(m.role(model_role), 64, f"{model_role} role")
        for what in ("data", "drift", "training-failed", "batch-failed"):
            limit(m.rule(what), 64, f"{what} rule")
        for event in ("retraining", "drift", "batch", "stop", "start"):
            limit(m.schedule(event), 64, f"{event} schedule")
        limit(m.budget, 100, "model's budget")
        limit(m.release("0" * 64), 63, "endpoint config")
        limit(m.initial("0" * 64), 63, "initial endpoint config")
        limit(m.training_job(datetime(2000, 1, 1), "0" * 64), 63, "training job")
    return problems
