"""What follows a change of an alarm's state: its history, an EventBridge event, and messages to SNS topics."""

from __future__ import annotations

import json
import logging
import threading
from datetime import UTC, datetime
from typing import Any, Literal, cast

from moto.sns.models import sns_backends

from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import events
from mlops_kit.local.overlay.alarm_evaluation import State

log = logging.getLogger(__name__)

HISTORY = "mlops_kit_history"
LAST_ALARM = "mlops_kit_last_alarm"
"""When the alarm last was in ALARM; a deployment must not miss a state that lasted for a second."""

lock = threading.RLock()
"""Held while an alarm's state or history changes."""


def change(alarm: Any, reason: str, reason_data: str, state: State) -> State | None:
    """Set the state; the one before if it is another."""
    before = cast(State, alarm.state_value)
    now = datetime.now(UTC)
    alarm.state_reason, alarm.state_reason_data, alarm.state_value = reason, reason_data, state
    alarm.state_updated_timestamp = now.replace(tzinfo=None)
    if state == "ALARM":
        setattr(alarm, LAST_ALARM, now)
    if before == state:
        return None
    summary = f"Alarm updated from {before} to {state}"
    note(
        alarm,
        "StateUpdate",
        summary,
        {
            "version": "1.0",
            "oldState": {"stateValue": before},
            "newState": {"stateValue": state, "stateReason": reason},
        },
    )
    return before


def announce(alarm: Any, before: State) -> None:
    """Event and actions of a change of state."""
    emit(alarm, before)
    act(alarm, before)


def emit(alarm: Any, before: State) -> None:
    """The event of a change of state."""
    configuration = {"description": alarm.description or ""}
    if alarm.rule is not None:
        configuration["alarmRule"] = alarm.rule
    detail = {
        "alarmName": alarm.name,
        "state": {
            "value": alarm.state_value,
            "reason": alarm.state_reason,
            "reasonData": alarm.state_reason_data,
            "timestamp": _stamp(),
        },
        "previousState": {"value": before},
        "configuration": configuration,
    }
    events.emit(_place(alarm), "aws.cloudwatch", "CloudWatch Alarm State Change", detail, resources=[alarm.alarm_arn])


def act(alarm: Any, before: State) -> None:
    """The actions of the state that the alarm is in, if they are on."""
    if not alarm.actions_enabled:
        return
    state, place = alarm.state_value, _place(alarm)
    actions = {
        "ALARM": alarm.alarm_actions,
        "OK": alarm.ok_actions,
        "INSUFFICIENT_DATA": alarm.insufficient_data_actions,
    }[state]
    message = _message(alarm, before)
    for action in actions or []:
        outcome: Literal["Successfully executed", "Failed to execute"] = "Successfully executed"
        if action.split(":")[2:3] != ["sns"]:
            log.info("alarm %s: the action %s is only accepted", alarm.name, action)
            continue
        try:
            topic_account, topic_region = action.split(":")[4], action.split(":")[3]
            subject = f'{state}: "{alarm.name}" in {place.region}'[:100]
            sns_backends[topic_account][topic_region].publish(message, action, subject=subject)
        except Exception:
            outcome = "Failed to execute"
            log.exception("alarm %s: action %s", alarm.name, action)
        with lock:
            note(
                alarm, "Action", f"{outcome} action {action}", {"actionState": outcome, "notificationResource": action}
            )


def _message(alarm: Any, before: State) -> str:
    """What a topic gets: the same for all alarms, then what triggers this one."""
    place = _place(alarm)
    message = {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": place.account,
        "NewStateValue": alarm.state_value,
        "NewStateReason": alarm.state_reason,
        "StateChangeTime": _stamp(),
        "Region": place.region,
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": before,
    }
    if alarm.rule is not None:
        children = json.loads(alarm.state_reason_data or "{}").get("triggeringAlarms", [])
        triggering = [
            {"Arn": child["arn"], "State": {"Value": child["state"]["value"], "Timestamp": child["state"]["timestamp"]}}
            for child in children
        ]
        return json.dumps({**message, "AlarmRule": alarm.rule, "TriggeringChildren": triggering})
    trigger = {
        "MetricName": alarm.metric_name,
        "Namespace": alarm.namespace,
        "Threshold": alarm.threshold,
        "ComparisonOperator": alarm.comparison_operator,
    }
    return json.dumps({**message, "Trigger": trigger})


def _place(alarm: Any) -> Place:
    _, _, _, region, account, *_ = alarm.alarm_arn.split(":")
    return Place(account, region)


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def history(alarm: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = alarm.__dict__.setdefault(HISTORY, [])
    return found


def note(alarm: Any, kind: str, summary: str, data: dict[str, Any]) -> None:
    history(alarm).append(
        {
            "AlarmName": alarm.name,
            "AlarmType": "MetricAlarm" if alarm.rule is None else "CompositeAlarm",
            "Timestamp": datetime.now(UTC).replace(tzinfo=None),
            "HistoryItemType": kind,
            "HistorySummary": summary,
            "HistoryData": json.dumps(data),
        }
    )
