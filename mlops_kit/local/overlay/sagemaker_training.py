"""Mends: SageMaker training jobs.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
a job is Completed at once, with invented   the team's script runs (:mod:`mlops_kit.local.compute.training`)
metrics and an artifact that is not there
a name can be used twice                    ResourceInUse
a role need not exist                       it has to, and to trust sagemaker.amazonaws.com
no StopTrainingJob                          stops the script
ListTrainingJobs does not sort              by name, time or status, either way; newest last unless told, as AWS
==========================================  ===========================================================================
"""

from __future__ import annotations

import copy
import re
from datetime import UTC
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.models import FakeTrainingJob, SageMakerModelBackend
from moto.sagemaker.responses import SageMakerResponse

from mlops_kit.local.compute import runtime
from mlops_kit.local.compute.environment import cloud_environment
from mlops_kit.local.compute.training import TrainingRun
from mlops_kit.local.overlay import guard, sts
from mlops_kit.local.overlay import sagemaker as sm

RUN = "mlops_kit_run"
_CHANNEL = re.compile(r"(?!\.+$)[A-Za-z0-9.\-_]{1,64}")


def install() -> None:
    create = guard.original(SageMakerResponse, "create_training_job", "self")
    guard.original(SageMakerResponse, "describe_training_job", "self")
    listing = guard.original(
        SageMakerModelBackend,
        "list_training_jobs",
        *("self", "next_token", "max_results", "creation_time_after", "creation_time_before"),
        *("last_modified_time_after", "last_modified_time_before", "name_contains", "status_equals"),
    )
    guard.original(SageMakerResponse, "list_training_jobs", "self")

    def create_training_job(self: Any) -> Any:
        name = sm.check_name(self._get_param("TrainingJobName"), "trainingJobName")
        place = sm.place_of(self)
        request = copy.deepcopy(dict(self._get_params()))
        _check(request)
        role = str(request["RoleArn"])
        sm.check_role(role, place, sm.arn("training-job", name, place))
        current = runtime.current()
        environment: dict[str, str] = {}
        if not request.get("EnableNetworkIsolation"):
            session = sts.service_session(role, place.account, place.partition, "SageMaker")
            environment = cloud_environment(current.endpoint_url, place.region, session)
        with sm.lock:
            if name in self.sagemaker_backend.training_jobs:
                raise sm.in_use(
                    "Training job names must be unique within an AWS account and region, and a training job with this "
                    f"name already exists ({sm.arn('training-job', name, place)})"
                )
            result = create(self)
            job = self.sagemaker_backend.training_jobs[name]
            guard.require_attributes(
                job, "training_job_status", "secondary_status", "last_modified_time", "training_end_time"
            )
            run = TrainingRun(request, place, current, environment, lambda changed: _mirror(changed, job))
            setattr(job, sm.GIVEN, request)
            setattr(job, RUN, run)
        run.start()
        return result

    def describe_training_job(self: Any) -> Any:
        job = _find(self)
        run: TrainingRun = getattr(job, RUN)
        return ActionResult({**sm.echo(sm.given(job)), "TrainingJobArn": job.arn, **run.describe()})

    def stop_training_job(self: Any) -> Any:
        run: TrainingRun = getattr(_find(self), RUN)
        if run.final:
            raise sm.invalid(f"The request was rejected because the training job is in status {run.status}.")
        run.stop()
        return EmptyResult()

    def list_training_jobs(self: Any) -> Any:
        jobs = self.sagemaker_backend.training_jobs
        keys = {"Name": "training_job_name", "Status": "training_job_status"}
        attribute = keys.get(self._get_param("SortBy"), "creation_time")
        descending = self._get_param("SortOrder") == "Descending"
        ordered = sorted(jobs.items(), key=lambda item: getattr(item[1], attribute), reverse=descending)
        view = copy.copy(self.sagemaker_backend)
        view.training_jobs = dict(ordered)
        result = listing(
            view,
            self._get_param("NextToken"),
            self._get_int_param("MaxResults"),
            *(_naive(self._get_param(f"CreationTime{side}")) for side in ("After", "Before")),
            *(_naive(self._get_param(f"LastModifiedTime{side}")) for side in ("After", "Before")),
            self._get_param("NameContains"),
            self._get_param("StatusEquals"),
        )
        return ActionResult(result)

    guard.replace(SageMakerResponse, "create_training_job", create_training_job)
    guard.replace(SageMakerResponse, "describe_training_job", describe_training_job)
    guard.replace(SageMakerResponse, "list_training_jobs", list_training_jobs)
    guard.add(SageMakerResponse, "stop_training_job", stop_training_job)


def _naive(moment: Any) -> Any:
    return moment.astimezone(UTC).replace(tzinfo=None) if getattr(moment, "tzinfo", None) else moment


def _find(response: Any) -> Any:
    job = response.sagemaker_backend.training_jobs.get(response._get_param("TrainingJobName"))
    if not isinstance(job, FakeTrainingJob) or not hasattr(job, RUN):
        raise sm.invalid("Requested resource not found.")
    return job


def _mirror(run: TrainingRun, job: Any) -> None:
    """Keep moto's own object right for what still reads it: lists, search, tags."""
    job.training_job_status = run.status
    job.secondary_status = run.secondary_status
    job.last_modified_time = _naive(run.modified)
    job.training_end_time = _naive(run.ended)


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
    if "Pipe" in modes:
        raise sm.invalid("The local cloud has the input modes File and FastFile, not Pipe.")
