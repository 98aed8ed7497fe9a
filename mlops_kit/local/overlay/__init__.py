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
sagemaker_training,                 training, processing and transform jobs really run
sagemaker_processing,
sagemaker_transform, sagemaker_jobs
sagemaker_endpoints                 endpoints really serve, update, shift traffic and roll back
sagemaker_variants,                 what variants of an endpoint config are checked for; their models
sagemaker_containers
sagemaker_runtime,                  predictions, data capture, invocation metrics, shadow variants
sagemaker_prediction
sagemaker_async                     asynchronous predictions: queue, results in S3, notifications, metrics
metrics, metric_math                metric queries that are right and fast
alarms, alarm_evaluation,           alarms are evaluated, act and are recorded
alarm_actions
composite_alarms, alarm_rules       composite alarms, likewise
events, event_delivery, event_input EventBridge events that services send by themselves, and their way to targets
event_buses                         events that go on to another bus as they are, if its policy lets them in
scheduler, schedule_expressions,    schedules fire
schedule_firing
stepfunctions, sfn_definition,      state machines in JSONata run
sfn_execution, sfn_interpreter,
sfn_expressions
sagemaker_pipelines,                pipelines are checked, and run
sagemaker_pipeline_events
sdk_calls                           what AWS services ask of each other, as a role that was passed to them
iam, iam_evaluation, iam_policies,  identity policies are evaluated, calls recorded (only if the server was told to)
iam_actions, iam_actions_s3,
iam_actions_sagemaker, iam_keys
s3_requests, s3_policy, policy,     bucket policies with conditions and principals; other accounts need permission
conditions
s3_integrity                        digests that do not match are refused and those that do are kept
s3_copy                             CopyObject under preconditions
s3_versions                         versions and delete markers: listed in one order, deleted one by one
s3_retention                        object lock: default retention, no shortening
s3_events                           S3's events, one for each change, as S3 words them
s3_logging                          access logging that Terraform can switch on; nothing is delivered
s3_configuration                    lifecycle and notification XML comes back as it was put
s3_named_configuration              intelligent tiering, inventory, metrics, analytics: kept, listed, deleted by id
budgets, autoscaling                operations that Terraform's provider calls after creating
cost_explorer                       anomaly monitors and subscriptions, cost allocation tags
ec2, iam_roles, kms, sqs            what moto forgets: rule descriptions, flow log options, replica keys, queue policies
kms_signing                         digests are signed as they are, wrong signatures refused, other accounts too
unsupported, replies                an operation that is missing is an error at once, not a minute of retries
==================================  ====================================================================================
"""

from __future__ import annotations

from mlops_kit.local.overlay import (
    accounts,
    alarms,
    autoscaling,
    budgets,
    cost_explorer,
    ec2,
    event_buses,
    event_delivery,
    guard,
    iam,
    iam_roles,
    kms,
    kms_signing,
    metrics,
    s3_configuration,
    s3_copy,
    s3_events,
    s3_integrity,
    s3_logging,
    s3_named_configuration,
    s3_policy,
    s3_requests,
    s3_retention,
    s3_versions,
    sagemaker_async,
    sagemaker_endpoints,
    sagemaker_models,
    sagemaker_pipelines,
    sagemaker_processing,
    sagemaker_registry,
    sagemaker_runtime,
    sagemaker_training,
    sagemaker_transform,
    scheduler,
    sqs,
    stepfunctions,
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
        sagemaker_processing,
        sagemaker_transform,
        sagemaker_endpoints,
        sagemaker_runtime,
        sagemaker_async,
        s3_integrity,
        s3_copy,
        s3_versions,
        s3_retention,
        s3_configuration,
        s3_named_configuration,
        s3_logging,
        s3_policy,
        s3_requests,
        iam,
        budgets,
        cost_explorer,
        autoscaling,
        ec2,
        iam_roles,
        kms,
        kms_signing,
        sqs,
        event_buses,
        event_delivery,
        s3_events,
        scheduler,
        stepfunctions,
        sagemaker_pipelines,
    ):
        room.install()
    _installed.append(True)
