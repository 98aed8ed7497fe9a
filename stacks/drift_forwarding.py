"""Drift is seen where the traffic is, and models are retrained in the first stage: how the one learns of the other.

Each later stage has a rule that hands the drift alarms of such models to the default event bus of the first stage's
account, and the policy of that bus takes nothing else, from nobody else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from mlops_kit.config import Environment, Model, Project
from stacks import policies
from stacks.bindings import CloudwatchEventBusPolicy, CloudwatchEventRule, CloudwatchEventTarget, Construct
from stacks.policies import allow

RETRY = {"maximum_event_age_in_seconds": 3600, "maximum_retry_attempts": 10}
"""What was not delivered within an hour is for a person to look at."""
ALARM_CHANGE = "CloudWatch Alarm State Change"


def forwarded(project: Project, stage: Environment) -> list[Model]:
    """The models whose drift in ``stage`` is told to the first stage, because they retrain there."""
    first = project.first_stage
    if stage.name == first.name:
        return []
    retrained = {model.name for model in project.models_in(first) if model.retraining.on_drift}
    return [model for model in project.models_in(stage) if model.name in retrained and model.is_watched_for_drift]


def senders(project: Project, environment: Environment) -> list[Environment]:
    """The stages that tell ``environment`` of drift: none, if it is not the first."""
    if environment.name != project.first_stage.name:
        return []
    return [stage for stage in project.stages if forwarded(project, stage)]


def drift_alarms(project: Project, environment: Environment, model: Model) -> list[tuple[str, str]]:
    """(account, ARN) of the drift alarms that start the model's retraining in ``environment``."""
    here = [environment] if model.is_watched_for_drift else []
    later = [
        stage
        for stage in senders(project, environment)
        if model.name in {other.name for other in forwarded(project, stage)}
    ]
    return [(stage.account, drift_alarm(stage, model)) for stage in (*here, *later)]


def drift_alarm(stage: Environment, model: Model) -> str:
    names = stage.names
    return names.arn("cloudwatch", f"alarm:{model.names(names).alarm('drift')}")


def alarm_pattern(alarms: Sequence[str], accounts: Sequence[str] | None = None) -> str:
    """These alarms went off. Events that came from another account keep its number."""
    return json.dumps(
        {
            "source": ["aws.cloudwatch"],
            "detail-type": [ALARM_CHANGE],
            **({"account": list(accounts)} if accounts else {}),
            "resources": list(alarms),
            "detail": {"state": {"value": ["ALARM"]}},
        }
    )


class ForwardDrift(Construct):
    """One rule for the drift alarms of all models that retrain in the first stage."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        first_stage: Environment,
        environment: Environment,
        models: Sequence[Model],
        role_arn: str,
        dead_letters_arn: str,
    ) -> None:
        super().__init__(scope, id_)
        names = environment.names
        rule = CloudwatchEventRule(
            self,
            "rule",
            name=names.forward_rule,
            description=f"Drift in {names.prefix} is told to {first_stage.name}, which retrains",
            event_pattern=alarm_pattern([drift_alarm(environment, model) for model in models]),
        )
        CloudwatchEventTarget(
            self,
            "target",
            rule=rule.name,
            target_id="first-stage",
            arn=first_stage.names.default_bus_arn,
            role_arn=role_arn,
            dead_letter_config={"arn": dead_letters_arn},
            retry_policy=RETRY,
        )


class ReceiveDrift(Construct):
    """Lets the rules of ``stages``, and nobody else, put alarms on this account's bus."""

    def __init__(self, scope: Construct, id_: str, *, environment: Environment, stages: Sequence[Environment]) -> None:
        super().__init__(scope, id_)
        CloudwatchEventBusPolicy(
            self,
            "policy",
            event_bus_name="default",
            policy=policies.document(
                *(
                    allow(
                        f"DriftIn{policies.sid(stage.name)}",
                        ["events:PutEvents"],
                        environment.names.default_bus_arn,
                        principal={"AWS": stage.names.account_root},
                        conditions={
                            "ArnEquals": {"aws:PrincipalArn": stage.names.role_arn("events")},
                            "ForAllValues:StringEquals": {"events:source": "aws.cloudwatch"},
                            "Null": {"events:source": "false"},
                            "StringEquals": {"events:detail-type": ALARM_CHANGE},
                        },
                    )
                    for stage in stages
                )
            ),
        )
