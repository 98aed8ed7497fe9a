"""What starts by itself: retraining, when data moves, when a model drifts, and on a schedule.

Every reason starts the same state machine, which starts the model's pipeline unless it ran a short while ago. What
cannot be delivered or started lies in the dead-letter queue, which has an alarm.

Retraining happens in the first stage, and drift is seen where the traffic is: see :mod:`stacks.drift_forwarding`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mlops_kit.config import Environment, Model, Project
from mlops_kit.naming import DatasetKeys
from stacks import drift_forwarding, policies, retraining_machine
from stacks.alarm_topics import AlarmTopics
from stacks.bindings import (
    CloudwatchEventRule,
    CloudwatchEventTarget,
    CloudwatchMetricAlarm,
    Construct,
    IamRole,
    IamRolePolicy,
    SqsQueue,
    SqsQueuePolicy,
)
from stacks.drift_forwarding import ForwardDrift, ReceiveDrift
from stacks.pipeline import Pipeline
from stacks.policies import Statement, allow
from stacks.schedules import Schedules
from stacks.state_machine import StateMachine
from stacks.terraform_settings import model_tags

KEEP_SECONDS = 14 * 24 * 3600
"""As long as SQS keeps a message."""


class DeadLetters(Construct):
    """The queue that keeps what could not be delivered or started, and the alarm when it is not empty."""

    def __init__(
        self, scope: Construct, id_: str, *, environment: Environment, key_arn: str, topics: AlarmTopics
    ) -> None:
        super().__init__(scope, id_)
        names = environment.names
        queue = SqsQueue(
            self,
            "queue",
            name=names.dead_letter_queue,
            message_retention_seconds=KEEP_SECONDS,
            kms_master_key_id=key_arn,
        )
        self.arn: str = queue.arn
        arn = names.arn("sqs", names.dead_letter_queue)
        self.policy = SqsQueuePolicy(
            self,
            "policy",
            queue_url=queue.url,
            policy=policies.document(
                allow(  # schedules and state machines send in roles of their own, which say so themselves
                    "RulesKeepWhatFailed",
                    ["sqs:SendMessage"],
                    arn,
                    principal={"Service": "events.amazonaws.com"},
                    conditions={
                        "StringEquals": {"aws:SourceAccount": names.account},
                        "ArnLike": {"aws:SourceArn": names.arn("events", f"rule/{names.prefix}-*")},
                    },
                ),
                policies.tls_only(arn, "sqs:*"),
            ),
        )
        CloudwatchMetricAlarm(
            self,
            "alarm",
            alarm_name=names.alarm("dead-letters"),
            alarm_description=f"Something in {names.prefix} could not be started or delivered: read the messages in "
            f"the queue {names.dead_letter_queue}, which say what and why. Start it by hand, then purge the queue. "
            f"Runbook: {environment.runbooks}/dead-letters.md",
            namespace="AWS/SQS",
            metric_name="ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": names.dead_letter_queue},
            statistic="Maximum",
            period=300,
            evaluation_periods=1,
            comparison_operator="GreaterThanOrEqualToThreshold",
            threshold=1,
            treat_missing_data="notBreaching",  # SQS sends no metrics of a queue that nobody uses
            alarm_actions=[topics.arn],
            ok_actions=[topics.arn],
        )


class Retraining(Construct):
    """The state machine that starts a model's pipeline, unless it ran a short while ago.

    ``arn``: the machine's, None where no model retrains by itself. ``events_role_arn``: what rules act as.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        project: Project,
        environment: Environment,
        models: Sequence[Model],
        key_arn: str,
        dead_letters: DeadLetters,
        topics: AlarmTopics,
    ) -> None:
        super().__init__(scope, id_)
        names = environment.names
        automatic = [model for model in models if model.retraining.automatic]
        self._project, self._environment = project, environment
        self.arn: str | None = None
        self.events_role_arn: str = names.role_arn("events")
        forwarded = drift_forwarding.forwarded(project, environment)
        if automatic or forwarded:
            self._events_role(automatic=bool(automatic), forwards=bool(forwarded))
        if automatic:
            machine = StateMachine(
                self,
                "machine",
                name=names.retrain_machine,
                role_name=names.role("retrain"),
                log_group=names.retrain_log_group,
                definition=retraining_machine.definition(names),
                statements=retraining_machine.statements(names, automatic, key_arn),
                environment=environment,
                key_arn=key_arn,
            )
            self.arn = machine.arn
            self._alarm(topics, machine.arn)
        if forwarded:
            ForwardDrift(
                self,
                "forward",
                first_stage=project.first_stage,
                environment=environment,
                models=forwarded,
                role_arn=self.events_role_arn,
                dead_letters_arn=dead_letters.arn,
            )
        if stages := drift_forwarding.senders(project, environment):
            ReceiveDrift(self, "receive", environment=environment, stages=stages)

    def drift_alarms(self, model: Model) -> list[tuple[str, str]]:
        """(account, ARN) of the drift alarms that start the model's retraining here."""
        return drift_forwarding.drift_alarms(self._project, self._environment, model)

    def _events_role(self, *, automatic: bool, forwards: bool) -> None:
        names = self._environment.names
        role = IamRole(
            self,
            "events-role",
            name=names.role("events"),
            description=f"What the event rules of {names.prefix} start",
            permissions_boundary=names.boundary_arn,
            assume_role_policy=policies.document(
                allow(
                    "EventBridge",
                    ["sts:AssumeRole"],
                    principal={"Service": "events.amazonaws.com"},
                    conditions={
                        "StringEquals": {"aws:SourceAccount": names.account},
                        "ArnLike": {"aws:SourceArn": names.arn("events", f"rule/{names.prefix}-*")},
                    },
                )
            ),
        )
        self.events_role_arn = role.arn
        machine = names.arn("states", f"stateMachine:{names.retrain_machine}")
        statements: list[Statement] = []
        if automatic:
            statements.append(allow("StartRetraining", ["states:StartExecution"], machine))
        if forwards:
            statements.append(
                allow("ForwardDrift", ["events:PutEvents"], self._project.first_stage.names.default_bus_arn)
            )
        IamRolePolicy(self, "events-policy", name="events", role=role.id, policy=policies.document(*statements))

    def _alarm(self, topics: AlarmTopics, machine_arn: str) -> None:
        names = self._environment.names
        CloudwatchMetricAlarm(
            self,
            "alarm",
            alarm_name=names.alarm("retrain-failed"),
            alarm_description=f"A retraining in {names.prefix} could not be started. The queue "
            f"{names.dead_letter_queue} has its input and the error; the log group is {names.retrain_log_group}. "
            f"Runbook: {self._environment.runbooks}/retrain-failed.md",
            namespace="AWS/States",
            metric_name="ExecutionsFailed",
            dimensions={"StateMachineArn": machine_arn},
            statistic="Sum",
            period=300,
            evaluation_periods=1,
            comparison_operator="GreaterThanOrEqualToThreshold",
            threshold=1,
            treat_missing_data="notBreaching",  # no executions, no failures
            alarm_actions=[topics.arn],
            ok_actions=[topics.arn],
        )


class ModelAutomation(Construct):
    """What starts one model's retraining."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        model: Model,
        pipeline: Pipeline,
        retraining: Retraining,
        schedules: Schedules,
        dead_letters: DeadLetters,
    ) -> None:
        super().__init__(scope, id_)
        self._names, self._model = environment.names, model
        self._retraining, self._dead_letters = retraining, dead_letters
        settings, own = model.retraining, model.names(environment.names)
        if retraining.arn is None or not (settings.automatic and pipeline.made):
            return
        if settings.on_data:
            key = DatasetKeys(model.dataset).ref(settings.ref)
            pattern = {
                "source": ["aws.s3"],
                "detail-type": ["Object Created"],
                "detail": {"bucket": {"name": [environment.names.bucket("lake")]}, "object": {"key": [key]}},
            }
            self._rule(
                "data",
                f"{model.dataset}@{settings.ref} moved",
                json.dumps(pattern),
                reason=f"{model.dataset}@{settings.ref} moved, version <version>",
                paths={"version": "$.detail.object.version-id"},
            )
        if settings.on_drift and (alarms := retraining.drift_alarms(model)):
            self._rule(
                "drift",
                f"{model.name} drifts",
                drift_forwarding.alarm_pattern([arn for _, arn in alarms], sorted({account for account, _ in alarms})),
                reason="alarm <alarm> in account <account>",
                paths={"alarm": "$.detail.alarmName", "account": "$.account"},
            )
        if settings.schedule is not None:
            schedules.add(
                self,
                "schedule",
                name=own.schedule("retraining"),
                description=f"Retraining of {model.name}",
                expression=settings.schedule,
                timezone=settings.timezone,
                arn=retraining.arn,
                payload=retraining_machine.request(self._names, model, "schedule"),
            )

    def _rule(self, what: Any, description: str, pattern: str, *, reason: str, paths: Mapping[str, str]) -> None:
        own = self._model.names(self._names)
        rule = CloudwatchEventRule(
            self,
            what,
            name=own.rule(what),
            description=f"Retrain, because {description}",
            event_pattern=pattern,
            tags=model_tags(self._model),
        )
        CloudwatchEventTarget(
            self,
            f"{what}-target",
            rule=rule.name,
            target_id="retrain",
            arn=self._retraining.arn,
            role_arn=self._retraining.events_role_arn,
            input_transformer={
                "input_paths": dict(paths),
                "input_template": json.dumps(retraining_machine.request(self._names, self._model, reason)),
            },
            dead_letter_config={"arn": self._dead_letters.arn},
            retry_policy=drift_forwarding.RETRY,
        )
