"""An endpoint and its updates, which take a while: they go on when somebody looks, and may be rolled back.

::

    InService ──update──> Updating ──looked at so often──> InService (new config)
                             │ told to, or an alarm is in ALARM
                             └──> RollingBack ──looked at once──> InService (old config, FailureReason)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.aws.protocol import Asked

AlarmLook = Callable[[str, Sequence[str]], list[str]]
"""Of an account's alarms with these names, those that are in ALARM."""


@dataclass
class Endpoint:
    """``refusals``: why the next updates are rolled back, one each; an empty one lets its update through."""

    name: str
    arn: str
    config: str
    created: float
    modified: float
    status: str = "InService"
    pending: str = ""
    failure: str = ""
    deployment: Asked = field(default_factory=dict)
    looks: int = 0
    begun: float = 0.0
    refusals: deque[str] = field(default_factory=deque)
    updates: list[str] = field(default_factory=list)  # the configs of all updates that were begun

    @property
    def busy(self) -> bool:
        return self.status != "InService"

    def update(self, asked: Asked, looks: int, now: float) -> None:
        self.status, self.pending, self.failure = "Updating", asked["EndpointConfigName"], ""
        self.deployment, self.looks, self.begun, self.modified = asked.get("DeploymentConfig", {}), looks, now, now
        self.updates.append(self.pending)

    def look(self, now: float, firing: Callable[[Sequence[str]], list[str]]) -> None:
        """Let time pass, as much as is between two looks."""
        if not self.busy:
            return
        if self.looks > 0:
            self.looks -= 1
            return
        self.modified = now
        if self.status == "RollingBack":
            self.status = "InService"
            return
        self.failure = self.refusals.popleft() if self.refusals else ""
        names = [alarm["AlarmName"] for alarm in self.deployment.get("AutoRollbackConfiguration", {}).get("Alarms", ())]
        if not self.failure and (gone_off := firing(names)):
            named = ", ".join(f'"{name}"' for name in gone_off)
            self.failure = f"Endpoint update was rolled back: the alarm {named} went into ALARM during the deployment."
        if not self.failure:
            self.config, self.status = self.pending, "InService"
        else:
            self.status = "RollingBack"
        self.pending = ""

    def described(self, running: list[Asked], coming: list[Asked]) -> Asked:
        """As DescribeEndpoint answers."""
        found: Asked = {
            "EndpointName": self.name,
            "EndpointArn": self.arn,
            "EndpointConfigName": self.config,
            "EndpointStatus": self.status,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "ProductionVariants": running,
        }
        if self.deployment:
            found["LastDeploymentConfig"] = self.deployment
        if self.failure:
            found["FailureReason"] = self.failure
        if self.pending:
            found["PendingDeploymentSummary"] = {
                "EndpointConfigName": self.pending,
                "StartTime": self.begun,
                "ProductionVariants": coming,
            }
        return found
