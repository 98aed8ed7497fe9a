"""``environments/<name>.yaml``: one environment, its account, its limits, and which models run in it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mlops_kit.config.fields import LIST, Account, Email, Frozen, Name, Percent, PrincipalArn, Region, Repository
from mlops_kit.naming import EnvironmentNames


class Budget(Frozen):
    """A monthly cost budget in US dollars, and at which percentages of it the owner is written to."""

    monthly_usd: Annotated[int, Field(ge=1)]
    alert_at: Annotated[tuple[Percent, ...], LIST, Field(min_length=1, max_length=5)] = (50, 80, 100)


class Retention(Frozen):
    """How long what is not pinned is kept, in days. Data commits and released artifacts are pinned: never expired."""

    noncurrent_days: Annotated[int, Field(ge=1, le=3650)] = 30
    capture_days: Annotated[int, Field(ge=1, le=3650)] = 90
    logs_days: Annotated[int, Field(ge=1, le=3650)] = 90
    ledger_lock_days: Annotated[int, Field(ge=1, le=36500)] = 365
    ledger_lock_mode: Literal["GOVERNANCE", "COMPLIANCE"] = "GOVERNANCE"


class Ci(Frozen):
    """Who deploys besides people: the one GitHub repository whose jobs may assume the account's deploy role.

    The job has to run in the GitHub environment that is named like this environment.
    """

    repository: Repository


class Environment(Frozen):
    """One environment. ``promotes_from`` gives the stage order; it is absent on the first stage."""

    name: Name
    account: Account
    region: Region
    project: Name
    owner: Email
    promotes_from: Name | None = None
    protect: bool = False
    operators: Annotated[tuple[PrincipalArn, ...], LIST] = ()
    """Who may assume the promoter role from outside; the account's own principals always may."""
    ci: Ci | None = None
    """Absent: the bootstrap stack makes neither the OIDC provider nor the deploy role."""
    retention: Retention = Retention()
    budget: Budget
    models: Annotated[tuple[Name, ...], LIST] = ()

    @property
    def names(self) -> EnvironmentNames:
        if self.region.startswith("cn-"):
            partition = "aws-cn"
        elif self.region.startswith("us-gov-"):
            partition = "aws-us-gov"
        else:
            partition = "aws"
        return EnvironmentNames(self.project, self.name, self.account, self.region, partition)
