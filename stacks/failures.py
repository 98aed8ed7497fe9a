"""Count jobs that failed, for an alarm: SageMaker sends an event when a job fails, and has no metric of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlops_kit.config import Environment, Model
from stacks.bindings import CloudwatchEventRule, CloudwatchEventTarget, Construct
from stacks.terraform_settings import model_tags


def count_failures(
    scope: Construct,
    id_: str,
    *,
    environment: Environment,
    model: Model,
    rule: str,
    kind: str,
    detail: Mapping[str, Any],
) -> None:
    """A rule on the failure of jobs of a ``kind`` (``Training``, ``Transform``) that ``detail`` picks.

    Its metric ``TriggeredRules`` is the count. A rule only counts with a target, and a log group is the cheapest one:
    it also keeps which job it was, and why.
    """
    names = environment.names
    made = CloudwatchEventRule(
        scope,
        id_,
        name=rule,
        description=f"A {kind.lower()} job of {model.names(names).prefix} failed",
        event_pattern=json.dumps(
            {
                "source": ["aws.sagemaker"],
                "detail-type": [f"SageMaker {kind} Job State Change"],
                "detail": {f"{kind}JobStatus": ["Failed"], **detail},
            }
        ),
        tags=model_tags(model),
    )
    CloudwatchEventTarget(
        scope,
        f"{id_}-log",
        rule=made.name,
        target_id="log",
        arn=names.arn("logs", f"log-group:{names.failures_log_group}"),
    )
