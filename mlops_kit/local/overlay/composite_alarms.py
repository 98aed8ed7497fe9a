"""Mends: composite alarms.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
no PutCompositeAlarm                        kept, with the check that the alarms of the rule exist
                                            evaluated like other alarms, after those that the rule names
an alarm that a rule names can be deleted   cannot
DescribeAlarms ignores AlarmTypes, and all  AlarmTypes, children and parents; filters add up; only metric alarms unless
filters but one                             asked for others
==========================================  ===========================================================================

A suppressor holds the actions back while it is in ALARM, and for the extension period after that; before any action
there is the wait period. Both are AWS's own seconds. What was held back is made up for, if the state still is another.
A state that SetAlarmState gave is corrected at the next evaluation; AWS does so only when a child changes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from moto.cloudwatch.exceptions import ValidationError
from moto.cloudwatch.models import CloudWatchBackend
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult, EmptyResult

from mlops_kit.local.overlay import alarm_actions, alarm_rules, guard
from mlops_kit.local.overlay.alarm_evaluation import State

ACTED = "mlops_kit_acted"
"""The state whose actions were last taken."""
CHANGED_AT = "mlops_kit_changed_at"
SUPPRESSED_AT = "mlops_kit_suppressed_at"
"""When the suppressor was last seen in ALARM."""

SUPPRESSION = ("ActionsSuppressor", "ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod")


def install() -> None:
    delete = guard.original(CloudWatchBackend, "delete_alarms", "self", "alarm_names")
    guard.original(CloudWatchResponse, "describe_alarms", "self")

    def put_composite_alarm(self: Any) -> Any:
        backend = self.cloudwatch_backend
        name, text = self._get_param("AlarmName"), self._get_param("AlarmRule")
        suppressor, wait, extension = (self._get_param(member) for member in SUPPRESSION)
        _check(backend, name, text, suppressor, wait, extension)
        enabled = self._get_param("ActionsEnabled")
        alarm = backend.put_metric_alarm(
            name=name,
            rule=text,
            description=self._get_param("AlarmDescription"),
            actions_enabled=True if enabled is None else enabled,
            alarm_actions=self._get_param("AlarmActions", []),
            ok_actions=self._get_param("OKActions", []),
            insufficient_data_actions=self._get_param("InsufficientDataActions", []),
            tags=self._get_param("Tags", []),
            dimensions=[],
            **dict.fromkeys(
                ("namespace", "metric_name", "comparison_operator", "evaluation_periods", "period", "threshold")
            ),
            statistic=None,
        )
        alarm.alarm_rule = text
        alarm.actions_suppressor = suppressor
        alarm.actions_suppressor_wait_period = wait
        alarm.actions_suppressor_extension_period = extension
        return EmptyResult()

    def delete_alarms(self: Any, alarm_names: list[str]) -> None:
        for alarm in self.alarms.values():
            for name in _children(alarm):
                if name in alarm_names and alarm.name not in alarm_names:
                    raise ValidationError(f"Cannot delete {name} as there are composite alarm(s) depending on it.")
        delete(self, alarm_names)

    def describe_alarms(self: Any) -> Any:
        found = _described(self)
        types = self._get_param("AlarmTypes") or ["MetricAlarm"]
        metric = [alarm for alarm in found if alarm.rule is None and "MetricAlarm" in types]
        composite = [alarm for alarm in found if alarm.rule is not None and "CompositeAlarm" in types]
        return ActionResult({"MetricAlarms": metric, "CompositeAlarms": composite})

    guard.add(CloudWatchResponse, "put_composite_alarm", put_composite_alarm)
    guard.replace(CloudWatchBackend, "delete_alarms", delete_alarms)
    guard.replace(CloudWatchResponse, "describe_alarms", describe_alarms)


def children_first(backend: Any, names: Iterable[str]) -> list[Any]:
    """The alarms of these names, and each one's children before it. A cycle is entered once."""
    found: dict[str, Any] = {}
    entered: set[str] = set()

    def enter(name: str) -> None:
        alarm = backend.alarms.get(name)
        if alarm is None or name in entered:
            return
        entered.add(name)
        for child in _children(alarm):
            enter(child)
        found[name] = alarm

    for name in names:
        enter(name)
    return list(found.values())


def evaluate(alarm: Any, backend: Any) -> None:
    """Bring a composite alarm's state up to date with those of its children, and take actions that are due."""
    rule = alarm_rules.parse(alarm.rule)
    children = [backend.alarms[name] for name in rule.names if name in backend.alarms]
    state: State = "ALARM" if rule.holds({child.name: child.state_value for child in children}) else "OK"
    if state != alarm.state_value:
        alarm.update_state(_reason(children), json.dumps({"triggeringAlarms": _triggers(children)}), state)
    act_if_due(alarm, backend)


def announce(alarm: Any, before: State, backend: Any) -> None:
    """What follows a change of state: the event at once, actions when nothing suppresses them."""
    if getattr(alarm, ACTED, None) is None:
        setattr(alarm, ACTED, before)
    setattr(alarm, CHANGED_AT, time.monotonic())
    _note_suppression(alarm, backend)
    alarm_actions.emit(alarm, before)
    act_if_due(alarm, backend)


def act_if_due(alarm: Any, backend: Any) -> None:
    """Take the actions of a state that they were not yet taken for, unless they are suppressed."""
    suppressed = _note_suppression(alarm, backend)
    with alarm_actions.lock:
        acted: State | None = getattr(alarm, ACTED, None)
        if suppressed or acted is None or acted == alarm.state_value:
            return
        setattr(alarm, ACTED, alarm.state_value)
    alarm_actions.act(alarm, acted)


def _note_suppression(alarm: Any, backend: Any) -> str | None:
    """What holds the actions back now, as DescribeAlarms shows it: Alarm, ExtensionPeriod, WaitPeriod or None."""
    by = _suppressed_by(alarm, backend)
    alarm.actions_suppressed_by = by
    alarm.actions_suppressed_reason = f"Actions suppressed by {by}" if by else None
    return by


def _suppressed_by(alarm: Any, backend: Any) -> str | None:
    if not getattr(alarm, "actions_suppressor", None):
        return None
    suppressor = backend.alarms.get(alarm_rules.alarm_name(alarm.actions_suppressor))
    now = time.monotonic()
    if suppressor is not None and suppressor.state_value == "ALARM":
        setattr(alarm, SUPPRESSED_AT, now)
        return "Alarm"
    wait, extension = alarm.actions_suppressor_wait_period, alarm.actions_suppressor_extension_period
    ended: float | None = getattr(alarm, SUPPRESSED_AT, None)
    if ended is not None and now - ended < extension:
        return "ExtensionPeriod"
    changed: float | None = getattr(alarm, CHANGED_AT, None)
    if changed is None or getattr(alarm, ACTED, None) == alarm.state_value or now - changed >= wait:
        return None
    return "WaitPeriod" if ended is None or changed >= ended + extension else None


def _check(backend: Any, name: str, text: str, suppressor: str | None, wait: Any, extension: Any) -> None:
    try:
        rule = alarm_rules.parse(text)
    except alarm_rules.RuleError as exc:
        raise ValidationError(str(exc)) from exc
    missing = [child for child in rule.names if child not in backend.alarms]
    if suppressor and alarm_rules.alarm_name(suppressor) not in backend.alarms:
        missing.append(alarm_rules.alarm_name(suppressor))
    if missing:
        raise ValidationError(f"Could not save the composite alarm as alarms [{', '.join(missing)}] do not exist")
    if name in rule.names:
        raise ValidationError(f"Could not save the composite alarm as its rule names {name} itself")
    if suppressor and (wait is None or extension is None):
        raise ValidationError(
            "ActionsSuppressor needs ActionsSuppressorWaitPeriod and ActionsSuppressorExtensionPeriod"
        )


def _described(response: Any) -> list[Any]:
    get, backend = response._get_param, response.cloudwatch_backend
    found = list(backend.alarms.values())
    if names := get("AlarmNames"):
        found = [alarm for alarm in found if alarm.name in names]
    if prefix := get("AlarmNamePrefix"):
        found = [alarm for alarm in found if alarm.name.startswith(prefix)]
    if state := get("StateValue"):
        found = [alarm for alarm in found if alarm.state_value == state]
    if action := get("ActionPrefix"):
        found = [alarm for alarm in found if any(str(each).startswith(action) for each in alarm.alarm_actions or [])]
    if parent := get("ChildrenOfAlarmName"):
        children = _children(backend.alarms[parent]) if parent in backend.alarms else ()
        found = [alarm for alarm in found if alarm.name in children]
    if child := get("ParentsOfAlarmName"):
        found = [alarm for alarm in found if child in _children(alarm)]
    return sorted(found, key=lambda alarm: str(alarm.name))


def _children(alarm: Any) -> tuple[str, ...]:
    return () if alarm.rule is None else alarm_rules.parse(alarm.rule).names


def _reason(children: list[Any]) -> str:
    if not children:
        return "The rule names no alarm"
    last = max(children, key=lambda child: child.state_updated_timestamp)
    stamp = last.state_updated_timestamp.strftime("%A %d %B, %Y %H:%M:%S UTC")
    return f"{last.alarm_arn} transitioned to {last.state_value} at {stamp}"


def _triggers(children: list[Any]) -> list[dict[str, Any]]:
    return [
        {
            "arn": child.alarm_arn,
            "state": {"value": child.state_value, "timestamp": child.state_updated_timestamp.isoformat()},
        }
        for child in children
    ]
