"""Mends: SageMaker training jobs.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
a job is Completed at once, with invented   the team's script runs (:mod:`mlops_kit.local.compute.training`)
metrics and an artifact that is not there
a name can be used twice                    ResourceInUse
a role need not exist                       it has to, and to trust sagemaker.amazonaws.com
no StopTrainingJob                          stops the script
no events                                   "SageMaker Training Job State Change"
ListTrainingJobs does not sort, and is cut  by name, time or status, either way; newest last unless told, as AWS
before it is filtered
a spot job may wait less than it may run    ValidationException
==========================================  ===========================================================================
"""

from __future__ import annotations

import copy
import re
from datetime import UTC
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.responses import SageMakerResponse

from mlops_kit.local.compute import runtime
from mlops_kit.local.compute.training import DEFAULT_MAX_RUNTIME, TrainingRun
from mlops_kit.local.overlay import events, guard, sagemaker_jobs
from mlops_kit.local.overlay import sagemaker as sm

_CHANNEL = re.compile(r"(?!\.+$)[A-Za-z0-9.\-_]{1,64}")


def install() -> None:
    create = guard.original(SageMakerResponse, "create_training_job", "self")
    guard.original(SageMakerResponse, "describe_training_job", "self")
    guard.original(SageMakerResponse, "list_training_jobs", "self")

    def create_training_job(self: Any) -> Any:
        name = sm.check_name(self._get_param("TrainingJobName"), "trainingJobName")
        place = sm.place_of(self)
        request = copy.deepcopy(dict(self._get_params()))
        _check(request)
        role = str(request["RoleArn"])
        sm.check_role(role, place, sm.arn("training-job", name, place))
        current = runtime.current()
        isolated = bool(request.get("EnableNetworkIsolation"))
        with sm.lock:
            sagemaker_jobs.check_free(self.sagemaker_backend.training_jobs, "training-job", name, place)
            environment = sagemaker_jobs.credentials(role, isolated, place)
            result = create(self)
            job = self.sagemaker_backend.training_jobs[name]
            guard.require_attributes(
                job, "training_job_status", "secondary_status", "last_modified_time", "training_end_time"
            )
            run = TrainingRun(
                request, place.acting_as(role), current, environment, lambda changed: _mirror(changed, job)
            )
            setattr(job, sm.GIVEN, request)
            setattr(job, sagemaker_jobs.RUN, run)
        run.start()
        return result

    def describe_training_job(self: Any) -> Any:
        job, run = _find(self)
        return ActionResult({**sm.echo(sm.given(job)), "TrainingJobArn": job.arn, **run.describe()})

    def stop_training_job(self: Any) -> Any:
        _, run = _find(self)
        if run.final:
            raise sm.invalid(f"The request was rejected because the training job is in status {run.status}.")
        run.stop()
        return EmptyResult()

    def list_training_jobs(self: Any) -> Any:
        return sagemaker_jobs.listing(
            self, self.sagemaker_backend.training_jobs, "Training", order="Ascending", extra=("SecondaryStatus",)
        )

    guard.replace(SageMakerResponse, "create_training_job", create_training_job)
    guard.replace(SageMakerResponse, "describe_training_job", describe_training_job)
    guard.replace(SageMakerResponse, "list_training_jobs", list_training_jobs)
    guard.add(SageMakerResponse, "stop_training_job", stop_training_job)


def _naive(moment: Any) -> Any:
    return moment.astimezone(UTC).replace(tzinfo=None) if getattr(moment, "tzinfo", None) else moment


def _find(response: Any) -> tuple[Any, TrainingRun]:
    return sagemaker_jobs.find(response, response.sagemaker_backend.training_jobs, "TrainingJobName")


def _mirror(run: TrainingRun, job: Any) -> None:
    """Keep moto's own object right for what still reads it (lists, search, tags), and announce a new state."""
    job.training_job_status = run.status
    job.secondary_status = run.secondary_status
    job.last_modified_time = _naive(run.modified)
    job.training_end_time = _naive(run.ended)
    if run.ended is None or run.final:  # in between, the job is over and not yet said to be
        described = {**sm.echo(sm.given(job)), "TrainingJobArn": job.arn, **run.describe()}
        events.emit_job_state(run.place, "Training", job.arn, described)


def _check(request: dict[str, Any]) -> None:
    """Refuse what the local cloud cannot run, rather than run something else."""
    algorithm = request["AlgorithmSpecification"]
    modes = [algorithm.get("TrainingInputMode", "File")]
    for channel in request.get("InputDataConfig") or []:
        name = str(channel["ChannelName"])
        if not _CHANNEL.fullmatch(name):
            raise sm.invalid(f"Value '{name}' at 'channelName' failed to satisfy constraint: {_CHANNEL.pattern}")
        source = channel["DataSource"].get("S3DataSource")
        if source is None or source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
            raise sm.invalid(f"The local cloud reads channels from an S3Prefix or a ManifestFile; {name} has neither.")
        if channel.get("CompressionType", "None") != "None":
            raise sm.invalid(f"The local cloud does not decompress channels: {name} asks for it.")
        modes.append(channel.get("InputMode", "File"))
    stopping = request.get("StoppingCondition") or {}
    runtime_limit = stopping.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME)
    if request.get("EnableManagedSpotTraining") and stopping.get("MaxWaitTimeInSeconds", 0) < runtime_limit:
        raise sm.invalid(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds."
        )
    if "Pipe" in modes:
        raise sm.invalid("The local cloud has the input modes File and FastFile, not Pipe.")
