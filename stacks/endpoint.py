"""One model's endpoint, as it starts.

Terraform makes an endpoint once, with the initial model. From then on releases are rolled by `mlops-kit promote`, which
gives the endpoint another config; so Terraform ignores which config it runs, and never takes it back.

What a model file says later about instances or capture takes effect with the next release, as it should: every change
of a served model is a release.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlops_kit.config import Environment, Model
from stacks import endpoint_config
from stacks.autoscaling import Autoscaling
from stacks.bindings import Construct, SagemakerEndpoint, SagemakerEndpointConfiguration
from stacks.data_lake import DataLake
from stacks.first_model import WRITTEN_ONCE, FirstModel
from stacks.log_group import log_group
from stacks.network import Network
from stacks.serving_role import ServingRole
from stacks.terraform_settings import model_tags


class Endpoint(Construct):
    """The endpoint with its initial model, data capture, blue/green deployment and scaling bounds."""

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
        network: Network,
        rollback_alarms: Sequence[Any],
    ) -> None:
        super().__init__(scope, id_)
        names = model.names(environment.names)
        variant = endpoint_config.variant(model)
        first = FirstModel(
            self,
            "initial",
            environment=environment,
            model=model,
            variant=variant,
            role=role,
            lake=lake,
            network=network,
        )
        volume_key = endpoint_config.volume_key(model, key_arn)
        config = SagemakerEndpointConfiguration(
            self,
            "initial-config",
            name=first.name,
            kms_key_arn=volume_key,
            production_variants=[{**variant, "model_name": first.name}],
            data_capture_config=endpoint_config.capture(model, names, key_arn),
            async_inference_config=endpoint_config.asynchronous(model, names, key_arn),
            tags=model_tags(model),
            lifecycle=WRITTEN_ONCE,
            skip=None
            if volume_key
            else {"CKV_AWS_98": "no volume takes a key: there is none, or its disks encrypt themselves"},
        )
        logs = log_group(
            self,
            "logs",
            name=names.endpoint_log_group,
            key_arn=key_arn,
            keep_days=environment.retention.logs_days,
            protect=environment.protect,
            tags=model_tags(model),
        )
        guarded = model.serving.has_instances
        endpoint = SagemakerEndpoint(
            self,
            "endpoint",
            name=names.endpoint,
            endpoint_config_name=config.name,
            deployment_config=endpoint_config.deployment(model, names.rollback_alarms),
            tags=model_tags(model),
            depends_on=[*rollback_alarms, logs, lake.buckets["capture"].policy],
            # Every release sets both.
            lifecycle={"ignore_changes": ["endpoint_config_name", *(["deployment_config"] if guarded else [])]},
        )
        self.name: str = endpoint.name
        Autoscaling(self, "scaling", names=names, model=model, endpoint=endpoint)
