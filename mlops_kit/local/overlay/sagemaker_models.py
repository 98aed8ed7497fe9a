"""Mends: SageMaker models, endpoint configs and tags.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
DescribeModel, DescribeEndpointConfig drop  what Create was given, nothing else
parameters and answer ``{}`` for absent
creating a name twice replaces the first    refused, as AWS does
variants are only checked for their model,  as AWS does (:mod:`sagemaker_variants`); any name of an instance type
and for an instance type of 2020
a role and model data need not exist        they have to, and the role has to trust sagemaker.amazonaws.com
AddTags appends a second value of a key     replaces the value
tags of an unknown resource: HTTP 500       ValidationException
==========================================  ===========================================================================
"""

from __future__ import annotations

import re
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.models import FakeEndpointConfig, SageMakerModelBackend
from moto.sagemaker.responses import SageMakerResponse

from mlops_kit.local.compute import storage
from mlops_kit.local.overlay import guard, sagemaker_variants
from mlops_kit.local.overlay import sagemaker as sm

_INSTANCE_TYPE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9-]+")


def install() -> None:
    _install_models()
    _install_configs()
    _install_tags()


def _install_models() -> None:
    create = guard.original(SageMakerResponse, "create_model", "self")
    for name in ("describe_model", "delete_model"):
        guard.original(SageMakerResponse, name, "self")

    def create_model(self: Any) -> Any:
        name = sm.check_name(self._get_param("ModelName"), "modelName")
        _check_model(self, name)
        with sm.lock:
            if name in self.sagemaker_backend._models:
                raise sm.already_exists("model", "model", name, sm.place_of(self))
            result = create(self)
            sm.remember(self.sagemaker_backend._models[name], self)
        return result

    def describe_model(self: Any) -> Any:
        name = self._get_param("ModelName")
        model = self.sagemaker_backend._models.get(name)
        if model is None:
            raise sm.could_not_find("model", "model", name, sm.place_of(self))
        request = sm.given(model)
        return ActionResult(
            {
                "EnableNetworkIsolation": False,
                **sm.echo(request),
                "ModelName": name,
                "ModelArn": model.arn,
                "CreationTime": model.creation_time,
            }
        )

    def delete_model(self: Any) -> Any:
        name = self._get_param("ModelName")
        if self.sagemaker_backend._models.pop(name, None) is None:
            raise sm.could_not_find("model", "model", name, sm.place_of(self))
        return EmptyResult()

    guard.replace(SageMakerResponse, "create_model", create_model)
    guard.replace(SageMakerResponse, "describe_model", describe_model)
    guard.replace(SageMakerResponse, "delete_model", delete_model)


def _check_model(response: Any, name: str) -> None:
    """What AWS checks when a model is made: the role, and that the model data are there."""
    place = sm.place_of(response)
    if role := response._get_param("ExecutionRoleArn"):
        sm.check_role(str(role), place, sm.arn("model", name, place))
        place = place.acting_as(str(role))
    containers = response._get_param("Containers") or []
    for container in [response._get_param("PrimaryContainer"), *containers]:
        source = ((container or {}).get("ModelDataSource") or {}).get("S3DataSource") or {}
        url = (container or {}).get("ModelDataUrl") or source.get("S3Uri")
        if url and not storage.exists(storage.Uri.parse(url), place):
            raise sm.invalid(
                f"Could not access model data at {url}. Please ensure that the role exists, that it has "
                f'"s3:GetObject" permissions and that the object is located in {place.region}.'
            )


def _install_configs() -> None:
    create = guard.original(SageMakerResponse, "create_endpoint_config", "self")
    for name in ("describe_endpoint_config", "delete_endpoint_config"):
        guard.original(SageMakerResponse, name, "self")
    guard.original(FakeEndpointConfig, "validate_instance_type", "self", "instance_type")
    kind, what = "endpoint-config", "endpoint configuration"

    def create_endpoint_config(self: Any) -> Any:
        place = sm.place_of(self)
        name = sm.check_name(self._get_param("EndpointConfigName"), "endpointConfigName")
        sagemaker_variants.check(self.sagemaker_backend, self._get_params(), place)
        with sm.lock:
            if name in self.sagemaker_backend.endpoint_configs:
                raise sm.already_exists(what, kind, name, place)
            result = create(self)
            sm.remember(self.sagemaker_backend.endpoint_configs[name], self)
        return result

    def describe_endpoint_config(self: Any) -> Any:
        name = self._get_param("EndpointConfigName")
        config = self.sagemaker_backend.endpoint_configs.get(name)
        if config is None:
            raise sm.could_not_find(what, kind, name, sm.place_of(self))
        return ActionResult(
            {
                **sm.echo(sm.given(config)),
                "EndpointConfigName": name,
                "EndpointConfigArn": config.endpoint_config_arn,
                "CreationTime": config.creation_time,
            }
        )

    def delete_endpoint_config(self: Any) -> Any:
        name = self._get_param("EndpointConfigName")
        if self.sagemaker_backend.endpoint_configs.pop(name, None) is None:
            raise sm.could_not_find(what, kind, name, sm.place_of(self))
        return EmptyResult()

    def validate_instance_type(self: Any, instance_type: str) -> None:
        if not _INSTANCE_TYPE.fullmatch(instance_type):
            raise sm.invalid(f"Value '{instance_type}' at 'instanceType' is not an instance type.")

    guard.replace(FakeEndpointConfig, "validate_instance_type", validate_instance_type)
    guard.replace(SageMakerResponse, "create_endpoint_config", create_endpoint_config)
    guard.replace(SageMakerResponse, "describe_endpoint_config", describe_endpoint_config)
    guard.replace(SageMakerResponse, "delete_endpoint_config", delete_endpoint_config)


def _install_tags() -> None:
    find = guard.original(SageMakerModelBackend, "_get_resource_from_arn", "self", "arn")
    guard.original(SageMakerModelBackend, "add_tags", "self", "arn", "tags")

    def _get_resource_from_arn(self: Any, arn: str) -> Any:
        try:
            resource = find(self, arn)
        except (ValueError, AttributeError):
            resource = None
        if resource is None:
            raise sm.invalid(f"Could not find resource {arn}")
        return resource

    def add_tags(self: Any, arn: str, tags: list[dict[str, str]]) -> list[dict[str, str]]:
        resource = self._get_resource_from_arn(arn)
        merged = {tag["Key"]: tag["Value"] for tag in [*(resource.tags or []), *(tags or [])]}
        resource.tags = [{"Key": key, "Value": value} for key, value in merged.items()]
        updated: list[dict[str, str]] = resource.tags
        return updated

    guard.replace(SageMakerModelBackend, "_get_resource_from_arn", _get_resource_from_arn)
    guard.replace(SageMakerModelBackend, "add_tags", add_tags)
