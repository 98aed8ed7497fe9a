"""Put a release where it answers, by its kind, and come back only when it was seen there, and answers.

==========  ===========================================  =========================================
kind        how                                          what undoes it while it bakes
==========  ===========================================  =========================================
realtime    UpdateEndpoint, blue/green with guardrails   SageMaker, by the rollback alarms
async       the same                                     the same
serverless  UpdateEndpoint; SageMaker has no guardrails  this module, by the same alarms
batch       UpdateSchedule                               nothing: the next job is hours away
==========  ===========================================  =========================================

A release that runs but fails its smoke request is undone by this module as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_kit import batch, release_requests, serving
from mlops_kit.config import Rollout
from mlops_kit.errors import DeploymentError
from mlops_kit.promotion import smoke
from mlops_kit.promotion.events import Release
from mlops_kit.promotion.lock import Held
from mlops_kit.promotion.watch import read_alarms, until_it_runs

if TYPE_CHECKING:
    from mlops_kit.promotion.execute import Deployment

LOOK_SECONDS = 10.0


def deploy(release: Release, deployment: Deployment, before: Release | None, held: Held) -> bool:
    """Make ``release`` what answers. ``before``: what the ledger calls current.

    False: it is on its way, and nobody is to wait for it. Run again, it goes on from there; and where a parked lock
    says that the update was begun, none is begun again: if the endpoint does not run it, SageMaker went back.

    Raises:
        ConflictError: somebody else is deploying.
        DeploymentError: it does not answer; what did before, does.
    """
    cloud, names = deployment.cloud, deployment.names
    serving.make(cloud.sagemaker, names, release.config, release.spec)
    if release.spec.kind == "batch":
        deployment.tell(f"setting the schedule {names.schedule('batch')} to {release.config}")
        held.check()
        batch.release(cloud.scheduler, names, release.config, release.spec)
        deployment.tell(f"verified: the next job of {names.model} uses {release.config}")
        return True
    _begin(release, deployment, before, held)
    if not deployment.wait and serving.require_endpoint(cloud.sagemaker, names).busy:
        return False
    until_it_runs(cloud, names, release.config, now=deployment.now, sleep=deployment.sleep, tell=deployment.tell)
    if before is None or before.config != release.config:  # else it was tried before it was recorded
        _try(release, deployment, before.config if before is not None else held.holder.ran, held)
    deployment.tell(f"verified: {names.endpoint} runs {release.config}")
    return True


def _begin(release: Release, deployment: Deployment, before: Release | None, held: Held) -> None:
    """Begin the update, unless an earlier run has."""
    sagemaker, names = deployment.cloud.sagemaker, deployment.names
    if held.took_over is not None and held.took_over.parked == release.config:
        deployment.tell(f"{release.config} was on its way to {names.endpoint}: going on from there")
        return
    deployment.tell(f"deploying {release.config} to {names.endpoint}")
    request = release_requests.update(names, release.config, release.spec, deployment.rollout)

    def check(state: serving.EndpointState) -> None:
        if before is None and _is_tried(release, deployment):
            held.renew(deployment.now(), ran=state.config)
        else:
            held.check()

    def outwait(state: serving.EndpointState) -> None:
        to = f" to {state.pending}" if state.pending else ""
        deployment.tell(f"{names.endpoint} is {state.status}{to}, and cannot be updated before that ends: waiting")
        serving.rest(sagemaker, names, sleep=deployment.sleep)
        held.check()

    if deployment.patient:
        # A rollback has taken the lock a moment ago, and is in a hurry: it looks at it again only if it had to wait.
        serving.start_update(sagemaker, names, release.config, request, on_busy=outwait)
    else:
        serving.start_update(sagemaker, names, release.config, request, check=check)


def _is_tried(release: Release, deployment: Deployment) -> bool:
    """Whether it is this module that sends the endpoint back, should the release be no good."""
    return deployment.smoke is not None or (release.spec.kind == "serverless" and deployment.rollout is not None)


def _try(release: Release, deployment: Deployment, before: str, held: Held) -> None:
    """Ask the release the smoke request; where SageMaker has no guardrails, watch it for as long as it bakes."""
    if deployment.smoke is not None:
        wrong = smoke.send(deployment.cloud.runtime, deployment.names, deployment.smoke)
        if wrong:
            _go_back(release, deployment, before, held, f"{release.config} failed its smoke request: {wrong}")
        deployment.tell("  the smoke request was answered as expected")
    if release.spec.kind == "serverless" and deployment.rollout is not None:
        _bake(release, deployment, deployment.rollout, before, held)


def _bake(release: Release, deployment: Deployment, rollout: Rollout, before: str, held: Held) -> None:
    """Watch the alarms as SageMaker's guardrails would, and go back to the config ``before`` when one goes off."""
    names, seconds = deployment.names, rollout.bake_minutes * 60.0
    deployment.tell(f"  watching {', '.join(names.rollback_alarms)} for {rollout.bake_minutes} min")
    watched = 0.0
    while not (gone_off := _gone_off(deployment)) and watched < seconds:
        deployment.sleep(LOOK_SECONDS)
        watched += LOOK_SECONDS
    if gone_off:
        what = f"{release.config} made {', '.join(gone_off)} go off within {watched:.0f} s"
        _go_back(release, deployment, before, held, what)


def _go_back(release: Release, deployment: Deployment, before: str, held: Held, what: str) -> None:
    names = deployment.names
    if not before:
        raise DeploymentError(
            f"{what}, and nobody knows what {names.endpoint} ran before it.",
            hint=f"Go back with `mlops-kit rollback {names.model} --in {names.environment.environment}`.",
        )
    deployment.tell(f"{what}: going back to {before}")
    # At once, and come what may: what runs now is known to be bad.
    request = release_requests.update(names, before, release.spec, None)
    serving.start_update(deployment.cloud.sagemaker, names, before, request, check=lambda state: held.check())
    serving.wait(deployment.cloud.sagemaker, names, before, sleep=deployment.sleep)
    raise DeploymentError(
        f"{what}; {names.endpoint} runs {before} again.", hint="See `mlops-kit alarms` and the endpoint's log."
    )


def _gone_off(deployment: Deployment) -> list[str]:
    """The rollback alarms that are in ALARM just now."""
    states = read_alarms(deployment.cloud.cloudwatch, deployment.names.rollback_alarms)
    return [name for name, state in states.items() if state == "ALARM"]
