"""Requests that AWS services send to each other: as a role, over HTTP, to this server itself.

EventBridge, the scheduler, state machines and pipelines all act as a role that was passed to them. Here they do the
same: the role must exist and trust the service, and the request goes through everything a user's request goes through.

State machines and universal scheduler targets name an operation as ``aws-sdk:<service>:<action>``. Service names are
those of the AWS SDK for Java (``sfn``, not ``states``), actions are in camelCase, and parameters and results are in
PascalCase, whatever the service's own API uses (Step Functions Developer Guide, "Integrating services").
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, UnknownServiceError

from mlops_kit.local.compute import runtime
from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import sts

Call = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""(operation in the API's own spelling, parameters) -> the answer."""

_DIFFERENT_NAMES = {
    "applicationautoscaling": "application-autoscaling",
    "cloudwatchlogs": "logs",
    "eventbridge": "events",
    "sagemakerruntime": "sagemaker-runtime",
    "sfn": "stepfunctions",
}
"""SDK identifiers that botocore spells in another way."""

_lock = threading.Lock()
_sessions: list[botocore.session.Session] = []


class CallFailedError(Exception):
    """A request was refused, or could not be sent. ``code`` is the API's error code."""

    def __init__(self, code: str, message: str, *, modeled: bool = False, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.modeled, self.status = code, message, modeled, status


class UnknownActionError(CallFailedError):
    """There is no such service or operation."""

    def __init__(self, message: str) -> None:
        super().__init__("UnknownOperationException", message)


def client_as(
    role_arn: str, place: Place, service: str, *, principal: str, source_arn: str, session_name: str = "local"
) -> Any:
    """A client of ``service`` that acts as a role on behalf of the AWS service ``principal``.

    Raises:
        CallFailedError: the role does not exist, or does not trust the service.
    """
    if not sts.service_may_assume(principal, role_arn, place.account, source_arn):
        raise CallFailedError(
            "AccessDeniedException", f"{principal} is not authorized to assume the role {role_arn}", status=403
        )
    given = sts.service_session(role_arn, place.account, place.partition, session_name)
    with _lock:  # making a client is not thread-safe
        return _session().create_client(
            service,
            region_name=place.region,
            endpoint_url=runtime.current().endpoint_url,
            aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=given["AWS_SESSION_TOKEN"],
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, proxies={}),
        )


def call(client: Any, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """One request in the API's own spelling; the answer without its metadata.

    Raises:
        CallFailedError: see there.
    """
    model = client.meta.service_model.operation_model(operation)
    try:
        answer = client._make_api_call(operation, dict(parameters))
    except ClientError as exc:
        error = exc.response.get("Error", {})
        code = str(error.get("Code"))
        raise CallFailedError(
            code,
            str(error.get("Message")),
            modeled=code in {shape.name for shape in model.error_shapes},
            status=int(exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)),
        ) from exc
    except BotoCoreError as exc:  # parameters that the API does not have, or of the wrong type; a lost connection
        raise CallFailedError(type(exc).__name__, str(exc)) from exc
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def botocore_name(service: str) -> str:
    """botocore's name of a service, by its SDK identifier.

    Raises:
        UnknownActionError: there is no such service.
    """
    name = _DIFFERENT_NAMES.get(service, service)
    if _plain(str(_model(name, service).service_id)) != service:
        raise UnknownActionError(f"{service!r} is not the SDK's name of a service")
    return name


def check_action(service: str, action: str) -> None:
    """Refuse ``aws-sdk:<service>:<action>`` if there is no such thing.

    Raises:
        UnknownActionError: see there.
    """
    operation_name(_model(botocore_name(service), service), action)


def sdk_call(client: Any, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """One request as ``aws-sdk:<service>:<action>`` has it: PascalCase parameters, and a JSON answer in PascalCase.

    Raises:
        CallFailedError: see there.
    """
    operation = operation_name(client.meta.service_model, action)
    model = client.meta.service_model.operation_model(operation)
    return dict(to_json(call(client, operation, _to_api(parameters, model.input_shape)), model.output_shape))


def operation_name(model: Any, action: str) -> str:
    """``startExecution`` -> ``StartExecution``.

    Raises:
        UnknownActionError: the service has no such operation, or the action is not in camelCase.
    """
    names = {name[0].lower() + name[1:]: str(name) for name in model.operation_names}
    if action not in names:
        raise UnknownActionError(f"{model.service_id} has no action {action!r}")
    return names[action]


def service_prefix(client: Any) -> str:
    """What a state machine's error names begin with: the SDK for Java's name, ``SageMaker``, ``Sqs``, ``Sfn``."""
    words = re.split(r"[\s-]+", str(client.meta.service_model.service_id))
    return "".join(word.capitalize() if word.isupper() else word[0].upper() + word[1:] for word in words)


def error_name(client: Any, error: CallFailedError) -> str:
    """The name that ``ErrorEquals`` sees: of a modeled error its own, of any other that of the service.

    SageMaker's ValidationException, for example, is not modeled, and is ``SageMaker.SageMakerException``.
    """
    prefix = service_prefix(client)
    if not error.modeled:
        return f"{prefix}.{prefix}Exception"
    return f"{prefix}.{error.code.removesuffix('Fault').removesuffix('Exception')}Exception"


def _session() -> botocore.session.Session:
    """The one session, whose loader keeps the service models. Asked for with the lock held."""
    if not _sessions:
        _sessions.append(botocore.session.Session())
    return _sessions[0]


def _model(name: str, service: str) -> Any:
    try:
        with _lock:
            return _session().get_service_model(name)
    except UnknownServiceError as exc:
        raise UnknownActionError(f"{service!r} is not a service of the AWS SDK") from exc


def _plain(name: str) -> str:
    return re.sub(r"[\s-]+", "", name).lower()


def _to_api(value: Any, shape: Any) -> Any:
    """PascalCase member names -> the API's own. What the API does not have stays, for botocore to complain about."""
    kind = getattr(shape, "type_name", None)
    if kind == "structure" and isinstance(value, Mapping):
        own = {name[0].upper() + name[1:]: name for name in shape.members}
        return {
            # A member that the API spells in camelCase is only known by its PascalCase name.
            own.get(name, f"{name} (unknown)" if name in shape.members else name): _to_api(
                item, shape.members.get(own.get(name, name))
            )
            for name, item in value.items()
        }
    if kind == "list" and isinstance(value, list):
        return [_to_api(item, shape.member) for item in value]
    if kind == "map" and isinstance(value, Mapping):
        return {name: _to_api(item, shape.value) for name, item in value.items()}
    return value


def to_json(value: Any, shape: Any = None) -> Any:
    """An answer as JSON: PascalCase members of structures, times in ISO 8601, streams as text."""
    kind = getattr(shape, "type_name", None)
    if isinstance(value, Mapping):
        if kind == "map":
            return {str(name): to_json(item, shape.value) for name, item in value.items()}
        members = shape.members if kind == "structure" else {}
        return {name[0].upper() + name[1:]: to_json(item, members.get(name)) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item, getattr(shape, "member", None)) for item in value]
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if hasattr(value, "read"):
        value = value.read()
    return value.decode(errors="replace") if isinstance(value, bytes) else value
