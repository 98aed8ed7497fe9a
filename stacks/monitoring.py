"""Where alarms go, when they go off, and the one page that shows an environment.

Each model has four alarms (``mlops_kit.naming.ALARM_KINDS``). Errors and latency also undo a release while it bakes.
Drift is computed by the kit's own drift job, as custom metrics; the heartbeat alarm goes off when that job is silent,
because a drift alarm without data would otherwise look like a model without drift.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlops_kit.config import Environment, Model
from mlops_kit.naming import DRIFT_NAMESPACE, ROLLBACK_ALARM_KINDS, VARIANT, AlarmKind
from stacks import policies
from stacks.bindings import CloudwatchMetricAlarm, Construct, SnsTopic, SnsTopicPolicy, SnsTopicSubscription
from stacks.policies import allow

HOUR = 3600
ENDPOINT_NAMESPACE = "AWS/SageMaker"


class AlarmTopic(Construct):
    """The encrypted topic that every alarm of the environment is sent to; the owner gets it by e-mail."""

    def __init__(self, scope: Construct, id_: str, *, environment: Environment, key_arn: str) -> None:
        super().__init__(scope, id_)
        names = environment.names
        topic = SnsTopic(self, "topic", name=names.alarm_topic, kms_master_key_id=key_arn)
        self.arn: str = topic.arn
        arn = names.arn("sns", names.alarm_topic)
        SnsTopicPolicy(
            self,
            "policy",
            arn=self.arn,
            policy=policies.document(
                allow(
                    "AlarmsPublish",
                    ["sns:Publish"],
                    arn,
                    principal={"Service": "cloudwatch.amazonaws.com"},
                    conditions={
                        "StringEquals": {"aws:SourceAccount": names.account},
                        "ArnLike": {"aws:SourceArn": names.arn("cloudwatch", f"alarm:{names.prefix}-*")},
                    },
                ),
                policies.tls_only(arn, "sns:Publish"),
            ),
        )
        SnsTopicSubscription(self, "owner", topic_arn=self.arn, protocol="email", endpoint=environment.owner)


class ModelAlarms(Construct):
    """The alarms of one model. ``rollback`` are those that undo a deployment."""

    def __init__(self, scope: Construct, id_: str, *, environment: Environment, model: Model, topic_arn: str) -> None:
        super().__init__(scope, id_)
        names = model.names(environment.names)
        alarms = {
            kind: CloudwatchMetricAlarm(
                self,
                kind,
                alarm_name=names.alarm(kind),
                alarm_actions=[topic_arn],
                ok_actions=[topic_arn],
                **settings,
            )
            for kind, settings in _settings(environment, model).items()
        }
        self.rollback: Sequence[Any] = [alarms[kind] for kind in ROLLBACK_ALARM_KINDS]


def _settings(environment: Environment, model: Model) -> dict[AlarmKind, dict[str, Any]]:
    names, limits, drift = model.names(environment.names), model.alarms, model.drift
    endpoint = {
        "namespace": ENDPOINT_NAMESPACE,
        "dimensions": {"EndpointName": names.endpoint, "VariantName": VARIANT},
        "period": limits.period_minutes * 60,
        "evaluation_periods": 1,
        "comparison_operator": "GreaterThanOrEqualToThreshold",
        "treat_missing_data": "notBreaching",  # no requests, no errors
    }
    drift_metric = {
        "namespace": DRIFT_NAMESPACE,
        "dimensions": {"Environment": environment.name, "Model": model.name},
    }
    where = f"{model.name} --in {environment.name}"
    return {
        "errors": {
            **endpoint,
            "metric_name": "Invocation5XXErrors",
            "statistic": "Average",  # each request counts 0 or 1, so the average is the error rate
            "threshold": limits.error_rate_percent / 100,
            "alarm_description": f"{names.endpoint} answers at least {limits.error_rate_percent:g} % of its requests "
            f"with 5xx. Read the log group {names.endpoint_log_group}; undo the release with "
            f"`mlops-kit rollback {where}`.",
        },
        "latency": {
            **endpoint,
            "metric_name": "ModelLatency",
            "extended_statistic": "p99",
            "threshold": limits.latency_p99_ms * 1000,  # CloudWatch counts microseconds
            "alarm_description": f"1 % of the requests to {names.endpoint} take the model {limits.latency_p99_ms} ms "
            f"or longer. Compare with its traffic on the dashboard {environment.names.dashboard}: raise "
            f"autoscaling.max_instances, or undo the release with `mlops-kit rollback {where}`.",
        },
        "drift": {
            **drift_metric,
            "metric_name": "PsiMax",
            "statistic": "Maximum",
            "period": drift.window_minutes * 60,
            "evaluation_periods": drift.windows,
            "datapoints_to_alarm": drift.breaching_windows,
            "comparison_operator": "GreaterThanOrEqualToThreshold",
            "threshold": drift.psi_threshold,
            "treat_missing_data": "notBreaching",  # the heartbeat alarm is about missing data
            "alarm_description": f"The requests to {names.endpoint} no longer look like the data it was trained on: "
            f"the PSI of some feature is {drift.psi_threshold:g} or more. See which: `mlops-kit drift run {where}`. "
            "Then correct the source of the data, or train on newer data.",
        },
        "drift-heartbeat": {
            **drift_metric,
            "metric_name": "Heartbeat",
            "statistic": "SampleCount",
            "period": HOUR,
            "evaluation_periods": drift.heartbeat_hours,
            "comparison_operator": "LessThanThreshold",
            "threshold": 1,
            "treat_missing_data": "breaching",  # missing data is what this alarm is about
            "alarm_description": f"No drift run of {names.endpoint} was heard of for {drift.heartbeat_hours} hours, so "
            f"nobody knows whether it drifts. Start one with `mlops-kit drift run {where}` and read what it says.",
        },
    }
