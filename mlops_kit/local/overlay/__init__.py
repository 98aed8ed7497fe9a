"""moto, mended: what Terraform and the kit need from AWS and moto 5.2 does not have or does differently.

:func:`install` applies every mend once, at the start of the server. Each lives in a room of its own, whose docstring
says what moto does and what is done here instead, and each checks that moto is as it expects (:mod:`guard`).

==================================  ====================================================================================
room                                gap that it fills
==================================  ====================================================================================
accounts, principals, sts           one account, any key, any role -> an account per key, trust policies, expiry
sagemaker                           what the SageMaker rooms share: names, errors, roles that are passed
sagemaker_models                    models and endpoint configs are described as they were made; tags
sagemaker_registry                  deletions, group policies, cross-account reads, idempotent registration, events
sagemaker_training                  training jobs really run
sagemaker_endpoints                 endpoints really serve, update, shift traffic and roll back
sagemaker_runtime                   predictions, data capture, invocation metrics
metrics, metric_math                metric queries that are right and fast
alarms, alarm_evaluation,           alarms are evaluated, act and are recorded
alarm_actions
events                              EventBridge events that services send by themselves
s3_requests, s3_policy, policy,     bucket policies with conditions and principals; other accounts need permission
conditions
s3_integrity                        digests that do not match are refused and those that do are kept
s3_copy                             CopyObject under preconditions
s3_retention                        object lock: default retention, no shortening
s3_logging                          access logging that Terraform can switch on; nothing is delivered
s3_configuration                    lifecycle and notification XML comes back as it was put
budgets, autoscaling                operations that Terraform's provider calls after creating
unsupported, replies                an operation that is missing is an error at once, not a minute of retries
==================================  ====================================================================================
"""

from __future__ import annotations

from mlops_kit.local.overlay import (
    accounts,
    alarms,
    autoscaling,
    budgets,
    guard,
    metrics,
    s3_configuration,
    s3_copy,
    s3_integrity,
    s3_logging,
    s3_policy,
    s3_requests,
    s3_retention,
    sagemaker_endpoints,
    sagemaker_models,
    sagemaker_registry,
    sagemaker_runtime,
    sagemaker_training,
    sts,
)

_installed: list[bool] = []


def install() -> None:
    """Apply all mends; a second call does nothing.

    Raises:
        guard.MotoChangedError: moto is not what a mend was written for.
    """
    if _installed:
        return
    guard.check_version()
    for room in (
        accounts,
        sts,
        metrics,
        alarms,
        sagemaker_models,
        sagemaker_registry,
        sagemaker_training,
        sagemaker_endpoints,
        sagemaker_runtime,
        s3_integrity,
        s3_copy,
        s3_retention,
        s3_configuration,
        s3_logging,
        s3_policy,
        s3_requests,
        budgets,
        autoscaling,
    ):
        room.install()
    _installed.append(True)
