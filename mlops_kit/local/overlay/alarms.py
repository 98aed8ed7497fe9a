"""Mends: CloudWatch alarms.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
alarms are never evaluated                  all are, every minute of AWS (one second at the default speed-up)
a new alarm is OK                           INSUFFICIENT_DATA until it is evaluated
putting an alarm again forgets its state    keeps it
no actions, no events                       SNS topics are published to; "CloudWatch Alarm State Change" is emitted
no DescribeAlarmHistory                     state changes, actions and configuration updates
==========================================  ===========================================================================

Periods are AWS's own: an alarm over one minute looks at the last minute. A state set with SetAlarmState holds until the
next evaluation, as on AWS, which is soon; a deployment that watches the alarm sees it nevertheless.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from moto.cloudwatch.exceptions import ValidationError
from moto.cloudwatch.models import Alarm, CloudWatchBackend, cloudwatch_backends
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from mlops_kit.local.compute.runtime import Runtime
from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import alarm_actions, composite_alarms, guard
from mlops_kit.local.overlay.alarm_actions import HISTORY, LAST_ALARM, lock
from mlops_kit.local.overlay.alarm_evaluation import COMPARISONS, Missing, Rule, State, evaluate, statistic
from mlops_kit.local.overlay.metrics import MetricStore, key_of, query_series

log = logging.getLogger(__name__)

EVALUATION_SECONDS = 60.0
NEW_ALARM_REASON = "Unchecked: Initial alarm creation"


def install() -> None:
    put = guard.original_taking(CloudWatchBackend, "put_metric_alarm", "self", "name", "metric_data_queries")
    put_response = guard.original(CloudWatchResponse, "put_metric_alarm", "self")
    guard.original(Alarm, "update_state", "self", "reason", "reason_data", "state_value")

    def put_metric_alarm(self: Any, *args: Any, **kwargs: Any) -> Any:
        with lock:
            before = self.alarms.get(kwargs.get("name"))
            alarm = put(self, *args, **kwargs)
            guard.require_attributes(alarm, "state_value", "state_reason", "state_reason_data", "history", "rule")
            if before is None:
                alarm.state_value, alarm.state_reason = "INSUFFICIENT_DATA", NEW_ALARM_REASON
                setattr(alarm, HISTORY, [])
            else:
                for name in ("state_value", "state_reason", "state_reason_data", "state_updated_timestamp", "history"):
                    setattr(alarm, name, getattr(before, name))
                setattr(alarm, HISTORY, alarm_actions.history(before))
                for name in (LAST_ALARM, composite_alarms.ACTED, composite_alarms.SUPPRESSED_AT):
                    setattr(alarm, name, getattr(before, name, None))
            verb = "created" if before is None else "updated"
            alarm_actions.note(
                alarm, "ConfigurationUpdate", f'Alarm "{alarm.name}" {verb}', {"type": verb.capitalize()}
            )
        return alarm

    def check_and_put(self: Any) -> Any:
        try:
            # Against no data at all: finds expressions and statistics that are not supported, and unknown ids.
            query_series(MetricStore(), self._get_param("Metrics") or [], [0.0], 60)
            statistic(str(self._get_param("ExtendedStatistic") or self._get_param("Statistic") or "Sum"), [])
        except ValueError as exc:
            raise ValidationError(str(exc)) from exc
        comparison = self._get_param("ComparisonOperator")
        if comparison not in COMPARISONS:
            raise ValidationError(f"the local cloud does not evaluate the comparison operator {comparison!r}")
        return put_response(self)

    def update_state(self: Any, reason: str, reason_data: str, state_value: str) -> None:
        with lock:
            changed = alarm_actions.change(self, reason, reason_data or "{}", cast(State, state_value))
        if changed is None:
            return
        if self.rule is None:
            alarm_actions.announce(self, changed)
        else:
            composite_alarms.announce(self, changed, _backend(self))

    def describe_alarm_history(self: Any) -> Any:
        return ActionResult({"AlarmHistoryItems": _history_items(self)})

    guard.replace(CloudWatchBackend, "put_metric_alarm", put_metric_alarm)
    guard.replace(CloudWatchResponse, "put_metric_alarm", check_and_put)
    guard.replace(Alarm, "update_state", update_state)
    guard.add(CloudWatchResponse, "describe_alarm_history", describe_alarm_history)
    composite_alarms.install()


def start_evaluating(runtime: Runtime) -> threading.Thread:
    """Evaluate every alarm of every account, for as long as the server runs."""
    thread = threading.Thread(target=_evaluate_forever, args=(runtime,), name="alarms", daemon=True)
    thread.start()
    return thread


def _evaluate_forever(runtime: Runtime) -> None:
    interval = max(0.2, runtime.scaled(EVALUATION_SECONDS))
    while True:
        time.sleep(interval)
        for account, regions in list(cloudwatch_backends.items()):
            for region, backend in list(regions.items()):
                for alarm in composite_alarms.children_first(backend, list(backend.alarms)):
                    evaluate_alarm(alarm, backend, Place(account, region))


def evaluate_alarm(alarm: Any, backend: Any, place: Place) -> None:
    """Bring one alarm's state up to date. An alarm that cannot be evaluated is logged, not raised."""
    try:
        if alarm.rule is not None:
            composite_alarms.evaluate(alarm, backend)
            return
        rule, points = _datapoints(alarm, backend)
        state = evaluate(rule, points, alarm.state_value)
        if state != alarm.state_value:
            alarm.update_state(_reason(rule, points, state), _reason_data(alarm, rule, points), state)
    except Exception:
        log.exception("alarm %s of %s cannot be evaluated", alarm.name, place.account)


def firing(place: Place, names: Sequence[str], since: datetime) -> list[str]:
    """Those of the alarms that are in ALARM, or were at any time since ``since``, evaluated now."""
    backend = cloudwatch_backends[place.account][place.region]
    found = []
    for name in names:
        alarm = backend.alarms.get(name)
        if alarm is None:
            continue
        last: datetime | None = getattr(alarm, LAST_ALARM, None)
        if alarm.state_value != "ALARM" and not (last and last >= since):
            for one in composite_alarms.children_first(backend, [name]):
                evaluate_alarm(one, backend, place)
            last = getattr(alarm, LAST_ALARM, None)
        if alarm.state_value == "ALARM" or (last and last >= since):
            found.append(name)
    return found


def _backend(alarm: Any) -> Any:
    _, _, _, region, account, *_ = alarm.alarm_arn.split(":")
    return cloudwatch_backends[account][region]


def _datapoints(alarm: Any, backend: Any) -> tuple[Rule, list[float | None]]:
    """The alarm's rule and its datapoints, newest first. Periods end now: the newest one is the last full period."""
    store, now = backend.metric_data, time.time()
    periods = int(alarm.evaluation_periods)
    rule = Rule(
        comparison=str(alarm.comparison_operator),
        threshold=float(alarm.threshold),
        evaluation_periods=periods,
        datapoints_to_alarm=int(alarm.datapoints_to_alarm or periods),
        missing=cast(Missing, alarm.treat_missing_data or "missing"),
    )
    if alarm.metric_data_queries:
        queries = [_query(query) for query in alarm.metric_data_queries]
        period = max([int(q["MetricStat"]["Period"]) for q in queries if "MetricStat" in q], default=60)
        times = _windows(now, period, rule.evaluation_range)
        watched = [query.id for query in alarm.metric_data_queries if _returns_data(query, alarm.metric_data_queries)]
        return rule, query_series(store, queries, times, period)[watched[0]]
    period = int(alarm.period)
    key = key_of(alarm.namespace, alarm.metric_name, alarm.dimensions)
    name = str(alarm.extended_statistic or alarm.statistic)
    times = _windows(now, period, rule.evaluation_range)
    return rule, [statistic(name, [s for _, s in store.between(key, t, t + period)]) for t in times]


def _windows(now: float, period: int, count: int) -> list[float]:
    # A datum written this instant belongs to the newest window, so that one ends a moment after now.
    end = now + 1e-3
    return [end - (i + 1) * period for i in range(count)]


def _query(query: Any) -> dict[str, Any]:
    if query.metric_stat is None:
        return {"Id": query.id, "Expression": query.expression}
    metric = query.metric_stat.metric
    return {
        "Id": query.id,
        "MetricStat": {
            "Metric": {
                "Namespace": metric.namespace,
                "MetricName": metric.metric_name,
                "Dimensions": [{"Name": d.name, "Value": d.value} for d in metric.dimensions],
            },
            "Period": query.metric_stat.period,
            "Stat": query.metric_stat.stat,
        },
    }


def _returns_data(query: Any, queries: Sequence[Any]) -> bool:
    if query.return_data is None:
        return len(queries) == 1
    return str(query.return_data).lower() == "true"


_RELATIONS = {
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "GreaterThanThreshold": "greater than",
    "LessThanThreshold": "less than",
    "LessThanOrEqualToThreshold": "less than or equal to",
}


def _reason(rule: Rule, points: Sequence[float | None], state: State) -> str:
    real = [value for value in points if value is not None][: rule.evaluation_periods]
    absent = rule.evaluation_periods - len(real)
    if state == "INSUFFICIENT_DATA":
        return "Insufficient Data: no datapoints were received"
    missing = f"{absent} missing datapoint(s) were treated as {rule.missing}" if absent else ""
    if not real:
        return f"Threshold Crossed: no datapoints were received for {absent} period(s) and {missing}"
    breaching = sum(COMPARISONS[rule.comparison](value, rule.threshold) for value in real)
    return (
        f"Threshold Crossed: {breaching} out of the last {len(real)} datapoint(s) "
        f"[{', '.join(f'{value:g}' for value in real)}] were {_RELATIONS[rule.comparison]} the threshold "
        f"({rule.threshold:g}) (minimum {rule.datapoints_to_alarm} for ALARM){'; ' + missing if missing else ''}"
    )


def _reason_data(alarm: Any, rule: Rule, points: Sequence[float | None]) -> str:
    return json.dumps(
        {
            "version": "1.0",
            "queryDate": datetime.now(UTC).isoformat(),
            "statistic": alarm.extended_statistic or alarm.statistic,
            "period": alarm.period,
            "recentDatapoints": [value for value in points if value is not None],
            "threshold": rule.threshold,
        }
    )


def _history_items(response: Any) -> list[dict[str, Any]]:
    name, kind = response._get_param("AlarmName"), response._get_param("HistoryItemType")
    types = response._get_param("AlarmTypes") or ["MetricAlarm"]
    backend = response.cloudwatch_backend
    alarms = [backend.alarms[name]] if name in backend.alarms else [] if name else list(backend.alarms.values())
    alarms = [alarm for alarm in alarms if ("MetricAlarm" if alarm.rule is None else "CompositeAlarm") in types]
    items = [
        item for alarm in alarms for item in alarm_actions.history(alarm) if not kind or item["HistoryItemType"] == kind
    ]
    items.sort(key=lambda item: item["Timestamp"], reverse=response._get_param("ScanBy") != "TimestampAscending")
    return items[: int(response._get_param("MaxRecords") or 100)]
