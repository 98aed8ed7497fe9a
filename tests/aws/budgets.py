"""Budgets: what an account may spend in a month, has spent, and will have."""

from __future__ import annotations

from dataclasses import dataclass

from tests.aws.protocol import Asked, AwsError, JsonService


@dataclass
class Budget:
    """US dollars a month."""

    limit: float
    actual: float = 0.0
    forecast: float | None = None


class Budgets(JsonService):
    name = "budgets"
    target = "AWSBudgetServiceGateway"
    subject = ("BudgetName",)

    def __init__(self) -> None:
        self.state: dict[str, dict[str, Budget]] = {}
        self.operations = {"DescribeBudget": self._describe}

    def of(self, account: str) -> dict[str, Budget]:
        return self.state.setdefault(account, {})

    def _describe(self, account: str, asked: Asked) -> Asked:
        if asked["AccountId"] != account:
            raise AwsError("AccessDeniedException", f"Account {account} may not see the budgets of another account.")
        found = self.of(account).get(asked["BudgetName"])
        if found is None:
            message = f"Unable to get budget: {asked['BudgetName']} - the budget doesn't exist."
            raise AwsError("NotFoundException", message)
        spent = {"ActualSpend": _usd(found.actual)}
        if found.forecast is not None:
            spent["ForecastedSpend"] = _usd(found.forecast)
        return {
            "Budget": {
                "BudgetName": asked["BudgetName"],
                "BudgetLimit": _usd(found.limit),
                "TimeUnit": "MONTHLY",
                "BudgetType": "COST",
                "CalculatedSpend": spent,
            }
        }


def _usd(amount: float) -> dict[str, str]:
    return {"Amount": f"{amount:.2f}", "Unit": "USD"}
