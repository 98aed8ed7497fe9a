"""Every shape in which a model can be served, through the real provider: applied, planned again, changed, destroyed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mlops_kit.local.terraform import PROVIDER_VERSION, Terraform
from tests.local_cloud.support import DEV, REGION, ROLE, Server, model_archive, new_bucket, unique

SHAPES = ("serverless", "async", "shadow", "isolated")


def configuration(bucket: str, prefix: str, serverless_config: str = "serverless") -> dict[str, Any]:
    container = {
        "image": "registry/image:1",
        "model_data_url": f"s3://{bucket}/model.tar.gz",
        "environment": {
            "SAGEMAKER_PROGRAM": "inference.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        },
    }
    plain, isolated = "${aws_sagemaker_model.plain.name}", "${aws_sagemaker_model.isolated.name}"
    instances = {"variant_name": "main", "instance_type": "ml.m5.large", "initial_instance_count": 1}
    topic = "${aws_sns_topic.done.arn}"
    configs: dict[str, dict[str, Any]] = {
        "serverless": {
            "production_variants": {
                "variant_name": "main",
                "model_name": plain,
                "serverless_config": {"memory_size_in_mb": 1024, "max_concurrency": 5},
            },
        },
        "provisioned": {
            "production_variants": {
                "variant_name": "main",
                "model_name": plain,
                "serverless_config": {"memory_size_in_mb": 2048, "max_concurrency": 5, "provisioned_concurrency": 2},
            },
        },
        "async": {
            "production_variants": {**instances, "model_name": plain},
            "async_inference_config": {
                "client_config": {"max_concurrent_invocations_per_instance": 2},
                "output_config": {
                    "s3_output_path": f"s3://{bucket}/answers/",
                    "s3_failure_path": f"s3://{bucket}/failures/",
                    "notification_config": {"success_topic": topic, "error_topic": topic},
                },
            },
        },
        "shadow": {
            "production_variants": {**instances, "model_name": plain, "initial_variant_weight": 1},
            "shadow_production_variants": {
                **instances,
                "variant_name": "shadow",
                "model_name": plain,
                "initial_variant_weight": 0.5,
            },
        },
        "isolated": {"production_variants": {**instances, "model_name": isolated}},
    }
    return {
        "terraform": {"required_providers": {"aws": {"source": "hashicorp/aws", "version": PROVIDER_VERSION}}},
        "provider": {"aws": {"region": REGION, "max_retries": 3, "s3_use_path_style": True}},
        "resource": {
            "aws_sns_topic": {"done": {"name": f"{prefix}-done"}},
            "aws_sagemaker_model": {
                "plain": {"name": f"{prefix}-plain", "execution_role_arn": ROLE, "primary_container": container},
                "isolated": {
                    "name": f"{prefix}-isolated",
                    "execution_role_arn": ROLE,
                    "primary_container": container,
                    "enable_network_isolation": True,
                    "vpc_config": {"security_group_ids": ["sg-12345678"], "subnets": ["subnet-12345678"]},
                    "tags": {"Owner": "ml@example.com"},
                },
            },
            "aws_sagemaker_endpoint_configuration": {
                name: {"name": f"{prefix}-{name}", **config} for name, config in configs.items()
            },
            "aws_sagemaker_endpoint": {
                name: {
                    "name": f"{prefix}-{name}",
                    "endpoint_config_name": "${aws_sagemaker_endpoint_configuration.%s.name}"
                    % (serverless_config if name == "serverless" else name),
                }
                for name in SHAPES
            },
        },
    }


def test_every_shape_applies_and_needs_no_second_plan(server: Server, tmp_path: Path) -> None:
    bucket, prefix = new_bucket(server), unique("tf")
    server.client("s3").put_object(Bucket=bucket, Key="model.tar.gz", Body=model_archive("1"))
    sagemaker, stack = server.client("sagemaker"), tmp_path / "stack"
    stack.mkdir()
    terraform = Terraform.find(
        tmp_path,
        {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        | {
            "AWS_ENDPOINT_URL": server.url,
            "AWS_ACCESS_KEY_ID": DEV,
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_EC2_METADATA_DISABLED": "true",
        },
    )

    def apply(**changes: str) -> None:
        (stack / "main.tf.json").write_text(json.dumps(configuration(bucket, prefix, **changes)))
        terraform.apply(stack)
        assert terraform.has_changes(stack) is None

    def endpoint(name: str) -> dict[str, Any]:
        return dict(sagemaker.describe_endpoint(EndpointName=f"{prefix}-{name}"))

    (stack / "main.tf.json").write_text(json.dumps(configuration(bucket, prefix)))
    terraform.init(stack)
    apply()
    assert {endpoint(name)["EndpointStatus"] for name in SHAPES} == {"InService"}
    assert endpoint("async")["AsyncInferenceConfig"]["ClientConfig"] == {"MaxConcurrentInvocationsPerInstance": 2}
    assert endpoint("shadow")["ShadowProductionVariants"][0]["VariantName"] == "shadow"
    apply(serverless_config="provisioned")
    [variant] = endpoint("serverless")["ProductionVariants"]
    assert variant["CurrentServerlessConfig"]["ProvisionedConcurrency"] == 2
    terraform.destroy(stack)
    for left in (
        sagemaker.list_endpoints(NameContains=prefix)["Endpoints"],
        sagemaker.list_endpoint_configs(NameContains=prefix)["EndpointConfigs"],
        [model for model in sagemaker.list_models()["Models"] if model["ModelName"].startswith(prefix)],
    ):
        assert left == []
