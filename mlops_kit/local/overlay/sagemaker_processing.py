"""Mends: SageMaker processing jobs.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
a job is Completed at once, nothing ran     the container's command runs (:mod:`mlops_kit.local.compute.processing`)
resources and environment are forgotten     Describe answers with what Create was given
a name can be used twice                    ResourceInUse
no events                                   "SageMaker Processing Job State Change"
a role need not exist                       it has to, and to trust sagemaker.amazonaws.com
StopProcessingJob stops what has ended      ValidationException
lists are filtered after they were cut      before
==========================================  ===========================================================================
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.responses import SageMakerResponse

from mlops_kit.local.compute import paths, runtime
from mlops_kit.local.compute.processing import DEFAULT_MAX_RUNTIME, ProcessingRun
from mlops_kit.local.overlay import guard, sagemaker_jobs
from mlops_kit.local.overlay import sagemaker as sm

KIND = "processing-job"
LOCAL_ROOT = "/opt/ml/processing/"


def install() -> None:
    create = guard.original(SageMakerResponse, "create_processing_job", "self")
    for name in ("describe_processing_job", "stop_processing_job", "list_processing_jobs"):
        guard.original(SageMakerResponse, name, "self")

    def create_processing_job(self: Any) -> Any:
        name = sm.check_name(self._get_param("ProcessingJobName"), "processingJobName")
        place, jobs = sm.place_of(self), self.sagemaker_backend.processing_jobs
        request = copy.deepcopy(dict(self._get_params()))
        request.setdefault("StoppingCondition", {"MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME})
        _check(request)
        role, arn = str(request["RoleArn"]), sm.arn(KIND, name, place)
        sm.check_role(role, place, arn)
        isolated = bool((request.get("NetworkConfig") or {}).get("EnableNetworkIsolation"))
        with sm.lock:
            sagemaker_jobs.check_free(jobs, KIND, name, place)
            result = create(self)
            run = ProcessingRun(
                request,
                place.acting_as(role),
                runtime.current(),
                arn=arn,
                credentials=sagemaker_jobs.credentials(role, isolated, place),
                on_change=sagemaker_jobs.announcing(jobs[name]),
            )
            setattr(jobs[name], sm.GIVEN, request)
            setattr(jobs[name], sagemaker_jobs.RUN, run)
        run.start()
        return result

    def describe_processing_job(self: Any) -> Any:
        job, run = _find(self)
        return ActionResult({**sm.echo(sm.given(job)), "ProcessingJobArn": job.arn, **run.describe()})

    def stop_processing_job(self: Any) -> Any:
        _, run = _find(self)
        if run.final:
            raise sm.invalid(f"The request was rejected because the processing job is in status {run.status}.")
        run.stop()
        return EmptyResult()

    def list_processing_jobs(self: Any) -> Any:
        return sagemaker_jobs.listing(
            self,
            self.sagemaker_backend.processing_jobs,
            "Processing",
            order="Ascending",
            extra=("FailureReason", "ExitMessage"),
        )

    guard.replace(SageMakerResponse, "create_processing_job", create_processing_job)
    guard.replace(SageMakerResponse, "describe_processing_job", describe_processing_job)
    guard.replace(SageMakerResponse, "stop_processing_job", stop_processing_job)
    guard.replace(SageMakerResponse, "list_processing_jobs", list_processing_jobs)


def _find(response: Any) -> tuple[Any, ProcessingRun]:
    return sagemaker_jobs.find(response, response.sagemaker_backend.processing_jobs, "ProcessingJobName")


def _check(request: dict[str, Any]) -> None:
    """Refuse what AWS refuses, and what the local cloud cannot run rather than run something else."""
    if not request["AppSpecification"].get("ContainerEntrypoint"):
        raise sm.invalid("The local cloud does not run container images: a processing job needs a ContainerEntrypoint.")
    for given in request.get("ProcessingInputs") or []:
        source = given.get("S3Input")
        if source is None:
            raise sm.invalid(f"The local cloud reads processing inputs from S3; {given['InputName']} has no S3Input.")
        if given.get("AppManaged"):
            continue
        if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
            raise sm.invalid(f"The local cloud reads an S3Prefix or a ManifestFile, not {source['S3DataType']}.")
        if source.get("S3InputMode", "File") != "File" or source.get("S3CompressionType", "None") != "None":
            raise sm.invalid(f"The local cloud has the input mode File without compression: {given['InputName']}.")
        _check_local_path(source.get("LocalPath"))
    for given in (request.get("ProcessingOutputConfig") or {}).get("Outputs") or []:
        if given.get("S3Output") is None:
            raise sm.invalid(f"The local cloud writes processing outputs to S3: {given['OutputName']} has no S3Output.")
        if not given.get("AppManaged"):
            _check_local_path(given["S3Output"].get("LocalPath"))


def _check_local_path(path: Any) -> None:
    text = str(path or "")
    try:
        inside = text.startswith(LOCAL_ROOT) and paths.locate(text, Path("/base")).is_relative_to("/base/processing")
    except paths.OutsideError:
        inside = False
    if not inside:
        raise sm.invalid(f"LocalPath must be an absolute path and must begin with {LOCAL_ROOT}: {text!r}")
