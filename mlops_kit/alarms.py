"""The alarms of one environment, as CloudWatch has them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mlops_kit.naming import EnvironmentNames

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient


@dataclass(frozen=True, slots=True)
class Alarm:
    """``state`` is OK, ALARM or INSUFFICIENT_DATA, since the time ``since``."""

    name: str
    state: str
    since: datetime
    reason: str


def read(cloudwatch: CloudWatchClient, names: EnvironmentNames) -> tuple[Alarm, ...]:
    """Every alarm whose name starts with the environment's prefix, those in alarm first."""
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=f"{names.prefix}-",
        AlarmTypes=["MetricAlarm", "CompositeAlarm"],  # without it, CloudWatch leaves composite alarms out
    )
    found = [
        Alarm(
            alarm["AlarmName"],
            str(alarm["StateValue"]),
            alarm["StateUpdatedTimestamp"],
            alarm.get("StateReason", ""),
        )
        for page in pages
        for alarm in [*page.get("MetricAlarms", []), *page.get("CompositeAlarms", [])]
    ]
    return tuple(sorted(found, key=lambda alarm: (alarm.state != "ALARM", alarm.name)))
