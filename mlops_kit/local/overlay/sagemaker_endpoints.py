"""Mends: SageMaker endpoints.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
an endpoint is InService at once and        model containers run (:mod:`mlops_kit.local.compute.serving`): Creating,
serves nothing                              then InService, or Failed with a reason
no UpdateEndpoint                           blue/green with canary, linear, rolling or at once; roll-back by alarm or
                                            by a container that does not come up
UpdateEndpointWeightsAndCapacities sets     keeps them
what was omitted to null
DescribeEndpoint leaves most out            pending deployment, last deployment config, images, capture, reason;
                                            shadow variants, serverless and asynchronous configuration
==========================================  ===========================================================================
"""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.sagemaker.responses import SageMakerResponse

from mlops_kit.local.compute import runtime
from mlops_kit.local.compute.capture import CaptureConfig
from mlops_kit.local.compute.fleet import FleetSpec
from mlops_kit.local.compute.rollout import InvalidDeploymentError
from mlops_kit.local.compute.serving import Endpoint, InProgressError, Retained
from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import alarms, guard, sagemaker_containers
from mlops_kit.local.overlay import sagemaker as sm

LOCAL = "mlops_kit_endpoint"


def install() -> None:
    create = guard.original(SageMakerResponse, "create_endpoint", "self")
    delete = guard.original(SageMakerResponse, "delete_endpoint", "self")
    listing = guard.original(SageMakerResponse, "list_endpoints", "self")
    guard.original(SageMakerResponse, "describe_endpoint", "self")
    guard.original(SageMakerResponse, "update_endpoint_weights_and_capacities", "self")

    def create_endpoint(self: Any) -> Any:
        place, backend = sm.place_of(self), self.sagemaker_backend
        name = sm.check_name(self._get_param("EndpointName"), "endpointName")
        with sm.lock:
            if name in backend.endpoints:
                raise sm.already_exists("endpoint", "endpoint", name, place)
            spec = fleet_spec(backend, str(self._get_param("EndpointConfigName")), place)
            result = create(self)
            endpoint = Endpoint(name, place, runtime.current(), lambda names, since: alarms.firing(place, names, since))
            setattr(backend.endpoints[name], LOCAL, endpoint)
        endpoint.create(spec, self._get_param("DeploymentConfig"))
        return result

    def describe_endpoint(self: Any) -> Any:
        moto_endpoint, endpoint = _find(self)
        return ActionResult({"EndpointName": endpoint.name, "EndpointArn": moto_endpoint.arn, **endpoint.describe()})

    def update_endpoint(self: Any) -> Any:
        place = sm.place_of(self)
        moto_endpoint, endpoint = _find(self)
        spec = fleet_spec(self.sagemaker_backend, str(self._get_param("EndpointConfigName")), place)
        if endpoint.in_progress:
            raise _in_progress(moto_endpoint)
        if endpoint.status == "Failed" or endpoint.fleet is None:
            raise sm.invalid(f'Cannot update endpoint "{moto_endpoint.arn}" in status {endpoint.status}: delete it.')
        deployment = self._get_param("DeploymentConfig")
        if spec.serverless and not endpoint.fleet.spec.serverless:
            raise sm.invalid("Updating a real-time endpoint to a serverless endpoint is not supported.")
        if deployment and (spec.serverless or endpoint.fleet.spec.serverless):
            raise sm.invalid("DeploymentConfig is not supported for serverless endpoints.")
        running = {variant.spec.name for variant in endpoint.fleet.variants}
        if deployment and running != {variant.name for variant in spec.variants}:
            raise sm.invalid(
                "A blue/green update requires that the new endpoint configuration has the production variants of the "
                f"running one: {', '.join(sorted(running))}."
            )
        excluded = {p["VariantPropertyType"] for p in self._get_param("ExcludeRetainedVariantProperties") or []}
        retained = Retained(bool(self._get_param("RetainAllVariantProperties")), frozenset(excluded))
        if self._get_param("RetainDeploymentConfig"):
            deployment = endpoint.deployment_config
        try:
            endpoint.update(spec, deployment, retained)
        except InvalidDeploymentError as exc:
            raise sm.invalid(str(exc)) from exc
        except InProgressError as exc:
            raise _in_progress(moto_endpoint) from exc
        return ActionResult({"EndpointArn": moto_endpoint.arn})

    def update_endpoint_weights_and_capacities(self: Any) -> Any:
        moto_endpoint, endpoint = _find(self)
        if endpoint.in_progress:
            raise _in_progress(moto_endpoint)
        desired = self._get_param("DesiredWeightsAndCapacities")
        names, running = [entry["VariantName"] for entry in desired], endpoint.variants()
        for name in names:
            if names.count(name) > 1:
                raise sm.invalid(f'The variant name "{name}" was non-unique within the request.')
            if name not in running:
                raise sm.invalid(
                    f'The variant name(s) "{name}" is/are not present within endpoint configuration '
                    f'"{sm.arn("endpoint-config", endpoint.config, sm.place_of(self))}".'
                )
        for entry in desired:
            if entry.get("ServerlessUpdateConfig") and running[entry["VariantName"]].serverless is None:
                raise sm.invalid(f'The variant "{entry["VariantName"]}" is not serverless.')
        for entry in desired:
            endpoint.scale(
                entry["VariantName"],
                entry.get("DesiredInstanceCount"),
                entry.get("DesiredWeight"),
                entry.get("ServerlessUpdateConfig"),
            )
        return ActionResult({"EndpointArn": moto_endpoint.arn})

    def delete_endpoint(self: Any) -> Any:
        moto_endpoint, endpoint = _find(self)
        try:
            endpoint.delete()
        except InProgressError as exc:
            raise _in_progress(moto_endpoint) from exc
        return delete(self)

    def list_endpoints(self: Any) -> Any:
        for moto_endpoint in list(self.sagemaker_backend.endpoints.values()):
            endpoint = find_running(self.sagemaker_backend, moto_endpoint.endpoint_name)
            if endpoint is None:
                continue
            moto_endpoint.endpoint_status = endpoint.status
            moto_endpoint.last_modified_time = endpoint.modified.replace(tzinfo=None)
        return listing(self)

    guard.replace(SageMakerResponse, "create_endpoint", create_endpoint)
    guard.replace(SageMakerResponse, "describe_endpoint", describe_endpoint)
    guard.replace(SageMakerResponse, "delete_endpoint", delete_endpoint)
    guard.replace(SageMakerResponse, "list_endpoints", list_endpoints)
    guard.replace(SageMakerResponse, "update_endpoint_weights_and_capacities", update_endpoint_weights_and_capacities)
    guard.add(SageMakerResponse, "update_endpoint", update_endpoint)


def _in_progress(moto_endpoint: Any) -> Exception:
    return sm.invalid(f'Cannot update in-progress endpoint "{moto_endpoint.arn}".')


def _find(response: Any) -> tuple[Any, Endpoint]:
    name = str(response._get_param("EndpointName"))
    endpoint = find_running(response.sagemaker_backend, name)
    if endpoint is None:
        raise sm.could_not_find("endpoint", "endpoint", name, sm.place_of(response))
    return response.sagemaker_backend.endpoints[name], endpoint


def find_running(backend: Any, name: str) -> Endpoint | None:
    """The endpoint of that name; None also for the instant in which moto knows it and it is not made yet."""
    return getattr(backend.endpoints.get(name), LOCAL, None)


def fleet_spec(backend: Any, config_name: str, place: Place) -> FleetSpec:
    """An endpoint config and the models it names, as serving needs them."""
    config = backend.endpoint_configs.get(config_name)
    if config is None:
        raise sm.could_not_find("endpoint configuration", "endpoint-config", config_name, place)
    request = sm.given(config)
    shadows = request.get("ShadowProductionVariants") or []
    capture = request.get("DataCaptureConfig")
    return FleetSpec(
        config=config_name,
        variants=tuple(
            sagemaker_containers.resolve(backend, variant, place) for variant in request["ProductionVariants"]
        ),
        capture=CaptureConfig(capture) if capture else None,
        shadow=sagemaker_containers.resolve(backend, shadows[0], place) if shadows else None,
        asynchronous=request.get("AsyncInferenceConfig"),
    )
