"""The alarms of a model, and the one that sums them up.

Which alarms a model has follows from how it is served and from its file (``Model.alarm_kinds``); what each looks at is
in :mod:`stacks.alarm_settings`. Errors and latency also undo a release while it bakes.

Every alarm is sent to the topic of all alarms. The composite alarm ``unhealthy`` goes off with the first of those that
cannot wait until the morning, stays on until the last of them is over, and is the only one that pages: one incident,
one page.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlops_kit.config import Environment, Model
from mlops_kit.naming import ROLLBACK_ALARM_KINDS, AlarmKind
from stacks.alarm_settings import settings
from stacks.alarm_topics import AlarmTopics
from stacks.bindings import CloudwatchCompositeAlarm, CloudwatchMetricAlarm, Construct, Resource
from stacks.terraform_settings import model_tags

PAGING: tuple[AlarmKind, ...] = (
    "errors",
    "latency",
    "latency-p50",
    "overhead",
    "cpu",
    "memory",
    "disk",
    "quiet",
    "backlog",
    "model-quality",
    "batch-failed",
)
"""What cannot wait. Drift, data quality and failed training are work for the day."""


class ModelAlarms(Construct):
    """The alarms of one model. ``rollback`` are those that undo a deployment."""

    def __init__(
        self, scope: Construct, id_: str, *, environment: Environment, model: Model, topics: AlarmTopics
    ) -> None:
        super().__init__(scope, id_)
        names = model.names(environment.names)
        alarms: dict[AlarmKind, Resource] = {}
        for kind in model.alarm_kinds:
            if kind == "unhealthy":
                continue
            watched = settings(kind, environment, model)
            alarms[kind] = CloudwatchMetricAlarm(
                self,
                kind,
                alarm_name=names.alarm(kind),
                alarm_description=f"{watched.pop('about')} Runbook: {environment.runbooks}/{kind}.md",
                alarm_actions=[topics.arn],
                ok_actions=[topics.arn],
                tags=model_tags(model),
                **watched,
            )
        self.rollback: Sequence[Resource] = [alarms[kind] for kind in ROLLBACK_ALARM_KINDS if kind in alarms]
        paging = [kind for kind in PAGING if kind in alarms] or list(alarms)
        CloudwatchCompositeAlarm(
            self,
            "unhealthy",
            alarm_name=names.alarm("unhealthy"),
            alarm_description=f"{model.name} in {environment.name} is unhealthy: at least one of the alarms "
            f"{', '.join(paging)} is on. See which: `mlops-kit alarms --in {environment.name}`. "
            f"Runbook: {environment.runbooks}/unhealthy.md",
            alarm_rule=" OR ".join(f'ALARM("{names.alarm(kind)}")' for kind in paging),
            alarm_actions=[topics.pager_arn],
            ok_actions=[topics.pager_arn],
            tags=model_tags(model),
            depends_on=[alarms[kind] for kind in paging],
        )
