"""Endpoints, registries of models and images, pipelines, and what scales."""

from __future__ import annotations

from mlops_kit.naming import EnvironmentNames
from stacks.deploy_permissions.scope import of
from stacks.policies import Statement, allow


def sagemaker(names: EnvironmentNames) -> list[Statement]:
    kinds = ("endpoint", "endpoint-config", "model", "model-package-group", "pipeline")
    return [
        allow(
            "ManageSageMaker",
            of(
                "sagemaker",
                "AddTags",
                "CreateEndpoint",
                "CreateEndpointConfig",
                "CreateModel",
                "CreateModelPackageGroup",
                "CreatePipeline",
                "DeleteEndpoint",
                "DeleteEndpointConfig",
                "DeleteModel",
                "DeleteModelPackageGroupPolicy",
                "DeletePipeline",
                "DeleteTags",
                "DescribeEndpoint",
                "DescribeEndpointConfig",
                "DescribeModel",
                "DescribeModelPackageGroup",
                "DescribePipeline",
                "GetModelPackageGroupPolicy",
                "ListTags",
                "PutModelPackageGroupPolicy",
                "UpdateEndpoint",
                "UpdateEndpointWeightsAndCapacities",  # checked when the scalable target is registered
                "UpdatePipeline",
            ),
            [names.arn("sagemaker", f"{kind}/{names.prefix}-*") for kind in kinds],
        )
    ]


def scaling(names: EnvironmentNames) -> list[Statement]:
    return [
        allow(  # AWS invents a scalable target's id; the namespace leaves SageMaker's alone
            "ScaleEndpoints",
            of(
                "application-autoscaling",
                "DeleteScalingPolicy",
                "DeleteScheduledAction",
                "DeregisterScalableTarget",
                "ListTagsForResource",
                "PutScalingPolicy",
                "PutScheduledAction",
                "RegisterScalableTarget",
                "TagResource",
                "UntagResource",
            ),
            names.arn("application-autoscaling", "scalable-target/*"),
        ),
        allow(
            "FindScaling",
            of(
                "application-autoscaling",
                "DescribeScalableTargets",
                "DescribeScalingPolicies",
                "DescribeScheduledActions",
            ),
            "*",
        ),
    ]


def images(names: EnvironmentNames) -> list[Statement]:
    return [
        allow(
            "ManageRepositories",
            of(
                "ecr",
                "CreateRepository",
                "DeleteLifecyclePolicy",
                "DeleteRepositoryPolicy",
                "DescribeRepositories",
                "GetLifecyclePolicy",
                "GetRepositoryPolicy",
                "ListTagsForResource",
                "PutImageScanningConfiguration",
                "PutImageTagMutability",
                "PutLifecyclePolicy",
                "SetRepositoryPolicy",
                "TagResource",
                "UntagResource",
            ),
            names.arn("ecr", f"repository/{names.project}/*"),
        ),
        allow(  # an account has one registry
            "ManageRegistry",
            of(
                "ecr",
                "DeleteRegistryPolicy",
                "DescribeRegistry",
                "GetRegistryPolicy",
                "PutRegistryPolicy",
                "PutReplicationConfiguration",
            ),
            "*",
        ),
    ]
