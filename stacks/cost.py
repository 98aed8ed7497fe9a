"""What money may be spent on: budgets of the environment and of its models, and a watch for what is unusual.

**The environment's budget counts the account**, and not a tag: an account is one environment, whereas a tag only counts
once the payer has activated it for cost allocation, and until then a budget over it reports nothing spent.

**A model's budget counts its tag**, because nothing else tells two models of an account apart. So it needs the tag
``Model`` activated, once, in the account that pays. What carries no tag of a model (storage, keys, logs of jobs) is in
the environment's budget only.

**Anomalies**: a monitor over all services of the account, which is the one kind that a member account may make, and the
one of which it may have only one. Where the account has one already, its ARN goes into the environment file.
"""

from __future__ import annotations

from typing import Any

from mlops_kit.config import Environment, Model
from stacks.bindings import BudgetsBudget, CeAnomalyMonitor, CeAnomalySubscription, Construct
from stacks.terraform_settings import model_tags


class Spending(Construct):
    """The environment's monthly budget and its anomalies; the owner is written to."""

    def __init__(self, scope: Construct, id_: str, *, environment: Environment) -> None:
        super().__init__(scope, id_)
        names = environment.names
        _budget(
            self,
            name=names.budget,
            usd=environment.budget.monthly_usd,
            cost_filter={"name": "LinkedAccount", "values": [environment.account]},
            environment=environment,
        )
        anomalies = environment.budget.anomalies
        if anomalies is None:
            return
        monitor = anomalies.monitor
        if monitor is None:
            monitor = CeAnomalyMonitor(
                self,
                "monitor",
                name=names.anomaly_monitor,
                monitor_type="DIMENSIONAL",
                monitor_dimension="SERVICE",
            ).arn
        CeAnomalySubscription(
            self,
            "anomalies",
            name=names.anomaly_subscription,
            frequency="DAILY",
            monitor_arn_list=[monitor],
            subscriber=[{"type": "EMAIL", "address": environment.owner}],
            threshold_expression={
                "dimension": {
                    "key": "ANOMALY_TOTAL_IMPACT_ABSOLUTE",
                    "match_options": ["GREATER_THAN_OR_EQUAL"],
                    "values": [str(anomalies.impact_usd)],
                }
            },
        )


class ModelBudget(Construct):
    """A model's own budget; nothing without ``monthly_usd`` in its file."""

    def __init__(self, scope: Construct, id_: str, *, environment: Environment, model: Model) -> None:
        super().__init__(scope, id_)
        if model.monthly_usd is None:
            return
        _budget(
            self,
            name=model.names(environment.names).budget,
            usd=model.monthly_usd,
            # "user:<tag>$<value>" is how a cost filter names a tag that users made (AWS Budgets user guide).
            cost_filter={"name": "TagKeyValue", "values": [f"user:Model${model.name}"]},
            environment=environment,
            tags=model_tags(model),
        )


def _budget(
    scope: Construct,
    *,
    name: str,
    usd: int,
    cost_filter: dict[str, Any],
    environment: Environment,
    tags: dict[str, str] | None = None,
) -> None:
    levels = sorted(set(environment.budget.alert_at))
    BudgetsBudget(
        scope,
        "budget",
        name=name,
        budget_type="COST",
        time_unit="MONTHLY",
        limit_amount=str(usd),
        limit_unit="USD",
        cost_filter=[cost_filter],
        notification=[
            *(_notify(environment.owner, "ACTUAL", percent) for percent in levels),
            _notify(environment.owner, "FORECASTED", 100),
        ],
        tags=tags,
    )


def _notify(owner: str, kind: str, percent: int) -> dict[str, Any]:
    return {
        "comparison_operator": "GREATER_THAN",
        "notification_type": kind,
        "threshold": percent,
        "threshold_type": "PERCENTAGE",
        "subscriber_email_addresses": [owner],
    }
