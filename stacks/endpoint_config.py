"""An endpoint config's parts in Terraform's words, by the model's serving kind.

===============  ========  ==========  ===========================
part             realtime  serverless  async
===============  ========  ==========  ===========================
instances        yes       no          yes
data capture     yes       no          no: requests lie in S3 anyway
volume key       yes (1)   no          yes (1)
guardrails       yes       no          yes
===============  ========  ==========  ===========================

(1) but for instances with disks of their own, which encrypt themselves and refuse a key. Serverless endpoints offer
neither data capture nor VPC nor network isolation ("Feature exclusions", SageMaker's page on serverless inference), and
deployment guardrails only apply to real-time and asynchronous endpoints ("Deployment guardrails").

``mlops_kit.serving`` makes the configs of releases, from the same settings and with the same result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlops_kit.config import Model
from mlops_kit.config.serving import TERMINATION_WAIT_SECONDS
from mlops_kit.naming import VARIANT, ModelNames


def variant(model: Model) -> dict[str, Any]:
    """The one production variant; the name of its model is still to be added."""
    serving = model.serving
    common = {"variant_name": VARIANT, "initial_variant_weight": 1}
    if serving.kind == "serverless":
        limits: dict[str, Any] = {
            "memory_size_in_mb": serving.serverless.memory_mb,
            "max_concurrency": serving.serverless.max_concurrency,
        }
        if serving.serverless.provisioned_concurrency is not None:
            limits["provisioned_concurrency"] = serving.serverless.provisioned_concurrency
        return {**common, "serverless_config": limits}
    return {
        **common,
        "initial_instance_count": serving.autoscaling.min_instances,
        "instance_type": serving.instance_type,
    }


def volume_key(model: Model, key_arn: str) -> str | None:
    return key_arn if model.serving.has_instances and not model.serving.has_local_storage else None


def capture(model: Model, names: ModelNames, key_arn: str) -> dict[str, Any] | None:
    if not model.serving.is_captured:
        return None
    return {
        "enable_capture": True,
        "initial_sampling_percentage": model.serving.capture_percent,
        "destination_s3_uri": names.capture_uri,
        "kms_key_id": key_arn,
        "capture_options": [{"capture_mode": mode} for mode in ("Input", "Output")],
        # Content types that are not named here are captured as base64.
        "capture_content_type_header": {"csv_content_types": ["text/csv"], "json_content_types": ["application/json"]},
    }


def asynchronous(model: Model, names: ModelNames, key_arn: str) -> dict[str, Any] | None:
    if model.serving.kind != "async":
        return None
    return {
        "client_config": {
            "max_concurrent_invocations_per_instance": model.serving.asynchronous.concurrent_per_instance
        },
        "output_config": {
            "s3_output_path": names.answers_uri,
            "s3_failure_path": names.failures_uri,
            "kms_key_id": key_arn,
        },
    }


def deployment(model: Model, alarms: Sequence[str]) -> dict[str, Any] | None:
    """Blue/green, and back again when one of ``alarms`` goes off; None where SageMaker has no guardrails."""
    if not model.serving.has_instances:
        return None
    rollout = model.serving.rollout
    bake = rollout.bake_minutes * 60
    routing: dict[str, Any] = {"type": rollout.strategy.upper(), "wait_interval_in_seconds": bake}
    if rollout.strategy == "canary":
        routing["canary_size"] = {"type": "CAPACITY_PERCENT", "value": rollout.canary_percent}
    if rollout.strategy == "linear":
        routing["linear_step_size"] = {"type": "CAPACITY_PERCENT", "value": rollout.linear_percent}
    return {
        "blue_green_update_policy": {
            "traffic_routing_configuration": routing,
            "termination_wait_in_seconds": TERMINATION_WAIT_SECONDS,
            "maximum_execution_timeout_in_seconds": rollout.timeout_seconds,
        },
        "auto_rollback_configuration": {"alarms": [{"alarm_name": alarm} for alarm in alarms]},
    }
