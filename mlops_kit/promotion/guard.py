"""The account guard: before the first write, everything that will be written to is known to be the target's.

=====================  ==============================================================================================
what                   how it is known
=====================  ==============================================================================================
whose credentials      STS, before the first client is handed out (``aws.connect``)
buckets, both sides    every request names the account that must own the bucket; planning has read from all of them
the version            its ARN names the source's account and region
the endpoint           its ARN names the target's account and region; a schedule is found by name there
=====================  ==============================================================================================

A region cannot be asked of STS. But clients are made for the environment's region, and in another one there is no such
endpoint.
"""

from __future__ import annotations

from mlops_kit import batch, serving
from mlops_kit.aws import Cloud
from mlops_kit.errors import AccessError
from mlops_kit.naming import ModelNames
from mlops_kit.promotion.plan import ModelPlan


def guard(plan: ModelPlan, cloud: Cloud, names: ModelNames) -> None:
    """Only reads.

    Raises:
        AccessError: an account or a region is not the one that it has to be.
        NotFoundError: the target has nothing that could serve the release.
    """
    source, target = plan.request.source, plan.request.target
    if cloud.environment != target or names != target.names.model(plan.request.model):
        raise AccessError(
            f"The plan is for {plan.request.model} in {target.name}, and this is {names.model} in "
            f"{cloud.environment.name}.",
            hint="Plan again.",
        )
    require_arn(plan.version.arn, source.names.model(plan.request.model).package_arn(plan.version.version))
    if plan.spec.kind == "batch":
        batch.require(cloud.scheduler, names)
    else:
        require_arn(serving.require_endpoint(cloud.sagemaker, names).arn, endpoint_arn(names))


def endpoint_arn(names: ModelNames) -> str:
    return names.environment.arn("sagemaker", f"endpoint/{names.endpoint}")


def serving_arn(names: ModelNames, kind: str) -> str:
    """ARN of what serves a release of this kind."""
    if kind != "batch":
        return endpoint_arn(names)
    return names.environment.arn("scheduler", f"schedule/{names.environment.schedule_group}/{names.schedule('batch')}")


def require_arn(found: str, wanted: str) -> None:
    """Raises AccessError unless both name the same thing in the same account and region."""
    if found != wanted:
        raise AccessError(
            f"{found or 'Something without an ARN'} is not {wanted}: it is in another account or region.",
            hint="Check `account` and `region` in the environment files, and whose credentials these are. Nothing was "
            "written.",
        )
