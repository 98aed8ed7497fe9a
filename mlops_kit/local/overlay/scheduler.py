"""Mends: EventBridge Scheduler.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
schedules never fire                        they do, in real time, whatever the speed-up; and at once with
                                            ``POST /_mlops-kit/schedules/<group>/<name>/fire?account=…&region=…``
a target is only stored                     universal targets (``aws-sdk:<service>:<action>``) and the templated ones
                                            for state machines, queues, topics, buses and SageMaker pipelines are
                                            requests to this server as the schedule's role; what fails goes to its
                                            dead-letter queue with the scheduler's attributes
any expression, time zone and role          ValidationException; the role has to trust scheduler.amazonaws.com
UpdateSchedule keeps ActionAfterCompletion  replaced like everything else; what is omitted gets its default
and nulls State
an unknown group: HTTP 500                  ResourceNotFoundException
a group that exists is replaced             ConflictException
==========================================  ===========================================================================

A request is tried once. A flexible time window is only accepted: the target is invoked at the beginning of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.scheduler.exceptions import ScheduleGroupNotFound, ValidationException
from moto.scheduler.models import EventBridgeSchedulerBackend, Schedule
from moto.scheduler.responses import EventBridgeSchedulerResponse

from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import guard, schedule_expressions, schedule_firing, sdk_calls, sts

_READ_ONLY = re.compile(r"(get|describe|list|poll|receive|search|scan|query|select|read|lookup|discover|validate)[A-Z]")


def install() -> None:
    create = guard.original_taking(
        EventBridgeSchedulerBackend,
        "create_schedule",
        *("self", "group_name", "schedule_expression", "schedule_expression_timezone", "target"),
    )
    update = guard.original_taking(
        EventBridgeSchedulerBackend, "update_schedule", "self", "group_name", "name", "state", "target"
    )
    update_response = guard.original(EventBridgeSchedulerResponse, "update_schedule", "self")
    create_group = guard.original(EventBridgeSchedulerBackend, "create_schedule_group", "self", "name", "tags")
    guard.original(EventBridgeSchedulerBackend, "delete_schedule_group", "self", "name")
    describe = guard.original(Schedule, "to_dict", "self", "short")

    def create_schedule(self: Any, **given: Any) -> Any:
        self.get_schedule_group(given["group_name"])
        _check(self, given)
        return create(self, **given)

    def update_schedule(self: Any, **given: Any) -> Any:
        _check(self, given)
        return update(self, **{**given, "state": given["state"] or "ENABLED"})

    def answer_update(self: Any) -> Any:
        answer = update_response(self)
        name = self.uri.split("?")[0].split("/")[-1]
        schedule = self.scheduler_backend.get_schedule(self._get_param("GroupName"), name)
        schedule.action_after_completion = self._get_param("ActionAfterCompletion")
        return answer

    def create_schedule_group(self: Any, name: str, tags: Any) -> Any:
        if name in self.schedule_groups:
            raise JsonRESTError("ConflictException", f"Schedule group {name} already exists.")
        return create_group(self, name, tags or [])

    def delete_schedule_group(self: Any, name: str | None) -> None:
        if name == "default":
            raise ValidationException("Deleting the default schedule group is not allowed.")
        if name not in self.schedule_groups:
            raise ScheduleGroupNotFound(str(name))
        del self.schedule_groups[name]

    def to_dict(self: Any, short: bool = False) -> dict[str, Any]:
        described = describe(self, short)
        described["ActionAfterCompletion"] = described["ActionAfterCompletion"] or "NONE"
        return {name: value for name, value in described.items() if value is not None}

    guard.replace(EventBridgeSchedulerBackend, "create_schedule", create_schedule)
    guard.replace(EventBridgeSchedulerBackend, "update_schedule", update_schedule)
    guard.replace(EventBridgeSchedulerResponse, "update_schedule", answer_update)
    guard.replace(EventBridgeSchedulerBackend, "create_schedule_group", create_schedule_group)
    guard.replace(EventBridgeSchedulerBackend, "delete_schedule_group", delete_schedule_group)
    guard.replace(Schedule, "to_dict", to_dict)


def _check(backend: Any, given: Mapping[str, Any]) -> None:
    """What AWS checks when a schedule is made: expression, time zone, target and role."""
    try:
        schedule_expressions.check(given["schedule_expression"], given["schedule_expression_timezone"] or "UTC")
    except schedule_expressions.ScheduleError as exc:
        raise ValidationException(str(exc)) from exc
    target, place = given["target"], Place(backend.account_id, backend.region_name)
    universal = schedule_firing.UNIVERSAL.fullmatch(target["Arn"])
    if universal is None and ":::aws-sdk:" in target["Arn"]:
        raise ValidationException(f"Provided Arn is not in correct format: {target['Arn']}")
    if universal is not None:
        try:
            sdk_calls.check_action(universal[1], universal[2])
        except sdk_calls.UnknownActionError as exc:
            raise ValidationException(f"Invalid RequestParameter: target {target['Arn']}: {exc.message}") from exc
        if _READ_ONLY.match(universal[2]):
            raise ValidationException(f"The API {universal[2]} is read-only and is not supported as a target.")
    source = schedule_firing.group_arn(place, given["group_name"])
    if not sts.service_may_assume(schedule_firing.PRINCIPAL, target["RoleArn"], place.account, source):
        raise ValidationException(
            "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."
        )
