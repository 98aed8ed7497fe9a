"""Mends: what EventBridge does with an event that matches a rule.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
delivers to log groups, queues, archives    and to state machines, SageMaker pipelines and SNS topics, in the rule's
and buses, while the sender waits           target's role, one event after the other, while the sender goes on
an event can go round between buses         is passed on once: never from a bus that received it to a third
an input other than a transformed one is    Input, InputPath, InputTransformer
ignored
a delivery that fails is forgotten          goes to the target's dead-letter queue, with EventBridge's attributes
a disabled rule delivers events of S3 and   does not
PutEvents; a scheduled rule matches all
no metrics                                  AWS/Events: TriggeredRules, Invocations, FailedInvocations,
                                            InvocationsSentToDlq
==========================================  ===========================================================================

A delivery is tried once: what fails here would fail again. Permissions of queues, topics and log groups to be written
by EventBridge are not checked; a role must exist and trust events.amazonaws.com.
"""

from __future__ import annotations

import copy
import functools
import json
import logging
import queue
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.events.models import Rule, events_backends
from moto.logs.models import logs_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import event_buses, event_input, guard, sdk_calls

log = logging.getLogger(__name__)

PRINCIPAL = "events.amazonaws.com"
Event = dict[str, Any]
ByMoto = Callable[[Any, Mapping[str, Any], Event], None]
"""(rule, target, event): delivers to a kind of target that moto knows."""

_waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
_worker: list[threading.Thread] = []
_worker_lock = threading.Lock()


def install() -> None:
    send = guard.original(Rule, "send_to_targets", "self", "original_event", "transform_input")

    by_moto = functools.partial(_by_moto, send)

    def send_to_targets(self: Any, original_event: Any, transform_input: bool = True) -> None:
        event = copy.deepcopy(dict(original_event))
        if matches(self, event):
            later(lambda: deliver(self, event, by_moto))

    guard.replace(Rule, "send_to_targets", send_to_targets)


def publish(place: Place, event: Event) -> None:
    """Hand an event to the default bus of an account. Never raises: for the sender this happens later, elsewhere."""
    try:
        for rule in list(events_backends[place.account][place.region].event_buses["default"].rules.values()):
            rule.send_to_targets(dict(event))
    except Exception:
        log.exception("event %s of %s", event.get("detail-type"), event.get("source"))


def matches(rule: Any, event: Event) -> bool:
    """Whether the rule is on and its pattern fits. A rule without a pattern is a scheduled one."""
    guard.require_attributes(rule, "state", "event_pattern", "targets", "arn", "account_id", "region_name")
    if not str(rule.state).startswith("ENABLED") or not rule.event_pattern.get_pattern():
        return False
    return bool(rule.event_pattern.matches_event(event))


def later(work: Callable[[], None]) -> None:
    """Do ``work`` after everything that was handed over before."""
    with _worker_lock:
        if not _worker:
            _worker.append(threading.Thread(target=_work_forever, name="events", daemon=True))
            _worker[0].start()
    _waiting.put(work)


def _work_forever() -> None:
    while True:
        work = _waiting.get()
        try:
            work()
        except Exception:
            log.exception("delivery of an event")


def deliver(rule: Any, event: Event, by_moto: ByMoto, *, received: bool = False) -> None:
    """Send a matching event to every target; what fails goes to the target's dead-letter queue.

    ``received`` is an event that came from another bus: the only one that goes to no further bus.
    """
    place = Place(rule.account_id, rule.region_name)
    event = {**event, "time": stamp(event.get("time"))}
    event.pop("ingestion-time", None)
    _count(place, rule.name, "TriggeredRules")
    for target in list(rule.targets):
        if received and event_buses.is_bus(str(target["Arn"])):
            continue
        _count(place, rule.name, "Invocations")
        try:
            _send(rule, target, event, place, by_moto)
        except Exception as exc:
            code, message = _error(exc)
            log.warning("rule %s, target %s: %s: %s", rule.name, target["Arn"], code, message)
            _count(place, rule.name, "FailedInvocations")
            _bury(rule, target, event, place, code, message)


def _send(rule: Any, target: Mapping[str, Any], event: Event, place: Place, by_moto: ByMoto) -> None:
    arn = str(target["Arn"])
    if event_buses.is_bus(arn):
        _pass_on(rule, target, event, by_moto)
        return
    service, kind = arn.split(":")[2], arn.split(":")[5].split("/")[0]
    if service == "events" or service not in ("states", "sagemaker", "sns", "sqs", "logs"):
        by_moto(rule, target, event)
        return
    payload = event_input.target_input(target, event, {"rule-arn": rule.arn, "rule-name": rule.name})
    if service == "states" and kind == "stateMachine":
        client = _client(rule, target, place, "stepfunctions")
        sdk_calls.call(client, "StartExecution", {"stateMachineArn": arn, "input": payload})
    elif service == "sagemaker" and kind == "pipeline":
        start_pipeline(_client(rule, target, place, "sagemaker"), arn, target.get("SageMakerPipelineParameters"))
    elif service == "sns":
        sns_backends[arn.split(":")[4]][arn.split(":")[3]].publish(payload, arn)
    elif service == "sqs":
        send_to_queue(arn, payload, group=(target.get("SqsParameters") or {}).get("MessageGroupId"))
    elif service == "logs":
        _write_log(arn, payload)
    else:
        raise sdk_calls.UnknownActionError(f"the local cloud does not deliver to {arn}")


def _pass_on(rule: Any, target: Mapping[str, Any], event: Event, by_moto: ByMoto) -> None:
    """Hand the event, as it is, to the rules of another bus."""
    for other in event_buses.receivers(rule, target, event):
        if matches(other, event):
            later(functools.partial(deliver, other, copy.deepcopy(event), by_moto, received=True))


def start_pipeline(client: Any, arn: str, parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """Start an execution of the pipeline at ``arn``, as a rule's or a schedule's target has it."""
    given = (parameters or {}).get("PipelineParameterList") or []
    return sdk_calls.call(
        client, "StartPipelineExecution", {"PipelineName": arn.split("/", 1)[1], "PipelineParameters": list(given)}
    )


def send_to_queue(
    arn: str, body: str, *, group: str | None = None, attributes: Mapping[str, str] | None = None
) -> None:
    """Put one message into a queue; ``attributes`` become String attributes of the message."""
    _, _, _, region, account, name = arn.split(":")
    sqs_backends[account][region].send_message(
        queue_name=name,
        message_body=body,
        group_id=group,
        message_attributes={
            key: {"DataType": "String", "StringValue": value} for key, value in (attributes or {}).items() if value
        },
    )


def stamp(moment: Any = None) -> str:
    """An event's ``time``: moto has seconds since 1970, PutEvents what it was given."""
    if isinstance(moment, datetime):
        moment = moment.timestamp()
    if moment is None or isinstance(moment, (int, float)):
        moment = datetime.fromtimestamp(time.time() if moment is None else moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(moment)


def _client(rule: Any, target: Mapping[str, Any], place: Place, service: str) -> Any:
    role = target.get("RoleArn") or rule.role_arn
    if not role:
        raise sdk_calls.CallFailedError("AccessDeniedException", "the target has no role")
    return sdk_calls.client_as(str(role), place, service, principal=PRINCIPAL, source_arn=rule.arn)


def _by_moto(send: Callable[..., Any], rule: Any, target: Mapping[str, Any], event: Event) -> None:
    """Deliver to a kind of target that moto knows: an archive, an API destination."""
    alone = copy.copy(rule)
    alone.targets = [target]
    send(alone, {**event, "ingestion-time": time.time()}, True)  # an archive is named by its target's transformer


def _write_log(arn: str, payload: str) -> None:
    account, region = arn.split(":")[4], arn.split(":")[3]
    group = arn.split(":log-group:", 1)[1].removesuffix(":*")
    backend, stream = logs_backends[account][region], str(uuid.uuid4())
    backend.create_log_stream(group, stream)
    backend.put_log_events(group, stream, [{"timestamp": int(time.time() * 1000), "message": payload}])


def _error(exc: Exception) -> tuple[str, str]:
    """EventBridge's own error codes where it has one; else what the target's service answered."""
    if isinstance(exc, sdk_calls.CallFailedError):
        if exc.code == "AccessDeniedException" or exc.status == 403:
            return "NO_PERMISSIONS", exc.message
        if "NotExist" in exc.code or "NotFound" in exc.code:
            return "NO_RESOURCE", exc.message
        return "SDK_CLIENT_ERROR", str(exc)
    if isinstance(exc, event_input.InputError):
        return "INVALID_JSON", str(exc)
    message = str(getattr(exc, "message", None) or exc)
    missing = any(word in type(exc).__name__ for word in ("NotFound", "NonExistent", "NotExist"))
    return ("NO_RESOURCE" if missing else "SDK_CLIENT_ERROR"), f"{type(exc).__name__}: {message}"


def _bury(rule: Any, target: Mapping[str, Any], event: Event, place: Place, code: str, message: str) -> None:
    dead_letters = (target.get("DeadLetterConfig") or {}).get("Arn")
    if not dead_letters:
        return
    attributes = {
        "RULE_ARN": rule.arn,
        "TARGET_ARN": str(target["Arn"]),
        "ERROR_CODE": code,
        "ERROR_MESSAGE": message,
        "RETRY_ATTEMPTS": "0",
    }
    try:
        send_to_queue(dead_letters, json.dumps(event), attributes=attributes)
        _count(place, rule.name, "InvocationsSentToDlq")
    except Exception:
        log.exception("rule %s: dead-letter queue %s", rule.name, dead_letters)
        _count(place, rule.name, "InvocationsFailedToBeSentToDlq")


def _count(place: Place, rule: str, metric: str) -> None:
    count(place, "AWS/Events", metric, {"RuleName": rule})


def count(place: Place, namespace: str, metric: str, dimensions: Mapping[str, str]) -> None:
    """Publish one occurrence, as AWS services do of themselves."""
    pairs = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    datum = {"MetricName": metric, "Value": 1.0, "Unit": "Count", "Dimensions": pairs}
    cloudwatch_backends[place.account][place.region].put_metric_data(namespace, [datum])
