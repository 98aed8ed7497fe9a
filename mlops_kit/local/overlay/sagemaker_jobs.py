"""What the rooms of training, processing and transform jobs share: finding jobs, listing them, telling of changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from moto.core.responses import ActionResult

from mlops_kit.local.compute import runtime
from mlops_kit.local.compute.environment import cloud_environment
from mlops_kit.local.compute.jobs import JobRun
from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import events, sts
from mlops_kit.local.overlay import sagemaker as sm

RUN = "mlops_kit_run"
"""Attribute of moto's job objects that holds the job's run."""

MAX_RESULTS = 100


class Run(Protocol):
    """As much of a run as lists show."""

    @property
    def name(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def created(self) -> datetime: ...
    @property
    def modified(self) -> datetime: ...
    def describe(self) -> dict[str, Any]: ...


def credentials(role: str, isolated: bool, place: Place) -> dict[str, str]:
    """The variables by which a job acts as its role in this local cloud; none for one with network isolation."""
    if isolated:
        return {}
    session = sts.service_session(role, place.account, place.partition, "SageMaker")
    return cloud_environment(runtime.current().endpoint_url, place.region, session)


def check_free(jobs: Mapping[str, Any], kind: str, name: str, place: Place) -> None:
    """``kind`` is that of the ARN, for example ``training-job``."""
    if name in jobs:
        what = kind.replace("-", " ").capitalize()
        raise sm.in_use(
            f"{what} names must be unique within an AWS account and region, and a {what.lower()} with this name "
            f"already exists ({sm.arn(kind, name, place)})"
        )


def announcing(job: Any) -> Callable[[JobRun], None]:
    """What a run of ``job`` is to call for every new status: sends the event of it."""

    def announce(run: JobRun) -> None:
        described = {**sm.echo(sm.given(job)), f"{run.kind}JobArn": job.arn, **run.describe()}
        events.emit_job_state(run.place, run.kind, str(job.arn), described)

    return announce


def find(response: Any, jobs: Mapping[str, Any], member: str) -> tuple[Any, Any]:
    """moto's object and the run of the job that the request names.

    Raises:
        ValidationException: there is none.
    """
    job = jobs.get(response._get_param(member))
    run = getattr(job, RUN, None)
    if run is None:
        raise sm.invalid("Requested resource not found.")
    return job, run


def listing(response: Any, jobs: Mapping[str, Any], kind: str, *, order: str, extra: tuple[str, ...] = ()) -> Any:
    """The answer of List…Jobs; ``order`` is the default SortOrder, ``extra`` what summaries have of a description."""
    moments = {
        f"{what}Time{side}": _aware(response._get_param(f"{what}Time{side}"))
        for what in ("Creation", "LastModified")
        for side in ("After", "Before")
    }
    found: list[tuple[Run, str]] = []
    for job in list(jobs.values()):
        run: Run | None = getattr(job, RUN, None)
        if run is not None and _matches(run, response, moments):
            found.append((run, str(job.arn)))
    keys = {"Name": lambda item: item[0].name, "Status": lambda item: item[0].status}
    found.sort(
        key=keys.get(response._get_param("SortBy") or "", lambda item: item[0].created),
        reverse=(response._get_param("SortOrder") or order) == "Descending",
    )
    start, size = _page(response)
    answer: dict[str, Any] = {f"{kind}JobSummaries": [_summary(*item, kind, extra) for item in found[start:][:size]]}
    if start + size < len(found):
        answer["NextToken"] = str(start + size)
    return ActionResult(answer)


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _page(response: Any) -> tuple[int, int]:
    size = response._get_int_param("MaxResults") or MAX_RESULTS
    token = str(response._get_param("NextToken") or "0")
    if not 1 <= size <= MAX_RESULTS:
        raise sm.invalid(f"Value '{size}' at 'maxResults' failed to satisfy constraint: from 1 to {MAX_RESULTS}")
    if not token.isdigit():
        raise sm.invalid("Invalid pagination token.")
    return int(token), size


def _matches(run: Run, response: Any, moments: Mapping[str, datetime | None]) -> bool:
    contained, status = response._get_param("NameContains"), response._get_param("StatusEquals")
    if (contained and contained not in run.name) or (status and status != run.status):
        return False
    for what, moment in (("Creation", run.created), ("LastModified", run.modified)):
        after, before = moments[f"{what}TimeAfter"], moments[f"{what}TimeBefore"]
        if (after and moment <= after) or (before and moment >= before):
            return False
    return True


def _summary(run: Run, arn: str, kind: str, extra: tuple[str, ...]) -> dict[str, Any]:
    described = run.describe()
    members = (f"{kind}JobStatus", "CreationTime", "LastModifiedTime", f"{kind}EndTime", *extra)
    shown = {name: described[name] for name in members if name in described}
    return {f"{kind}JobName": run.name, f"{kind}JobArn": arn, **shown}
