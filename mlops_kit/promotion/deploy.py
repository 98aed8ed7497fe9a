"""Put a release where it answers, by its kind, and come back only when it was seen there.

==========  ===========================================  =========================================
kind        how                                          what undoes it while it bakes
==========  ===========================================  =========================================
realtime    UpdateEndpoint, blue/green with guardrails   SageMaker, by the rollback alarms
async       the same                                     the same
serverless  UpdateEndpoint; SageMaker has no guardrails  this module, by the same alarms
batch       UpdateSchedule                               nothing: the next job is hours away
==========  ===========================================  =========================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlops_kit import batch, release_requests, serving
from mlops_kit.config import Rollout
from mlops_kit.errors import DeploymentError
from mlops_kit.promotion.ledger import Release

if TYPE_CHECKING:
    from mlops_kit.promotion.execute import Deployment

LOOK_SECONDS = 10.0


def deploy(release: Release, deployment: Deployment, before: Release | None) -> None:
    """Make ``release`` what answers. ``before``: what the ledger calls current.

    Raises:
        ConflictError: somebody else is deploying.
        DeploymentError: it does not answer; what did before, does.
    """
    cloud, names = deployment.cloud, deployment.names
    serving.create_models(cloud.sagemaker, names, release.config, release.spec)
    if release.spec.kind == "batch":
        deployment.tell(f"setting the schedule {names.schedule('batch')} to {release.config}")
        batch.release(cloud.scheduler, names, release.config, release.spec)
        deployment.tell(f"verified: the next job of {names.model} uses {release.config}")
        return
    serving.create_config(cloud.sagemaker, names, release.config, release.spec)
    deployment.tell(f"deploying {release.config} to {names.endpoint}")
    running = serving.require_endpoint(cloud.sagemaker, names).config
    _update(release, deployment)
    known = before.config if before is not None else ""
    if release.spec.kind == "serverless" and deployment.rollout is not None and known != release.config:
        # If it ran already, an earlier run got this far, and did not watch to the end.
        _bake(release, deployment, deployment.rollout, running if running != release.config else known)
    deployment.tell(f"verified: {names.endpoint} runs {release.config}")


def _update(release: Release, deployment: Deployment) -> None:
    sagemaker, names = deployment.cloud.sagemaker, deployment.names
    request = release_requests.update(names, release.config, release.spec, deployment.rollout)
    serving.start_update(sagemaker, names, release.config, request)
    last = ""

    def tell_once(state: serving.EndpointState) -> None:
        nonlocal last
        if state.status != last:
            last = state.status
            deployment.tell(f"  endpoint is {state.status}")

    serving.wait(sagemaker, names, release.config, sleep=deployment.sleep, on_state=tell_once)


def _bake(release: Release, deployment: Deployment, rollout: Rollout, before: str) -> None:
    """Watch the alarms as SageMaker's guardrails would, and go back to the config ``before`` when one goes off."""
    names, seconds = deployment.names, rollout.bake_minutes * 60.0
    deployment.tell(f"  watching {', '.join(names.rollback_alarms)} for {rollout.bake_minutes} min")
    watched = 0.0
    while not (gone_off := _gone_off(deployment)) and watched < seconds:
        deployment.sleep(LOOK_SECONDS)
        watched += LOOK_SECONDS
    if not gone_off:
        return
    what = f"{release.config} made {', '.join(gone_off)} go off within {watched:.0f} s"
    if not before:
        raise DeploymentError(
            f"{what}, and nobody knows what {names.endpoint} ran before it.",
            hint=f"Go back with `mlops-kit rollback {names.model} --in {names.environment.environment}`.",
        )
    deployment.tell(f"{what}: going back to {before}")
    request: dict[str, Any] = {"EndpointName": names.endpoint, "EndpointConfigName": before}
    serving.start_update(deployment.cloud.sagemaker, names, before, request)
    serving.wait(deployment.cloud.sagemaker, names, before, sleep=deployment.sleep)
    raise DeploymentError(
        f"{what}; {names.endpoint} runs {before} again.", hint="See `mlops-kit alarms` and the endpoint's log."
    )


def _gone_off(deployment: Deployment) -> list[str]:
    """The rollback alarms that are in ALARM just now."""
    answer = deployment.cloud.cloudwatch.describe_alarms(
        AlarmNames=list(deployment.names.rollback_alarms), StateValue="ALARM"
    )
    return sorted(alarm["AlarmName"] for alarm in answer["MetricAlarms"])
