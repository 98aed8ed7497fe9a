"""Schedules fire: by themselves when they are due, and when somebody asks for it.

A firing sends one request as the schedule's role. What fails goes to the schedule's dead-letter queue, with the
attributes of "Configuring a schedule's dead-letter queue".
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote

from moto.scheduler.exceptions import ScheduleGroupNotFound, ScheduleNotFound
from moto.scheduler.models import scheduler_backends

from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import event_delivery, schedule_expressions, sdk_calls
from mlops_kit.local.overlay.accounts import WSGI

log = logging.getLogger(__name__)

PRINCIPAL = "scheduler.amazonaws.com"
INTERVAL = 1.0
UNIVERSAL = re.compile(r"arn:aws[a-z-]*:scheduler:::aws-sdk:([^:]+):([^:]+)")
"""The ARN of a universal target: service and action."""

_FIRE = re.compile(r"/_mlops-kit/schedules/([^/]+)/([^/]+)/fire")


@dataclass(frozen=True, slots=True)
class Invocation:
    """How one firing of a schedule ended."""

    execution_id: str
    target: str
    error: str | None = None
    message: str | None = None

    def describe(self) -> dict[str, Any]:
        status = "FAILED" if self.error else "SUCCEEDED"
        failure = {"Error": self.error, "Message": self.message} if self.error else {}
        return {"ExecutionId": self.execution_id, "Target": self.target, "Status": status, **failure}


def group_arn(place: Place, group: str | None) -> str:
    """What ``aws:SourceArn`` is when the scheduler assumes a role: the schedule's group."""
    return f"arn:{place.partition}:scheduler:{place.region}:{place.account}:schedule-group/{group or 'default'}"


def start_firing() -> threading.Thread:
    """Fire every schedule of every account when it is due, for as long as the server runs."""
    thread = threading.Thread(target=_fire_forever, name="scheduler", daemon=True)
    thread.start()
    return thread


def _fire_forever() -> None:
    since = datetime.now(UTC)
    while True:
        time.sleep(INTERVAL)
        until = datetime.now(UTC)
        for place, group, schedule in _schedules():
            try:
                moments = due(schedule, since, until)
            except Exception:
                log.exception("schedule %s", schedule.arn)
                continue
            for moment in moments[-1:]:  # what was missed while the machine slept is made up for once
                threading.Thread(
                    target=_fire_due,
                    args=(place, group, schedule, moment),
                    name=f"schedule {schedule.name}",
                    daemon=True,
                ).start()
        since = until


def _schedules() -> list[tuple[Place, Any, Any]]:
    return [
        (Place(account, region), group, schedule)
        for account, regions in list(scheduler_backends.items())
        for region, backend in list(regions.items())
        for group in list(backend.schedule_groups.values())
        for schedule in list(group.schedules.values())
    ]


def due(schedule: Any, since: datetime, until: datetime) -> list[datetime]:
    """When a schedule fires after ``since`` and until ``until``."""
    if schedule.state != "ENABLED":
        return []
    created = _moment(schedule.creation_date) or since
    begin, end = _moment(schedule.start_date), _moment(schedule.end_date)
    if schedule.schedule_expression.startswith("at("):
        begin = end = None  # one-time schedules ignore both
    # A rate begins when the schedule does, which may have been a moment before the last look.
    first = begin or created
    moments = schedule_expressions.due(
        schedule.schedule_expression, schedule.schedule_expression_timezone, created=first, since=since, until=until
    )
    return [m for m in moments if (begin is None or m >= begin) and (end is None or m <= end)]


def _moment(value: Any) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.fromtimestamp(float(value), UTC)


def _fire_due(place: Place, group: Any, schedule: Any, moment: datetime) -> None:
    fire(schedule, place, moment)
    one_time = schedule.schedule_expression.startswith("at(")
    if one_time and schedule.action_after_completion == "DELETE":
        group.schedules.pop(schedule.name, None)


def fire(schedule: Any, place: Place, moment: datetime) -> Invocation:
    """Invoke a schedule's target once. Never raises: what fails is in the result and in the dead-letter queue."""
    execution = str(uuid.uuid4())
    scheduled = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    replacements = {
        "<aws.scheduler.schedule-arn>": schedule.arn,
        "<aws.scheduler.scheduled-time>": scheduled,
        "<aws.scheduler.execution-id>": execution,
        "<aws.scheduler.attempt-number>": "1",
    }
    payload = str(schedule.target.get("Input") or "")
    for placeholder, value in replacements.items():
        payload = payload.replace(placeholder, value)
    arn = str(schedule.target["Arn"])
    try:
        _invoke(schedule, place, arn, payload)
    except Exception as exc:
        known = isinstance(exc, sdk_calls.CallFailedError)
        code, message = (exc.code, exc.message) if known else (type(exc).__name__, str(exc))  # type: ignore[attr-defined]
        log.warning("schedule %s: %s: %s", schedule.arn, code, message)
        _bury(schedule, payload, execution, scheduled, code, message)
        return Invocation(execution, arn, code, message)
    return Invocation(execution, arn)


def _invoke(schedule: Any, place: Place, arn: str, payload: str) -> None:
    def client(service: str) -> Any:
        source = group_arn(place, schedule.group_name)
        role = schedule.target["RoleArn"]
        return sdk_calls.client_as(role, place, service, principal=PRINCIPAL, source_arn=source)

    if universal := UNIVERSAL.fullmatch(arn):
        parameters = json.loads(payload or "{}")
        sdk_calls.sdk_call(client(sdk_calls.botocore_name(universal[1])), universal[2], parameters)
        return
    service, _, account, resource = arn.split(":", 5)[2:]
    if service == "states" and resource.startswith("stateMachine:"):
        sdk_calls.call(client("stepfunctions"), "StartExecution", {"stateMachineArn": arn, "input": payload or "{}"})
    elif service == "sagemaker" and resource.startswith("pipeline/"):
        event_delivery.start_pipeline(client("sagemaker"), arn, schedule.target.get("SageMakerPipelineParameters"))
    elif service == "sns":
        sdk_calls.call(client("sns"), "Publish", {"TopicArn": arn, "Message": payload})
    elif service == "sqs":
        sqs = client("sqs")
        request = {"QueueName": resource, "QueueOwnerAWSAccountId": account}
        message = {"QueueUrl": sdk_calls.call(sqs, "GetQueueUrl", request)["QueueUrl"], "MessageBody": payload}
        if group := (schedule.target.get("SqsParameters") or {}).get("MessageGroupId"):
            message["MessageGroupId"] = group
        sdk_calls.call(sqs, "SendMessage", message)
    elif service == "events" and resource.startswith("event-bus/"):
        _put_event(client("events"), schedule, arn, payload)
    else:
        raise sdk_calls.UnknownActionError(f"the local cloud does not invoke {arn}")


def _put_event(client: Any, schedule: Any, arn: str, payload: str) -> None:
    parameters = schedule.target.get("EventBridgeParameters") or {}
    entry = {**parameters, "Detail": payload or "{}", "EventBusName": arn, "Resources": [schedule.arn]}
    answer = sdk_calls.call(client, "PutEvents", {"Entries": [entry]})
    if answer.get("FailedEntryCount"):
        failed = answer["Entries"][0]
        raise sdk_calls.CallFailedError(str(failed.get("ErrorCode")), str(failed.get("ErrorMessage")))


def _bury(schedule: Any, payload: str, execution: str, scheduled: str, code: str, message: str) -> None:
    dead_letters = (schedule.target.get("DeadLetterConfig") or {}).get("Arn")
    if not dead_letters:
        return
    attributes = {
        "SCHEDULE_ARN": schedule.arn,
        "TARGET_ARN": str(schedule.target["Arn"]),
        "EXECUTION_ID": execution,
        "SCHEDULED_TIME": scheduled,
        "ERROR_CODE": code,
        "ERROR_MESSAGE": message,
        "RETRY_ATTEMPTS": "0",
        "IS_PAYLOAD_TRUNCATED": "false",
    }
    try:
        event_delivery.send_to_queue(dead_letters, payload or "{}", attributes=attributes)
    except Exception:
        log.exception("schedule %s: dead-letter queue %s", schedule.arn, dead_letters)


def with_fire(app: WSGI) -> WSGI:
    """A WSGI layer that answers ``POST /_mlops-kit/schedules/<group>/<name>/fire`` and hands everything else on.

    Query: ``account``, ``region`` (us-east-1). 404 without such a schedule; otherwise how the invocation ended. Fires
    schedules that are disabled, too.
    """

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        match = _FIRE.fullmatch(environ.get("PATH_INFO") or "")
        if match is None or environ.get("REQUEST_METHOD") != "POST":
            return app(environ, start_response)
        query = parse_qs(environ.get("QUERY_STRING") or "")
        place = Place(query.get("account", [""])[0], query.get("region", ["us-east-1"])[0])
        try:
            schedule = scheduler_backends[place.account][place.region].get_schedule(
                unquote(match[1]), unquote(match[2])
            )
        except (ScheduleGroupNotFound, ScheduleNotFound, KeyError) as exc:
            message = f"account {place.account!r} has no schedule {match[1]}/{match[2]} in {place.region}"
            log.info("%s (%s)", message, type(exc).__name__)
            return _reply(start_response, "404 Not Found", {"Message": message})
        return _reply(start_response, "200 OK", fire(schedule, place, datetime.now(UTC)).describe())

    return answer


def _reply(start_response: Any, status: str, body: Mapping[str, Any]) -> list[bytes]:
    raw = json.dumps(body).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(raw)))])
    return [raw]
