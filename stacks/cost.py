"""The environment's monthly budget; its owner is written to as the money goes."""

from __future__ import annotations

from typing import Any

from mlops_kit.config import Environment
from stacks.bindings import BudgetsBudget, BudgetsBudgetCostFilter, BudgetsBudgetNotification, Construct


class MonthlyBudget(Construct):
    """A cost budget over the environment's account.

    It counts the linked account, and not a tag: an account is one environment, whereas a tag only counts once the
    payer has activated it for cost allocation, and until then a budget over it reports nothing spent.
    """

    def __init__(self, scope: Construct, id_: str, *, environment: Environment) -> None:
        super().__init__(scope, id_)
        budget = environment.budget
        BudgetsBudget(
            self,
            "budget",
            name=environment.names.budget,
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(budget.monthly_usd),
            limit_unit="USD",
            cost_filter=[BudgetsBudgetCostFilter(name="LinkedAccount", values=[environment.account])],
            notification=[
                *(_notify(environment.owner, "ACTUAL", percent) for percent in sorted(set(budget.alert_at))),
                _notify(environment.owner, "FORECASTED", 100),
            ],
        )


def _notify(owner: str, kind: str, percent: int) -> Any:
    return BudgetsBudgetNotification(
        comparison_operator="GREATER_THAN",
        notification_type=kind,
        threshold=percent,
        threshold_type="PERCENTAGE",
        subscriber_email_addresses=[owner],
    )
