"""CloudWatch: alarms that are in the state that a test gave them, and a record of the metrics that were put.

Answers in the protocol it is asked in: RPC v2 CBOR, or JSON.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.aws.protocol import Asked, JsonService, Time, body_of, cbor_answer, decode
from tests.s3.messages import Answer, Request
from tests.s3.operations import UNKNOWN

PATH = "GraniteServiceVersion20100801/operation/"


@dataclass
class Alarm:
    name: str
    state: str = "OK"
    since: float = 0.0
    reason: str = ""

    def described(self, arn: str) -> Asked:
        return {
            "AlarmName": self.name,
            "AlarmArn": arn,
            "StateValue": self.state,
            "StateReason": self.reason,
            "StateUpdatedTimestamp": Time(self.since),
            "StateTransitionedTimestamp": Time(self.since),
            "ActionsEnabled": True,
        }


@dataclass
class Watched:
    """What one account has."""

    alarms: dict[str, Alarm] = field(default_factory=dict)
    metrics: list[Asked] = field(default_factory=list)  # MetricData with its Namespace


class CloudWatch(JsonService):
    name = "cloudwatch"
    target = "GraniteServiceVersion20100801"
    page = 100

    def __init__(self, region: str, clock: Callable[[], float] = time.time) -> None:
        self.region, self.clock = region, clock
        self.state: dict[str, Watched] = {}
        self.operations = {"DescribeAlarms": self._describe_alarms, "PutMetricData": self._put_metric_data}

    def of(self, account: str) -> Watched:
        return self.state.setdefault(account, Watched())

    def set_alarm(self, account: str, name: str, state: str = "OK", *, since: float | None = None) -> None:
        """``since``: when it got into this state, in seconds since the epoch; now, if None."""
        when = self.clock() if since is None else since
        self.of(account).alarms[name] = Alarm(name, state, when, f"Threshold Crossed: it is {state}")

    def firing(self, account: str, names: Sequence[str]) -> list[str]:
        there = self.of(account).alarms
        return [name for name in names if name in there and there[name].state == "ALARM"]

    def claims(self, request: Request) -> bool:
        by_path = request.bucket == "service" and request.key.startswith(PATH)
        return by_path or super().claims(request)

    def operation(self, request: Request) -> str:
        if request.bucket != "service":
            return super().operation(request)
        found = request.key.removeprefix(PATH)
        return found if found in self.operations else UNKNOWN

    def asked(self, request: Request) -> Asked:
        return dict(decode(body_of(request))) if request.bucket == "service" else super().asked(request)

    def about(self, request: Request) -> str:
        asked = self.asked(request)
        return str(asked.get("Namespace") or asked.get("AlarmNamePrefix") or ",".join(asked.get("AlarmNames", ())))

    def answer(self, request: Request, found: Asked, status: int = 200) -> Answer:
        return cbor_answer(found, status) if request.bucket == "service" else super().answer(request, found, status)

    def _describe_alarms(self, account: str, asked: Asked) -> Asked:
        names, prefix, state = asked.get("AlarmNames"), asked.get("AlarmNamePrefix", ""), asked.get("StateValue")
        found = [
            alarm
            for name, alarm in sorted(self.of(account).alarms.items())
            if (names is None or name in names) and name.startswith(prefix) and state in (None, alarm.state)
        ]
        start = int(asked.get("NextToken", "0"))
        size = min(self.page, int(asked.get("MaxRecords", 50)))
        shown = [
            alarm.described(f"arn:aws:cloudwatch:{self.region}:{account}:alarm:{alarm.name}")
            for alarm in found[start : start + size]
        ]
        more = {"NextToken": str(start + size)} if start + size < len(found) else {}
        return {"MetricAlarms": shown, "CompositeAlarms": [], **more}

    def _put_metric_data(self, account: str, asked: Asked) -> Asked:
        metrics = self.of(account).metrics
        metrics += [{"Namespace": asked["Namespace"], **datum} for datum in asked.get("MetricData", ())]
        return {}
