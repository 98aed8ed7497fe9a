"""Endpoints, and what they start with.

Terraform makes an endpoint once, with the initial model. From then on releases are rolled by `mlops-kit promote`, which
gives the endpoint another config; so Terraform ignores which config it runs, and never takes it back.

The initial model and endpoint config are written once and never changed (``ignore_changes = all``): a changed one would
be a new one, and Terraform would delete a config that the endpoint may still run. What a model file says later about
instances or capture takes effect with the next release, as it should: every change of a served model is a release.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from mlops_kit.config import Environment, Model
from mlops_kit.naming import VARIANT
from stacks import initial_model, policies
from stacks.autoscaling import Autoscaling
from stacks.bindings import (
    Construct,
    IamRole,
    IamRolePolicy,
    S3Object,
    SagemakerEndpoint,
    SagemakerEndpointAlarm,
    SagemakerEndpointCapture,
    SagemakerEndpointConfiguration,
    SagemakerEndpointVariant,
    SagemakerModel,
)
from stacks.data_lake import DataLake
from stacks.log_group import log_group
from stacks.policies import allow

METRIC_NAMESPACE = "/aws/sagemaker/Endpoints"
UPDATE_TIMEOUT_SECONDS = 3600
TERMINATION_WAIT_SECONDS = 60
"""How long the old instances stay after the traffic left them: time for the answers still on their way."""


class ServingRole(Construct):
    """The execution role of endpoints: read released models, write captured traffic, logs and metrics."""

    def __init__(
        self, scope: Construct, id_: str, *, environment: Environment, models: Sequence[Model], key_arn: str
    ) -> None:
        super().__init__(scope, id_)
        names = environment.names
        artifacts, capture = names.bucket_arn("artifacts"), names.bucket_arn("capture")
        role = IamRole(
            self,
            "role",
            name=names.role("serving"),
            description=f"Endpoints of {names.prefix}",
            assume_role_policy=policies.assumed_by_sagemaker(names),
        )
        self.role_arn: str = role.arn
        self.policy = IamRolePolicy(
            self,
            "policy",
            name="serving",
            role=role.id,
            policy=policies.document(
                allow("ReadModels", ["s3:GetObject", "s3:GetObjectVersion"], f"{artifacts}/models/*"),
                allow("FindModels", policies.LIST_BUCKET, artifacts),
                allow("CaptureTraffic", ["s3:PutObject"], f"{capture}/*"),
                allow(  # SageMaker watches the rollback alarms as the role of the model it rolls out
                    "WatchRollbackAlarms",
                    ["cloudwatch:DescribeAlarms"],
                    names.arn("cloudwatch", f"alarm:{names.prefix}-*"),
                ),
                *policies.use_key(names, key_arn),
                *policies.pull_images(names, [model.serving_image for model in models]),
                policies.write_logs([names.endpoint_log_groups], names),
                policies.put_metrics(METRIC_NAMESPACE),
            ),
        )


class Endpoint(Construct):
    """One model's endpoint with its initial model, data capture, blue/green deployment and scaling bounds."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        model: Model,
        role: ServingRole,
        lake: DataLake,
        key_arn: str,
        rollback_alarms: Sequence[Any],
    ) -> None:
        super().__init__(scope, id_)
        names = model.names(environment.names)
        artifact = initial_model.archive()
        bucket = lake.buckets["artifacts"]
        uploaded = S3Object(
            self,
            "artifact",
            bucket=bucket.id,
            key=names.initial_artifact_key,
            content_base64=base64.b64encode(artifact).decode(),
            content_type="application/gzip",
            depends_on=[bucket.versioning, bucket.encryption, bucket.policy],  # stored as everything else there is
        )
        container = {
            "image": model.serving_image,
            "model_data_url": f"s3://{environment.names.bucket('artifacts')}/{names.initial_artifact_key}",
            "environment": {
                "SAGEMAKER_PROGRAM": initial_model.ENTRY_POINT,
                "SAGEMAKER_SUBMIT_DIRECTORY": f"/opt/ml/model/{initial_model.CODE_DIRECTORY}",
            },
        }
        variant = {
            "variant_name": VARIANT,
            "initial_instance_count": model.serving.autoscaling.min_instances,
            "instance_type": model.serving.instance_type,
            "initial_variant_weight": 1,
        }
        content = json.dumps([container, variant, hashlib.sha256(artifact).hexdigest()], sort_keys=True)
        name = names.initial(hashlib.sha256(content.encode()).hexdigest())
        written_once = {"create_before_destroy": True, "ignore_changes": "all"}
        sagemaker_model = SagemakerModel(
            self,
            "initial-model",
            name=name,
            execution_role_arn=role.role_arn,
            primary_container=container,
            enable_network_isolation=True,  # it needs nothing from outside
            depends_on=[uploaded, role.policy],  # SageMaker reads the artifact with the role when the model is made
            lifecycle=written_once,
        )
        config = SagemakerEndpointConfiguration(
            self,
            "initial-config",
            name=name,
            kms_key_arn=None if model.serving.has_local_storage else key_arn,
            production_variants=[SagemakerEndpointVariant(**variant, model_name=sagemaker_model.name)],
            data_capture_config=_capture(model, names.capture_uri, key_arn),
            lifecycle=written_once,
        )
        logs = log_group(
            self,
            "logs",
            name=names.endpoint_log_group,
            key_arn=key_arn,
            keep_days=environment.retention.logs_days,
            protect=environment.protect,
        )
        endpoint = SagemakerEndpoint(
            self,
            "endpoint",
            name=names.endpoint,
            endpoint_config_name=config.name,
            deployment_config=_deployment(model, names.rollback_alarms),
            depends_on=[*rollback_alarms, logs, lake.buckets["capture"].policy],
            lifecycle={"ignore_changes": ["endpoint_config_name", "deployment_config"]},  # every release sets both
        )
        self.name: str = endpoint.name
        Autoscaling(self, "scaling", names=names, bounds=model.serving.autoscaling, endpoint=endpoint)


def _capture(model: Model, destination: str, key_arn: str) -> dict[str, Any]:
    return {
        "enable_capture": True,
        "initial_sampling_percentage": model.serving.capture_percent,
        "destination_s3_uri": destination,
        "kms_key_id": key_arn,
        "capture_options": [SagemakerEndpointCapture(capture_mode=mode) for mode in ("Input", "Output")],
        # Content types that are not named here are captured as base64.
        "capture_content_type_header": {"csv_content_types": ["text/csv"], "json_content_types": ["application/json"]},
    }


def _deployment(model: Model, alarms: Sequence[str]) -> dict[str, Any]:
    rollout = model.serving.rollout
    bake = rollout.bake_minutes * 60
    routing: dict[str, Any] = {"type": rollout.strategy.upper(), "wait_interval_in_seconds": bake}
    if rollout.strategy == "canary":
        routing["canary_size"] = {"type": "CAPACITY_PERCENT", "value": rollout.canary_percent}
    return {
        "blue_green_update_policy": {
            "traffic_routing_configuration": routing,
            "termination_wait_in_seconds": TERMINATION_WAIT_SECONDS,
            "maximum_execution_timeout_in_seconds": UPDATE_TIMEOUT_SECONDS + 2 * bake,  # a canary bakes twice
        },
        "auto_rollback_configuration": {"alarms": [SagemakerEndpointAlarm(alarm_name=alarm) for alarm in alarms]},
    }
