"""Mends: SageMaker transform jobs.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
a job is Completed at once, nothing was     the model's container transforms the input
predicted                                   (:mod:`mlops_kit.local.compute.transform`)
a name can be used twice                    ResourceInUse
a model need not exist                      it has to
no events                                   "SageMaker Transform Job State Change"
no StopTransformJob                         stops the container
lists are filtered after they were cut      before; newest first unless told, as AWS
==========================================  ===========================================================================
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.responses import SageMakerResponse

from mlops_kit.local.compute import runtime, storage
from mlops_kit.local.compute.storage import Uri
from mlops_kit.local.compute.transform import DEFAULT_PAYLOAD_MB, TransformRun
from mlops_kit.local.overlay import guard, sagemaker_containers, sagemaker_jobs
from mlops_kit.local.overlay import sagemaker as sm

KIND = "transform-job"
MAX_TOTAL_MB = 100
"""Of all concurrent requests together."""


def install() -> None:
    create = guard.original(SageMakerResponse, "create_transform_job", "self")
    for name in ("describe_transform_job", "list_transform_jobs"):
        guard.original(SageMakerResponse, name, "self")

    def create_transform_job(self: Any) -> Any:
        name = sm.check_name(self._get_param("TransformJobName"), "transformJobName")
        place, backend = sm.place_of(self), self.sagemaker_backend
        request = copy.deepcopy(dict(self._get_params()))
        _check(request)
        variant = {"VariantName": name, "ModelName": request["ModelName"]}
        with sm.lock:
            sagemaker_jobs.check_free(backend.transform_jobs, KIND, name, place)
            model = sagemaker_containers.resolve(backend, variant, place)
            result = create(self)
            job = backend.transform_jobs[name]
            run = TransformRun(
                request,
                place.acting_as(model.role),
                runtime.current(),
                model=model,
                on_change=sagemaker_jobs.announcing(job),
            )
            setattr(job, sm.GIVEN, request)
            setattr(job, sagemaker_jobs.RUN, run)
        run.start()
        return result

    def describe_transform_job(self: Any) -> Any:
        job, run = _find(self)
        return ActionResult({**sm.echo(sm.given(job)), "TransformJobArn": job.arn, **run.describe()})

    def stop_transform_job(self: Any) -> Any:
        _, run = _find(self)
        if run.final:
            raise sm.invalid(f"The request was rejected because the transform job is in status {run.status}.")
        run.stop()
        return EmptyResult()

    def list_transform_jobs(self: Any) -> Any:
        return sagemaker_jobs.listing(
            self, self.sagemaker_backend.transform_jobs, "Transform", order="Descending", extra=("FailureReason",)
        )

    guard.replace(SageMakerResponse, "create_transform_job", create_transform_job)
    guard.replace(SageMakerResponse, "describe_transform_job", describe_transform_job)
    guard.replace(SageMakerResponse, "list_transform_jobs", list_transform_jobs)
    guard.add(SageMakerResponse, "stop_transform_job", stop_transform_job)


def _find(response: Any) -> tuple[Any, TransformRun]:
    return sagemaker_jobs.find(response, response.sagemaker_backend.transform_jobs, "TransformJobName")


def _check(request: Mapping[str, Any]) -> None:
    """Refuse what AWS refuses, and what the local cloud cannot run rather than run something else."""
    given, output = request["TransformInput"], request["TransformOutput"]
    source = given["DataSource"].get("S3DataSource") or {}
    if source.get("S3DataType") not in ("S3Prefix", "ManifestFile"):
        raise sm.invalid("The local cloud transforms the objects of an S3Prefix or a ManifestFile.")
    try:
        for uri in (source["S3Uri"], output["S3OutputPath"]):
            Uri.parse(uri)
    except storage.MissingDataError as exc:
        raise sm.invalid(str(exc)) from exc
    if given.get("SplitType", "None") not in ("None", "Line"):
        raise sm.invalid(f"The local cloud splits input by Line or not at all, not by {given['SplitType']}.")
    processing = request.get("DataProcessing") or {}
    for name, nothing in (("InputFilter", "$"), ("OutputFilter", "$"), ("JoinSource", "None")):
        if processing.get(name, nothing) != nothing:
            raise sm.invalid(f"The local cloud does not filter or join: {name} of DataProcessing is not supported.")
    if (request.get("DataCaptureConfig") or {}).get("GenerateInferenceId"):
        raise sm.invalid("The local cloud does not append inference ids: GenerateInferenceId is not supported.")
    size = request.get("MaxPayloadInMB", DEFAULT_PAYLOAD_MB) * request.get("MaxConcurrentTransforms", 1)
    if size > MAX_TOTAL_MB:
        raise sm.invalid(
            f"MaxConcurrentTransforms * MaxPayloadInMB must be at most {MAX_TOTAL_MB} MB, and it is {size} MB."
        )
