"""What a model serves before its first release: the initial model, which answers that nothing was released yet.

Written once and never changed (``ignore_changes = all``): a changed one would be a new one, and Terraform would delete
a model that an endpoint config may still name.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from mlops_kit.config import Environment, Model
from stacks import initial_model
from stacks.bindings import Construct, S3Object, SagemakerModel
from stacks.data_lake import DataLake
from stacks.network import Network
from stacks.serving_role import ServingRole
from stacks.terraform_settings import model_tags

WRITTEN_ONCE = {"create_before_destroy": True, "ignore_changes": "all"}


class FirstModel(Construct):
    """The initial model in SageMaker. ``name`` is also its endpoint config's; it tells what both are made of.

    ``variant``: how the endpoint starts; None for a model without one.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        model: Model,
        variant: Mapping[str, Any] | None,
        role: ServingRole,
        lake: DataLake,
        network: Network,
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
            tags=model_tags(model),
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
        content = json.dumps([container, variant, hashlib.sha256(artifact).hexdigest()], sort_keys=True)
        serverless = model.serving.kind == "serverless"
        made = SagemakerModel(
            self,
            "model",
            name=names.initial(hashlib.sha256(content.encode()).hexdigest()),
            execution_role_arn=role.role_arn,
            primary_container=container,
            # It needs nothing from outside.
            enable_network_isolation=None if serverless else True,
            vpc_config=None if serverless else network.vpc_config,
            tags=model_tags(model),
            depends_on=[uploaded, role.policy],  # SageMaker reads the artifact with the role when the model is made
            lifecycle=WRITTEN_ONCE,
            skip={"CKV_AWS_370": "SageMaker does not offer network isolation for serverless endpoints"}
            if serverless
            else None,
        )
        self.name: str = made.name
